"""What the jobs of Bulk API 2.0 have in common: states, their passing with time, listing, aborting, deleting.

Bulk API 2.0 guide: a job waits (UploadComplete), is worked on (InProgress) and ends as JobComplete, Failed or Aborted;
one left open for a day fails, and seven days after it ended it is gone. Here waiting and work take a fixed time of the
sandbox's clock, and the work is done at the first call after it is due, so runs can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import times
from .bulk_csv import DELIMITERS, LINE_ENDINGS
from .call import Answer, Call
from .errors import SfError, not_found
from .held import PerOrg

if TYPE_CHECKING:
    from .org import Org

OPEN, UPLOADED, WORKING = "Open", "UploadComplete", "InProgress"
COMPLETE, FAILED, ABORTED = "JobComplete", "Failed", "Aborted"
ENDED = (COMPLETE, FAILED, ABORTED)
OPEN_MS, KEPT_MS = 24 * 3_600_000, 7 * 24 * 3_600_000
LIST_PAGE = 1_000
Work = Callable[["Job"], None]


@dataclass(slots=True)
class Job:
    """One job. ``due`` is when its work is done; ``results`` are CSV rows by the name of their resource."""

    id: str
    kind: str  # V2Ingest or V2Query
    operation: str
    object: str
    user_id: str
    version: str
    line_ending: str
    delimiter: str
    created: int
    work: Work
    external_id: str | None = None
    query: str = ""
    state: str = OPEN
    stamp: int = 0
    queued: int = 0
    due: int = 0
    ended: int = 0
    error: str | None = None
    request: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    upload: bytes | None = None
    header: list[str] = field(default_factory=list)
    results: dict[str, list[list[str]]] = field(default_factory=dict)
    processed: int = 0
    failed: int = 0

    def move(self, state: str, moment: int) -> None:
        """Enter a state."""
        self.state, self.stamp = state, moment
        if state in ENDED:
            self.ended = moment

    def fail(self, message: str, moment: int) -> None:
        """End as Failed, for a reason that concerns the whole job."""
        self.error = message
        self.move(FAILED, moment)

    def summary(self) -> dict[str, Any]:
        """What the answers to POST, PATCH and listing show."""
        shown: dict[str, Any] = {
            "id": self.id,
            "operation": self.operation,
            "object": self.object,
            "createdById": self.user_id,
            "createdDate": times.wire(self.created),
            "systemModstamp": times.wire(self.stamp),
            "state": self.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(self.version),
            "lineEnding": self.line_ending,
            "columnDelimiter": self.delimiter,
        }
        if self.external_id is not None:
            shown["externalIdFieldName"] = self.external_id
        if self.kind == "V2Ingest":
            shown["contentUrl"] = f"services/data/v{self.version}/jobs/ingest/{self.id}/batches"
        return shown

    def detail(self) -> dict[str, Any]:
        """What GET shows of one job."""
        shown = self.summary()
        shown |= {"jobType": self.kind, "numberRecordsProcessed": self.processed, "retries": 0}
        shown["totalProcessingTime"] = max(0, self.ended - self.queued) if self.queued and self.ended else 0
        if self.kind == "V2Ingest":
            shown |= {
                "numberRecordsFailed": self.failed,
                "apiActiveProcessingTime": shown["totalProcessingTime"] * 3 // 4,
                "apexProcessingTime": 0,
            }
        else:
            shown["isPkChunkingSupported"] = True
        if self.error is not None:
            shown["errorMessage"] = self.error
        return shown


@dataclass(slots=True)
class Jobs:
    """The jobs of an org, and how long they take: half of ``seconds`` waiting, half at work. With ``give_up_after``
    ingest jobs fail after so many rows, as they do when the service has trouble of its own."""

    seconds: float = 2.0
    give_up_after: int | None = None
    jobs: dict[str, Job] = field(default_factory=dict)


_JOBS: PerOrg[Jobs] = PerOrg(Jobs)


def jobs_of(org: Org) -> Jobs:
    """The jobs of an org; set ``seconds`` to change how long they take."""
    return _JOBS.of(org)


def advance(org: Org) -> None:
    """Let time pass for the jobs: those that are due are worked off in the order in which they were queued."""
    held, now = jobs_of(org), org.now_ms()
    for job in sorted(held.jobs.values(), key=lambda entry: (entry.queued, entry.id)):
        if job.state == OPEN and job.created + OPEN_MS <= now:
            job.fail("InvalidJob : the job was open for more than 24 hours", job.created + OPEN_MS)
        if job.state in (UPLOADED, WORKING):
            if job.due <= now:
                _work(job)
            elif (job.queued + job.due) // 2 <= now:
                job.move(WORKING, (job.queued + job.due) // 2)
        if job.ended and job.ended + KEPT_MS <= now:
            del held.jobs[job.id]


def _work(job: Job) -> None:
    """Do the work; what is refused as a whole, such as an object that has vanished meanwhile, fails the job."""
    try:
        job.work(job)
    except SfError as error:
        job.fail(f"{error.code} : {error.message}", job.due)


def enqueue(org: Org, job: Job) -> None:
    """Everything needed is there: the job begins to wait."""
    now = org.now_ms()
    job.queued, job.due = now, now + int(jobs_of(org).seconds * 1000)
    job.move(UPLOADED, now)


def find(call: Call, kind: str, job_id: str) -> Job:
    """A job by id in either form; 404 when there is none."""
    for job in jobs_of(call.org).jobs.values():
        if job.kind == kind and job.id[:15] == job_id[:15] and len(job_id) in (15, 18):
            return job
    raise not_found()


def listing(call: Call, kind: str) -> Answer:
    """All jobs of a kind, newest last, by pages of 1,000."""
    start = int(call.query.get("queryLocator", "0")) if call.query.get("queryLocator", "0").isdecimal() else 0
    found = [job for job in jobs_of(call.org).jobs.values() if job.kind == kind]
    page, rest = found[start : start + LIST_PAGE], found[start + LIST_PAGE :]
    more = f"{call.data}/{'/'.join(call.parts)}?queryLocator={start + LIST_PAGE}" if rest else None
    return Answer(200, {"done": not rest, "nextRecordsUrl": more, "records": [job.summary() for job in page]})


def change_state(call: Call, job: Job, allowed: dict[str, Callable[[Call, Job], None]]) -> Answer:
    """PATCH ``{"state": …}``."""
    wanted = str(call.json().get("state"))
    if wanted not in allowed:
        raise wrong_state(f"Invalid job state: {wanted}")
    allowed[wanted](call, job)
    return Answer(200, job.summary())


def abort(call: Call, job: Job) -> None:
    """Stop a job that has not ended; what is done stays done."""
    if job.state in ENDED:
        raise wrong_state(f"Aborting already {'Completed' if job.state == COMPLETE else job.state} Job not allowed")
    job.move(ABORTED, call.org.now_ms())


def remove(call: Call, job: Job) -> Answer:
    """DELETE: a job that is not open and not at work."""
    if job.state in (OPEN, WORKING):
        raise wrong_state(f"Deleting a job in state {job.state} is not allowed")
    del jobs_of(call.org).jobs[job.id]
    return Answer(204)


def formats(body: dict[str, Any]) -> tuple[str, str]:
    """(line ending, column delimiter) of a new job; 400 for what the service does not know."""
    if str(body.get("contentType", "CSV")) != "CSV":
        raise invalid_job(f"Invalid contentType {body['contentType']}")
    ending, delimiter = str(body.get("lineEnding", "LF")), str(body.get("columnDelimiter", "COMMA"))
    if ending not in LINE_ENDINGS:
        raise invalid_job(f"Invalid lineEnding {ending}")
    if delimiter not in DELIMITERS:
        raise invalid_job(f"Invalid columnDelimiter {delimiter}")
    return ending, delimiter


def invalid_job(text: str) -> SfError:
    """400: such a job cannot be made."""
    return SfError(400, "INVALIDJOB", f"InvalidJob : {text}")


def wrong_state(text: str) -> SfError:
    """400: not in the state in which the job is."""
    return SfError(400, "INVALIDJOBSTATE", text)
