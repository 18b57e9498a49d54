"""The append-only log of what happened, and the signs of life of the workers."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from sync.models.change import Change
from sync.models.run import SyncRun
from sync.models.scope import ScopedQuerySet

TO_A_PERSON = [
    "→review",
    "planned→review",
    "held→review",
    "queued→review",
    "sending→review",
    "unknown→review",
    "retrying→review",
]
TRIED_AGAIN = ["sending→retrying"]
FAILURES = [*TO_A_PERSON, *TRIED_AGAIN]
"""Events that say that a change failed: it needs a person, or is tried again by itself."""


class SyncLogEntry(models.Model):
    """Append-only: what happened to a run or change, when, by whom, with a redacted exchange where there was one."""

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="log", verbose_name=_("integration"))
    run = models.ForeignKey(SyncRun, models.SET_NULL, null=True, related_name="log", verbose_name=_("run"))
    change = models.ForeignKey(Change, models.SET_NULL, null=True, related_name="log", verbose_name=_("change"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, verbose_name=_("person"))
    at = models.DateTimeField(_("time"), default=timezone.now)
    event = models.CharField(_("event"), max_length=60)
    message = models.TextField(_("message"), blank=True)
    exchange = models.JSONField(_("exchange"), null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("log entry")
        verbose_name_plural = _("log")
        ordering = ["-pk"]
        default_permissions = ("view",)
        indexes = [models.Index(fields=["at"], condition=Q(event__in=FAILURES), name="log_failures_at")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.event}"


class WorkerHeartbeat(models.Model):
    """The last sign of life of each queue's workers, read by the watchdog and the supervisor."""

    queue = models.CharField(_("queue"), max_length=20, unique=True)
    at = models.DateTimeField(_("last sign of life"), default=timezone.now)
    host = models.CharField(_("host"), max_length=100, blank=True)
    pid = models.PositiveIntegerField(_("process"), default=0)

    class Meta:
        verbose_name = _("worker heartbeat")
        verbose_name_plural = _("worker heartbeats")

    def __str__(self) -> str:
        return f"{self.queue} {self.at:%H:%M:%S}"
