"""One insert or update on its way through the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .org import Org
from .schema import ObjectDef
from .table import Row, Values


@dataclass(slots=True)
class Write:
    """``given`` is what the caller sent, checked; ``values`` what will be stored, to which rules add and from which
    they take; ``row`` is None for an insert."""

    org: Org
    user_id: str | None
    definition: ObjectDef
    row: Row | None
    given: Values
    values: Values
    request: int | None
    headers: Mapping[str, str]

    @property
    def creating(self) -> bool:
        """Whether this is an insert."""
        return self.row is None

    def get(self, name: str) -> Any:
        """The value a field will have."""
        if name in self.values:
            return self.values[name]
        return None if self.row is None else self.row.values.get(name)

    def old(self, name: str) -> Any:
        """The value a field has now."""
        return None if self.row is None else self.row.values.get(name)

    def changed(self, name: str) -> bool:
        """Whether the value will be another; on insert, whether there will be one."""
        return name in self.values and self.values[name] != self.old(name)

    def parent(self, name: str) -> Row | None:
        """The live row that a lookup will point at."""
        return self.org.row(self.get(name))
