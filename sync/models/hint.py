"""Hints: records of a flow's source that an event spoke of, to be read again."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from sync.models.flow import Flow


class Hint(models.Model):
    """One source record that may have changed. It says nothing but "look": the record itself is the truth (Q-17)."""

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="hints", verbose_name=_("flow"))
    source_id = models.CharField(_("source id"), max_length=100)
    received_at = models.DateTimeField(_("received"), default=timezone.now)

    class Meta:
        verbose_name = _("hint")
        verbose_name_plural = _("hints")
        constraints = [models.UniqueConstraint(fields=["flow", "source_id"], name="hint_once_per_record")]

    def __str__(self) -> str:
        return f"{self.flow} {self.source_id}"
