"""What a caller may read out, as it is compared: names, organisation numbers, e-mail addresses, other numbers.

`keys_of` turns one record's title and values into keys, by what the values look like and never by what a vendor calls
the field; `remember` stores them page by page, in one statement, when the engine plans. The invariants: a value that is
spelled another way has the same key; a record costs a bounded number of rows; the same key is stored once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection

from mappings.identifiers import organisation_number
from sync.models import Change, EntityLink, Flow, SearchKey
from sync.values import load

Kind = SearchKey.Kind
LIMIT = 120
"""The longest key; longer values are found by their beginning."""
PER_RECORD = 8
"""How many keys one plan of a record may store."""
SHORTEST = 3
"""Letters or digits that a search needs before it looks for beginnings or parts."""

_ORGANIZATION = re.compile(r"(SE)?[\d ]{6,10}[-\u2013 ]?[\d ]{4,6}", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_NUMBER = re.compile(r"(?=.*\d)[\w+()./ -]{4,40}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([ T].*)?|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_AMOUNT = re.compile(r"-?\d{1,3}([ .,]\d{3})*[.,]\d{1,2}")


def name_key(text: str) -> str:
    """A name without regard to case and spacing."""
    return " ".join(text.replace("\x00", "").casefold().split())[:LIMIT]


def organization_key(text: str) -> str:
    """Ten digits of an organisation number in any spelling; "" for what is none, by its form or its check digit."""
    return organisation_number(text) if _ORGANIZATION.fullmatch(text.strip()) else ""


def number_key(text: str) -> str:
    """Letters and digits only, so that spaces, dashes and brackets of a number do not matter."""
    return re.sub(r"[\W_]", "", text.casefold())[:LIMIT]


def keys_of(title: str, values: Iterable[Any]) -> list[tuple[str, str]]:
    """(kind, value) of everything that is worth finding: the title, and of the (stored) values those that identify."""
    found: dict[tuple[str, str], None] = {}
    if key := name_key(title):
        found[(Kind.NAME, key)] = None
    for stored in values:
        value = load(stored) if not isinstance(stored, dict) or "$" in stored else None
        if isinstance(value, str) and 3 < len(value := value.strip()) <= 200:
            for pair in _keys_of_text(value):
                found[pair] = None
    return list(found)[:PER_RECORD]


def _keys_of_text(value: str) -> Iterable[tuple[str, str]]:
    if "@" in value:
        return [(Kind.EMAIL, mail.casefold()[:LIMIT]) for mail in _EMAIL.findall(value)]
    if key := organization_key(value):
        return [(Kind.ORGANIZATION, key)]
    if not _NUMBER.fullmatch(value) or _DATE.fullmatch(value) or _AMOUNT.fullmatch(value):
        return ()
    key = number_key(value)
    digits = sum(character.isdigit() for character in key)
    return [(Kind.NUMBER, key)] if digits >= 4 and digits * 2 >= len(key) else ()


def remember(flow: Flow, changes: Sequence[Change]) -> int:
    """Store the keys of the source records of `changes`, in one statement; returns how many keys were given to it."""
    rows = [
        (flow.source_side, flow.source_object, change.source_id, kind, value)
        for change in changes
        for kind, value in keys_of(change.source_title, _values(change))
    ]
    return _insert(flow.integration_id, rows)


def remember_links(links: Iterable[EntityLink]) -> int:
    """Store the keys of linked records from what both sides agreed on: for what was linked before keys were kept."""
    count = 0
    by_pair: dict[int, list[tuple[str, str, str, str, str]]] = {}
    for link in links:
        side, values = link.origin, [*link.agreed_crm.values(), *link.agreed_ledger.values()]
        place = (side, getattr(link, f"{side}_object"), getattr(link, f"{side}_id"))
        by_pair.setdefault(link.integration_id, []).extend((*place, *key) for key in keys_of(link.title, values))
    for integration_id, rows in by_pair.items():
        count += _insert(integration_id, rows)
    return count


def _values(change: Change) -> list[Any]:
    fields: Mapping[str, Any] = change.payload.get("fields") or {}
    return [change.claim.rpartition(":")[2], *fields.values()] if change.claim else list(fields.values())


def _insert(integration_id: int, rows: Sequence[tuple[str, str, str, str, str]]) -> int:
    if not rows:
        return 0
    quote = connection.ops.quote_name
    table = quote(SearchKey._meta.db_table)
    statement = (
        f"INSERT INTO {table} (integration_id, side, {quote('object')}, record_id, kind, value) "  # noqa: S608  (our own names)
        "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
    )
    # In one order, so that two processes that store the same keys wait for each other instead of for ever.
    ordered = sorted(set(rows))
    with connection.cursor() as cursor:
        cursor.executemany(statement, [(integration_id, *row) for row in ordered])
    return len(ordered)
