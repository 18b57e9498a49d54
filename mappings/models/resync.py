"""Records that a person wants planned again after another version was published: all of them, or a few first.

The rows only say which records and how far it came; the rooms above plan them, and hold what they plan for approval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mappings.models.mapping_set import MappingSet

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class ResyncQuerySet(models.QuerySet["Resync"]):
    """Orders, as seen by a person and by a worker."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        if not user.pk:
            return self.none()
        return self.filter(mapping_set__integration__organization__memberships__user_id=user.pk)

    def due(self) -> Self:
        """Those with records that may be planned now."""
        return self.filter(planned__lt=F("until"), stopped_at=None)


class Resync(models.Model):
    """`source_ids` in order; the first `planned` of them are planned, up to `until` may be."""

    mapping_set = models.ForeignKey(
        MappingSet, models.CASCADE, related_name="resyncs", verbose_name=_("mapping version")
    )
    source_ids = models.JSONField(_("records"), default=list)
    total = models.PositiveIntegerField(_("number of records"), default=0)
    until = models.PositiveIntegerField(_("may be planned"), default=0)
    planned = models.PositiveIntegerField(_("planned"), default=0)
    runs = models.JSONField(
        _("runs"), default=list, blank=True, help_text=_("Numbers of the runs that hold the plans.")
    )
    error = models.TextField(_("error"), blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("asked for by"),
    )
    created_at = models.DateTimeField(_("asked for"), default=timezone.now)
    stopped_at = models.DateTimeField(_("stopped"), null=True, blank=True)

    objects = ResyncQuerySet.as_manager()

    class Meta:
        verbose_name = _("re-sync")
        verbose_name_plural = _("re-syncs")
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(planned__lte=F("until")) & Q(until__lte=F("total")), name="resync_in_bounds"
            ),
        ]
        indexes = [
            models.Index(
                fields=["mapping_set"], condition=Q(planned__lt=F("until"), stopped_at=None), name="resync_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.mapping_set} · {self.planned}/{self.total}"
