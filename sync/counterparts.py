"""Looking for records on either side of a flow, for a person who knows which two are the same.

One remote call per search and never more than a handful of records; nothing is decided by what it finds. The
invariant: what a person types is data to the vendor's search, whatever it contains, and the fields that may be searched
are those of the stored schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from integrations.connector import Record
from integrations.models import ConnectedAccount
from mappings.likeness import kind_of
from sync.engine import context
from sync.models import Flow

MOST = 20
SHORTEST, LONGEST = 2, 100
_TELLING = ("name", "orgnr", "email", "domain", "phone")


@dataclass(frozen=True, slots=True)
class SearchField:
    """A field that can be searched, with its label."""

    name: str
    label: str
    kind: str


def account_of(flow: Flow, side: str) -> tuple[ConnectedAccount, str]:
    """The account and object of "source" or "target"."""
    if side == "source":
        return flow.integration.account(flow.source_side), flow.source_object
    return flow.integration.account(flow.target_side), flow.target_object


def fields_of(flow: Flow, side: str) -> list[SearchField]:
    """What a record of that side can be looked for by: its name, its number, and what tells one company from another;
    from the stored schema, without a call."""
    account, name = account_of(flow, side)
    schema: dict[str, Any] = account.schemas.get(name, {}).get("schema", {})
    first = [schema.get("title", ""), schema.get("key", "")]
    found: dict[str, SearchField] = {}
    for field, row in schema.get("fields", {}).items():
        kind = kind_of(field)
        if row.get("derived") or (kind not in _TELLING and field not in first) or row.get("type", "string") != "string":
            continue
        found[field] = SearchField(field, row.get("label") or field, kind or "number")
    order = {field: place for place, field in enumerate(first)}
    ranked = sorted(found.values(), key=lambda row: (order.get(row.name, 9), _place(row.kind), row.label))
    return ranked[:10]


def _place(kind: str) -> int:
    return _TELLING.index(kind) if kind in _TELLING else 0


def search(flow: Flow, side: str, field: str, text: str) -> list[Record]:
    """The records of a side whose field holds the text, as the vendor searches: one call. Raises `SyncError` for what
    the vendor says, and `ValueError` for a text or field that cannot be looked for."""
    plain = " ".join("".join(char for char in text if char.isprintable() or char.isspace()).split())[:LONGEST]
    if len(plain) < SHORTEST:
        raise ValueError(_("Type at least %(n)d characters to look for.") % {"n": SHORTEST})
    known = {row.name: row for row in fields_of(flow, side)}
    if field not in known:
        raise ValueError(_("Choose what to look for."))
    account, name = account_of(flow, side)
    wanted = frozenset(row.name for row in known.values())
    connector = context.connector_for(account, lane="interactive")  # type: ignore[attr-defined]
    found: Sequence[Record] = connector.search(name, field, plain, wanted, MOST)
    return list(found)[:MOST]
