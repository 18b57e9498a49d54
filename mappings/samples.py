"""Sample records for those who write mappings: who can provide them, and how they are kept for a short while.

This room knows no flows and makes no calls, so the room above registers a provider when it starts (`register`). The
invariants: nothing is asked of a remote while a page is shown, and `load` gives one answer per id, a record or the
reason why there is none, and never raises for data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from integrations.connector import Record, Value
from mappings.models import MappingSet, ValueMap

MAX_LOADED = 200
"""The most records that one `load` reads."""


@dataclass(frozen=True, slots=True)
class SampleRef:
    """A record that can be loaded: its id at the source, and what people call it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One record as a mapping sees it. `extra` are the parts beside it (`source`, `target`, `setup`, `setting`);
    `record` is None when it could not be read, and `error` says why in words."""

    id: str
    record: Record | None
    extra: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    error: str = ""

    @property
    def parts(self) -> dict[str, Mapping[str, Value]]:
        """Every part that a header expression may read."""
        return {**(self.record.named() if self.record else {}), **self.extra}

    def line_parts(self, line_part: str) -> list[dict[str, Mapping[str, Value]]]:
        """The same for each line, with its place as `source.position`."""
        lines = self.record.lines if self.record else []
        source = self.extra.get("source", {})
        return [
            {**self.parts, line_part: line, "source": {**source, "position": Decimal(number)}}
            for number, line in enumerate(lines, start=1)
        ]


@dataclass(frozen=True, slots=True)
class Seen:
    """A value that came by and has no translation: how often, and where it was seen ("review", "record")."""

    value: str
    count: int
    where: str


class Provider(Protocol):
    """What the room above offers. All may raise `SyncError` when the remote is asked and refuses as a whole."""

    def recent(self, mapping_set: MappingSet, n: int, *, ask: bool = False) -> list[SampleRef]:
        """The last `n` records that the mapping's flow has seen, newest first, from our own tables. `ask`: when there
        are none, the remote is asked for its latest (only where a person pressed a button)."""

    def load(self, mapping_set: MappingSet, ids: Sequence[str]) -> list[Sample]:
        """These records, read now with every field that is known, in the order of `ids`; at most `MAX_LOADED`."""

    def describe(self, mapping_set: MappingSet, side: str) -> None:
        """Asks "source" or "target" once more what its object looks like, and stores the answer."""

    def unmapped(self, value_map: ValueMap, fields: Mapping[str, set[str]]) -> list[Seen]:
        """Values that wait for review because this map lacks them; `fields` are target fields by mapping slug."""

    def linked(self, mapping_sets: Sequence[MappingSet]) -> dict[int, int]:
        """How many records each of these mappings has linked, by id of the version."""


_provider: list[Provider] = []


def register(provider: Provider) -> None:
    """Sets who provides samples; the last one counts."""
    _provider[:] = [provider]


def provider() -> Provider | None:
    """Who provides samples; None when nobody does, and then pages say so."""
    return _provider[0] if _provider else None


# --- to be kept ------------------------------------------------------------------------------------------------


def dump(sample: Sample) -> str:
    """The sample as text, typed values included; the inverse of `load_text`."""
    record = sample.record
    data = {
        "id": sample.id,
        "error": sample.error,
        "extra": sample.extra,
        "record": record
        and {
            "object": record.object, "id": record.id, "fields": record.fields, "parts": record.parts,
            "lines": record.lines, "title": record.title, "url": record.url,
        },
    }  # fmt: skip
    return json.dumps(data, default=_typed, ensure_ascii=False, separators=(",", ":"))


def load_text(text: str) -> Sample:
    """The inverse of `dump`."""
    data = json.loads(text, object_hook=_untyped)
    record = Record(**data["record"]) if data["record"] else None
    return Sample(data["id"], record, data["extra"], data["error"])


def _typed(value: object) -> Any:
    if isinstance(value, Decimal):
        return {"$": "n", "v": str(value)}
    if isinstance(value, datetime):
        return {"$": "t", "v": value.isoformat()}
    if isinstance(value, date):
        return {"$": "d", "v": value.isoformat()}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


def _untyped(data: dict[str, Any]) -> Any:
    if data.keys() != {"$", "v"}:
        return data
    make: Any = {"n": Decimal, "t": datetime.fromisoformat}.get(data["$"], date.fromisoformat)
    return make(data["v"])
