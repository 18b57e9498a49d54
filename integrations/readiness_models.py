"""The stored readiness board: one report per integration, its lines as they were found last, and since when.

The invariant: a line is kept per side, code and subject; `first_seen` is when it took the level that it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from integrations.words import in_this_language

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class ReadinessReportQuerySet(models.QuerySet["ReadinessReport"]):
    """Reports, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(integration__organization__memberships__user_id=user.pk) if user.pk else self.none()


class ReadinessReport(models.Model):
    """What was found when an integration was last asked whether it can work."""

    integration = models.OneToOneField(
        Integration, models.CASCADE, related_name="readiness_report", verbose_name=_("integration")
    )
    asked_at = models.DateTimeField(_("asked for"), null=True, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("person")
    )
    checked_at = models.DateTimeField(_("checked"), null=True, blank=True)
    due_at = models.DateTimeField(_("next check"), default=timezone.now)
    errors = models.PositiveSmallIntegerField(_("errors"), default=0)
    warnings = models.PositiveSmallIntegerField(_("warnings"), default=0)

    objects = ReadinessReportQuerySet.as_manager()

    class Meta:
        verbose_name = _("readiness report")
        verbose_name_plural = _("readiness reports")
        default_permissions = ()
        permissions = [("check_readiness", _("Can have the readiness checked"))]
        indexes = [models.Index(fields=["due_at"], name="readiness_due")]

    def __str__(self) -> str:
        return str(self.integration)

    @property
    def running(self) -> bool:
        """Whether an answer to the last request is still to come."""
        return self.asked_at is not None and (self.checked_at is None or self.checked_at < self.asked_at)

    @property
    def ready(self) -> bool:
        """Whether it was asked, and no line was an error."""
        return self.checked_at is not None and not self.errors


class ReadinessEntry(models.Model):
    """One line of the board."""

    LEVELS = ("error", "warning", "ok")

    report = models.ForeignKey(
        ReadinessReport, models.CASCADE, related_name="lines", verbose_name=_("readiness report")
    )
    side = models.CharField(_("side"), max_length=10, blank=True)
    code = models.CharField(_("code"), max_length=60)
    subject = models.CharField(_("subject"), max_length=60, blank=True)
    level = models.CharField(_("level"), max_length=10)
    title = models.JSONField(_("title"), default=dict)
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    fix = models.JSONField(_("remedy"), default=dict, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    first_seen = models.DateTimeField(_("since"), default=timezone.now)
    checked_at = models.DateTimeField(_("checked"), default=timezone.now)

    class Meta:
        verbose_name = _("readiness line")
        verbose_name_plural = _("readiness lines")
        default_permissions = ()
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["report", "side", "code", "subject"], name="readiness_line_once"),
            models.CheckConstraint(condition=Q(level__in=["error", "warning", "ok"]), name="readiness_level_known"),
            models.CheckConstraint(condition=Q(side__in=["", "crm", "ledger"]), name="readiness_side_known"),
        ]

    def __str__(self) -> str:
        return f"{self.level}: {self.words['title']}"

    @property
    def words(self) -> dict[str, str]:
        """Title, detail and remedy in the reader's language."""
        return {name: in_this_language(getattr(self, name)) for name in ("title", "detail", "fix")}
