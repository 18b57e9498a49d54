"""A deal with what an invoice needs of it: its company, the contact to be named, and its lines in order.

A single deal is what a person waits for, so it costs two calls with its lines; many deals are read in batches. The
invariant: a deal never leaves with fewer lines than it has because some of them could not be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from integrations.connector import Fields, Record
from integrations.errors import Missing, SyncError, TooLarge
from integrations.hubspot.client import PLURALS, sound

if TYPE_CHECKING:
    from integrations.hubspot.read import Reader

PARTS = ("company", "contact")
LINE = "line_item"
POSITION = "hs_position_on_quote"
LONGEST_QUERY = 6_000
"""Characters of property names that still fit an address."""
SHOWN = 100
"""How many associations of a kind the answer of a single record is trusted to show in full."""


class Deals:
    """Deals with their parts, on top of the reader of single objects."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.client = reader.client
        self.links = reader.links

    def load(self, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """See `Connector.load`; `fields` asks for parts or lines."""
        wanted = fields.get("deal", frozenset())
        if len(ids) == 1 and sum(map(len, wanted)) + 40 * len(wanted) < LONGEST_QUERY:
            yield self._one(ids[0], fields)
            return
        found = self.reader.batch("deal", ids, wanted)
        deals = {key: entry for key, entry in found.items() if isinstance(entry, Record)}
        failed = self._add(deals, fields, {})
        for key in ids:
            entry = failed.get(key) or found[key]
            yield entry if isinstance(entry, Record) else (key, entry)

    def _one(self, key: str, fields: Fields) -> Record | tuple[str, SyncError]:
        """One call for the deal and what it is associated with, one for each kind of part that there is."""
        wanted = fields.get("deal", frozenset())
        kinds = [name for name in (*PARTS, "line") if name in fields]
        try:
            raw = self.client.read_one("deal", key, self.reader.asked("deal", wanted), [_kind(name) for name in kinds])
            if str(raw.get("id")) != key:
                raise Missing(f"HubSpot has no deal {key}", code="OBJECT_NOT_FOUND", record=key)
            deal = self.reader.record("deal", raw, wanted)
            shown = {name: ids for name in kinds if (ids := _shown(raw, _kind(name))) is not None}
            failed = self._add({key: deal}, fields, {name: {key: ids} for name, ids in shown.items()})
        except SyncError as error:
            error.record = error.record or key
            return key, error
        return (key, failed[key]) if key in failed else deal

    def _add(
        self, deals: Mapping[str, Record], fields: Fields, shown: Mapping[str, Mapping[str, list[str]]]
    ) -> dict[str, SyncError]:
        """Give each deal the parts asked for; the errors of those that could not be read in full.

        `shown` are associated ids that are known already. A label decides only between several.
        """
        failed: dict[str, SyncError] = {}
        for part in PARTS:
            if part in fields and deals:
                known = shown.get(part)
                if known is None or any(len(ids) > 1 for ids in known.values()):
                    chosen = self.links.chosen("deal", part, list(deals))
                else:
                    chosen = {key: ids[0] for key, ids in known.items() if ids}
                loaded = self.reader.batch(part, sorted(set(chosen.values())), fields[part])
                for key, part_id in chosen.items():
                    entry = loaded[part_id]
                    if isinstance(entry, Record):
                        deals[key].parts[part] = entry.fields
                    elif not isinstance(entry, Missing):
                        failed[key] = entry
        if "line" in fields and deals:
            failed |= self._add_lines(deals, fields, shown.get("line"))
        return failed

    def _add_lines(
        self, deals: Mapping[str, Record], fields: Fields, known: Mapping[str, list[str]] | None
    ) -> dict[str, SyncError]:
        lines = self.links.all("deal", LINE, list(deals)) if known is None else known
        ids = sorted({line for of_deal in lines.values() for line in of_deal}, key=int)
        loaded = self.reader.batch(LINE, ids, fields["line"] | {POSITION})
        failed: dict[str, SyncError] = {}
        for key, of_deal in lines.items():
            rows = []
            for line in of_deal:
                entry = loaded[line]
                if isinstance(entry, Record):
                    rows.append(entry)
                elif not isinstance(entry, Missing):  # a line deleted meanwhile is gone; any other must be there
                    failed[key] = entry
            deals[key].lines = [row.fields for row in sorted(rows, key=_place)]
        return failed


def _place(line: Record) -> tuple[bool, Decimal, int]:
    """In the order of the quote; lines without a place come last, oldest first."""
    place = line.fields.get(POSITION)
    known = isinstance(place, Decimal)
    return not known, place if isinstance(place, Decimal) else Decimal(0), int(line.id)


def _kind(part: str) -> str:
    return LINE if part == "line" else part


def _shown(raw: Mapping[str, Any], kind: str) -> list[str] | None:
    """The associated ids in the answer of a single record, each once, oldest first; None when they must be asked for.

    The answer names a kind by its plural, line items as "line items" (observed), and leaves out a kind that has none.
    """
    given = raw.get("associations") or {}
    plain = {PLURALS[name]: name for name in ("company", "contact", LINE)}
    if not isinstance(given, Mapping) or {str(name).replace(" ", "_") for name in given} - set(plain):
        return None
    entry: Any = next((value for name, value in given.items() if plain[str(name).replace(" ", "_")] == kind), {})
    results = entry.get("results") if isinstance(entry, Mapping) else None
    if not entry:
        return []
    if not isinstance(results, list):
        raise TooLarge("HubSpot sent associations that are no list", code="unreadable")
    ids = {str(sound(one).get("id")) for one in results}
    if entry.get("paging") or len(results) >= SHOWN or not all(key.isdecimal() for key in ids):
        return None
    return sorted(ids, key=int)
