"""The HTML of the stand-in pages: lists, and a record with its fields, related records, buttons and our card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from urllib.parse import urlencode

from .table import Row
from .tenant import Tenant

TITLE = "Demonstration: stand-in for a CRM record page"
SHOWN = ("Account", "Opportunity", "Order", "Service_Order__c")
RELATED = {
    "Account": (("Contact", "AccountId"), ("Opportunity", "AccountId"), ("Order", "AccountId")),
    "Opportunity": (("OpportunityLineItem", "OpportunityId"),),
    "Order": (("OrderItem", "OrderId"),),
    "Service_Order__c": (("Service_Order_Line__c", "Service_Order__c"),),
}
LISTED = 40
HIDDEN = ("Id", "IsDeleted", "SystemModstamp", "CreatedById", "LastModifiedById", "MasterRecordId")


@dataclass(frozen=True, slots=True)
class View:
    """Who looks at which org in which language, and the quick actions it has."""

    tenant: Tenant
    user: Row
    locale: str
    quick_actions: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """What every link keeps."""
        return "?" + urlencode({"user": self.user.id, "locale": self.locale})

    def address(self, *parts: str) -> str:
        """A page of this org."""
        return "/".join(["/salesforce/ui", self.tenant.org.id, *parts]) + ("" if parts else "/") + self.query

    def record_address(self, row: Row, action: str = "view") -> str:
        """A record's page, or one of its buttons."""
        return self.address("lightning", "r", row.object, row.id, action)


@dataclass(frozen=True, slots=True)
class Card:
    """Where the card is, and the signed request to post there; without one the address is opened."""

    address: str
    signed_request: str


def name_of(view: View, row: Row) -> str:
    """What a person calls a record."""
    named = view.tenant.org.object(row.object).name_field
    return str(row.values.get(named.name) or row.id) if named else row.id


def home(view: View) -> str:
    """The latest records of each kind."""
    columns = "".join(
        f"<section class='panel'><h2>{escape(definition.label_plural)}</h2><ul>{_links(view, _latest(view, name))}</ul>"
        "</section>"
        for name in SHOWN
        if (definition := view.tenant.org.find(name)) is not None
    )
    return _page(view, view.tenant.org.profile.name, f"<div class='columns'>{columns}</div>")


def record(view: View, row: Row, card: Card) -> str:
    """One record."""
    definition = view.tenant.org.object(row.object)
    content = (
        f"<div class='buttons'>{_buttons(view, row)}</div>"
        f"<div class='record'><section class='panel' id='details'><h2>Details</h2><dl>{_fields(view, row)}</dl>"
        f"{_related(view, row)}</section><aside class='panel'><h2>{escape(view.tenant.app.name)}</h2>{_card(card)}"
        "</aside></div>"
    )
    return _page(view, f"{definition.label}: {name_of(view, row)}", content)


def problem(view: View, row: Row, text: str) -> str:
    """A save that the org refused."""
    back = f"<p><a href='{escape(view.record_address(row))}'>Back to the record</a></p>"
    return _page(view, "The record was not saved", f"<section class='panel'><p>{escape(text)}</p>{back}</section>")


def _card(card: Card) -> str:
    """The frame, and the form that opens it; ``Repeat`` sends the very same request again."""
    if not card.address:
        return "<p class='quiet'>No canvas app is set up in this org.</p>"
    if not card.signed_request:
        return f"<iframe name='card' id='card' title='Card' src='{escape(card.address)}'></iframe>"
    return (
        "<iframe name='card' id='card' title='Card'></iframe>"
        f"<form id='canvas' method='post' target='card' action='{escape(card.address)}'>"
        f"<input type='hidden' name='signed_request' value='{escape(card.signed_request)}'>"
        "<button class='quiet'>Repeat the same request</button></form>"
    )


def _buttons(view: View, row: Row) -> str:
    buttons = [_button(view, row, "delete", "Delete")]
    if row.object == "Opportunity" and not row.values.get("IsWon"):
        buttons.insert(0, _button(view, row, "won", "Close as won"))
    if row.object == "Order" and row.values.get("StatusCode") == "Draft":
        buttons.insert(0, _button(view, row, "activate", "Activate"))
    buttons += [_button(view, row, name, name.replace("_", " ")) for name in view.quick_actions.get(row.object, ())]
    named = view.tenant.org.object(row.object).name_field
    if named is not None and named.updateable:
        value = escape(name_of(view, row))
        field_ = f"<input name='{named.name}' value='{value}' aria-label='{escape(named.label)}'>"
        buttons.append(_button(view, row, "edit", "Save", field_))
    if row.object == "Account":
        others = (other for other in _latest(view, "Account") if other.id != row.id)
        options = "".join(f"<option value='{o.id}'>{escape(name_of(view, o))}</option>" for o in others)
        buttons.append(_button(view, row, "merge", "Merge into this", f"<select name='other'>{options}</select>"))
    return "".join(buttons)


def _button(view: View, row: Row, action: str, label: str, fields: str = "") -> str:
    target = escape(view.record_address(row, action))
    return f"<form method='post' action='{target}'>{fields}<button>{escape(label)}</button></form>"


def _fields(view: View, row: Row) -> str:
    org = view.tenant.org
    visible = org.visible_fields(org.object(row.object), view.user.id)
    rows = []
    for field_ in visible.values():
        value = row.values.get(field_.name)
        if value in (None, "", False) or field_.name in HIDDEN:
            continue
        other = org.row(str(value)) if field_.type == "reference" else None
        shown = _link(view, other) if other is not None else escape(str(value))
        rows.append(f"<div><dt title='{escape(field_.name)}'>{escape(field_.label)}</dt><dd>{shown}</dd></div>")
    return "".join(rows)


def _related(view: View, row: Row) -> str:
    org, found = view.tenant.org, []
    for name, lookup in RELATED[row.object]:
        definition = org.find(name)
        if definition is not None:
            rows = list(org.table(name).pointing(lookup, row.id))[:LISTED]
            found.append(f"<h3>{escape(definition.label_plural)} ({len(rows)})</h3><ul>{_links(view, rows)}</ul>")
    return "".join(found)


def _latest(view: View, name: str) -> list[Row]:
    rows = (row for row in view.tenant.org.rows[name].values() if not row.deleted)
    seen = [row for row in rows if not view.tenant.hides(view.user.id, row.id)]
    return sorted(seen, key=lambda row: row.stamp, reverse=True)[:LISTED]


def _links(view: View, rows: Iterable[Row]) -> str:
    return "".join(f"<li>{_link(view, row)}</li>" for row in rows)


def _link(view: View, row: Row) -> str:
    name = escape(name_of(view, row))
    return f"<a href='{escape(view.record_address(row))}'>{name}</a>" if row.object in SHOWN else name


def _page(view: View, heading: str, content: str) -> str:
    def other(label: str, current: bool, **change: str) -> str:
        query = urlencode({"user": view.user.id, "locale": view.locale} | change)
        return f"<a href='?{escape(query)}'{' aria-current=true' if current else ''}>{escape(label)}</a>"

    languages = " ".join(
        other(label, code == view.locale, locale=code) for code, label in (("en", "English"), ("sv", "Svenska"))
    )
    active = [user for user in view.tenant.users() if user.values.get("IsActive")]
    people = " ".join(other(str(u.values["Name"]), u.id == view.user.id, user=u.id) for u in active)
    return (
        f"<!doctype html><html lang='{view.locale}'><head><meta charset='utf-8'><title>{escape(TITLE)}</title>"
        "<meta name='viewport' content='width=device-width'><link rel='icon' href='data:,'>"
        "<link rel='stylesheet' href='/salesforce/ui/static/host.css'>"
        "<script src='/salesforce/ui/static/host.js' defer></script></head><body>"
        f"<p class='banner'>{escape(TITLE)}. Invented orgs; nothing leaves this computer.</p>"
        f"<header><nav><a href='{escape(view.address())}'>{escape(view.tenant.org.profile.name)}</a></nav>"
        f"<p>{people} · {languages}</p></header>"
        f"<main><h1>{escape(heading)}</h1>{content}</main></body></html>"
    )
