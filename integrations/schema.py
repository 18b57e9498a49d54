"""What a connector says of its system before any record is read: fields and their types, what must be set up, whether
it is ready, and where a record shows what became of it.

The one invariant: it is data. Nothing here names a vendor, and everything may be stored, compared and shown.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

Value = str | Decimal | bool | date | datetime | None
"""A typed value as it travels between the rooms."""
Fields = Mapping[str, frozenset[str]]
"""Which fields are wanted, by part: `{"invoice": {"DocumentNumber"}, "row": {"ArticleNumber"}}`."""


class FieldType(enum.StrEnum):
    """How a value is typed inside Ledgerbridge, whatever its spelling on the wire."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    ENUM = "enum"


@dataclass(frozen=True, slots=True)
class Option:
    """One allowed value of an ENUM field."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class FieldSchema:
    """One field of a remote object. `derived` fields are computed by our connector and read-only by nature.

    `decimals` is what the vendor keeps (it rounds the rest away); `max_length` is in characters.
    """

    name: str
    label: str
    type: FieldType = FieldType.STRING
    max_length: int | None = None
    decimals: int | None = None
    required: bool = False
    writable: bool = True
    unique: bool = False
    derived: bool = False
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectSchema:
    """One remote object: its own fields and those of its parts.

    `name` is also the name of the main part in expressions (`customer.Name`). `parts` are related records an
    expression may read (`company`, `contact`); `lines` is the name of the line part (`row`, `line`) or "".
    """

    system: str
    name: str
    label: str
    key: str
    fields: Mapping[str, FieldSchema]
    parts: Mapping[str, Mapping[str, FieldSchema]] = field(default_factory=dict)
    lines: str = ""
    title: str = ""
    subsets: tuple[str, ...] = ()
    currency: str = ""  # what amounts without a currency of their own are in

    def names(self) -> dict[str, frozenset[str]]:
        """Every part and the fields it has: what an expression on this object may read."""
        return {self.name: frozenset(self.fields)} | {part: frozenset(f) for part, f in self.parts.items()}


@dataclass(frozen=True, slots=True)
class Setup:
    """What a flow needs to exist at its target before it can write: vendor-neutral description, as data.

    `fields` are custom fields to create (name → {label, type, unique, group, …}) per object; `pipelines` are stage
    sets. `Connector.prepare` makes what is missing, leaves what exists, and returns ids by symbolic name.
    """

    fields: Mapping[str, Sequence[Mapping[str, object]]] = field(default_factory=dict)
    pipelines: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadinessLine:
    """One line of the readiness board: is it fine, what is wrong, how to mend it, and where.

    `subject` tells lines of one code apart; `facts` are codes that the other side is compared with.
    """

    code: str
    level: str  # "ok" | "warning" | "error"
    title: str
    detail: str = ""
    fix: str = ""
    subject: str = ""
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What a side will be asked to take, so that its readiness can be judged by it.

    `values` are those of queued writes, by "object.field" and "object.lines.field"; `currencies` are those that the
    other side uses. A connector that can use it has `check_for(expected)`; `check()` is the same without expectations.
    """

    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    currencies: frozenset[str] = frozenset()

    def of(self, name: str) -> frozenset[str]:
        """The queued values of one field; empty when none is queued."""
        return self.values.get(name, frozenset())


@dataclass(frozen=True, slots=True)
class Feedback:
    """Where a record of a source shows what became of it: its fields for the state and for the sentence beside it,
    and the vendor's `words` for "pending", "synced", "error" and "skipped". `length` is in characters."""

    status: str
    message: str
    words: Mapping[str, str]
    length: int = 255
