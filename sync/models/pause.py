"""Fields that go back and forth: the pause of one field of one record, and how often each field is written."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from sync.models.flow import Flow
from sync.models.link import EntityLink
from sync.models.scope import ScopedQuerySet
from sync.texts import in_this_language


class FieldPause(models.Model):
    """One field of one record that a flow leaves alone, because it went back and forth; until a person resumes it."""

    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="field_pauses", verbose_name=_("integration")
    )
    flow = models.ForeignKey(Flow, models.CASCADE, related_name="field_pauses", verbose_name=_("flow"))
    link = models.ForeignKey(EntityLink, models.CASCADE, related_name="field_pauses", verbose_name=_("link"))
    field = models.CharField(_("target field"), max_length=100)
    since = models.DateTimeField(_("since"), default=timezone.now)
    reason = models.JSONField(_("reason"), default=dict, help_text=_("Per language."))
    fight = models.JSONField(
        _("what fights"), default=dict, blank=True, help_text=_("The rules on both sides, and the values in turn.")
    )
    resumed_at = models.DateTimeField(_("resumed"), null=True, blank=True)
    resumed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+",
        verbose_name=_("resumed by"),
    )  # fmt: skip

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("paused field")
        verbose_name_plural = _("paused fields")
        ordering = ["-pk"]
        default_permissions = ("view",)
        permissions = [("resume_fieldpause", _("Can resume fields that were paused"))]
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "link", "field"], condition=Q(resumed_at=None), name="field_pause_one_open"
            ),
            models.CheckConstraint(condition=~Q(field=""), name="field_pause_names_field"),
            models.CheckConstraint(
                condition=Q(resumed_by=None) | Q(resumed_at__isnull=False), name="field_pause_resumed_has_time"
            ),
        ]
        indexes = [
            models.Index(fields=["integration"], condition=Q(resumed_at=None), name="field_pause_open"),
        ]

    def __str__(self) -> str:
        return f"{self.field} · {self.link}"

    @property
    def reason_text(self) -> str:
        """Why, in the reader's language."""
        return in_this_language(self.reason)


class FieldCount(models.Model):
    """What happened to one target field of one flow on one day: counters, kept by the engine page by page."""

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="+", verbose_name=_("integration"))
    flow = models.ForeignKey(Flow, models.CASCADE, related_name="field_counts", verbose_name=_("flow"))
    field = models.CharField(_("target field"), max_length=100)
    day = models.DateField(_("day"))
    writes = models.PositiveIntegerField(_("writes"), default=0)
    blanks = models.PositiveIntegerField(_("blanks refused"), default=0)
    conflicts = models.PositiveIntegerField(_("conflicts"), default=0)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("field count")
        verbose_name_plural = _("field counts")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["flow", "field", "day"], name="field_count_once_per_day"),
            models.CheckConstraint(condition=~Q(field=""), name="field_count_names_field"),
        ]
        indexes = [models.Index(fields=["integration", "day"], name="field_count_recent")]

    def __str__(self) -> str:
        return f"{self.flow} {self.field} {self.day}"
