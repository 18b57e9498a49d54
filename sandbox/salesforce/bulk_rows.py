"""The rows of an ingest job, written one by one: what each column sets, and what became of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import dml
from .bulk_csv import NULL, InvalidBatch
from .bulk_jobs import Job
from .errors import SfError, refused
from .schema import FieldDef, ObjectDef

if TYPE_CHECKING:
    from .org import Org

CHUNK = 200


@dataclass(frozen=True, slots=True)
class ColumnDef:
    """A column sets a field, or a lookup by the external id ``key`` of the parent."""

    name: str
    field: FieldDef
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row; ``error`` is empty for one that was written."""

    id: str = ""
    created: bool = False
    error: str = ""

    def done(self, row: Sequence[str]) -> list[str]:
        """The line in successfulResults."""
        return [self.id, "true" if self.created else "false", *row]

    def refused(self, row: Sequence[str]) -> list[str]:
        """The line in failedResults."""
        return [self.id, self.error, *row]


def columns(org: Org, job: Job, definition: ObjectDef) -> list[ColumnDef]:
    """What the header names, as far as the user may see it; InvalidBatch for a name that is no field."""
    visible = org.visible_fields(definition, job.user_id)
    found: list[ColumnDef] = []
    for name in job.header:
        column = _column(org, job, definition, visible, name)
        if column is None:
            raise InvalidBatch(f"InvalidBatch : Field name not found : {name}")
        found.append(column)
    repeated = [name for name, times in Counter(name.lower() for name in job.header).items() if times > 1]
    if repeated:
        raise InvalidBatch(f"InvalidBatch : Duplicate field name : {repeated[0]}")
    return found


def _column(org: Org, job: Job, definition: ObjectDef, visible: dict[str, FieldDef], name: str) -> ColumnDef | None:
    relationship, dot, key = name.partition(".")
    if not dot:
        field = visible.get(name.lower())
        return None if field is None else ColumnDef(field.name, field)
    lookup = definition.lookup(relationship)
    if lookup is None or lookup.name.lower() not in visible or not lookup.relationship:
        return None
    target = org.find(lookup.reference_to[0])
    parent_key = None if target is None else org.visible_fields(target, job.user_id).get(key.lower())
    return None if parent_key is None else ColumnDef(lookup.relationship, lookup, parent_key.name)


def process(org: Org, job: Job, layout: Sequence[ColumnDef], rows: Sequence[Sequence[str]]) -> list[Outcome]:
    """Write all rows in chunks of 200, each row on its own: a refused one leaves no trace and stops nobody."""
    outcome: list[Outcome] = []
    for start in range(0, len(rows), CHUNK):
        records = [_record(layout, row) for row in rows[start : start + CHUNK]]
        repeated = _repeated(job, records)
        outcome.extend(_write(org, job, record, repeated) for record in records)
    return outcome


def _record(layout: Sequence[ColumnDef], row: Sequence[str]) -> dict[str, Any]:
    """The fields a row sets, in the form a REST body has: an empty cell leaves a field alone, ``#N/A`` empties it."""
    record: dict[str, Any] = {}
    for column, text in zip(layout, row, strict=True):
        if text == "":
            continue
        if column.key is None:
            record[column.name] = None if text == NULL else text
        elif text == NULL:
            record[column.field.name] = None
        else:
            record[column.name] = {column.key: text}
    return record


def _repeated(job: Job, records: Sequence[dict[str, Any]]) -> set[str]:
    """Keys that several rows of one chunk of an upsert have: all of these rows are refused."""
    if job.external_id is None:
        return set()
    keys = Counter(_folded(record.get(job.external_id)) for record in records)
    return {key for key, times in keys.items() if key and times > 1}


def _folded(value: Any) -> str:
    return str(value or "").strip().casefold()


def _write(org: Org, job: Job, record: dict[str, Any], repeated: set[str]) -> Outcome:
    record_id = str(record.get("Id") or "")
    try:
        if job.operation == "insert":
            row = dml.insert(org, job.user_id, job.object, record, request=job.request, headers=job.headers)
            return Outcome(row.id, created=True)
        if job.operation == "upsert":
            return _upsert(org, job, record, repeated)
        if not record_id:
            raise SfError(400, "MISSING_ARGUMENT", f"Id not specified in {job.operation} call")
        if job.operation == "delete":
            dml.delete(org, job.user_id, job.object, record_id, request=job.request)
            return Outcome(record_id)
        values = {name: value for name, value in record.items() if name != "Id"}
        row = dml.update(org, job.user_id, job.object, record_id, values, request=job.request, headers=job.headers)
        return Outcome(row.id)
    except SfError as error:
        return Outcome(record_id, error=error_text(error))


def _upsert(org: Org, job: Job, record: dict[str, Any], repeated: set[str]) -> Outcome:
    name = job.external_id or ""
    key = record.get(name)
    if key is None:
        raise refused("MISSING_ARGUMENT", f"{name} not specified", name)
    if _folded(key) in repeated:
        raise refused("DUPLICATE_VALUE", f"Duplicate external id specified: {key}", name)
    values = {field: value for field, value in record.items() if field != name}
    row, created = dml.upsert(org, job.user_id, job.object, name, key, values, request=job.request, headers=job.headers)
    return Outcome(row.id, created=created)


def error_text(error: SfError) -> str:
    """A refusal as ``sf__Error`` has it: ``CODE:message:field,field --``."""
    code = "INVALID_TYPE_ON_FIELD_IN_RECORD" if error.code == "JSON_PARSER_ERROR" else error.code
    fields = ",".join(error.fields or [])
    return f"{code}:{error.message}:{fields} --" if fields else f"{code}:{error.message}:--"
