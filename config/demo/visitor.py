"""A visitor without a browser: signs in and clicks through forms as a person would, cookies and CSRF included.

The demonstration connects its accounts with it, over the same pages that a consultant uses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests


@dataclass
class Form:
    """One form of a page: where it goes, its fields with their present values, its buttons."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # name, value, text


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._button: list[str] | None = None

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
        elif tag == "button":
            self._button = [values.get("name", ""), values.get("value", ""), ""]

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self._button[2] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._button is not None and self._open is not None:
            name, value, text = self._button
            self._open.buttons.append((name, value, text))
            self._button = None
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
        self.page.raise_for_status()

    def forms(self) -> list[Form]:
        """The forms of the present page."""
        parser = _Forms()
        parser.feed(self.page.text if self.page is not None else "")
        return parser.forms

    def submit(self, *, action: str = "", click: str = "", **values: str) -> None:
        """Fill in and send the form whose action contains `action` and which has a button with `click` in its text
        or value. Raises `LookupError` when there is none, `requests.HTTPError` when it is refused."""
        form, button = self._find(action, click)
        data = form.values | values
        if button and button[0]:
            data[button[0]] = button[1]
        here = self.page.url if self.page is not None else ""
        self.page = self.session.request(
            form.method, urljoin(here, form.action or here), data=data, headers={"Referer": here}, timeout=60
        )
        self.page.raise_for_status()

    def _find(self, action: str, click: str) -> tuple[Form, tuple[str, str, str] | None]:
        for form in self.forms():
            button = next((b for b in form.buttons if click.lower() in f"{b[1]} {b[2]}".lower()), None)
            if action in form.action and (button or not click):
                return form, button
        where = self.page.url if self.page is not None else "no page"
        raise LookupError(f"no form to {action!r} with a button {click!r} on {where}")
