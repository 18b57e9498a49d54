"""What the match wizard shows: buckets with their counts, and one page of records with their candidates side by side.

The invariant: two grouped queries for all counts, one query per page of rows, and every candidate's score comes with
the comparisons that it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from sync.admin import show
from sync.admin.discreet import discreet, hidden
from sync.engine.again import MATCHED
from sync.engine.conflicts import rule_name
from sync.models import Change, ChangeQuerySet, Flow, MatchDecision
from sync.repair import UNDECIDED
from sync.states import Action, State

PAGE = 50
CERTAIN, SUGGESTED, AMBIGUOUS, NONE = "certain", "suggested", "ambiguous", "none"
DECIDED, IGNORED = "decided", "ignored"
BUCKETS = (SUGGESTED, AMBIGUOUS, NONE, CERTAIN, DECIDED, IGNORED)
DOUBTFUL = tuple(code for code in UNDECIDED if code != "suggested")


def label_of(bucket: str) -> str:
    """The tab's name."""
    return {
        CERTAIN: _("Certain"), SUGGESTED: _("Suggested"), AMBIGUOUS: _("Ambiguous"), NONE: _("No counterpart"),
        DECIDED: _("Decided by people"), IGNORED: _("Left out"),
    }[bucket]  # fmt: skip


def what_it_means(bucket: str) -> str:
    """What is in the bucket and what to do with it."""
    return {
        CERTAIN: _(
            "A rule found exactly one counterpart. They are linked when you approve the plan. Look at low scores."
        ),
        SUGGESTED: _("They may be the same. Accept what is, reject what is not; nothing is linked before you do."),
        AMBIGUOUS: _("Several records fit, or the one that fits is taken. Choose one, or let a new one be created."),
        NONE: _(
            "Nothing like it was found. A new record is created when you approve the plan, unless you know better."
        ),
        DECIDED: _("What people said. Take it back, and the record is matched again."),
        IGNORED: _("These records are never planned until somebody takes that back."),
    }[bucket]


def rows_of(flow: Flow, bucket: str, q: str = "", least: int = 0) -> ChangeQuerySet:
    """The open changes of a bucket, those that look most alike first in suggestions."""
    rows: ChangeQuerySet = Change.objects.filter(flow=flow)
    if bucket == CERTAIN:
        rows = rows.filter(state=State.HELD, action=Action.LINK)
    elif bucket == NONE:
        rows = rows.filter(state=State.HELD, action=Action.CREATE)
    else:
        codes = ["suggested"] if bucket == SUGGESTED else list(DOUBTFUL)
        rows = rows.filter(state=State.REVIEW, action=Action.CONFLICT, error_code__in=codes)
    if q:
        rows = rows.filter(Q(source_title__icontains=q) | Q(source_id=q) | Q(target_title__icontains=q))
    return rows.filter(score__gte=least) if least else rows


def decisions_of(flow: Flow, bucket: str, q: str = "") -> Any:
    """The decisions in force of a bucket, newest first."""
    rows = MatchDecision.objects.in_force().filter(flow=flow).select_related("by").order_by("-pk")
    ignored = rows.filter(kind="ignore") if bucket == IGNORED else rows.exclude(kind="ignore")
    return (
        ignored.filter(Q(source_title__icontains=q) | Q(source_id=q) | Q(target_title__icontains=q)) if q else ignored
    )


def counts_of(flow: Flow) -> dict[str, int]:
    """How many records are in each bucket, and under "again" how many are being planned: two queries."""
    found = dict.fromkeys((*BUCKETS, "again"), 0)
    rows = Change.objects.filter(flow=flow, state__in=[State.HELD, State.REVIEW, State.RETRYING]).order_by()
    for row in rows.values("action", "state", "error_code", "decision").annotate(n=Count("pk")):
        if row["state"] == State.RETRYING:
            bucket = "again" if row["decision"] == MATCHED else ""
        elif row["state"] == State.HELD:
            bucket = {Action.LINK: CERTAIN, Action.CREATE: NONE}.get(row["action"], "")
        else:
            code = row["error_code"] if row["action"] == Action.CONFLICT else ""
            bucket = SUGGESTED if code == "suggested" else AMBIGUOUS if code in DOUBTFUL else ""
        if bucket:
            found[bucket] += row["n"]
    for kind, n in (
        MatchDecision.objects.in_force().filter(flow=flow).order_by().values_list("kind").annotate(n=Count("pk"))
    ):
        found[IGNORED if kind == "ignore" else DECIDED] += n
    return found


@dataclass(frozen=True, slots=True)
class Bucket:
    """One tab."""

    name: str
    label: str
    count: str
    url: str
    selected: bool


def tabs(counts: Mapping[str, int], bucket: str) -> list[Bucket]:
    """All buckets with their counts."""
    return [
        Bucket(name, label_of(name), show.number(counts[name]), f"?{urlencode({'bucket': name})}", name == bucket)
        for name in BUCKETS
    ]


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the side-by-side."""

    label: str
    ours: str
    theirs: str
    points: int
    of: int

    @property
    def agrees(self) -> bool:
        """Whether all points were reached."""
        return self.points == self.of


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible counterpart."""

    id: str
    title: str
    link: SafeString
    score: int | None
    parts: list[Compared]
    more: list[tuple[str, str]]
    best: bool


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the flow's source with what is known about its match."""

    pk: int
    title: str
    url: str
    number: SafeString
    source_id: str
    reason: str
    rule: str
    score: int | None
    target: SafeString | str
    target_id: str
    difference: SafeString
    candidates: list[Candidate]
    may_create: bool


def record(change: Change, labels: Mapping[str, str]) -> Record:
    """The row of one change."""
    candidates = [_candidate(row, labels, best=place == 0) for place, row in enumerate(change.candidates)]
    return Record(
        pk=change.pk,
        title=change.source_title or change.source_id,
        url=show.page_url(change),
        number=show.outside(change.source_url, change.source_id),
        source_id=change.source_id,
        reason=change.reason_text or change.error_text,
        rule=str(rule_name(change.match_rule)),
        score=change.score,
        target=show.outside(change.target_url, change.target_title or change.target_id) if change.target_id else "",
        target_id=change.target_id,
        difference=show.differences(change, labels),
        candidates=candidates if change.state == State.REVIEW else [],
        may_create=change.state == State.REVIEW
        and change.error_code in ("suggested", "ambiguous", "taken", "chosen_gone"),
    )


def _candidate(row: Mapping[str, Any], labels: Mapping[str, str], *, best: bool) -> Candidate:
    title = str(row.get("title") or row.get("id", ""))
    parts = [
        Compared(labels.get(part["field"]) or part["field"], *_beside(part), part["points"], part["of"])
        for part in row.get("parts", ())
    ]
    shown = {part["field"] for part in row.get("parts", ())}
    more = [
        (labels.get(name) or name, discreet(str(text), name)) for name, text in sorted(row.get("fields", {}).items())
    ]
    more = [pair for pair in more if pair[0] not in {labels.get(name) or name for name in shown}][:12]
    link = show.outside(str(row.get("url") or ""), title)
    return Candidate(str(row.get("id", "")), title, link, row.get("score"), parts, more, best)


def _beside(part: Mapping[str, Any]) -> tuple[str, str]:
    """Both values of what was compared; the second says so when they only look the same."""
    field, ours, theirs = part["field"], part["ours"], part["theirs"]
    note, shown = hidden(ours, theirs, field), discreet(theirs, field)
    return discreet(ours, field), f"{shown} ({note})" if note else shown


def best_of(change: Change) -> Mapping[str, Any] | None:
    """The one candidate that is clearly the most alike; None where two are equally so, or none was compared."""
    scored = sorted(change.candidates, key=lambda row: -(row.get("score") or 0))
    if not scored or scored[0].get("score") is None:
        return None
    if len(scored) > 1 and (scored[1].get("score") or 0) >= scored[0]["score"]:
        return None
    return scored[0]  # type: ignore[no-any-return]
