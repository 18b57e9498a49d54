"""Closed months, and reports of what an observing integration would have done.

The invariants, kept by constraints: a month is closed once per integration, with the reconciliation that was signed
for it; one shadow report per integration is at work.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.errors import ErrorClass
from integrations.models import Integration
from sync.models.change import Change
from sync.models.reconciliation import Reconciliation
from sync.models.scope import ScopedQuerySet


class MonthClose(models.Model):
    """A month that a person closed: nothing is locked by it, but what changes afterwards is shown."""

    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="closed_months", verbose_name=_("integration")
    )
    month = models.DateField(_("month"), help_text=_("Its first day."))
    reconciliation = models.ForeignKey(
        Reconciliation, models.CASCADE, related_name="closes", verbose_name=_("reconciliation")
    )
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+",
        verbose_name=_("closed by"),
    )  # fmt: skip
    closed_name = models.CharField(_("closed by"), max_length=200)
    closed_at = models.DateTimeField(_("closed"), default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("closed month")
        verbose_name_plural = _("closed months")
        ordering = ["-month"]
        constraints = [
            models.UniqueConstraint(fields=["integration", "month"], name="month_closed_once"),
            models.CheckConstraint(condition=Q(month__day=1), name="month_close_first_day"),
        ]

    def __str__(self) -> str:
        return f"{self.integration} {self.month:%Y-%m}"


class ShadowReport(models.Model):
    """What an observing integration planned in a period, compared with what is really there at the target."""

    ACTIVE = Reconciliation.ACTIVE

    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="shadow_reports", verbose_name=_("integration")
    )
    starts = models.DateField(_("from"))
    ends = models.DateField(_("to"))
    state = models.CharField(
        _("state"), max_length=10, choices=Reconciliation.State.choices, default=Reconciliation.State.WAITING
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("person")
    )
    position = models.JSONField(default=dict, blank=True)
    seen = models.PositiveIntegerField(_("records read"), default=0)
    total = models.PositiveIntegerField(_("records to read"), null=True)
    counts = models.JSONField(_("counts"), default=dict, blank=True)
    error_class = models.CharField(_("error class"), max_length=30, blank=True, choices=ErrorClass.choices)
    error_code = models.CharField(_("error code"), max_length=100, blank=True)
    error_message = models.TextField(_("error"), blank=True)
    failures = models.PositiveSmallIntegerField(_("failures in a row"), default=0)
    due_at = models.DateTimeField(_("continues"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("shadow report")
        verbose_name_plural = _("shadow reports")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(ends__gte=F("starts")), name="shadow_period"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "reading", "done", "failed"]), name="shadow_state_known"
            ),
            models.UniqueConstraint(
                fields=["integration"], condition=Q(state__in=["waiting", "reading"]), name="shadow_one_at_work"
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(state__in=["waiting", "reading"]), name="shadow_due")]

    def __str__(self) -> str:
        return f"{self.integration} {self.starts:%Y-%m-%d} – {self.ends:%Y-%m-%d}"

    @property
    def moving(self) -> bool:
        """Whether it waits or is at work."""
        return self.state in self.ACTIVE


class ShadowLine(models.Model):
    """One document that we would have made, one that is there, or both beside each other."""

    class Verdict(models.TextChoices):
        DIFFERS = "differs", _("Differs")
        ONLY_OURS = "only_ours", _("Only ours")
        ONLY_THEIRS = "only_theirs", _("Only theirs")
        SEVERAL = "several", _("Several fit")
        BLOCKED = "blocked", _("We would have stopped")
        IDENTICAL = "identical", _("Identical")

    report = models.ForeignKey(ShadowReport, models.CASCADE, related_name="lines")
    verdict = models.CharField(_("verdict"), max_length=12, choices=Verdict.choices)
    object = models.CharField(max_length=50)
    change = models.ForeignKey(Change, models.SET_NULL, null=True, related_name="+", verbose_name=_("plan"))
    source_id = models.CharField(_("source id"), max_length=100, blank=True)
    source_title = models.CharField(_("record"), max_length=300, blank=True)
    source_url = models.CharField(max_length=300, blank=True)
    target_id = models.CharField(_("target id"), max_length=100, blank=True)
    target_title = models.CharField(_("target"), max_length=300, blank=True)
    target_url = models.CharField(max_length=300, blank=True)
    matched_by = models.CharField(_("matched by"), max_length=30, blank=True)
    differences = models.JSONField(_("differences"), default=list, blank=True)
    amount = models.DecimalField(_("amount"), max_digits=24, decimal_places=6, null=True)
    currency = models.CharField(_("currency"), max_length=10, blank=True)

    class Meta:
        verbose_name = _("shadow line")
        verbose_name_plural = _("shadow lines")
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(source_id="") | ~Q(target_id=""), name="shadow_line_has_record")
        ]
        indexes = [
            models.Index(fields=["report", "verdict", "id"], name="shadow_line_verdict"),
            models.Index(fields=["report", "target_id"], name="shadow_line_target"),
        ]

    def __str__(self) -> str:
        return self.source_title or self.target_title
