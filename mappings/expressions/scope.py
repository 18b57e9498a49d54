"""What an expression sees while it runs: the named parts, the tables, the lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mappings.expressions.values import ValueTable


@dataclass(frozen=True, slots=True)
class Scope:
    """The data of one evaluation. `lines` are the rows that `sum_lines` walks, under the name `line_part`."""

    parts: Mapping[str, Mapping[str, object]]
    tables: Mapping[str, ValueTable]
    lines: Sequence[Mapping[str, object]] = field(default=())

    def at_line(self, part: str, line: Mapping[str, object]) -> Scope:
        """The same data with one line visible under its part name."""
        return Scope({**self.parts, part: line}, self.tables)


Node = Callable[[Scope], object]
"""One compiled piece of an expression."""
