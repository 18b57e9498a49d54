"""Reading very many rows by a query job: Salesforce collects them, we fetch the result as CSV in large parts.

Source: the Bulk API 2.0 guide. A job makes no promise about the order of its rows, cannot ask for child rows, and keeps
its result for seven days. The invariant: a part that does not have as many rows as announced is not handed out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from integrations.errors import IncompleteRead, Missing, SyncError, TooLarge, Transient
from integrations.salesforce import jobs
from integrations.salesforce.client import Salesforce, object_of

PART = 10_000
"""Rows of a part at first; halved when one is larger than an answer may be."""
SMALLEST_PART = 500

Part = tuple[list[Mapping[str, Any]], str, str]
"""(rows, job, locator of the next part); an empty job after the last."""


class BulkQuery:
    """One query job, new or gone on with."""

    def __init__(self, client: Salesforce, query: str, *, deleted: bool, job: str = "", locator: str = "") -> None:
        self.client = client
        self.query = query
        self.deleted = deleted
        self.job = job
        self.locator = locator
        self._part = PART

    def pages(self) -> Iterator[Part]:
        """The parts. The first is empty and only tells the job, so that a wait can go on elsewhere.

        Raises `Transient` ("busy") for a job that takes longer than we wait, or that Salesforce gave up.
        """
        if not self.job or not self._usable():
            self._create()
            yield [], self.job, ""
        self._wait()
        while True:
            rows, self.locator = self._fetch()
            yield rows, self.job if self.locator else "", self.locator
            if not self.locator:
                return

    def _create(self) -> None:
        body = {"operation": "queryAll" if self.deleted else "query", "query": self.query}
        answer = object_of(self.client.api.do(self.client.create_job_call("query", body)))
        self.job, self.locator = str(answer.get("id") or ""), ""
        if not self.job.isalnum():
            raise TooLarge("Salesforce sent no id of the job", code="unreadable")

    def _state(self) -> Mapping[str, Any]:
        return object_of(self.client.api.do(self.client.job_call("query", self.job)))

    def _usable(self) -> bool:
        """Whether a job of an earlier process is still there."""
        try:
            return self._state().get("state") not in jobs.ENDED_BADLY
        except Missing:
            return False

    def _wait(self) -> None:
        state = jobs.wait(self.client, "query", self.job)
        if state.get("state") in jobs.ENDED_BADLY:
            reason = str(state.get("errorMessage") or state.get("state"))[:300]
            raise Transient(f"Salesforce gave up the query: {reason}", code="busy")
        if state.get("state") != jobs.COMPLETE:
            raise Transient("Salesforce still works on the query", code="busy", retry_after=60.0)

    def _fetch(self) -> tuple[list[Mapping[str, Any]], str]:
        """The next part, and the locator of the one behind it."""
        while True:
            call = self.client.query_results_call(self.job, locator=self.locator, rows=self._part)
            try:
                reply = self.client.api.do(call)
            except SyncError as error:
                if error.code != "body_too_large" or self._part <= SMALLEST_PART:
                    raise
                self._part //= 2
                continue
            rows = list(parsed(str(reply.data)))
            announced = reply.headers.get("Sforce-NumberOfRecords", "")
            if not announced.isdecimal() or int(announced) != len(rows):
                raise IncompleteRead(f"Salesforce sent {len(rows)} of {announced} rows", code="incomplete")
            locator = reply.headers.get("Sforce-Locator", "null")
            return rows, "" if locator == "null" else locator


def parsed(text: str) -> Iterator[Mapping[str, Any]]:
    """The rows of a CSV as a query would give them: `Account.Name` inside its parent, "" for null.

    NUL bytes, which do occur, are dropped. Raises `TooLarge` for what is no CSV.
    """
    try:
        reader = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), strict=True)
        paths = [name.split(".") for name in next(reader, [])]
        for row in reader:
            if len(row) != len(paths):
                raise TooLarge("Salesforce sent a row with other columns", code="unreadable")
            yield _nested(paths, row)
    except csv.Error as error:
        raise TooLarge(f"Salesforce sent a result that cannot be read: {error}", code="unreadable") from None


def _nested(paths: list[list[str]], row: list[str]) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for path, value in zip(paths, row, strict=True):
        holder = found
        for relationship in path[:-1]:
            holder = holder.setdefault(relationship, {})
        holder[path[-1]] = value
    return found
