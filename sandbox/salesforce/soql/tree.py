"""The tree of a SOQL query, before anybody asks which objects and fields exist."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Name:
    """A field path as written, e.g. ``Account.Name``, and where it stands in the text."""

    text: str
    start: int

    @property
    def steps(self) -> list[str]:
        """The parts between the dots."""
        return self.text.split(".")


@dataclass(frozen=True, slots=True)
class Function:
    """``FUNCTION(path)``: an aggregate, a date function or toLabel; ``argument`` None is ``COUNT()``."""

    name: str  # capitals
    argument: Name | None
    start: int
    text: str


Term = Name | Function


@dataclass(frozen=True, slots=True)
class FieldSet:
    """``FIELDS(ALL)`` and its like; ``which`` in capitals."""

    which: str
    start: int


@dataclass(frozen=True, slots=True)
class Selected:
    """One entry of SELECT."""

    term: Term | FieldSet | Query
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A literal. ``kind``: string, number, boolean, null, date, datetime or period (TODAY, LAST_N_DAYS:7 …)."""

    kind: str
    value: str | Decimal | bool | None
    start: int
    raw: str = ""  # strings before unescaping, which LIKE needs
    count: int | None = None  # the n of a period


@dataclass(frozen=True, slots=True)
class Comparison:
    """``term operator value``; operators = != < <= > >= LIKE."""

    term: Term
    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Membership:
    """IN, NOT IN, INCLUDES, EXCLUDES with a list, or IN and NOT IN with a sub-query."""

    term: Term
    operator: str
    values: tuple[Value, ...] | Query
    start: int


@dataclass(frozen=True, slots=True)
class Logical:
    """AND, OR (two or more parts) or NOT (one)."""

    operator: str
    parts: tuple[Condition, ...]


Condition = Comparison | Membership | Logical


@dataclass(frozen=True, slots=True)
class Order:
    """One entry of ORDER BY; nulls come first unless said otherwise, in both directions."""

    term: Term
    descending: bool
    nulls_first: bool


@dataclass(slots=True)
class Query:
    """One SELECT; ``source`` is the name after FROM, an object or (in a sub-select) a relationship."""

    selected: list[Selected]
    source: Name
    start: int
    alias: str | None = None
    where: Condition | None = None
    groups: list[Term] = field(default_factory=list)
    having: Condition | None = None
    orders: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0
    text: str = ""

    @property
    def is_count(self) -> bool:
        """``SELECT COUNT() …``: a number instead of records."""
        if len(self.selected) != 1:
            return False
        term: Any = self.selected[0].term
        return isinstance(term, Function) and term.argument is None
