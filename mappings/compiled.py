"""The compiled form of a mapping and what applying it gives: frozen dataclasses, no behaviour.

They are what the rooms above handle; the invariant is that they hold plain values and closures only, so that a
compiled mapping can be kept and shared between threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from integrations.connector import Fields, Value
from integrations.errors import ErrorClass
from mappings.expressions import Compiled, ValueTable
from mappings.matching import CompiledMatch

Parts = Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True)
class Problem:
    """One failed rule: what is wrong with which value, and what to do."""

    code: str
    rule: str
    field: str
    value: str
    message: str
    remedy: str
    error_class: ErrorClass = ErrorClass.DATA


@dataclass(frozen=True)
class FieldRule:
    """One target field and where its value comes from. `hint` is what to do when the target refuses the value;
    `{value}` in it stands for the value."""

    id: int | None
    label: str
    target: str
    expression: Compiled
    scope: Literal["header", "line"] = "header"
    when: Literal["always", "create", "if_empty"] = "always"
    precedence: Literal["source", "target", "newest", "ask"] = "source"
    blank: Literal["keep", "clear"] = "keep"
    required: bool = False
    value_map: ValueTable | None = None
    hint: str = ""


@dataclass(frozen=True)
class CompiledValidation:
    """A condition that must hold. When it does not: the record is blocked, skipped, or skipped unless it exists."""

    id: int | None
    label: str
    expression: Compiled
    scope: Literal["header", "line"] = "header"
    outcome: Literal["block", "skip", "skip_create"] = "block"
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class LinkRule:
    """An association to another object. The expression gives the id of the related record on the source side;
    `related` is the slug of the mapping that brings it over."""

    id: int | None
    name: str
    expression: Compiled
    related: str
    required: bool = False


@dataclass(frozen=True)
class CompiledMapping:
    """A mapping set, ready to run. `reads` says which source fields it needs, by part."""

    version_id: int
    source: str
    target: str
    fields: tuple[FieldRule, ...]
    match_rules: tuple[CompiledMatch, ...] = ()
    validations: tuple[CompiledValidation, ...] = ()
    unique: tuple[str, Compiled] | None = None
    line_unique: tuple[str, Compiled] | None = None
    links: tuple[LinkRule, ...] = ()
    title: Compiled | None = None
    reads: Fields = field(default_factory=dict)
    tables: Mapping[str, ValueTable] = field(default_factory=dict)
    line_part: str = ""

    @property
    def maps_lines(self) -> bool:
        """Whether the lines of the target are ours."""
        return any(rule.scope == "line" for rule in self.fields)


@dataclass(frozen=True)
class Mapped:
    """What a source record becomes. `skip` is the reason why it should not be written; `lines` None means: leave the
    target's lines alone. `skipped_lines` are the reasons of the lines left out."""

    fields: dict[str, Value]
    lines: list[dict[str, Value]] | None
    unique: tuple[str, str] | None
    links: dict[str, str]
    skip: str
    skip_create_only: bool
    problems: list[Problem]
    skipped_lines: list[str] = field(default_factory=list)
    title: str = ""
