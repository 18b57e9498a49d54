"""The compiled form of a mapping and what applying it gives: frozen dataclasses, no behaviour.

They are what the rooms above handle; the invariant is that they hold plain values and closures only, so that a
compiled mapping can be kept and shared between threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
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
class Checked:
    """One precondition and whether it holds. `code` is its stable name, `actual` the value it saw (for lines: the
    failing ones with their numbers, which are also in `lines`), `repair` the symbolic name of a repair that may be
    offered, or "". Message and remedy are given when it does not hold."""

    code: str
    label: str
    ok: bool
    actual: str = ""
    message: str = ""
    remedy: str = ""
    repair: str = ""
    lines: tuple[int, ...] = ()


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
    """A condition that must hold. When it does not: the record is blocked, skipped, skipped unless it exists, or the
    message is only noted. `actual` is the expression whose value is shown beside the check."""

    id: int | None
    label: str
    expression: Compiled
    scope: Literal["header", "line"] = "header"
    outcome: Literal["block", "skip", "skip_create", "note"] = "block"
    message: str = ""
    remedy: str = ""
    code: str = ""
    actual: Compiled | None = None
    repair: str = ""


@dataclass(frozen=True)
class CompiledLookup:
    """A value that must exist at the target: `object` there has a record whose `field` holds it. What happens when it
    does not is the flow's setting `missing_<name>`. `text` is what describes the value at the source (the name of a
    line), to be written to `text_field` when the value cannot be."""

    name: str
    label: str
    expression: Compiled
    object: str
    field: str
    scope: Literal["header", "line"] = "header"
    code: str = ""
    message: str = ""
    remedy: str = ""
    repair: str = ""
    writes: str = ""
    text: Compiled | None = None
    text_field: str = ""


@dataclass(frozen=True)
class LinkRule:
    """A related record: the expression gives its id on the source side; `related` is the slug of the mapping that
    brings it over. Its id at the target becomes an association of that `name`, or the value of `target_field`."""

    id: int | None
    name: str
    expression: Compiled
    related: str
    required: bool = False
    target_field: str = ""


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
    lookups: tuple[CompiledLookup, ...] = ()
    promise: Compiled | None = None
    promise_currency: Compiled | None = None

    @property
    def maps_lines(self) -> bool:
        """Whether the lines of the target are ours."""
        return any(rule.scope == "line" for rule in self.fields)


@dataclass(frozen=True)
class Mapped:
    """What a source record becomes. `skip` is the reason why it should not be written; `lines` None means: leave the
    target's lines alone. `skipped_lines` are the reasons of the lines left out.

    `line_numbers` are the source line numbers of `lines`. `checks` are all preconditions, held or not; `notes` say
    what was normalised on the way. `lookups` are the values to be looked up, by rule, each with its line number (0:
    the record); `lookup_texts` describe them, by rule and line number. `promise` is the net amount that the source
    says the document comes to."""

    fields: dict[str, Value]
    lines: list[dict[str, Value]] | None
    unique: tuple[str, str] | None
    links: dict[str, str]
    skip: str
    skip_create_only: bool
    problems: list[Problem]
    skipped_lines: list[str] = field(default_factory=list)
    title: str = ""
    line_numbers: list[int] = field(default_factory=list)
    checks: list[Checked] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lookups: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    lookup_texts: dict[str, dict[int, str]] = field(default_factory=dict)
    promise: Decimal | None = None
    promise_currency: str = ""
