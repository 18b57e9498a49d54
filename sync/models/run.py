"""Runs: each execution of a flow, from its first page to its last delivery."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.errors import ErrorClass
from integrations.models import Integration
from mappings.models import MappingSet
from sync.models.flow import Flow
from sync.models.scope import ScopedQuerySet
from sync.texts import in_this_language


class SyncRun(models.Model):
    """One execution of a flow: what started it, what it saw, and how far the cursor moved."""

    class Kind(models.TextChoices):
        SCHEDULE = "schedule", _("Schedule")
        MANUAL = "manual", _("By hand")
        COMMAND = "command", _("Command")
        SUBSET = "subset", _("Pass")
        EVENT = "event", _("Event")
        REPLAY = "replay", _("Retry")
        CARD = "card", _("Card")
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
    stopped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+",
        verbose_name=_("stopped by"),
    )  # fmt: skip
    stopped_at = models.DateTimeField(_("stopped"), null=True, blank=True)

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
            # What is over or waits for a person cannot be stopped, and does not stay stopped.
            models.CheckConstraint(
                condition=Q(stopped_at=None) | Q(state__in=["planning", "delivering"]), name="run_stopped_at_work"
            ),
        ]
        indexes = [
            models.Index(fields=["flow", "-id"], name="run_by_flow"),
            models.Index(fields=["due_at"], condition=Q(state__in=["planning", "delivering"]), name="run_active"),
            models.Index(fields=["flow"], condition=Q(state__in=["planning", "held", "delivering"]), name="run_open"),
            models.Index(fields=["finished_at", "flow"], condition=Q(state="failed"), name="run_failed_at"),
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
