"""The plan: one run and what it wants to write, with tabs, filters, differences inline.

What people do with it is in `plan_steps`. The invariant: the page costs a constant number of queries and reads at most
one page of rows, whatever the size of the plan; the counts on its tabs come from one grouped query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Concat
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from mappings.models import FieldMapping, MappingSet
from sync.admin import show
from sync.admin.base import COUNT_LIMIT
from sync.admin.plan_filters import LONGEST, ON_THE_WAY, SENT, PlanFilter
from sync.engine.approve import MOVED
from sync.engine.conflicts import rule_name
from sync.models import Change, ChangeQuerySet, SyncRun
from sync.states import Action, State

PAGE = 100
MOST_REASONS = 12
NAMED = 5
ALWAYS = (Action.CREATE, Action.LINK, Action.UPDATE, Action.SKIP, Action.CONFLICT, Action.BLOCKED)
"""Tabs that stand there also with nothing in them."""
Counts = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Choice:
    """A tab or chip: a count that filters."""

    name: str
    label: str
    count: str
    url: str
    selected: bool
    tone: str = ""


def counts_of(run: SyncRun) -> Counts:
    """How many changes the run has, by action and state."""
    rows = Change.objects.filter(run=run).order_by().values("action", "state").annotate(n=Count("pk"))
    return {(row["action"], row["state"]): row["n"] for row in rows}


def total(counts: Counts, action: str = "", state: str = "") -> int:
    """How many of an action ("": any; or the tab of what was sent) are in a state ("": any but replaced)."""
    found = 0
    for (a, s), n in counts.items():
        fits = s == state if state else s in ON_THE_WAY if action == SENT else s != State.SUPERSEDED
        found += n if fits and action in ("", SENT, a) else 0
    return found


def tabs(counts: Counts, chosen: PlanFilter) -> list[Choice]:
    """Everything, then one tab per action, then what was sent."""
    names = [("", _("All"))]
    order = [*ALWAYS, *(action for action in Action if action not in ALWAYS and total(counts, action))]
    names += [(str(action), str(action.label)) for action in order]
    if total(counts, SENT) or chosen.action == SENT:
        names.append((SENT, _("Approved and sent")))
    return [
        Choice(name, label, show.number(total(counts, name)), chosen.url(action=name, state=""), chosen.action == name)
        for name, label in names
    ]


def chips(counts: Counts, chosen: PlanFilter) -> list[Choice]:
    """The states that occur under the tab."""
    return [
        Choice(
            name, str(label), show.number(total(counts, chosen.action, name)),
            chosen.url(state="" if chosen.state == name else name), chosen.state == name, show.TONES[name],
        )
        for name, label in State.choices
        if total(counts, chosen.action, name) or chosen.state == name
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One change in the table."""

    pk: int
    title: str
    url: str
    source: SafeString | str
    target: SafeString | str
    action: SafeString
    status: SafeString
    difference: SafeString
    amount: str
    reason: str
    rule: str
    score: int | None
    version: str
    moved: bool
    selectable: bool


def _row(change: Change, labels: Mapping[str, str], versions: Mapping[int, MappingSet]) -> Row:
    version = versions.get(change.mapping_set_id or 0)
    return Row(
        pk=change.pk,
        title=change.source_title or change.source_id,
        url=show.page_url(change),
        source=show.outside(change.source_url, change.source_id),
        target=show.outside(change.target_url, change.target_title or change.target_id) if change.target_id else "",
        action=show.action(change),
        status=show.change_status(change),
        difference=show.differences(change, labels),
        amount=show.amount(change.amount, change.currency),
        reason=change.reason_text or change.error_message,
        rule=str(rule_name(change.match_rule)),
        score=change.score if change.match_rule else None,
        version=str(version.version) if version else "",
        moved=change.error_code == MOVED and change.state == State.HELD,
        selectable=change.state == State.HELD,
    )


_APART = "\x1f"


def choices_of(run: SyncRun, labels: Mapping[str, str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """What the filters offer, in one query: reasons (codes of what stopped, why records are left out, rules that
    linked), and the target fields that the run's mapping may change, by label."""
    rows = Change.objects.filter(run=run).order_by()
    stopped = rows.filter(state__in=[State.REVIEW, State.HELD]).exclude(error_code="")
    here = Coalesce(KeyTextTransform(get_language() or "en", "reason"), Value("", TextField()))
    # The key of the filter, and what is read.
    both = Concat(KeyTextTransform("en", "reason"), Value(_APART, TextField()), here, output_field=TextField())
    left_out = rows.filter(state=State.SKIPPED).exclude(reason__en=None).annotate(en=both)
    linked = rows.filter(action=Action.LINK).exclude(state=State.SUPERSEDED).exclude(match_rule="")
    fields = FieldMapping.objects.filter(mapping_set=run.mapping_set_id, scope="header").order_by()
    parts = [
        _kind(stopped, "code", "error_code"), _kind(left_out, "text", "en"), _kind(linked, "rule", "match_rule"),
        _kind(fields, "field", "target_field"),
    ]  # fmt: skip
    found = list(parts[0].union(*parts[1:], all=True))
    said: dict[str, Callable[[str], str]] = {
        "code": code_name,
        "text": lambda text: text.partition(_APART)[2] or text.partition(_APART)[0],
        "rule": lambda rule: _("Found by: %(rule)s") % {"rule": rule_name(rule)},
    }
    reasons = [
        (f"{kind}:{text.partition(_APART)[0]}", f"{said[kind](text)} ({show.number(n)})")
        for kind, text, n in sorted(found, key=lambda row: -row[2])
        if kind in said and text and len(text) < LONGEST - 9
    ]
    names = [(text, labels.get(text) or text) for kind, text, _n in found if kind == "field"]
    return reasons[: 2 * MOST_REASONS], sorted(names, key=lambda row: row[1].casefold())


def _kind(rows: Any, kind: str, column: str) -> Any:
    text = Cast(column, TextField())
    rows = rows.annotate(kind=Value(kind, TextField()), said=text).values_list("kind", "said")
    return rows.annotate(n=Count("pk"))


def code_name(code: str) -> str:
    """What stopped a record, in a few words."""
    names = {
        MOVED: _("Changed after it was approved"),
        "ambiguous": _("Several records fit"),
        "suggested": _("Only a suggestion"),
        "taken": _("Belongs to another record"),
        "claim_taken": _("Belongs to another record"),
        "created_before": _("Created before"),
        "target_gone": _("Its counterpart is gone"),
        "chosen_gone": _("Its counterpart is gone"),
        "both_changed": _("Both sides changed"),
        "locked": _("Locked in the ledger"),
        "no_route": _("No company takes it"),
    }
    return names.get(code) or code.replace("_", " ").capitalize()


def versions_of(run: SyncRun, page: Sequence[Change]) -> dict[int, MappingSet]:
    """The versions of the mapping: all of a plan that waits, to say when a newer one is published; none more than the
    run's own where that is all the page shows."""
    shown = {change.mapping_set_id for change in page} - {None, run.mapping_set_id}
    own = {run.mapping_set.pk: run.mapping_set} if run.mapping_set else {}
    if not shown and run.state != SyncRun.State.HELD:
        return own
    family = MappingSet.objects.filter(integration=run.integration_id, slug=run.flow.slug).order_by()
    return own | {row.pk: row for row in family.only("version", "state")}


def plan_context(request: HttpRequest, run: SyncRun) -> dict[str, Any]:
    """Tabs, filters and one page of rows."""
    chosen = PlanFilter.read(request.GET)
    counts = counts_of(run)
    flow = run.flow
    labels = show.labels_of(run.integration.account(flow.target_side).schemas, flow.target_object)
    reasons, fields = choices_of(run, labels)
    rows = chosen.rows(run)
    page, newer, older = _page(request, rows)
    found = _count(rows) if chosen.fine else total(counts, chosen.action, chosen.state)
    held_here = _held_here(chosen, counts, rows)
    versions = versions_of(run, page)
    held = total(counts, "", State.HELD)
    return {
        "tabs": tabs(counts, chosen),
        "chips": chips(counts, chosen),
        "filter": chosen,
        "said": chosen.said(labels, dict(reasons)),
        "fields": fields,
        "newer_mapping": next((row for row in versions.values() if _newer(run, row)), None),
        "reasons": reasons,
        "currencies": flow.seen_currencies,
        "has_amounts": bool(flow.amount_field or flow.currency_field or chosen.over or chosen.currency)
        or any(change.amount is not None for change in page),
        "rows": [_row(change, labels, versions) for change in page],
        "found": show.number(min(found, COUNT_LIMIT)) + ("+" if found > COUNT_LIMIT else ""),
        "none_at_all": not total(counts),
        "newer_url": newer and chosen.url() + newer,
        "older_url": older and chosen.url() + older,
        "query": chosen.url() if chosen.values else "",
        "held": held,
        "held_text": show.number(held),
        "held_here": held_here if chosen.values and held_here != held else 0,
        "held_here_text": show.number(min(held_here, COUNT_LIMIT)) + ("+" if held_here > COUNT_LIMIT else ""),
        "undecided": total(counts, Action.CONFLICT, State.REVIEW),
        "can_decide": run.state == SyncRun.State.HELD and held > 0,
        "by_state": {name: total(counts, "", name) for name in State.values},
    }


def what_moved(run: SyncRun, by_state: Mapping[str, int]) -> dict[str, Any]:
    """Which records were not written although they were approved, because they moved; and the plan that waits instead.
    At most two queries, none for a plan that waits itself."""
    if run.state in (SyncRun.State.HELD, SyncRun.State.PLANNING):
        return {"waiting_run": None, "moved": []}
    names: list[str] = []
    if run.approved_at is not None and by_state.get(State.SUPERSEDED):
        rows = Change.objects.filter(run=run, state=State.SUPERSEDED, updated_at__gte=run.approved_at)
        found = rows.order_by("pk").values_list("source_title", "source_id")[: NAMED + 1]
        names = [title or key for title, key in found]
        names[NAMED:] = ["…"] if len(names) > NAMED else []
    newer = None
    if names or run.state == SyncRun.State.CANCELLED:
        newer = (
            SyncRun.objects.filter(flow=run.flow_id, state=SyncRun.State.HELD, pk__gt=run.pk).order_by("-pk").first()
        )
    return {"waiting_run": newer, "moved": names}


def _newer(run: SyncRun, mapping: MappingSet) -> bool:
    waits = run.state == SyncRun.State.HELD and run.mapping_set_id is not None
    return waits and mapping.state == "published" and mapping.pk != run.mapping_set_id


def _held_here(chosen: PlanFilter, counts: Counts, rows: ChangeQuerySet) -> int:
    """How many of what is shown wait for approval."""
    if chosen.state not in ("", State.HELD) or chosen.action == SENT:
        return 0
    if chosen.fine:
        return _count(rows.filter(state=State.HELD))
    return total(counts, chosen.action, State.HELD)


def _count(rows: ChangeQuerySet) -> int:
    return rows.order_by()[: COUNT_LIMIT + 1].count()


def _page(request: HttpRequest, rows: ChangeQuerySet) -> tuple[Sequence[Change], str, str]:
    """One page by the id of its first or last row, and what leads to the pages before and after it."""
    rows = rows.defer("payload", "agreed", "candidates", "verifications", "problems", "checks", "edits")
    after, before = _whole(request, "after"), _whole(request, "before")
    if before:
        found = list(rows.filter(pk__lt=before).order_by("-pk")[: PAGE + 1])
        more_before, more_after = len(found) > PAGE, True
        found = found[:PAGE][::-1]
    else:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: PAGE + 1])
        more_before, more_after = after > 0, len(found) > PAGE
        found = found[:PAGE]
    if not found:
        return [], "", ""
    newer = f"&before={found[0].pk}" if more_before else ""
    return found, newer, f"&after={found[-1].pk}" if more_after else ""


def _whole(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def company(run: SyncRun) -> str:
    """Where the changes would be written: system and company."""
    account = run.integration.account(run.flow.target_side)
    return f"{account.get_system_display()}: {account.name or account.remote_id}"
