"""Changes: one intended write to one remote record, from plan to outcome."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.errors import ErrorClass
from integrations.models import Integration
from mappings.models import MappingSet
from sync.models.flow import Flow
from sync.models.run import SyncRun
from sync.models.scope import ScopedQuerySet
from sync.states import OPEN, Action, State
from sync.texts import in_this_language


class ChangeQuerySet(ScopedQuerySet):
    """Changes, in the words of support."""

    def open(self) -> Self:
        """Those that still want something."""
        return self.filter(state__in=OPEN)

    def deliverable(self) -> Self:
        """Queued and due, in flows that are on, with both accounts connected, and not of a run that a person stopped
        (what somebody at a card waits for goes out all the same).

        What is the same for a whole flow is asked in subqueries: joined row by row, PostgreSQL would look at everything
        that waits, however few are wanted, instead of following `change_deliverable`."""
        flows = Flow.objects.filter(
            enabled=True,
            integration__mode=Integration.Mode.LIVE,
            integration__crm_account__status="connected",
            integration__ledger_account__status="connected",
        )
        stopped = SyncRun.objects.filter(stopped_at__isnull=False)
        return self.filter(
            Q(lane="interactive") | Q(run=None) | ~Q(run__in=stopped.values("pk")),
            state=State.QUEUED,
            due_at__lte=timezone.now(),
            flow__in=flows.values("pk"),
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
    score = models.PositiveSmallIntegerField(
        _("likeness"), null=True, blank=True, help_text=_("How alike the best counterpart is, from 0 to 100.")
    )
    decision = models.CharField(
        _("decision"), max_length=10, blank=True,
        choices=[
            ("create", _("Create a new record")), ("approve", _("Approve")), ("look", _("Only look")),
            ("match", _("Matched by a person")),
        ],
        help_text=_("What a person decided about a conflict; the next plan follows it."),
    )  # fmt: skip
    checks = models.JSONField(
        _("checks"), default=list, blank=True, help_text=_("Every precondition, with its value and whether it holds.")
    )
    actor = models.CharField(
        _("asked for by"), max_length=200, blank=True, help_text=_("The person at the CRM card, who has no login here.")
    )
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="assigned_changes",
        verbose_name=_("assigned to"),
    )  # fmt: skip
    edits = models.JSONField(
        _("edited values"), default=dict, blank=True,
        help_text=_("What a person changed in the payload before a retry: field to before and after."),
    )  # fmt: skip
    core_fingerprint = models.CharField(max_length=64, blank=True)
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
    told = models.CharField(max_length=64, blank=True, default="", help_text=_("What the source record shows, hashed."))
    to_tell = models.BooleanField(
        default=False, help_text=_("Whether the source record is still to be told what became of it.")
    )
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
            ("edit_payload_change", _("Can retry changes with edited values")),
            ("assign_change", _("Can assign changes")),
            ("credit_change", _("Can credit a document and create it anew")),
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
            # In the order of delivery: the next few of a flow are found without looking at all that wait.
            models.Index(fields=["flow", "id"], condition=Q(state="queued"), name="change_deliverable"),
            models.Index(fields=["due_at"], condition=Q(state="retrying"), name="change_retrying"),
            models.Index(
                fields=["settle_until"], condition=Q(state__in=["sending", "unknown"]), name="change_in_flight"
            ),
            models.Index(fields=["flow", "state", "error_class"], name="change_flow_state_class"),
            models.Index(fields=["run", "state", "action"], name="change_by_run"),
            models.Index(fields=["flow", "source_id", "-id"], name="change_by_source"),
            models.Index(fields=["flow", "claim"], condition=~Q(claim=""), name="change_claim"),
            models.Index(
                fields=["flow", "target_id"],
                condition=Q(state__in=[str(s) for s in OPEN]) & ~Q(target_id=""),
                name="change_target_claim",
            ),
            models.Index(fields=["error_fingerprint"], condition=Q(state="review"), name="change_review_group"),
            models.Index(fields=["flow", "sent_at"], condition=Q(action="create"), name="change_creates_sent"),
            models.Index(fields=["flow"], condition=Q(to_tell=True), name="change_to_tell"),
            models.Index(fields=["remote_reference"], condition=~Q(remote_reference=""), name="change_by_reference"),
            models.Index(fields=["waits_for"], condition=~Q(waits_for=""), name="change_waiting"),
            models.Index(
                fields=["finished_at", "flow", "action"], condition=Q(state="applied"), name="change_applied_at"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.source_title or self.source_id}"

    @property
    def reason_text(self) -> str:
        """Why, in the reader's language."""
        return in_this_language(self.reason)

    @property
    def error_text(self) -> str:
        """What stands in the way, in the reader's language as far as it was said in every language: the first failed
        check, else the decision of the plan, else the words of the remote; "" for nothing."""
        said = (in_this_language(row["message"]) for row in self.problems if isinstance(row.get("message"), dict))
        if found := next((text for text in said if text), ""):
            return found
        return self.reason_text if self.error_message == self.reason.get("en") else self.error_message
