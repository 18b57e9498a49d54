"""The guided path of one integration, derived from what is in the database: what is done, what is next, and why.

Nothing is remembered about the path itself, so it can be left on one day and gone on with on another, by somebody else.
The invariant: reading it writes nothing and calls no remote, and costs at most four queries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.models import ConnectedAccount, Integration, ReadinessReport
from sync.failures import failure_of, systems_of
from sync.models import Change, Flow, SyncRun
from sync.states import Action, State

DONE, NEXT, LATER = "done", "current", "later"

SHORT: dict[str, Promise] = {
    "organization": gettext_lazy("Organization"),
    "connect": gettext_lazy("Connect"),
    "readiness": gettext_lazy("Readiness"),
    "flows": gettext_lazy("Flows"),
    "plan": gettext_lazy("First plan"),
    "match": gettext_lazy("Match"),
    "approve": gettext_lazy("Approve"),
    "live": gettext_lazy("Live"),
}
"""The stages in their order, in a word each."""

WHY: dict[str, Promise] = {
    "organization": gettext_lazy("Whose systems these are decides who may see and approve."),
    "connect": gettext_lazy("Ledgerbridge works as a service account of its own on both sides."),
    "readiness": gettext_lazy("What is missing in the company shows now, not when the first invoice is refused."),
    "flows": gettext_lazy("A flow keeps one kind of record in step. Start with customers: all else refers to them."),
    "plan": gettext_lazy("Both sides are read and compared. Nothing is written."),
    "match": gettext_lazy("Records that exist on both sides are linked instead of made twice."),
    "approve": gettext_lazy("A person has seen what will be written, before anything is."),
    "live": gettext_lazy("From then on approved changes are delivered, and the flow keeps both sides in step."),
}


@dataclass(slots=True)
class Stage:
    """One stage: its state, what it says, and where to do it."""

    key: str
    state: str = LATER
    text: str = ""
    url: str = ""
    button: str = ""
    trouble: bool = False

    @property
    def name(self) -> str:
        """In a word."""
        return str(SHORT[self.key])

    @property
    def why(self) -> str:
        """What it is good for."""
        return str(WHY[self.key])

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.state == DONE


@dataclass(slots=True)
class Path:
    """All stages of one integration, or of one that does not exist yet."""

    stages: list[Stage]
    integration: Integration | None = None
    run: SyncRun | None = None
    held: int = 0
    running: bool = False
    flows: list[Flow] = field(default_factory=list)

    @property
    def current(self) -> Stage | None:
        """The stage that is next; None when all are done."""
        return next((stage for stage in self.stages if stage.state == NEXT), None)

    @property
    def finished(self) -> bool:
        """Whether all is done."""
        return self.current is None

    @property
    def ready_to_go(self) -> bool:
        """Whether only the approval and going live are left."""
        return self.current is not None and self.current.key in ("approve", "live")


def begin(organization: Any = None) -> Path:
    """The path of an integration that does not exist yet, for `organization` if there is one."""
    stages = [Stage(key) for key in SHORT]
    first, second = stages[:2]
    if organization is not None:
        first.state, first.text = DONE, str(organization)
        second.state, second.button = NEXT, _("Connect both sides")
        second.url = reverse("admin:integrations_connect_organization", args=[organization.pk])
    else:
        first.state, first.url, first.button = NEXT, reverse("admin:path"), _("Choose the organization")
    return Path(stages)


def path_of(integration: Integration) -> Path:
    """How far this integration has come. It comes with its organization and accounts."""
    flows = list(Flow.objects.filter(integration=integration).order_by("position", "pk"))
    enabled = [flow for flow in flows if flow.enabled]
    run = _first_run(enabled)
    counts = _counts(run)
    path = Path([], integration, run, counts.get("held", 0), flows=flows)
    path.stages = [
        Stage("organization", DONE, str(integration.organization)),
        _connect(integration),
        _readiness(integration),
        _flows(integration, flows, enabled),
        _plan(integration, enabled, run, path),
        _match(run, counts),
        _approve(enabled, run, path),
        _live(integration, enabled),
    ]
    for stage in path.stages:
        if not stage.done:
            stage.state = NEXT
            break
    return path


def _first_run(enabled: list[Flow]) -> SyncRun | None:
    """The plan that the path is about: the newest that waits, else the first that was approved, else the newest."""
    if not enabled:
        return None
    runs = SyncRun.objects.filter(flow__in=enabled).select_related("flow")
    waiting = runs.filter(state=SyncRun.State.HELD).order_by("flow__position", "-pk").first()
    if waiting is None and any(flow.first_run_approved_at for flow in enabled):
        waiting = runs.filter(approved_at__isnull=False).order_by("pk").first()
    return waiting or runs.exclude(state=SyncRun.State.CANCELLED).order_by("-pk").first()


def _counts(run: SyncRun | None) -> dict[str, int]:
    if run is None:
        return {}
    found: dict[str, int] = {}
    rows = Change.objects.filter(run=run).order_by().values("action", "state").annotate(n=Count("pk"))
    for row in rows:
        found[row["action"]] = found.get(row["action"], 0) + row["n"]
        if row["state"] == State.HELD:
            found["held"] = found.get("held", 0) + row["n"]
        if row["action"] == Action.CONFLICT and row["state"] == State.REVIEW:
            found["open"] = found.get("open", 0) + row["n"]
    return found


def _connect(integration: Integration) -> Stage:
    accounts = (integration.crm_account, integration.ledger_account)
    lost = [account for account in accounts if account.status != ConnectedAccount.Status.CONNECTED]
    if not lost:
        return Stage("connect", DONE, " → ".join(str(account) for account in accounts))
    page = reverse("admin:integrations_connectedaccount_change", args=[lost[0].pk])
    text = _("%(account)s: %(status)s.") % {"account": lost[0], "status": lost[0].get_status_display()}
    return Stage("connect", LATER, text, page, _("Reconnect"), trouble=True)


def _readiness(integration: Integration) -> Stage:
    report: ReadinessReport | None = getattr(integration, "readiness_report", None)
    url = reverse("admin:integrations_integration_readiness", args=[integration.pk])
    if report is None or report.checked_at is None:
        running = report is not None and report.running
        text = _("Being checked now.") if running else _("Not checked yet.")
        return Stage("readiness", LATER, text, url, _("Check readiness"))
    if report.errors:
        text = ngettext("%(n)s line is red.", "%(n)s lines are red.", report.errors) % {"n": report.errors}
        return Stage("readiness", LATER, text, url, _("See how to mend it"), trouble=True)
    text = _("Ready.")
    if report.warnings:
        text = ngettext("Ready, with %(n)s warning.", "Ready, with %(n)s warnings.", report.warnings)
        text = text % {"n": report.warnings}
    return Stage("readiness", DONE, text, url)


def _flows(integration: Integration, flows: list[Flow], enabled: list[Flow]) -> Stage:
    url = reverse("admin:sync_flow_choose", args=[integration.pk])
    if enabled:
        names = ", ".join(flow.title for flow in enabled[:3]) + (" …" if len(enabled) > 3 else "")
        return Stage("flows", DONE, _("On: %(names)s") % {"names": names}, url)
    text = _("None is switched on.") if flows else _("None is set up yet.")
    return Stage("flows", LATER, text, url, _("Choose flows"))


def _plan(integration: Integration, enabled: list[Flow], run: SyncRun | None, path: Path) -> Stage:
    if not enabled:
        return Stage("plan")
    if run is None:
        path.running = True
        return Stage("plan", LATER, _("It starts in a moment. This page goes on by itself."))
    url = _page("sync_syncrun_change", run.pk)
    if run.state == SyncRun.State.PLANNING:
        path.running = True
        text = _("Being made: %(n)s records read.") % {"n": run.seen}
        return Stage("plan", LATER, text, url, _("Watch the plan"))
    if run.state == SyncRun.State.FAILED:
        failure = failure_of(run, systems_of(integration))
        text = f"{failure.cause} {failure.remedy}".strip() if failure else ""
        return Stage("plan", LATER, text, url, _("See what failed"), trouble=True)
    return Stage("plan", DONE, _("%(n)s records read.") % {"n": run.seen}, url)


def _match(run: SyncRun | None, counts: dict[str, int]) -> Stage:
    if run is None or run.state == SyncRun.State.PLANNING:
        return Stage("match")
    url = _page("match", run.pk)
    still = counts.get("open", 0)
    if still and not run.flow.first_run_approved_at:
        text = ngettext(
            "%(n)s record may exist on the other side already.", "%(n)s records may exist on the other side already.",
            still,
        )  # fmt: skip
        return Stage("match", LATER, text % {"n": still}, url, _("Decide what belongs together"))
    text = _("%(linked)s linked, %(created)s new.") % {
        "linked": counts.get(Action.LINK, 0), "created": counts.get(Action.CREATE, 0),
    }  # fmt: skip
    return Stage("match", DONE, text, url)


def _approve(enabled: list[Flow], run: SyncRun | None, path: Path) -> Stage:
    approved = [flow for flow in enabled if not flow.first_run_pending]
    if any(flow.first_run_approved_at for flow in approved):
        return Stage(
            "approve", DONE, _("The first plan was approved."), _page("sync_syncrun_change", run.pk) if run else ""
        )
    if run is None:
        return Stage("approve")
    if run.state == SyncRun.State.DONE and not path.held:
        return Stage("approve", DONE, _("There was nothing to approve: both sides agree already."))
    text = ngettext("%(n)s change waits for approval.", "%(n)s changes wait for approval.", path.held)
    url = _page("sync_syncrun_change", run.pk)
    return Stage("approve", LATER, text % {"n": path.held}, url, _("Read the plan"))


def _live(integration: Integration, enabled: list[Flow]) -> Stage:
    if integration.mode == Integration.Mode.LIVE and enabled:
        return Stage("live", DONE, _("Approved changes are delivered."))
    return Stage(
        "live", LATER, _("Only observing: nothing is delivered."), _page("path_live", integration.pk), _("Go live")
    )


def _page(name: str, pk: object) -> str:
    try:
        return reverse(f"admin:{name}", args=[pk])
    except NoReverseMatch:
        return ""
