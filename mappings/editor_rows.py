"""What the editor's checks work on: rows as they stand in the form, the world that they may name, and what is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from integrations.connector import FieldSchema, ObjectSchema
from mappings.expressions import Compiled, ValueTable, compile_expression


@dataclass(frozen=True, slots=True)
class Row:
    """One field mapping as it stands in the form, valid or not. `key` is the form's handle for it."""

    key: str
    expression: str
    target: str
    scope: str = "header"
    value_map: str = ""
    required: bool = False
    label: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.label or self.target or self.expression[:40] or _("New row")


@dataclass(frozen=True)
class World:
    """What the rows may name. `names` are parts and fields (None: any), `keys` target fields that are written as our
    own keys, without a row."""

    names: Mapping[str, frozenset[str] | None]
    line_part: str
    source: ObjectSchema | None
    target: ObjectSchema | None
    tables: Mapping[str, ValueTable] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()

    def compile(self, source: str, scope: str) -> Compiled:
        """The expression; raises `ExpressionError`."""
        names = dict(self.names)
        if scope == "header" and names.get("source") is not None:
            names["source"] = (names["source"] or frozenset()) - {"position"}
        return compile_expression(source, names, self.tables, lines=self.line_part if scope == "header" else "")

    def targets(self, scope: str) -> Mapping[str, FieldSchema]:
        """The fields of the target for this scope; empty when it has not described itself."""
        if self.target is None:
            return {}
        return self.target.parts.get(self.target.lines, {}) if scope == "line" else self.target.fields

    def read(self, part: str, name: str) -> FieldSchema | None:
        """The source field behind `part.name`, if it is known."""
        if self.source is None:
            return None
        return (self.source.fields if part == self.source.name else self.source.parts.get(part, {})).get(name)


@dataclass(slots=True)
class Finding:
    """Something to mend or to look at, with a row to go to ("" for the mapping as a whole)."""

    level: str  # "error" | "warning"
    message: str
    remedy: str = ""
    key: str = ""
    name: str = ""
    position: int | None = None
    length: int = 1
    where: str = "expression"


@dataclass(slots=True)
class Answer:
    """What is known of one row."""

    key: str
    findings: list[Finding] = field(default_factory=list)
    value: str | None = None
    failed: str = ""
    remedy: str = ""
