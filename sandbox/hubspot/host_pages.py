"""The HTML of the stand-in pages. The card's own content is drawn in the browser by ``host_static/host.js``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from .definitions import Definition
from .kinds import COMPANIES, CONTACTS, DEALS, LINE_ITEMS, Kind
from .portal import Owner, Portal
from .render import value_of
from .store import Record

TITLE = "Demonstration: stand-in for a CRM record page"
TITLES = {COMPANIES.type_id: "name", DEALS.type_id: "dealname", CONTACTS.type_id: "email", LINE_ITEMS.type_id: "name"}
LABELS = {COMPANIES.type_id: "Company", DEALS.type_id: "Deal", CONTACTS.type_id: "Contact", LINE_ITEMS.type_id: "Line"}
LISTED = 60


@dataclass(frozen=True, slots=True)
class View:
    """Who looks at which account in which language, and where the app is."""

    portal: Portal
    user: Owner
    locale: str
    app_url: str
    app_name: str

    @property
    def query(self) -> str:
        """What every link keeps."""
        return "?" + urlencode({"locale": self.locale, "user": self.user.user_id})

    def address(self, *parts: object) -> str:
        """A page of this account."""
        return "/".join(["/hubspot/ui", str(self.portal.id), *map(str, parts)]) + self.query


def name_of(kind: Kind, record: Record) -> str:
    """What a person calls a record."""
    return record.values.get(TITLES[kind.type_id]) or f"{LABELS[kind.type_id]} {record.id}"


def records(view: View) -> str:
    """The companies and deals there are."""
    columns = "".join(
        f"<section class='panel'><h2>{heading}</h2><ul>{_links(view, kind, _some(view, kind))}</ul></section>"
        for heading, kind in (("Companies", COMPANIES), ("Deals", DEALS))
    )
    return _page(view, view.portal.profile.name, f"<div class='columns'>{columns}</div>")


def record(view: View, kind: Kind, found: Record) -> str:
    """One record: its properties, what it is linked with, and our card."""
    address = view.address("record", kind.type_id, found.id)
    content = (
        f"<div class='record'><section class='panel' id='properties'>{properties(view, kind, found)}</section>"
        f"<aside class='panel'><h2>{escape(view.app_name)}</h2>"
        f"<div id='card' aria-live='polite' data-kind='card' data-object-id='{found.id}'"
        f" data-object-type-id='{kind.type_id}'{_data(view, address)}></div></aside></div>"
    )
    return _page(view, f"{LABELS[kind.type_id]}: {name_of(kind, found)}", content)


def properties(view: View, kind: Kind, found: Record) -> str:
    """The part of a record page that is drawn anew after a card changed something."""
    schema = view.portal.schema(kind).active
    rows = "".join(
        f"<div><dt title='{escape(name)}'>{escape(schema[name].label)}</dt>"
        f"<dd>{escape(_shown(schema[name], value))}</dd></div>"
        for name in found.values
        if name in schema and (value := value_of(kind, found, name))
    )
    linked = "".join(
        f"<h3>{LABELS[other.type_id]}</h3><ul>{_links(view, other, linked)}</ul>"
        for other in (COMPANIES, DEALS, CONTACTS, LINE_ITEMS)
        if (linked := view.portal.linked_records(kind, found.id, other))
    )
    return f"<h2>About this {LABELS[kind.type_id].lower()}</h2><dl>{rows}</dl>{linked}"


def _shown(definition: Definition, value: str) -> str:
    """A value as a person sees it: the label of an option instead of its id."""
    return next((option.label for option in definition.options if option.value == value), value)


def settings(view: View) -> str:
    """Our app's settings, as they show inside HubSpot."""
    content = (
        f"<section class='panel'><div id='card' aria-live='polite' data-kind='settings'"
        f"{_data(view, view.address('settings'))}></div></section>"
    )
    return _page(view, f"Connected apps: {view.app_name}", content)


def _data(view: View, address: str) -> str:
    """What the script needs to know, as attributes."""
    known = {
        "fetch": view.address("fetch"),
        "properties": address.replace("?", "/properties?", 1),
        "app-url": view.app_url,
        "locale": view.locale,
    }
    return "".join(f" data-{name}='{escape(value)}'" for name, value in known.items())


def _some(view: View, kind: Kind) -> Iterable[Record]:
    live = sorted(view.portal.store(kind).all_live(), key=lambda found: found.updated, reverse=True)
    return live[:LISTED]


def _links(view: View, kind: Kind, found: Iterable[Record]) -> str:
    if kind not in (COMPANIES, DEALS):
        return "".join(f"<li>{escape(name_of(kind, each))}</li>" for each in found)
    return "".join(
        f"<li><a href='{escape(view.address('record', kind.type_id, each.id))}'>{escape(name_of(kind, each))}</a></li>"
        for each in found
    )


def _page(view: View, heading: str, content: str) -> str:
    languages = " ".join(
        f"<a href='?{escape(urlencode({'locale': code, 'user': view.user.user_id}))}'"
        f"{' aria-current=true' if code == view.locale else ''}>{label}</a>"
        for code, label in (("en", "English"), ("sv", "Svenska"))
    )
    person = f"{view.user.first_name} {view.user.last_name}"
    return (
        f"<!doctype html><html lang='{view.locale}'><head><meta charset='utf-8'><title>{escape(TITLE)}</title>"
        "<meta name='viewport' content='width=device-width'><link rel='icon' href='data:,'>"
        "<link rel='stylesheet' href='/hubspot/ui/static/host.css'>"
        "<script src='/hubspot/ui/static/host.js' defer></script></head><body>"
        f"<p class='banner'>{escape(TITLE)}. Invented accounts; nothing leaves this computer.</p>"
        f"<header><nav><a href='{escape(view.address(''))}'>{escape(view.portal.profile.name)}</a>"
        f"<a href='{escape(view.address('settings'))}'>Settings</a></nav>"
        f"<p>{escape(person)} · {languages}</p></header>"
        f"<main><h1>{escape(heading)}</h1>{content}</main></body></html>"
    )
