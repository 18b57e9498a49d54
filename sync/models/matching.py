"""What people decided about which records are the same, before any link exists.

A decision is asked for by the engine when the record is planned; it never writes a link itself. The invariants, kept
by constraints: one decision in force per record (besides the candidates it is not), one record per counterpart, and
what is taken back stays on record with the name of the person.
"""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from sync.models.flow import Flow
from sync.models.scope import ScopedQuerySet


class MatchDecisionQuerySet(ScopedQuerySet):
    """Decisions, in the words of the wizard."""

    def in_force(self) -> Self:
        """Those that nobody took back."""
        return self.filter(withdrawn_at=None)


class MatchDecision(models.Model):
    """One decision about one source record of a flow, with person and time."""

    class Kind(models.TextChoices):
        LINK = "link", _("These two are the same")
        CREATE = "create", _("A new record is created")
        REJECT = "reject", _("These two are not the same")
        IGNORE = "ignore", _("Left out")

    WHOLE = ("link", "create", "ignore")
    """Decisions about the record as a whole: one of them at a time."""

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="+", verbose_name=_("integration"))
    flow = models.ForeignKey(Flow, models.CASCADE, related_name="match_decisions", verbose_name=_("flow"))
    kind = models.CharField(_("decision"), max_length=10, choices=Kind.choices)
    source_id = models.CharField(_("source id"), max_length=100)
    source_title = models.CharField(_("record"), max_length=300, blank=True)
    target_id = models.CharField(_("target id"), max_length=100, blank=True)
    target_title = models.CharField(_("target"), max_length=300, blank=True)
    score = models.PositiveSmallIntegerField(_("likeness"), null=True, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by"))
    at = models.DateTimeField(_("time"), default=timezone.now)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+",
        verbose_name=_("taken back by"),
    )  # fmt: skip
    withdrawn_at = models.DateTimeField(_("taken back"), null=True, blank=True)

    objects = MatchDecisionQuerySet.as_manager()

    class Meta:
        verbose_name = _("match decision")
        verbose_name_plural = _("match decisions")
        ordering = ["-pk"]
        default_permissions = ("view",)
        permissions = [("match_record", _("Can decide which records are the same"))]
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "source_id"],
                condition=Q(withdrawn_at=None, kind__in=["link", "create", "ignore"]),
                name="match_one_decision_per_record",
            ),
            models.UniqueConstraint(
                fields=["flow", "target_id"], condition=Q(withdrawn_at=None, kind="link"), name="match_target_once"
            ),
            models.UniqueConstraint(
                fields=["flow", "source_id", "target_id"], condition=Q(withdrawn_at=None, kind="reject"),
                name="match_rejected_once",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["link", "create", "reject", "ignore"]), name="match_kind_known"
            ),
            models.CheckConstraint(
                condition=(Q(kind__in=["link", "reject"]) & ~Q(target_id=""))
                | (Q(kind__in=["create", "ignore"]) & Q(target_id="")),
                name="match_names_its_target",
            ),
        ]  # fmt: skip
        indexes = [models.Index(fields=["flow", "kind", "-id"], name="match_by_flow")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.source_title or self.source_id}"
