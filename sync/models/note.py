"""Notes: what people write to each other about a change that needs one of them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from sync.models.change import Change
from sync.models.scope import ScopedQuerySet


class ReviewNote(models.Model):
    """One note on one change; append-only."""

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="+", verbose_name=_("integration"))
    change = models.ForeignKey(Change, models.CASCADE, related_name="notes", verbose_name=_("change"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, verbose_name=_("person"))
    at = models.DateTimeField(_("time"), default=timezone.now)
    text = models.TextField(_("note"))

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering = ["pk"]
        constraints = [models.CheckConstraint(condition=~models.Q(text=""), name="note_has_text")]

    def __str__(self) -> str:
        return self.text[:80]
