"""A visitor without a browser: signs in and clicks through forms as a person would, cookies and CSRF included.

The demonstration connects its accounts with it, over the same pages that a consultant uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

_TAGS = re.compile(r"<(script|style).*?</\1>|<[^>]*>", re.DOTALL)


@dataclass
class Form:
    """One form of a page: where it goes, its fields with their present values, its choices, its buttons."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    choices: list[tuple[str, str, str]] = field(default_factory=list)  # name, value, the words beside it
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # name, value, text


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._button: list[str] | None = None
        self._choice: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._open)
        if self._open is None:
            return
        if tag == "input" and values.get("name"):
            chosen = values.get("type") not in ("radio", "checkbox") or "checked" in values
            if chosen:
                self._open.values[values["name"]] = values.get("value", "")
            if values.get("type") == "radio":
                self._choice = [values["name"], values.get("value", ""), ""]
        elif tag == "button":
            self._button = [values.get("name", ""), values.get("value", ""), ""]

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self._button[2] += data.strip()
        elif self._choice is not None:
            self._choice[2] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._button is not None and self._open is not None:
            name, value, text = self._button
            self._open.buttons.append((name, value, text))
            self._button = None
        elif tag == "label" and self._choice is not None and self._open is not None:
            name, value, text = self._choice
            self._open.choices.append((name, value, " ".join(text.split())))
            self._choice = None
        elif tag == "form":
            self._open = None


class Visitor:
    """One person's session. Every method leaves the visitor on the page that came back."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.page: requests.Response | None = None

    def open(self, url: str) -> None:
        """Go to an address, following redirects. Raises `requests.HTTPError` when it is refused."""
        self.page = self.session.get(url, timeout=30)
        self._look()

    def forms(self) -> list[Form]:
        """The forms of the present page."""
        parser = _Forms()
        parser.feed(self.page.text if self.page is not None else "")
        return parser.forms

    def submit(self, *, action: str = "", click: str = "", choose: str = "", **values: str) -> None:
        """Fill in and send the form whose action contains `action` and which has a button with `click` in its text
        or value; `choose` is part of the words beside a choice. Raises `LookupError` when there is none,
        `requests.HTTPError` when it is refused."""
        form, button = self._find(action, click)
        data = form.values | values
        if choose:
            data |= self._chosen(form, choose)
        if button and button[0]:
            data[button[0]] = button[1]
        here = self.page.url if self.page is not None else ""
        self.page = self.session.request(
            form.method, urljoin(here, form.action or here), data=data, headers={"Referer": here}, timeout=60
        )
        self._look()

    def _look(self) -> None:
        """Raises `requests.HTTPError` with the words of a page that says no."""
        if self.page is not None and not self.page.ok:
            text = self.page.text
            words = " ".join(_TAGS.sub(" ", text[max(0, text.find('<div id="content"')) :]).split())
            raise requests.HTTPError(f"{self.page.status_code} {self.page.url}: {words[:1000]}", response=self.page)

    def _chosen(self, form: Form, words: str) -> dict[str, str]:
        for name, value, text in form.choices:
            if words in text:
                return {name: value}
        raise LookupError(f"no choice {words!r} in the form to {form.action!r}")

    def _find(self, action: str, click: str) -> tuple[Form, tuple[str, str, str] | None]:
        for form in self.forms():
            button = next((b for b in form.buttons if click.lower() in f"{b[1]} {b[2]}".lower()), None)
            if action in form.action and (button or not click):
                return form, button
        where = self.page.url if self.page is not None else "no page"
        raise LookupError(f"no form to {action!r} with a button {click!r} on {where}")
