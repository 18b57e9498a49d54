"""Pages that look again by themselves: only the parts that changed travel, and nothing when nothing did.

A page marks its parts with `id` and `data-live`. The script asks the same address with the fingerprint of what it has
(`X-Live`); the answer is 204 when the parts read the same, else the parts alone, for htmx to put in their places. The
page's own view made them, so a part never shows what the page would not.
"""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser

from django.http import HttpRequest, HttpResponse, HttpResponseBase

HEADER = "X-Live"
PLACE = b'content="lb-live-unsigned"'
"""Where the page's head takes the fingerprint."""
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())  # noqa: SIM905
_TOKEN = re.compile(r'<input type="hidden" name="csrfmiddlewaretoken"[^>]*>')
"""Masked anew on every page, and worth nothing as news."""


def asked(request: HttpRequest) -> bool:
    """Whether this is a page that looks again."""
    return request.method == "GET" and HEADER in request.headers


def answer(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The changed parts of a page, or 204 when they are what the reader has. Anything but a page stays as it is."""
    if getattr(response, "status_code", 0) != 200 or not isinstance(response, HttpResponse):
        return response
    render = getattr(response, "render", None)
    page = render() if callable(render) and not getattr(response, "is_rendered", True) else response
    found = parts(page.content.decode())
    heard = fingerprint(found)
    short = HttpResponse(status=204) if heard == request.headers[HEADER] else HttpResponse("".join(found))
    short.headers[HEADER] = heard
    short.headers["Cache-Control"] = "no-store"
    return short


def sign(response: HttpResponse) -> None:
    """Tell a page that was just rendered what its live parts read, so that its first look can be answered with 204."""
    if response.status_code == 200 and b"data-live" in response.content and PLACE in response.content:
        found = fingerprint(parts(response.content.decode()))
        response.content = response.content.replace(PLACE, b'content="%s"' % found.encode(), 1)


def parts(page: str) -> list[str]:
    """The outer HTML of every outermost element with `data-live`, marked to be swapped by its id."""
    collector = _Parts()
    collector.feed(page)
    collector.close()
    return collector.found


def fingerprint(found: list[str]) -> str:
    """Equal for parts that read the same."""
    return hashlib.sha256(_TOKEN.sub("", "".join(found)).encode()).hexdigest()[:32]


class _Parts(HTMLParser):
    """Copies the outermost live elements as they stand."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self._now: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        text = self.get_starttag_text() or ""
        names = dict(attrs)
        if self._depth:
            self._now.append(text)
            self._depth += tag not in _VOID
        elif "data-live" in names and names.get("id"):
            self._now = [text.replace(f"<{tag}", f'<{tag} hx-swap-oob="true"', 1)]
            self._depth = 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._depth:
            self._now.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if not self._depth or tag in _VOID:
            return
        self._now.append(f"</{tag}>")
        self._depth -= 1
        if not self._depth:
            self.found.append("".join(self._now))

    def handle_data(self, data: str) -> None:
        if self._depth:
            self._now.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")
