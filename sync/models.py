"""Flows, runs, changes, links and their log: the truth about all work (the queue is only a doorbell).

This room knows mappings and connectors, and no vendor by name. Invariants kept by constraints here: one open change
per flow and source record; one link per record and side; a remote reference exists once.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.errors import ErrorClass
from integrations.models import Integration
from mappings.models import MappingSet
from mappings.models.mapping_set import Side
from sync.states import OPEN, Action, State
from sync.texts import in_this_language

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class ScopedQuerySet(models.QuerySet):  # type: ignore[type-arg]
    """Rows that carry an `integration`, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(integration__organization__memberships__user_id=user.pk) if user.pk else self.none()


class FlowQuerySet(ScopedQuerySet):
    """Flows, in the words of the scheduler."""

    def startable(self) -> Self:
        """Switched on, in an integration that is not off, with both accounts connected."""
        return self.filter(
            enabled=True,
            integration__mode__in=[Integration.Mode.OBSERVE, Integration.Mode.LIVE],
            integration__crm_account__status="connected",
            integration__ledger_account__status="connected",
        )


class Flow(models.Model):
    """One kind of sync inside an integration: what it reads, what it writes, when, and who must approve."""

    class Approval(models.TextChoices):
        FIRST_RUN = "first_run", _("First run by hand, then automatic")
        AUTOMATIC = "automatic", _("Automatic")
        ALWAYS = "always", _("Always by hand")

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="flows", verbose_name=_("integration"))
    slug = models.SlugField(_("kind"), help_text=_("Names the mapping set that this flow uses."))
    name = models.CharField(_("name"), max_length=200)
    position = models.PositiveSmallIntegerField(_("order"), default=0, help_text=_("Flows run in this order."))
    source_side = models.CharField(_("source side"), max_length=10, choices=Side.choices)
    source_object = models.CharField(_("source object"), max_length=50)
    target_side = models.CharField(_("target side"), max_length=10, choices=Side.choices)
    target_object = models.CharField(_("target object"), max_length=50)

    enabled = models.BooleanField(
        _("on"), default=False, help_text=_("Off: nothing new is planned, and queued changes are held, not lost.")
    )
    every_minutes = models.PositiveIntegerField(_("every (minutes)"), default=30)
    approval = models.CharField(_("approval"), max_length=20, choices=Approval.choices, default=Approval.FIRST_RUN)
    first_run_approved_at = models.DateTimeField(_("first run approved"), null=True, blank=True, editable=False)
    may_create = models.BooleanField(_("may create"), default=True)
    may_update = models.BooleanField(_("may update"), default=True)
    filter_expression = models.TextField(
        _("filter"), blank=True, help_text=_("Only records for which this expression is true. Empty: all.")
    )
    amount_field = models.CharField(_("amount field"), max_length=100, blank=True, editable=False)
    currency_field = models.CharField(_("currency field"), max_length=100, blank=True, editable=False)
    brake_amount = models.DecimalField(
        _("brake: amount"), max_digits=14, decimal_places=2, null=True, blank=True,
        help_text=_("A single change over this amount waits for approval. Empty: no limit."),
    )  # fmt: skip
    seen_currencies = models.JSONField(_("currencies seen"), default=list, blank=True, editable=False)
    setup = models.JSONField(_("what must exist at the target"), default=dict, blank=True, editable=False)
    prepared_at = models.DateTimeField(_("set-up done"), null=True, blank=True, editable=False)

    cursor = models.CharField(_("cursor"), max_length=200, blank=True, editable=False)
    cursor_at = models.DateTimeField(_("cursor moved"), null=True, blank=True, editable=False)
    next_run_at = models.DateTimeField(_("next run"), null=True, blank=True)
    run_requested = models.CharField(_("requested run"), max_length=20, blank=True, editable=False)
    last_success_at = models.DateTimeField(_("last success"), null=True, blank=True, editable=False)

    objects = FlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        ordering = ["integration__organization__name", "integration__name", "position", "pk"]
        permissions = [("run_flow", _("Can plan and run flows")), ("approve_flow", _("Can approve planned changes"))]
        constraints = [
            models.UniqueConstraint(fields=["integration", "slug"], name="flow_once_per_integration"),
            models.CheckConstraint(condition=~Q(source_side=models.F("target_side")), name="flow_crosses_sides"),
            models.CheckConstraint(condition=Q(every_minutes__gte=1), name="flow_every_minutes"),
            models.CheckConstraint(
                condition=Q(approval__in=["first_run", "automatic", "always"]), name="flow_approval_known"
            ),
        ]
        indexes = [models.Index(fields=["next_run_at"], condition=Q(enabled=True), name="flow_due")]

    def __str__(self) -> str:
        return self.name

    @property
    def first_run_pending(self) -> bool:
        """Whether a person must still approve the first run (Q-01)."""
        return self.approval == self.Approval.FIRST_RUN and self.first_run_approved_at is None

    def mapping_set(self) -> MappingSet:
        """The published mapping; raises `MappingSet.DoesNotExist`."""
        return MappingSet.objects.published(self.integration, self.slug)

    def clean(self) -> None:
        """Refuse a filter expression that cannot work, with the reason."""
        from sync.flows import check_filter

        if self.filter_expression and (problem := check_filter(self)):
            raise ValidationError({"filter_expression": problem})


class FlowPass(models.Model):
    """A further look at a named subset of a flow's source on its own schedule: what delta reading cannot see, such as
    an invoice that became overdue without changing (RB12)."""

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="passes", verbose_name=_("flow"))
    subset = models.CharField(_("subset"), max_length=50)
    name = models.CharField(_("name"), max_length=200)
    every_minutes = models.PositiveIntegerField(_("every (minutes)"), default=1440)
    next_run_at = models.DateTimeField(_("next run"), null=True, blank=True)

    class Meta:
        verbose_name = _("pass")
        verbose_name_plural = _("passes")
        constraints = [
            models.UniqueConstraint(fields=["flow", "subset"], name="flow_pass_once"),
            models.CheckConstraint(condition=Q(every_minutes__gte=1), name="flow_pass_every_minutes"),
        ]

    def __str__(self) -> str:
        return f"{self.flow} · {self.name}"


class EntityLink(models.Model):
    """The binding of two remote records: the authority on "these two are the same".

    `agreed_*` hold, per field, what each remote last *returned* (normalised by it): the third leg of the compare and
    the reason why our own echo is silent. `*_fingerprint` are hashes of the mapped source fields when that side was
    last the source; `*_version` the hash of the record as a list showed it.
    """

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="links", verbose_name=_("integration"))
    crm_object = models.CharField(_("CRM object"), max_length=50)
    crm_id = models.CharField(_("CRM id"), max_length=100)
    ledger_object = models.CharField(_("ledger object"), max_length=50)
    ledger_id = models.CharField(_("ledger id"), max_length=100)
    title = models.CharField(_("name"), max_length=300, blank=True)
    agreed_crm = models.JSONField(_("agreed CRM values"), default=dict, blank=True)
    agreed_ledger = models.JSONField(_("agreed ledger values"), default=dict, blank=True)
    sent_crm = models.JSONField(default=dict, blank=True, help_text=_("Where it differs from what was returned."))
    sent_ledger = models.JSONField(default=dict, blank=True, help_text=_("Where it differs from what was returned."))
    crm_fingerprint = models.CharField(max_length=64, blank=True)
    ledger_fingerprint = models.CharField(max_length=64, blank=True)
    crm_version = models.CharField(max_length=64, blank=True)
    ledger_version = models.CharField(max_length=64, blank=True)
    line_ids = models.JSONField(_("line ids"), default=dict, blank=True)
    crm_url = models.CharField(max_length=300, blank=True)
    ledger_url = models.CharField(max_length=300, blank=True)
    linked_by = models.CharField(_("linked by"), max_length=200, blank=True)
    frozen_reason = models.CharField(_("frozen because"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("linked"), default=timezone.now)
    synced_at = models.DateTimeField(_("last synced"), null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "crm_object", "crm_id", "ledger_object"], name="link_once_per_crm_record"
            ),
            models.UniqueConstraint(
                fields=["integration", "ledger_object", "ledger_id", "crm_object"], name="link_once_per_ledger_record"
            ),
            models.CheckConstraint(condition=~Q(crm_id="") & ~Q(ledger_id=""), name="link_has_both_ids"),
        ]

    def __str__(self) -> str:
        return (
            f"{self.title or self.ledger_id} ({self.crm_object} {self.crm_id} ↔ {self.ledger_object} {self.ledger_id})"
        )


class SyncRun(models.Model):
    """One execution of a flow: what started it, what it saw, and how far the cursor moved."""

    class Kind(models.TextChoices):
        SCHEDULE = "schedule", _("Schedule")
        MANUAL = "manual", _("By hand")
        COMMAND = "command", _("Command")
        SUBSET = "subset", _("Pass")
        EVENT = "event", _("Event")
        REPLAY = "replay", _("Retry")
        DEPENDENCY = "dependency", _("Needed by another record")

    class State(models.TextChoices):
        PLANNING = "planning", _("Planning")
        HELD = "held", _("Waiting for approval")
        DELIVERING = "delivering", _("Delivering")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    ACTIVE = ("planning", "delivering")

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="runs", verbose_name=_("flow"))
    integration = models.ForeignKey(Integration, models.CASCADE, related_name="runs", verbose_name=_("integration"))
    correlation_id = models.UUIDField(_("correlation id"), default=uuid.uuid4, unique=True, editable=False)
    trigger = models.CharField(_("started by"), max_length=20, choices=Kind.choices)
    state = models.CharField(_("state"), max_length=20, choices=State.choices, default=State.PLANNING)
    full = models.BooleanField(_("everything"), default=False)
    dry_run = models.BooleanField(_("plan only"), default=False)
    subset = models.CharField(_("subset"), max_length=50, blank=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("person"))
    mapping_set = models.ForeignKey(MappingSet, models.PROTECT, null=True, verbose_name=_("mapping version"))
    cursor_from = models.CharField(_("cursor from"), max_length=200, blank=True)
    cursor_to = models.CharField(_("cursor to"), max_length=200, blank=True)
    resume = models.TextField(_("continue at"), blank=True)
    total = models.PositiveIntegerField(_("records to read"), null=True)
    seen = models.PositiveIntegerField(_("records read"), default=0)
    unchanged = models.PositiveIntegerField(_("unchanged"), default=0)
    counts = models.JSONField(_("planned"), default=dict, blank=True)
    api_calls = models.JSONField(_("API calls"), default=dict, blank=True)
    hold_reason = models.JSONField(_("held because"), default=dict, blank=True, help_text=_("Per language."))
    error_class = models.CharField(_("error class"), max_length=30, blank=True, choices=ErrorClass.choices)
    error_code = models.CharField(_("error code"), max_length=100, blank=True)
    error_message = models.TextField(_("error"), blank=True)
    failures = models.PositiveSmallIntegerField(_("failures in a row"), default=0)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+",
        verbose_name=_("approved by"),
    )  # fmt: skip
    approved_at = models.DateTimeField(_("approved"), null=True, blank=True)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    heartbeat_at = models.DateTimeField(_("last sign of life"), default=timezone.now)
    due_at = models.DateTimeField(_("continues"), default=timezone.now)
    planned_at = models.DateTimeField(_("planned"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-pk"]
        constraints = [
            # Together with the flow's process lock: one planning run per flow.
            models.UniqueConstraint(fields=["flow"], condition=Q(state="planning"), name="run_one_planning_per_flow"),
            models.CheckConstraint(
                condition=Q(state__in=["planning", "held", "delivering", "done", "failed", "cancelled"]),
                name="run_state_known",
            ),
        ]
        indexes = [
            models.Index(fields=["flow", "-id"], name="run_by_flow"),
            models.Index(fields=["due_at"], condition=Q(state__in=["planning", "delivering"]), name="run_active"),
        ]

    def __str__(self) -> str:
        return f"{self.flow} #{self.pk}"

    @property
    def hold_text(self) -> str:
        """Why it waits, in the reader's language."""
        return in_this_language(self.hold_reason)

    @property
    def duration(self) -> timedelta:
        """How long it took, or has been going on."""
        return (self.finished_at or timezone.now()) - self.started_at


class ChangeQuerySet(ScopedQuerySet):
    """Changes, in the words of support."""

    def open(self) -> Self:
        """Those that still want something."""
        return self.filter(state__in=OPEN)

    def deliverable(self) -> Self:
        """Queued and due, in flows that are on, with both accounts connected."""
        return self.filter(
            state=State.QUEUED,
            due_at__lte=timezone.now(),
            flow__enabled=True,
            integration__mode=Integration.Mode.LIVE,
            integration__crm_account__status="connected",
            integration__ledger_account__status="connected",
        )

    def needing_person(self) -> Self:
        """Those in review."""
        return self.filter(state=State.REVIEW)


class Change(models.Model):
    """One intended write to one remote record, from plan to outcome."""

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="changes", verbose_name=_("integration"))
    flow = models.ForeignKey(Flow, models.CASCADE, related_name="changes", verbose_name=_("flow"))
    run = models.ForeignKey(SyncRun, models.SET_NULL, null=True, related_name="changes", verbose_name=_("run"))
    mapping_set = models.ForeignKey(MappingSet, models.PROTECT, null=True, verbose_name=_("mapping version"))
    action = models.CharField(_("action"), max_length=10, choices=Action.choices)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.PLANNED)
    source_id = models.CharField(_("source id"), max_length=100)
    source_title = models.CharField(_("record"), max_length=300, blank=True)
    source_url = models.CharField(max_length=300, blank=True)
    target_id = models.CharField(_("target id"), max_length=100, blank=True)
    target_title = models.CharField(_("target"), max_length=300, blank=True)
    target_url = models.CharField(max_length=300, blank=True)
    diff = models.JSONField(_("difference"), default=list, blank=True)
    payload = models.JSONField(_("payload"), default=dict, blank=True)
    agreed = models.JSONField(default=dict, blank=True)
    reason = models.JSONField(_("reason"), default=dict, blank=True, help_text=_("Per language."))
    match_rule = models.CharField(_("matched by"), max_length=200, blank=True)
    claim = models.CharField(
        _("identity"),
        max_length=120,
        blank=True,
        help_text=_("The legal identity that the record claims, such as its organisation number."),
    )
    candidates = models.JSONField(_("candidates"), default=list, blank=True)
    decision = models.CharField(
        _("decision"), max_length=10, blank=True, choices=[("create", _("Create a new record"))],
        help_text=_("What a person decided about a conflict; the next plan follows it."),
    )  # fmt: skip
    source_fingerprint = models.CharField(max_length=64, blank=True)
    source_version = models.CharField(max_length=64, blank=True)
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2, null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)

    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    replan = models.BooleanField(_("plan again first"), default=False)
    lane = models.CharField(_("lane"), max_length=12, default="bulk")
    generation = models.PositiveSmallIntegerField(_("generation"), default=1)
    remote_reference = models.CharField(_("remote reference"), max_length=80, blank=True)
    fence = models.PositiveIntegerField(default=0, editable=False)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    settle_until = models.DateTimeField(_("verified after"), null=True, blank=True)
    verifications = models.JSONField(_("verifications"), default=list, blank=True)
    stale = models.BooleanField(_("source changed meanwhile"), default=False)
    waits_for = models.CharField(_("waits for"), max_length=200, blank=True)

    problems = models.JSONField(_("failed checks"), default=list, blank=True)
    error_class = models.CharField(_("error class"), max_length=30, blank=True, choices=ErrorClass.choices)
    error_code = models.CharField(_("error code"), max_length=100, blank=True)
    error_message = models.TextField(_("error"), blank=True)
    error_field = models.CharField(_("field"), max_length=200, blank=True)
    error_value = models.CharField(_("value"), max_length=500, blank=True)
    error_fingerprint = models.CharField(max_length=64, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+",
        verbose_name=_("approved by"),
    )  # fmt: skip
    approved_at = models.DateTimeField(_("approved"), null=True, blank=True)
    dismissed_reason = models.CharField(_("dismissed because"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("planned at"), default=timezone.now)
    updated_at = models.DateTimeField(_("last moved"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = ChangeQuerySet.as_manager()

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        ordering = ["-pk"]
        permissions = [
            ("retry_change", _("Can retry failed changes")),
            ("dismiss_change", _("Can dismiss changes")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "source_id"], condition=Q(state__in=[str(s) for s in OPEN]),
                name="change_one_open_per_record",
            ),
            models.UniqueConstraint(
                fields=["remote_reference"],
                condition=~Q(remote_reference="") & ~Q(state__in=["superseded", "dismissed"]),
                name="change_reference_once",
            ),
            models.CheckConstraint(condition=Q(state__in=State.values), name="change_state_known"),
            models.CheckConstraint(condition=Q(action__in=Action.values), name="change_action_known"),
            # What was dismissed has a person's reason; nothing that failed is forgotten.
            models.CheckConstraint(
                condition=~Q(state="dismissed") | ~Q(dismissed_reason=""), name="change_dismissed_with_reason"
            ),
            models.CheckConstraint(
                condition=~Q(state="review") | ~Q(error_class=""), name="change_review_is_classified"
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["integration", "due_at"], condition=Q(state="queued"), name="change_queued"),
            models.Index(fields=["due_at"], condition=Q(state="retrying"), name="change_retrying"),
            models.Index(
                fields=["settle_until"], condition=Q(state__in=["sending", "unknown"]), name="change_in_flight"
            ),
            models.Index(fields=["flow", "state"], name="change_flow_state"),
            models.Index(fields=["run", "state", "action"], name="change_by_run"),
            models.Index(fields=["flow", "source_id", "-id"], name="change_by_source"),
            models.Index(
                fields=["flow", "claim"],
                condition=Q(state__in=[str(s) for s in OPEN]) & ~Q(claim=""),
                name="change_claim",
            ),
            models.Index(
                fields=["flow", "target_id"],
                condition=Q(state__in=[str(s) for s in OPEN]) & ~Q(target_id=""),
                name="change_target_claim",
            ),
            models.Index(fields=["error_fingerprint"], condition=Q(state="review"), name="change_review_group"),
            models.Index(fields=["waits_for"], condition=~Q(waits_for=""), name="change_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.source_title or self.source_id}"

    @property
    def reason_text(self) -> str:
        """Why, in the reader's language."""
        return in_this_language(self.reason)


class SyncLogEntry(models.Model):
    """Append-only: what happened to a run or change, when, by whom, with a redacted exchange where there was one."""

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="log", verbose_name=_("integration"))
    run = models.ForeignKey(SyncRun, models.SET_NULL, null=True, related_name="log", verbose_name=_("run"))
    change = models.ForeignKey(Change, models.SET_NULL, null=True, related_name="log", verbose_name=_("change"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, verbose_name=_("person"))
    at = models.DateTimeField(_("time"), default=timezone.now)
    event = models.CharField(_("event"), max_length=60)
    message = models.TextField(_("message"), blank=True)
    exchange = models.JSONField(_("exchange"), null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("log entry")
        verbose_name_plural = _("log")
        ordering = ["-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.event}"


class WorkerHeartbeat(models.Model):
    """The last sign of life of each queue's workers, read by the watchdog and the supervisor."""

    queue = models.CharField(_("queue"), max_length=20, unique=True)
    at = models.DateTimeField(_("last sign of life"), default=timezone.now)
    host = models.CharField(_("host"), max_length=100, blank=True)
    pid = models.PositiveIntegerField(_("process"), default=0)

    class Meta:
        verbose_name = _("worker heartbeat")
        verbose_name_plural = _("worker heartbeats")

    def __str__(self) -> str:
        return f"{self.queue} {self.at:%H:%M:%S}"
