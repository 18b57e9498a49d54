"""The survey: what is wrong now, read from our own tables each minute, instead of hooks in code that is in a hurry.

The invariant: a constant number of queries, however many organizations, flows and changes there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Case, CharField, Count, Exists, Max, Min, OuterRef, Q, Subquery, Sum, Value, When
from django.urls import reverse
from django.utils import timezone

from integrations.inbox_models import RefusedCall
from integrations.models import ConnectedAccount, Integration
from sync.models import Change, Flow, SyncLogEntry, SyncRun, WorkerHeartbeat
from sync.notices.kinds import SURVEYED
from sync.notices.settle import Finding, settle
from sync.states import LOOK, State

DYING = timedelta(days=7)
"""A sign-in that ends within this time could not be renewed: those that can be are renewed long before."""
WAITED = timedelta(days=1)
"""Held changes are mentioned after this time."""
REFUSED = 10
"""Fewer refused calls a day are strangers knocking."""
WATCHDOG = "watchdog"
SILENT_AFTER = timedelta(minutes=5)


def survey(now: datetime | None = None) -> tuple[int, int]:
    """Bring the notices up to date; returns how many opened and how many healed."""
    now = now or timezone.now()
    return settle(SURVEYED, list(find(now)), now)


def find(now: datetime) -> Iterator[Finding]:
    """Everything that is wrong now, of the kinds that are surveyed."""
    yield from _accounts(now)
    flows = _flows()
    if flows:
        yield from _changes(flows, now)
        yield from _runs(flows)
    yield from _refused()
    silent = WorkerHeartbeat.objects.filter(queue=WATCHDOG, at__lt=now - SILENT_AFTER).first()
    if silent is not None:
        yield Finding("watchdog_silent", WATCHDOG, params={"since": silent.at.isoformat()})


def _accounts(now: datetime) -> Iterator[Finding]:
    used = Integration.objects.exclude(mode=Integration.Mode.OFF).filter(
        Q(crm_account=OuterRef("pk")) | Q(ledger_account=OuterRef("pk"))
    )
    status = ConnectedAccount.Status
    rows = ConnectedAccount.objects.filter(
        Q(status=status.NEEDS_RECONNECT)
        | Q(status=status.CONNECTED, refresh_expires_at__lt=now + DYING)
        | Q(status=status.CONNECTED, paused_until__gt=now),
        Exists(used),
    ).only(
        "organization_id", "system", "name", "remote_id", "status", "status_reason", "refresh_expires_at",
        "paused_until",
    )  # fmt: skip
    for account in rows:
        words = {"account": str(account), "reason": account.status_reason or "–"}
        if account.status == status.NEEDS_RECONNECT:
            kind = "connection_dead"
        elif account.paused_until is not None and account.paused_until > now:
            kind = "account_paused"
        else:
            kind, words["date"] = "connection_dying", (account.refresh_expires_at or now).isoformat()
        url = reverse("admin:integrations_connectedaccount_change", args=[account.pk])
        yield Finding(kind, str(account.pk), account.organization_id, None, words, url)


def _flows() -> dict[int, Any]:
    """Flows of integrations that are not off, with the id of their newest run."""
    newest = SyncRun.objects.filter(flow=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    rows = (
        Flow.objects.exclude(integration__mode=Integration.Mode.OFF)
        .order_by()
        .annotate(newest=Subquery(newest))
        .values(
            "pk",
            "name",
            "enabled",
            "integration_id",
            "integration__organization_id",
            "integration__name",
            "newest",
            "integration__crm_account__system",
            "integration__ledger_account__system",
        )
    )
    return {row["pk"]: row for row in rows}


def _finding(kind: str, flow: dict[str, Any], key: object, params: dict[str, str], url: str) -> Finding:
    words = {"flow": flow["name"], **params}
    return Finding(kind, str(key), flow["integration__organization_id"], flow["integration_id"], words, url)


def _list(**filters: object) -> str:
    return f"{reverse('admin:sync_change_changelist')}?{urlencode(filters)}"


def _changes(flows: dict[int, Any], now: datetime) -> Iterator[Finding]:
    bucket = Case(
        When(state=State.HELD, then=Value("held")),
        When(error_code__startswith="totals_", then=Value("totals")),
        When(error_class="conflict", then=Value("conflict")),
        default=Value("review"),
        output_field=CharField(),
    )
    rows = list(
        Change.objects.filter(flow__in=list(flows), state__in=[State.HELD, State.REVIEW])
        .exclude(decision=LOOK)
        .order_by()
        .annotate(bucket=bucket)
        .values("flow_id", "bucket")
        .annotate(n=Count("pk"), oldest=Min("updated_at"), sample=Max("pk"))
    )
    samples = {
        row["pk"]: row
        for row in Change.objects.filter(pk__in=[row["sample"] for row in rows]).values(
            "pk", "source_title", "source_id", "error_code", "error_class"
        )
    }
    for row in rows:
        flow, sample = flows[row["flow_id"]], samples.get(row["sample"])
        if sample is None:
            continue  # it moved on between the two queries
        params = {"count": str(row["n"]), "record": sample["source_title"] or sample["source_id"]}
        review = _list(flow=row["flow_id"], state=State.REVIEW)
        if row["bucket"] == "held":
            if row["oldest"] < now - WAITED:
                params["date"] = row["oldest"].isoformat()
                url = _list(flow=row["flow_id"], state=State.HELD)
                yield _finding("approval_waiting", flow, row["flow_id"], params, url)
        elif row["bucket"] == "totals":
            yield _finding("guard_totals", flow, row["flow_id"], params, review)
        elif row["bucket"] == "conflict":
            yield _finding("conflicts_waiting", flow, row["flow_id"], params, review)
        else:
            params |= {"code": sample["error_code"], "class": sample["error_class"]}
            yield _finding("failures_waiting", flow, row["flow_id"], params, review)


def _runs(flows: dict[int, Any]) -> Iterator[Finding]:
    """Runs that the brake holds, and flows whose newest run failed."""
    held = Change.objects.filter(flow__in=list(flows), state=State.HELD, run__state=SyncRun.State.HELD)
    braked = SyncLogEntry.objects.filter(run=OuterRef("pk"), event="brake")
    runs = SyncRun.objects.filter(
        Q(pk__in=[row["newest"] for row in flows.values() if row["newest"]], state=SyncRun.State.FAILED)
        | Q(Exists(braked), pk__in=held.values("run_id"), state=SyncRun.State.HELD)
    ).annotate(n=Count("changes", filter=Q(changes__state=State.HELD)))
    for run in runs:
        flow = flows[run.flow_id]
        url = reverse("admin:sync_syncrun_change", args=[run.pk])
        if run.state == SyncRun.State.HELD:
            reasons = {f"reason_{code}": text for code, text in run.hold_reason.items()}
            yield _finding("guard_brake", flow, run.pk, {**reasons, "count": str(run.n)}, url)
        elif flow["enabled"]:
            systems = f"{flow['integration__ledger_account__system']},{flow['integration__crm_account__system']}"
            params = {"systems": systems, "code": run.error_code, "message": run.error_message}
            yield _finding("run_failed", flow, run.flow_id, params, url)


def _refused() -> Iterator[Finding]:
    today = RefusedCall.objects.filter(day=timezone.localdate()).order_by()
    rows = list(today.values("reason", "source").annotate(n=Sum("count")).order_by("-n")[:200])
    total = sum(row["n"] for row in rows)
    if total >= REFUSED:
        params = {"count": str(total), "reason": rows[0]["reason"], "source": rows[0]["source"]}
        url = reverse("admin:integrations_refusedcall_changelist")
        yield Finding("calls_refused", "today", params=params, url=url)
