"""Writing very many records by an ingest job of the Bulk API 2.0: one upload of CSV, results matched back by key.

A job may complete with rows that failed, and give up with rows that it never looked at; an empty cell leaves a field
alone and `#N/A` clears it. Only upserts by our unique key and updates by id go this way, so that a job whose end is
not clear may be repeated. The invariant: every record ends with a result or an error of its own, in the order given.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings

from integrations.errors import InvalidData, Misconfigured, SyncError, TooLarge, Transient
from integrations.salesforce import jobs
from integrations.salesforce.batches import DUPLICATE, LOCKED, Answer, Batches, Body, waves
from integrations.salesforce.bulk_query import parsed
from integrations.salesforce.client import Salesforce, object_of
from integrations.salesforce.errors import of_text
from integrations.salesforce.ids import SHORT

BULK_FROM = 2_000
"""Records from which a job takes fewer calls of the org's daily allowance than collections.

Measured against the sandbox at 150 ms a call, with jobs of a second per 1,000 rows; calls and seconds, by collections
and by job: 1,000 records 6 and 0.7, 7 and 2.4; 2,000 records 11 and 1.2, 8 and 5.6; 5,000 records 28 and 3.9, 11 and
10.4; 10,000 records 55 and 6.3, 14 and 20.3. A job saves calls, never time, so smaller work goes by collections.
The setting SALESFORCE_BULK_FROM overrides it.
"""
JOB_ROWS = 10_000
"""Records of one job: its results repeat them and come in one answer."""
JOB_BYTES = 10 * 1024 * 1024
"""Characters of one upload; Salesforce takes 100 MB, but an answer of ours may not be that large."""
NULL = "#N/A"
_NO_FIELD = re.compile(r"field name not found\s*:\s*(\w{1,100})", re.IGNORECASE)


def worth_a_job(count: int) -> bool:
    """Whether so many records are written by a job rather than by collections."""
    return count >= getattr(settings, "SALESFORCE_BULK_FROM", BULK_FROM)


class Bulk:
    """The ingest jobs of one org."""

    def __init__(self, client: Salesforce) -> None:
        self.client = client
        self.batches = Batches(client)

    def write(self, remote: str, action: str, records: Sequence[Body], key_field: str = "") -> list[Answer]:
        """The answer to each record, in order. `action` is "update" (records with `id`) or "upsert" (by `key_field`).

        Raises `SyncError` when a job cannot be had at all; what it did until then may be done again.
        """
        key = "id" if action == "update" else key_field
        answers: dict[int, Answer] = {}
        first, *later = waves(records, key)
        rest = sorted(index for wave in later for index in wave)
        for part in _parts(records, [index for index in first if _fits(records[index])]):
            answers |= self._job(remote, action, records, key, part)
        rest += [i for i in first if i not in answers or _is_for_collections(answers[i])]
        if rest:
            again = self.batches.write(remote, action, [records[index] for index in rest], key_field)
            answers |= zip(rest, again, strict=True)
        return [answers[index] for index in range(len(records))]

    def _job(
        self, remote: str, action: str, records: Sequence[Body], key: str, indexes: Sequence[int]
    ) -> dict[int, Answer]:
        body = {"object": remote, "operation": action, "contentType": "CSV", "lineEnding": "LF"}
        body |= {"columnDelimiter": "COMMA"} | ({"externalIdFieldName": key} if action == "upsert" else {})
        job = str(object_of(self.client.api.do(self.client.create_job_call("ingest", body))).get("id") or "")
        if not job.isalnum():
            raise TooLarge("Salesforce sent no id of the job", code="unreadable")
        try:
            self.client.api.do(self.client.upload_call(job, table(records, indexes)))
            self.client.api.do(self.client.close_job_call("ingest", job))
            state = jobs.wait(self.client, "ingest", job)
            if state.get("state") != jobs.COMPLETE and state.get("state") not in jobs.ENDED_BADLY:
                # It must not go on while its rows are sent again.
                state = object_of(self.client.api.do(self.client.close_job_call("ingest", job, "Aborted")))
        except SyncError:
            with contextlib.suppress(SyncError):
                self.client.api.do(self.client.close_job_call("ingest", job, "Aborted"))
            raise
        found = self._results(job, state, key)
        left = _left_out(state)
        return {index: found.get(_key_of(records[index], key), left) for index in indexes}

    def _results(self, job: str, state: Mapping[str, Any], key: str) -> dict[str, Answer]:
        """What became of the rows, by their key."""
        column = "Id" if key == "id" else key
        found: dict[str, Answer] = {}
        for row in self._rows(job, "successfulResults"):
            made = {"true": True, "false": False}.get(str(row.get("sf__Created")).lower())
            answer = {"id": str(row.get("sf__Id") or ""), "success": True, "created": made}
            found[_key_of({key: row.get(column)}, key)] = answer
        if state.get("numberRecordsFailed") != 0:
            for row in self._rows(job, "failedResults"):
                name = _key_of({key: row.get(column)}, key)
                found[name] = of_text(str(row.get("sf__Error") or ""), str(row.get("sf__Id") or ""))
        return found

    def _rows(self, job: str, which: str) -> Iterator[Mapping[str, Any]]:
        return parsed(str(self.client.api.do(self.client.ingest_results_call(job, which)).data))


def _is_for_collections(answer: Answer) -> bool:
    """Whether a row failed in a job as it need not fail in a collection: it met a lock, or a duplicate rule, of which a
    job cannot say that one which only warns may be passed over."""
    return isinstance(answer, SyncError) and answer.code in (LOCKED, DUPLICATE)


def _left_out(state: Mapping[str, Any]) -> SyncError:
    """Why a row has no result: the job was given up, and says why for all rows together."""
    reason = str(state.get("errorMessage") or "")[:300]
    if found := _NO_FIELD.search(reason):
        text = f"Salesforce has no field {found[1]}, or our user may not see it"
        return Misconfigured(text, code="INVALID_FIELD", field=found[1])
    if reason.startswith("InvalidBatch"):
        return InvalidData(reason, code="job_refused")
    text = reason or "Salesforce did not come to this record before the job ended"
    return Transient(text, code="job_failed" if reason else "job_slow")


def _key_of(record: Body, key: str) -> str:
    """The key of a row as it is compared: external ids without case, record ids by what counts of them."""
    value = str(record.get(key) or "")
    return value[:SHORT] if key == "id" else value.strip().casefold()


def _fits(record: Body) -> bool:
    """Whether a record can be said in CSV: a text that means "empty" there cannot."""
    return NULL not in record.values()


def _parts(records: Sequence[Body], indexes: Sequence[int]) -> Iterator[list[int]]:
    """Jobs that are neither too long nor too large."""
    part: list[int] = []
    used = 0
    for index in indexes:
        size = sum(len(str(value)) + 3 for value in records[index].values())
        if part and (len(part) >= JOB_ROWS or used + size > JOB_BYTES):
            yield part
            part, used = [], 0
        part.append(index)
        used += size
    if part:
        yield part


def table(records: Sequence[Body], indexes: Sequence[int]) -> str:
    """The records as CSV with LF; a field that only other records have is an empty cell, which leaves it alone."""
    names = list(dict.fromkeys(name for index in indexes for name in records[index]))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow("Id" if name == "id" else name for name in names)
    for index in indexes:
        record = records[index]
        writer.writerow(_cell(record[name]) if name in record else "" for name in names)
    return text.getvalue()


def _cell(value: object) -> str:
    match value:
        case None:
            return NULL
        case bool():
            return "true" if value else "false"
        case float():
            return format(Decimal(repr(value)), "f")
        case _:
            return str(value)
