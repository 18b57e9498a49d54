"""``/jobs/ingest``: rows written from an uploaded CSV.

Bulk API 2.0 guide: one upload per job, at most 100 MB; rows are written in chunks of 200 under the rules every write
meets; a job that completes can still contain failed rows, which have a file of their own."""

from __future__ import annotations

import contextlib
from typing import Any

from . import bulk_csv, bulk_jobs, bulk_rows
from .bulk_csv import InvalidBatch
from .bulk_jobs import ABORTED, COMPLETE, ENDED, OPEN, UPLOADED, Job, invalid_job, wrong_state
from .call import Answer, Call
from .errors import SfError, not_found
from .schema import ObjectDef

KIND = "V2Ingest"
MOST_BYTES = 100 * 1024 * 1024
OPERATIONS = ("insert", "update", "upsert", "delete")
CSV_TYPE = {"Content-Type": "text/csv;charset=UTF-8"}
OWN_COLUMNS = {
    "successfulResults": ["sf__Id", "sf__Created"],
    "failedResults": ["sf__Id", "sf__Error"],
    "unprocessedrecords": [],
}


def route(call: Call) -> Answer:
    """Answer everything below ``jobs/ingest``."""
    bulk_jobs.advance(call.org)
    match call.parts[2:]:
        case ():
            call.allow("GET", "POST")
            return _create(call) if call.method == "POST" else bulk_jobs.listing(call, KIND)
        case (job_id,):
            call.allow("GET", "PATCH", "DELETE")
            return _one(call, bulk_jobs.find(call, KIND, job_id))
        case (job_id, "batches"):
            call.allow("PUT")
            return _upload(call, bulk_jobs.find(call, KIND, job_id))
        case (job_id, name) if name in OWN_COLUMNS:
            call.allow("GET")
            return _results(bulk_jobs.find(call, KIND, job_id), name)
    raise not_found()


def _one(call: Call, job: Job) -> Answer:
    if call.method == "GET":
        return Answer(200, job.detail())
    if call.method == "DELETE":
        return bulk_jobs.remove(call, job)
    return bulk_jobs.change_state(call, job, {UPLOADED: _close, ABORTED: _abort})


def _create(call: Call) -> Answer:
    body = call.json()
    operation = str(body.get("operation"))
    if operation == "hardDelete":
        text = "hardDelete operation requires special user profile permission, please contact your system administrator"
        raise SfError(400, "FEATURENOTENABLED", text)
    if operation not in OPERATIONS:
        raise invalid_job(f"Unknown operation: {operation}")
    definition = call.org.find_for(call.user_id, str(body.get("object", "")))
    if definition is None:
        raise SfError(400, "INVALIDENTITY", f"Entity '{body.get('object')}' is not supported by the Bulk API.")
    ending, delimiter = bulk_jobs.formats(body)
    now = call.org.now_ms()
    job = Job(
        id=call.org.ids.new("750"),
        kind=KIND,
        operation=operation,
        object=definition.name,
        user_id=call.user_id,
        version=call.version,
        line_ending=ending,
        delimiter=delimiter,
        created=now,
        stamp=now,
        work=lambda job: _work(call, job),
        external_id=_external_id(call, definition, body) if operation == "upsert" else None,
        request=call.number,
        headers=dict(call.headers.items()),
    )
    bulk_jobs.jobs_of(call.org).jobs[job.id] = job
    return Answer(200, job.summary())


def _external_id(call: Call, definition: ObjectDef, body: dict[str, Any]) -> str:
    """The canonical name of the key field of an upsert."""
    name = str(body.get("externalIdFieldName") or "")
    if not name:
        raise invalid_job("External ID was not specified for upsert")
    field = call.org.visible_fields(definition, call.user_id).get(name.lower())
    if field is None or not (field.external_id or field.id_lookup):
        raise invalid_job(f"Field name provided, {name}, does not match an External ID for {definition.name}")
    return field.name


def _upload(call: Call, job: Job) -> Answer:
    """PUT of the CSV, once."""
    if job.state != OPEN or job.upload is not None:
        raise wrong_state("Data can be uploaded once, while the job is open")
    if not call.headers.get("Content-Type", "").lower().startswith("text/csv"):
        raise SfError(415, "UNSUPPORTED_MEDIA_TYPE", "Content type of the data must be text/csv")
    if len(call.raw) > MOST_BYTES:
        raise SfError(413, "EXCEEDEDMAXSIZEREQUEST", f"Request size exceeds the maximum of {MOST_BYTES} bytes")
    job.upload = call.raw
    return Answer(201)


def _close(call: Call, job: Job) -> None:
    """UploadComplete: the job may be worked on."""
    if job.state != OPEN:
        raise wrong_state(f"Closing a job in state {job.state} is not allowed")
    job.request = call.number
    bulk_jobs.enqueue(call.org, job)


def _abort(call: Call, job: Job) -> None:
    """Stop the job; rows that were uploaded are unprocessed."""
    bulk_jobs.abort(call, job)
    with contextlib.suppress(InvalidBatch):
        _read(job)


def _read(job: Job) -> list[list[str]]:
    """The rows of the upload, which is not needed afterwards; for now they are unprocessed."""
    raw, job.upload = job.upload or b"", None
    job.header, rows = bulk_csv.read(raw, job.delimiter, job.line_ending)
    job.results = {"unprocessedrecords": rows}
    return rows


def _work(call: Call, job: Job) -> None:
    """Read the file and write its rows; a file that cannot be used fails the job, and its rows stay unprocessed."""
    org = call.org
    try:
        rows = _read(job)
        columns = bulk_rows.columns(org, job, org.object(job.object))
    except InvalidBatch as error:
        job.fail(str(error), job.due)
        return
    most = bulk_jobs.jobs_of(org).give_up_after
    rows, rest = (rows, []) if most is None else (rows[:most], rows[most:])
    outcome = bulk_rows.process(org, job, columns, rows)
    job.results = {
        "successfulResults": [entry.done(row) for entry, row in zip(outcome, rows, strict=True) if not entry.error],
        "failedResults": [entry.refused(row) for entry, row in zip(outcome, rows, strict=True) if entry.error],
        "unprocessedrecords": rest,
    }
    job.processed, job.failed = len(rows), len(job.results["failedResults"])
    if rest:
        job.fail("InternalServerError : Unable to process the batch", job.due)
    else:
        job.move(COMPLETE, job.due)


def _results(job: Job, name: str) -> Answer:
    """A result file; there is none before the job has ended."""
    if job.state not in ENDED:
        raise wrong_state(f"Results are not available for a job in state {job.state}")
    rows = job.results.get(name, [])
    text = bulk_csv.write(OWN_COLUMNS[name], job.header, rows, job.delimiter, job.line_ending)
    return Answer(200, text, dict(CSV_TYPE))
