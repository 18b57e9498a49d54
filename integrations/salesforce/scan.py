"""One scan over an object: page after page, able to go on in another process, days later, or after a slow answer.

A page names the next one by a locator, which lives for two days. When it has died, or the server took too long, the
scan asks again behind the last row that it has seen, by (stamp, id). The invariant: what a place says was read, was
handed out; so going on at a place never skips a row, and at worst repeats some.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from integrations.connector import Fields
from integrations.errors import IncompleteRead, SyncError, TooLarge
from integrations.http import Reply
from integrations.salesforce import soql, values
from integrations.salesforce.bulk_query import BulkQuery
from integrations.salesforce.client import PAGE, SMALLEST_PAGE, Rows, rows_of
from integrations.salesforce.shape import STAMP, Shape, id_of, shape

if TYPE_CHECKING:
    from integrations.salesforce.read import Reader

BULK_QUERY_FROM = 50_000
"""Rows from which a job of the Bulk API takes fewer calls of the daily allowance than pages of 2,000."""
ORDER = f"{STAMP}, Id"
_EXPIRED = frozenset({"INVALID_QUERY_LOCATOR", "QUERY_LOCATOR_EXPIRED", "NOT_FOUND"})
_SLOW = frozenset({"QUERY_TIMEOUT", "OPERATION_TOO_LARGE", "body_too_large"})
_CHANGED = frozenset({"INVALID_FIELD", "INVALID_TYPE"})


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a scan is. `clock` is the server's at the first answer; `following` the next page's locator; (`stamp`,
    `last`) the last row seen; `job` and `locator` the place in a bulk job."""

    clock: str = ""
    stage: int = 0
    following: str = ""
    stamp: str = ""
    last: str = ""
    total: int | None = None
    batch: int = PAGE
    job: str = ""
    locator: str = ""

    def text(self) -> str:
        """The place as a token that another process can read."""
        return json.dumps({key: value for key, value in asdict(self).items() if value not in ("", None)})

    @classmethod
    def read(cls, token: str) -> Spot:
        """The place of a token; the start for ""."""
        return cls(**json.loads(token)) if token else cls()

    def next_stage(self, reached: Spot) -> Spot:
        """The start of the following scan, which counts from the same moment."""
        return Spot(clock=reached.clock, stage=self.stage + 1, total=reached.total)


class Scan:
    """The pages of one query. `spot` is where it is, `asked` what it asks for (anew, when the org has changed)."""

    def __init__(
        self, reader: Reader, asked: Shape, condition: str, fields: Fields, *, deleted: bool, spot: Spot
    ) -> None:
        self.reader = reader
        self.client = reader.client
        self.asked = asked
        self.condition = condition
        self.fields = fields
        self.deleted = deleted
        self.spot = spot
        self._described_again = False

    def pages(self, pool: ThreadPoolExecutor) -> Iterator[tuple[list[Mapping[str, Any]], Spot | None]]:
        """(rows, the place behind them; None behind the last), the next page under way while the caller works."""
        if self.spot.job:
            yield from self._job()
            return
        answer = self._begin(pool)
        while True:
            first = not self.spot.following
            page = self._taken(answer)
            if page is None:  # to be asked again, otherwise
                answer = self._begin(pool)
                continue
            if first and not self.spot.stamp and self._worth_a_job(page):
                yield from self._job()
                return
            if first and not page.following and len(page.rows) != page.total:
                raise IncompleteRead(f"Salesforce sent {len(page.rows)} of {page.total} rows", code="incomplete")
            place = self._behind(page)
            if place is not None:
                self.spot = place
                answer = self._begin(pool)
            yield list(page.rows), place
            if place is None:
                return

    # --- Pages ------------------------------------------------------------------------------------------------

    def _begin(self, pool: ThreadPoolExecutor) -> Callable[[], Reply]:
        """Send for the page at `spot`; what goes wrong is told when the answer is wanted."""
        kind = f"{self.asked.name}.query"
        try:
            if self.spot.following:
                call = self.client.following_call(self.spot.following, batch=self.spot.batch, kind=kind)
            else:
                query = self.asked.query(self._where(), ORDER)
                soql.fits(query)
                call = self.client.query_call(query, deleted=self.deleted, batch=self.spot.batch, kind=kind)
            return self.client.api.begin(pool, call)
        except SyncError as error:
            failure = error

            def failed() -> Reply:
                raise failure

            return failed

    def _where(self) -> str:
        """The condition, behind the last row seen."""
        at = self.spot.stamp
        behind = f"{STAMP} >= {at} AND ({STAMP} > {at} OR Id > {soql.quoted(self.spot.last)})" if at else ""
        return " AND ".join(filter(None, (self.condition, behind)))

    def _taken(self, answer: Callable[[], Reply]) -> Rows | None:
        """The page of an answer; None when it has to be asked for again from the `spot` as it is now."""
        try:
            reply = answer()
        except SyncError as error:
            self._recover(error)
            return None
        page = rows_of(reply.data)
        clock = self.spot.clock or reply.remote_time.isoformat()
        self.spot = replace(self.spot, clock=clock, total=page.total if self.spot.total is None else self.spot.total)
        return page

    def _recover(self, error: SyncError) -> None:
        """Go on behind the last row, in smaller pages, or with what the org has now. Raises what cannot be helped."""
        if error.code in _EXPIRED and self.spot.following:
            self.spot = replace(self.spot, following="")
        elif error.code in _SLOW and self.spot.batch > SMALLEST_PAGE:
            self.spot = replace(self.spot, following="", batch=max(SMALLEST_PAGE, self.spot.batch // 4))
        elif error.code in _CHANGED and not self._described_again:
            self._described_again = True
            objects = self.reader.objects
            objects.catalogue.forget(self.asked.remotes)
            self.asked = shape(objects, self.asked.name, self.fields, gone=self.deleted)
        else:
            raise error

    def _behind(self, page: Rows) -> Spot | None:
        """The place behind a page; None behind the last."""
        if not page.following:
            return None
        if page.following == self.spot.following:
            raise TooLarge("Salesforce sent a page that follows itself", code="unreadable")
        spot = replace(self.spot, following=page.following)
        return (
            replace(spot, stamp=_stamp(page.rows[-1]), last=id_of(page.rows[-1], self.asked.remote))
            if page.rows
            else spot
        )

    # --- Jobs -------------------------------------------------------------------------------------------------

    def _worth_a_job(self, page: Rows) -> bool:
        """Whether the rest is so much that a job is cheaper; a job cannot ask for child rows."""
        return not self.deleted and self.asked.flat and page.total >= BULK_QUERY_FROM

    def _job(self) -> Iterator[tuple[list[Mapping[str, Any]], Spot | None]]:
        query = self.asked.query(self.condition)
        job = BulkQuery(self.client, query, deleted=self.deleted, job=self.spot.job, locator=self.spot.locator)
        for rows, key, locator in job.pages():
            place = replace(self.spot, job=key, locator=locator, following="", stamp="", last="") if key else None
            self.spot = place or self.spot
            yield rows, place


def _stamp(raw: Mapping[str, Any]) -> str:
    try:
        return soql.moment(values.moment(str(raw.get(STAMP))))
    except ValueError:
        raise TooLarge(f"Salesforce sent a row without {STAMP}", code="unreadable") from None
