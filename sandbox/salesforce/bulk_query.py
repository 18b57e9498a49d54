"""``/jobs/query``: a query whose result is fetched as CSV.

Bulk API 2.0 guide: no aggregates, GROUP BY, OFFSET, sub-selects or compound fields; without ORDER BY the order is
anybody's guess, so here it is shuffled; ``Sforce-Locator`` leads to the next part, and is the text ``null`` at the
end."""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Any

from . import bulk_jobs, limits
from .bulk_csv import cell, write
from .bulk_ingest import CSV_TYPE
from .bulk_jobs import ABORTED, COMPLETE, Job, invalid_job, wrong_state
from .call import Answer, Call
from .cursors import invalid_locator
from .errors import SfError, not_found
from .soql.checker import check
from .soql.layout import Child, Layout, Parent
from .soql.plan import Plan

KIND = "V2Query"
OPERATIONS = ("query", "queryAll")
PART = 50_000  # rows of a result that are sent at once unless maxRecords says otherwise


def route(call: Call) -> Answer:
    """Answer everything below ``jobs/query``."""
    bulk_jobs.advance(call.org)
    match call.parts[2:]:
        case ():
            call.allow("GET", "POST")
            return _create(call) if call.method == "POST" else bulk_jobs.listing(call, KIND)
        case (job_id,):
            call.allow("GET", "PATCH", "DELETE")
            return _one(call, bulk_jobs.find(call, KIND, job_id))
        case (job_id, "results"):
            call.allow("GET")
            return _results(call, bulk_jobs.find(call, KIND, job_id))
    raise not_found()


def _one(call: Call, job: Job) -> Answer:
    if call.method == "GET":
        return Answer(200, job.detail())
    if call.method == "DELETE":
        return bulk_jobs.remove(call, job)
    return bulk_jobs.change_state(call, job, {ABORTED: bulk_jobs.abort})


def _create(call: Call) -> Answer:
    body = call.json()
    operation, query = str(body.get("operation")), body.get("query")
    if operation not in OPERATIONS:
        raise invalid_job(f"Unknown operation: {operation}")
    if not isinstance(query, str) or not query.strip():
        raise invalid_job("query is required")
    plan = _plan(call, operation, query)
    ending, delimiter = bulk_jobs.formats(body)
    now = call.org.now_ms()
    limits.usage(call.org).take(limits.QUERY_JOBS, now)
    job = Job(
        id=call.org.ids.new("750"),
        kind=KIND,
        operation=operation,
        object=plan.scope.object.name,
        user_id=call.user_id,
        version=call.version,
        line_ending=ending,
        delimiter=delimiter,
        created=now,
        work=lambda job: _work(call, job),
        query=query,
        request=call.number,
    )
    bulk_jobs.jobs_of(call.org).jobs[job.id] = job
    bulk_jobs.enqueue(call.org, job)
    return Answer(200, job.summary())


def _plan(call: Call, operation: str, query: str) -> Plan:
    """The plan of a query, if it is one that bulk queries can answer."""
    plan = check(call.org, call.user_id, query, include_deleted=operation == "queryAll")
    if plan.count or plan.grouping is not None:
        raise _unsupported("Aggregate functions and GROUP BY are not supported in Bulk V2 Query")
    if plan.has_children:
        raise _unsupported("Aggregate Relationships not supported in Bulk V2 Query with CSV content type.")
    if plan.offset:
        raise _unsupported("OFFSET is not supported in Bulk V2 Query")
    if plan.selects_compound:
        raise _unsupported("Selecting compound data not supported in Bulk Query")
    return plan


def _unsupported(text: str) -> SfError:
    return SfError(400, "FEATURENOTENABLED", text)


def _work(call: Call, job: Job) -> None:
    """Run the query; a schema that has changed meanwhile fails the job."""
    plan = _plan(call, job.operation, job.query)
    rows = plan.rows()
    if not plan.orders:
        random.Random(job.id).shuffle(rows)
    job.header = _names(plan.layout)
    shown = (plan.layout.show(plan.scope, row, call.version, lambda child, parent: None) for row in rows)
    job.results["results"] = [_line(plan.layout, record) for record in shown]
    job.processed = len(rows)
    job.move(COMPLETE, job.due)


def _names(layout: Layout, before: str = "") -> list[str]:
    """The header: field names, those of parents with their path."""
    names: list[str] = []
    for entry in layout.entries:
        if isinstance(entry, Parent):
            names.extend(_names(entry.layout, f"{before}{entry.name}."))
        elif not isinstance(entry, Child):
            names.append(before + entry.key)
    return names


def _line(layout: Layout, record: dict[str, Any] | None) -> list[str]:
    cells: list[str] = []
    for entry in layout.entries:
        if isinstance(entry, Parent):
            cells.extend(_line(entry.layout, None if record is None else record[entry.name]))
        elif not isinstance(entry, Child):
            cells.append("" if record is None else cell(record[entry.key]))
    return cells


def _results(call: Call, job: Job) -> Answer:
    """A part of the result, with the locator of the next one."""
    if job.state != COMPLETE:
        raise wrong_state(f"Results are not available for a job in state {job.state}")
    rows = job.results["results"]
    start, number = _start(call.query.get("locator")), _number(call.query.get("maxRecords"))
    if start > len(rows):
        raise invalid_locator()
    part = rows[start : start + number]
    after = start + len(part)
    headers = {
        **CSV_TYPE,
        "Sforce-NumberOfRecords": str(len(part)),
        "Sforce-Locator": b64encode(str(after).encode()).decode() if after < len(rows) else "null",
    }
    return Answer(200, write(job.header, [], part, job.delimiter, job.line_ending), headers)


def _start(locator: str | None) -> int:
    if not locator:
        return 0
    try:
        text = b64decode(locator, validate=True).decode("ascii")
    except (NotBase64, UnicodeDecodeError, ValueError):
        raise invalid_locator() from None
    if not text.isdecimal():
        raise invalid_locator()
    return int(text)


def _number(text: str | None) -> int:
    if not text:
        return PART
    if not text.isdecimal() or int(text) < 1:
        raise SfError(400, "INVALID_ARGUMENT", "maxRecords must be a positive number")
    return min(int(text), PART)
