"""Daily counters: what each flow did per day, so that charts never read the changes and the log themselves."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from sync.models.flow import Flow
from sync.models.scope import ScopedQuerySet


class DailyCount(models.Model):
    """How often something happened in a flow on one day of its integration's time zone; kept by `sync.daily`."""

    class Outcome(models.TextChoices):
        CREATED = "created", _("Created")
        UPDATED = "updated", _("Updated")
        LINKED = "linked", _("Linked")
        CARRIED_OUT = "carried", _("Carried out")
        REVIEW = "review", _("Needed a person")
        RETRIED = "retried", _("Was tried again")
        RUN_FAILED = "run", _("Run failed")
        CALLS = "calls", _("Calls")

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="+", verbose_name=_("integration"))
    flow = models.ForeignKey(Flow, models.CASCADE, related_name="+", verbose_name=_("flow"))
    day = models.DateField(_("day"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices)
    n = models.PositiveIntegerField(_("number"))

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("daily count")
        verbose_name_plural = _("daily counts")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["flow", "day", "outcome"], name="daily_count_once"),
            models.CheckConstraint(
                condition=Q(
                    outcome__in=["created", "updated", "linked", "carried", "review", "retried", "run", "calls"]
                ),
                name="daily_count_outcome_known",
            ),
            models.CheckConstraint(condition=Q(n__gte=1), name="daily_count_something"),
        ]
        indexes = [models.Index(fields=["integration", "day"], name="daily_count_by_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.outcome} {self.n}"
