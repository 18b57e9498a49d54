"""Pinning, changing and removing golden samples: every change with a name, and personal data that can be taken out.

The invariants: a sample is never changed without a line in its history, and what was redacted is nowhere any more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.connector import Record, Value
from integrations.fields import DecryptionError, conceal
from mappings import golden, samples
from mappings.models import MappingSet, compile_mapping
from mappings.models.golden import GoldenSample
from mappings.samples import Sample
from mappings.stored import as_text, from_text

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_BYTES = 200_000
_PERSONAL = re.compile(
    r"name|address|adress|street|city|zip|postal|mail|phone|mobile|fax|org.*number|organi[sz]ation|person|contact|"
    r"reference|comment|remark|description|note|url|www|web|iban|bank|gln|title|text",
    re.IGNORECASE,
)


def pin(mapping_set: MappingSet, sample: Sample, name: str, user: User | None, *, note: str = "") -> GoldenSample:
    """A golden sample of this record, expecting what this version gives now. Raises `ValidationError`."""
    row = GoldenSample(
        integration=mapping_set.integration, slug=mapping_set.slug, name=_clean(name), note=_clean(note)[:300],
        expected=golden.stored(_outcome(mapping_set, sample)), created_by=user, updated_by=user,
    )  # fmt: skip
    row.full_clean(exclude=["data", "expected", "created_by", "updated_by"], validate_constraints=False)
    text = _text(sample)
    try:
        with transaction.atomic():
            row.save()
            _keep(row, text)
    except IntegrityError:
        raise ValidationError(_("There is a golden sample of this name already.")) from None
    return row


def expect(row: GoldenSample, mapping_set: MappingSet, user: User | None) -> list[golden.Difference]:
    """The sample expects what this version gives from now on. Returns what changed; raises `ValidationError`."""
    got = _outcome(mapping_set, _read(row))
    changed = golden.differences(golden.expected_of(row), got)
    if changed:
        _save(row, got, user, _("updated to version %(n)d") % {"n": mapping_set.version})
    return changed


def edit(row: GoldenSample, mapping_set: MappingSet, given: Mapping[str, str], user: User | None) -> int:
    """Values of the pinned record as a person typed them, by `values_of` name; what is expected follows this version.
    Returns how many changed; raises `ValidationError` with the field and the reason."""
    sample = _read(row)
    old = values_of(sample)
    changed: dict[str, Value] = {}
    for name, text in given.items():
        if name not in old:
            continue
        try:
            value = from_text(text[:5000], old[name])
        except ValueError as error:
            raise ValidationError(f"{name}: {error}") from error
        if value != old[name]:
            changed[name] = value
    if changed:
        _replace(row, mapping_set, _with(sample, changed), user, _("%(n)d values edited") % {"n": len(changed)})
    return len(changed)


def redact(row: GoldenSample, mapping_set: MappingSet, user: User | None) -> int:
    """Replaces letters and digits of everything that may be about a person, and forgets what was expected before.
    Types, lengths and punctuation stay, so that the rules still have something to do. Returns how many changed."""
    sample = _read(row)
    changed: dict[str, Value] = {}
    for name, value in values_of(sample).items():
        if isinstance(value, str) and _PERSONAL.search(name.rpartition(".")[2]):
            changed[name] = "".join(_masked(sign) for sign in value)
    record = sample.record
    if record is not None:
        sample = replace(sample, record=replace(record, title="", url=""), id="")
    with transaction.atomic():
        row.redacted = True
        _replace(row, mapping_set, _with(sample, changed), user, _("personal data removed"))
        row.history.exclude(pk=row.history.latest().pk).update(expected={})
    return len(changed)


def refresh(row: GoldenSample, mapping_set: MappingSet, sample: Sample, user: User | None) -> None:
    """The record as it is at its source now, with every field that this version reads. What is expected stays: whether
    it still holds is shown. Raises `ValidationError`."""
    if sample.record is None:
        raise ValidationError(sample.error)
    text = _text(sample)
    with transaction.atomic():
        row.redacted = False
        row.updated_by, row.updated_at = user, timezone.now()
        row._change_reason = _("read again from its source")  # type: ignore[attr-defined]
        row.save()
        _keep(row, text)


def values_of(sample: Sample) -> dict[str, Value]:
    """Every value of a pinned record: `customer.Name`, `row.2.Price`."""
    record = sample.record
    if record is None:
        return {}
    flat: dict[str, Value] = {}
    for part, fields in record.named().items():
        flat |= {f"{part}.{name}": value for name, value in fields.items()}
    for number, line in enumerate(record.lines, start=1):
        flat |= {f"line.{number}.{name}": value for name, value in line.items()}
    return flat


def text_values(sample: Sample) -> dict[str, str]:
    """The same, as a form shows them."""
    return {name: as_text(value) for name, value in values_of(sample).items()}


def _with(sample: Sample, changed: Mapping[str, Value]) -> Sample:
    record = sample.record
    assert record is not None  # noqa: S101  (`values_of` gave names only of a record)
    fields, parts = dict(record.fields), {name: dict(part) for name, part in record.parts.items()}
    lines = [dict(line) for line in record.lines]
    for name, value in changed.items():
        part, _dot, rest = name.partition(".")
        number, _second, column = rest.partition(".")
        if part == record.object:
            fields[rest] = value
        elif part in parts and rest in parts[part]:
            parts[part][rest] = value
        elif part == "line" and number.isdecimal() and 0 < int(number) <= len(lines):
            lines[int(number) - 1][column] = value
    new: Record = replace(record, fields=fields, parts=parts, lines=lines)
    return replace(sample, record=new)


def _replace(row: GoldenSample, mapping_set: MappingSet, sample: Sample, user: User | None, why: str) -> None:
    text = _text(sample)
    with transaction.atomic():
        _save(row, _outcome(mapping_set, sample), user, why)
        _keep(row, text)


def _save(row: GoldenSample, expected: Mapping[str, Value], user: User | None, why: str) -> None:
    row.expected = golden.stored(expected)
    row.updated_by, row.updated_at = user, timezone.now()
    row._change_reason = why[:100]  # type: ignore[attr-defined]
    row.save()


def _keep(row: GoldenSample, text: str) -> None:
    """The record, encrypted for this very row; not a step of its history."""
    conceal(row, "data", text)
    GoldenSample.objects.filter(pk=row.pk).update(data=row.data)


def _outcome(mapping_set: MappingSet, sample: Sample) -> dict[str, Value]:
    try:
        return golden.run(compile_mapping(mapping_set), sample, mapping_set.target_schema)
    except ValueError as error:  # a version that does not compile, or a sample without a record
        raise ValidationError(str(error)) from error


def _read(row: GoldenSample) -> Sample:
    try:
        return golden.read(row)
    except (DecryptionError, ValueError, KeyError, TypeError) as error:
        raise ValidationError(_("The sample cannot be read any more. Remove it, and pin the record again.")) from error


def _text(sample: Sample) -> str:
    text = samples.dump(sample)
    if len(text) > MAX_BYTES:
        raise ValidationError(_("The record is too large to be pinned. Choose one with fewer lines."))
    return text


def _masked(sign: str) -> str:
    if sign.isdigit():
        return "0"
    return ("X" if sign.isupper() else "x") if sign.isalpha() else sign


def _clean(text: str) -> str:
    return " ".join(text.replace("\x00", "").split())
