"""What a version makes of a golden sample, and whether that is what the sample expects.

Pure but for reading rows. The invariant: two outcomes are equal exactly when the same would be written, or when both
stop for the same reasons; words, labels and the order of rules do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import translation
from django.utils.translation import gettext as _

from integrations.connector import ObjectSchema, Value
from integrations.fields import DecryptionError, reveal
from mappings import samples
from mappings.compiled import CompiledMapping, Mapped
from mappings.expressions import ExpressionError
from mappings.mapper import map_record
from mappings.merge import same
from mappings.models.compiling import compile_mapping
from mappings.models.golden import GoldenSample
from mappings.models.mapping_set import MappingSet
from mappings.samples import Sample
from mappings.stored import dump, load

PRESENT = "…"
LEFT_OUT = "(left out)"
UNIQUE, LINK, PROBLEM = "key:", "link:", "problem:"
"""Prefixes of the names under which an outcome keeps what is no field of the record."""


def outcome(mapped: Mapped) -> dict[str, Value]:
    """Everything that counts of a mapped record, flat: field (or `2.price` for a line's) to value."""
    if mapped.skip and not mapped.skip_create_only:
        return {LEFT_OUT: True}
    flat: dict[str, Value] = {}
    for problem in mapped.problems:
        flat[f"{PROBLEM}{problem.code}:{problem.field or problem.rule}"] = problem.value or PRESENT
    flat |= mapped.fields
    for number, line in enumerate(mapped.lines or (), start=1):
        flat |= {f"{number}.{name}": value for name, value in line.items()}
    if mapped.skip:
        flat[LEFT_OUT] = True
    if mapped.unique:
        flat[f"{UNIQUE}{mapped.unique[0]}"] = mapped.unique[1]
    flat |= {f"{LINK}{name}": key for name, key in mapped.links.items()}
    if mapped.promise is not None:
        flat["promise"] = mapped.promise
    return flat


@dataclass(frozen=True, slots=True)
class Difference:
    """One name whose value is not the same on both sides; None is no value."""

    name: str
    before: Value
    after: Value


def differences(before: Mapping[str, Value], after: Mapping[str, Value]) -> list[Difference]:
    """What differs between two outcomes, in the order of the second, then what only the first has."""
    names = [*after, *(name for name in before if name not in after)]
    return [
        Difference(name, before.get(name), after.get(name))
        for name in names
        if not same(before.get(name), after.get(name))
    ]


@dataclass(frozen=True, slots=True)
class Result:
    """How a sample fares. `error` says why it could not be tried at all."""

    sample: GoldenSample
    got: dict[str, Value] = field(default_factory=dict)
    differs: Sequence[Difference] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether the version gives what is expected."""
        return not self.error and not self.differs


def expected_of(row: GoldenSample) -> dict[str, Value]:
    """The expected outcome, typed."""
    return {name: load(value) for name, value in row.expected.items()}


def stored(values: Mapping[str, Value]) -> dict[str, Any]:
    """An outcome as it is kept in `GoldenSample.expected`."""
    return {name: dump(value) for name, value in values.items()}


def read(row: GoldenSample) -> Sample:
    """The pinned record. Raises `DecryptionError` or `ValueError` when it cannot be read any more."""
    return samples.load_text(reveal(row, "data"))


def run(mapping: CompiledMapping, sample: Sample, target: ObjectSchema | None) -> dict[str, Value]:
    """The outcome of one sample; raises `ValueError` for a sample without a record."""
    if sample.record is None:
        raise ValueError(sample.error)
    with translation.override("en"):  # names of problems must not depend on who looks
        return outcome(map_record(mapping, sample.record, sample.extra, target))


def try_all(mapping_set: MappingSet, mapping: CompiledMapping | None = None) -> Iterator[Result]:
    """Every golden sample of the mapping against this version, in order of name. Raises `ExpressionError` when the
    version does not compile (and there is a sample)."""
    rows = list(GoldenSample.objects.family(mapping_set))
    if not rows:
        return
    compiled = mapping or compile_mapping(mapping_set)
    for row in rows:
        try:
            got = run(compiled, read(row), mapping_set.target_schema)
        except (DecryptionError, ValueError, KeyError, TypeError) as error:
            why = str(error) if isinstance(error, DecryptionError) else _("what was kept of the record is damaged")
            text = _("The sample cannot be read any more: %(why)s. Read the record again, or remove the sample.")
            yield Result(row, error=text % {"why": why.rstrip(".")})
            continue
        yield Result(row, got, differences(expected_of(row), got))


def check(mapping_set: MappingSet) -> None:
    """Raises `ValidationError` (code `golden`) naming every golden sample that this version breaks, and how."""
    try:
        failed = [result for result in try_all(mapping_set) if not result.passed]
    except ExpressionError as error:
        raise ValidationError(str(error), code="golden") from error
    if failed:
        raise ValidationError([_sentence(result) for result in failed], code="golden")


def _sentence(result: Result) -> str:
    if result.error:
        why = result.error
    else:
        first = result.differs[0]
        why = _("“%(field)s” would be %(got)s instead of %(expected)s") % {
            "field": label_of(first.name, {}), "got": shown(first.after), "expected": shown(first.before),
        }  # fmt: skip
        if len(result.differs) > 1:
            why += " " + _("(and %(n)d more)") % {"n": len(result.differs) - 1}
    text = _("Golden sample “%(name)s”: %(why)s. Mend the mapping, or update the sample if the new result is right.")
    return text % {"name": result.sample.name, "why": why}


def label_of(name: str, labels: Mapping[str, str]) -> str:
    """What people call a name of an outcome: the field's label, or words for what is no field."""
    if name in labels:
        return labels[name] or name
    line, _dot, rest = name.partition(".")
    if line.isdecimal() and rest:
        return _("Line %(number)s: %(field)s") % {"number": line, "field": labels.get(rest) or rest}
    if name.startswith(UNIQUE):
        return _("Unique key")
    if name.startswith(LINK):
        return _("Link to %(object)s") % {"object": name.removeprefix(LINK)}
    if name.startswith(PROBLEM):
        code, _colon, field_name = name.removeprefix(PROBLEM).partition(":")
        return _("Problem with %(field)s (%(code)s)") % {"field": labels.get(field_name) or field_name, "code": code}
    return {LEFT_OUT: _("Left out"), "promise": _("Promised amount")}.get(name, name)


def shown(value: Value) -> str:
    """A value in a sentence; ∅ for none."""
    if value is None or value == "":
        return "∅"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"“{value}”"


__all__ = [
    "LEFT_OUT", "LINK", "PROBLEM", "UNIQUE", "Difference", "Result", "check", "differences", "expected_of",
    "label_of",
    "outcome", "read", "run", "shown", "stored", "try_all",
]  # fmt: skip
