"""What a query asks for, and how its rows become records: own fields, parents by their path, lines as a child query.

One query brings a record whole, so nothing needs a second call. Every row carries its id and those of its parents,
which tells a parent without values from none. The invariant: a record never leaves with fewer lines than it has, nor
without a field that was asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from integrations.connector import Fields, FieldType, Record, Value
from integrations.errors import InvalidData, TooLarge
from integrations.salesforce import ids, soql, values
from integrations.salesforce.client import Rows, rows_of
from integrations.salesforce.layouts import LINE, PRICES, PRODUCT, ROLES
from integrations.salesforce.schema import DERIVED, SAID_OTHERWISE, Objects, hidden, said_otherwise, texts_of_codes

STAMP = "SystemModstamp"
KEY = "Fortnox_Key__c"
LIVE = "IsDeleted = false"
"""Of child rows only those: a query that is asked for deleted records gives deleted children, too."""
Kinds = Mapping[str, FieldType]
Follow = Callable[[str], Rows]
"""Fetches the next page of a child query that did not fit."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked of one object. `items` stand in the SELECT; `remotes` are the objects that they belong to.

    `parts` are (relationship, kinds); `lines` the path and kind of each line field, under `relationship`.
    """

    name: str
    remote: str
    title: str
    items: tuple[str, ...]
    own: Kinds
    parts: Mapping[str, tuple[str, Kinds]] = field(default_factory=dict)
    lines: Mapping[str, tuple[str, FieldType]] | None = None
    relationship: str = ""
    prices: frozenset[str] = frozenset()
    currency: str = ""
    remotes: tuple[str, ...] = ()
    otherwise: Mapping[str, str] = field(default_factory=dict)  # name → field that says it, "" where there is none

    @property
    def flat(self) -> bool:
        """Whether a row is one line of CSV: no child queries."""
        return not any(item.startswith("(") for item in self.items)

    def query(self, where: str = "", order: str = "") -> str:
        """The query with a condition."""
        return soql.select(self.items, self.remote, where=where, order=order)


def shape(objects: Objects, name: str, fields: Fields, *, gone: bool = False) -> Shape:
    """The query for these fields. Raises `Misconfigured` with the remedy for a field that is not there or hidden."""
    layout = objects.layout(name)
    wanted = fields.get(name, frozenset())
    prices = wanted & set(DERIVED) if layout.remote == PRODUCT else frozenset()
    own = objects.catalogue.get(layout.remote)
    otherwise = {
        n: SAID_OTHERWISE[n][0] if SAID_OTHERWISE[n][0] in own.fields else ""
        for n in sorted(wanted & set(said_otherwise(layout.remote)))
    }
    otherwise |= {code: text for code, text in texts_of_codes(own).items() if code in wanted}
    kinds = _kinds(objects, layout.remote, (wanted - prices - set(otherwise)) | set(filter(None, otherwise.values())))
    always = {"Id", own.title, STAMP}
    telling = {n for n in ("IsDeleted", "MasterRecordId") if n in own.fields} if gone else set()
    items = sorted({*kinds, *always, *telling})
    remotes = [layout.remote]
    parts: dict[str, tuple[str, Kinds]] = {}
    for part in sorted(set(fields) - {name, LINE}):
        relationship, of_part, remote = _part(objects, name, part, fields[part])
        if relationship == ROLES and ROLES not in own.children:
            relationship = ""  # our user may not see the roles: the contact is not known
        parts[part] = relationship, of_part
        items += _part_items(relationship, of_part)
        remotes.append(remote)
    lines, relationship = None, ""
    if LINE in fields:
        lines, relationship, item, of_lines = _lines(objects, name, fields[LINE])
        items.append(item)
        remotes += of_lines
    if prices:
        items.append(_prices(objects))
        remotes.append("PricebookEntry")
    return Shape(
        name, layout.remote, own.title, tuple(items), kinds, parts, lines, relationship, prices, objects.currency,
        tuple(remotes), otherwise,
    )  # fmt: skip


def _kinds(objects: Objects, remote: str, wanted: Iterable[str]) -> dict[str, FieldType]:
    """The type of each field, which must be there."""
    wanted = sorted(wanted)
    described = objects.catalogue.get(remote, wanted)
    for field_name in wanted:
        if field_name not in described.fields:
            raise hidden(remote, field_name)
    return {field_name: described.fields[field_name].kind for field_name in wanted}


def _part(objects: Objects, name: str, part: str, wanted: Iterable[str]) -> tuple[str, Kinds, str]:
    found = objects.part(name, part)
    for field_name in wanted:
        if field_name not in found.fields:
            raise hidden(found.remote, field_name)
    return found.relationship, {n: found.fields[n].kind for n in sorted(wanted)}, found.remote


def _part_items(relationship: str, kinds: Kinds) -> list[str]:
    if not relationship:
        return []
    if relationship == ROLES:
        paths = [f"Contact.{field_name}" for field_name in sorted({"Id", *kinds})]
        return [soql.child(paths, ROLES, where=f"IsPrimary = true AND {LIVE}", order="Id", limit=1)]
    return [f"{relationship}.{field_name}" for field_name in sorted({"Id", *kinds})]


def _lines(
    objects: Objects, name: str, wanted: Iterable[str]
) -> tuple[dict[str, tuple[str, FieldType]], str, str, list[str]]:
    """(path and type by name, relationship, child query, objects) of the lines."""
    lines, described = objects.lines(name)
    known = objects.line_fields(name)
    for field_name in sorted(wanted):
        if field_name not in known:
            raise hidden(described.name, field_name)
    asked = {n: (known[n][0], known[n][1].kind) for n in sorted({*wanted, "Id"})}
    first = next((n for n in lines.order if n in described.fields), "")
    order = f"{first} ASC NULLS LAST, Id" if first else "Id"
    paths = dict.fromkeys(path for path, _kind in asked.values())
    item = soql.child(paths, lines.relationship, where=LIVE, order=order)
    return asked, lines.relationship, item, [described.name, *([PRODUCT] if any("." in p for p in paths) else [])]


def _prices(objects: Objects) -> str:
    """The entries of a product in price books, with what tells ours and its currency apart."""
    described = objects.catalogue.get("PricebookEntry")
    more = [n for n in ("CurrencyIsoCode", KEY) if n in described.fields]
    paths = ["Id", "UnitPrice", "Pricebook2.IsStandard", "Pricebook2.Name", *more]
    return soql.child(paths, PRICES, where=f"IsActive = true AND {LIVE}", order="Id")


# --- Rows -----------------------------------------------------------------------------------------------------


def record(asked: Shape, raw: Mapping[str, Any], url: Callable[[str], str], follow: Follow) -> Record:
    """A row as a record. Raises `TooLarge` when it cannot be read, naming the record and the field."""
    key = id_of(raw, asked.remote)
    parts: dict[str, dict[str, Value]] = {}
    for part, (relationship, kinds) in asked.parts.items():
        if not relationship:
            continue
        parent = _primary(raw, follow) if relationship == ROLES else _parent(raw, relationship, key)
        if parent is not None:
            parts[part] = _parsed(parent, kinds, key, f"{part}.")
    lines: list[dict[str, Value]] = []
    if asked.lines is not None:
        lines = [_line(row, asked.lines, key) for row in _children(raw, asked.relationship, follow)]
    fields = _parsed(raw, asked.own, key)
    if asked.prices:
        fields |= _price(asked, _children(raw, PRICES, follow), key)
    for name, said_by in asked.otherwise.items():
        without: dict[str, Value] = {"currency": asked.currency or None, "is_person": False}
        fields[name] = fields[said_by] if said_by else without.get(name)
    # Typed values: the same record is the same, whether it came as JSON or as a row of CSV.
    text = json.dumps([fields, parts, lines], sort_keys=True, default=lambda value: values.spelled("", value))
    title = raw.get(asked.title)
    return Record(
        asked.name,
        key,
        fields,
        parts=parts,
        lines=lines,
        title=str(title or key)[:200],
        url=url(key),
        version=hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
    )


def id_of(raw: Mapping[str, Any], remote: str) -> str:
    """The id of a row, with 18 characters. Raises `TooLarge` when it has none."""
    key = raw.get("Id")
    try:
        return ids.checked(key if isinstance(key, str) else "")
    except InvalidData:
        raise TooLarge(f"Salesforce sent a {remote} with the id {ascii(key)[:60]}", code="unreadable") from None


def _given(raw: Mapping[str, Any], field_name: str, record_id: str, shown: str) -> object:
    if field_name not in raw:
        text = f"Salesforce left out {shown}, which was asked for"
        raise TooLarge(text, code="unreadable", record=record_id, field=shown)
    return raw[field_name]


def _parsed(raw: Mapping[str, Any], kinds: Kinds, record_id: str, prefix: str = "") -> dict[str, Value]:
    return {
        n: values.parse(f"{prefix}{n}", kind, _given(raw, n, record_id, f"{prefix}{n}"), record_id)
        for n, kind in kinds.items()
    }


def _parent(raw: Mapping[str, Any], relationship: str, record_id: str) -> Mapping[str, Any] | None:
    """The parent on a path; None when there is none, or our user may not see it."""
    parent = _given(raw, relationship, record_id, relationship)
    if parent is None:
        return None
    if not isinstance(parent, Mapping):
        text = f"Salesforce sent {relationship} as something that is no record"
        raise TooLarge(text, code="unreadable", record=record_id, field=relationship)
    return parent if parent.get("Id") else None


def _children(raw: Mapping[str, Any], relationship: str, follow: Follow) -> list[Mapping[str, Any]]:
    """The rows of a child query over all its pages. Raises `TooLarge` when they are not as many as announced."""
    given = _given(raw, relationship, str(raw.get("Id")), relationship)
    if given is None:
        return []
    page = rows_of(given)
    rows, total = list(page.rows), page.total
    while page.following:
        page = follow(page.following)
        rows += page.rows
    if len(rows) != total:
        text = f"Salesforce sent {len(rows)} of {total} {relationship}"
        raise TooLarge(text, code="unreadable", record=str(raw.get("Id")), field=relationship)
    return rows


def _primary(raw: Mapping[str, Any], follow: Follow) -> Mapping[str, Any] | None:
    """The contact of the primary role."""
    roles = _children(raw, ROLES, follow)
    return _parent(roles[0], "Contact", str(raw.get("Id"))) if roles else None


def _line(raw: Mapping[str, Any], lines: Mapping[str, tuple[str, FieldType]], record_id: str) -> dict[str, Value]:
    line: dict[str, Value] = {}
    for ours, (path, kind) in lines.items():
        holder, field_name = raw, path
        if "." in path:
            relationship, _, field_name = path.rpartition(".")
            parent = raw.get(relationship)
            if parent is None:
                line[ours] = None
                continue
            holder = parent if isinstance(parent, Mapping) else {}
        line[ours] = values.parse(ours, kind, _given(holder, field_name, record_id, f"{LINE}.{ours}"), record_id)
    return line


def _price(asked: Shape, entries: Sequence[Mapping[str, Any]], record_id: str) -> dict[str, Value]:
    """The standard price in the org's currency, and the other book in which we keep the same price."""
    own = [e for e in entries if e.get("CurrencyIsoCode") in (None, asked.currency) or not asked.currency]
    priced = [(e, values.parse("price", FieldType.NUMBER, e.get("UnitPrice"), record_id), _book(e)) for e in own]
    standard = next(((e, price) for e, price, book in priced if book.get("IsStandard") is True), None)
    price = standard[1] if standard else None
    # Of other books only one is ours to speak of: where the entry carries our key.
    ours = [b for e, p, b in priced if b.get("IsStandard") is not True and e.get(KEY) and p == price]
    currency = (standard[0].get("CurrencyIsoCode") or asked.currency) if standard else None
    found: dict[str, Value] = {
        "price": price if isinstance(price, Decimal) else None,
        "currency": values.parse("currency", FieldType.STRING, currency, record_id),
        "price_book": values.parse("price_book", FieldType.STRING, ours[0].get("Name"), record_id) if ours else None,
    }
    return {n: value for n, value in found.items() if n in asked.prices}


def _book(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    book = entry.get("Pricebook2")
    return book if isinstance(book, Mapping) else {}
