"""What the inbox keeps: events, refused calls, the listener's place in each topic, its pulse."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class InboundEvent(models.Model):
    """A webhook, outbound message or socket event, stored before anything else. A hint to re-read, never data."""

    account = models.ForeignKey(
        "integrations.ConnectedAccount", models.CASCADE, related_name="events", verbose_name=_("connected account")
    )
    dedupe_key = models.CharField(_("event key"), max_length=200)
    object = models.CharField(_("object"), max_length=50)
    record_id = models.CharField(_("record id"), max_length=100)
    kind = models.CharField(_("kind"), max_length=50)
    occurred_at = models.DateTimeField(_("occurred"), null=True, blank=True)
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    processed_at = models.DateTimeField(_("processed"), null=True, blank=True)

    class Meta:
        verbose_name = _("inbound event")
        verbose_name_plural = _("inbound events")
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["account", "dedupe_key"], name="event_once")]
        indexes = [
            models.Index(fields=["account", "object"], condition=Q(processed_at=None), name="event_unprocessed"),
            models.Index(fields=["account", "record_id"], name="event_of_record"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object} {self.record_id}"


class RefusedCall(models.Model):
    """How often a kind of call was refused, per day, source and reason. What support looks at; nothing of the call
    itself is kept, because nobody has proven who made it."""

    kind = models.CharField(_("kind"), max_length=40)
    source = models.CharField(_("source"), max_length=64, help_text=_("The address that it came from."))
    reason = models.CharField(_("reason"), max_length=40)
    day = models.DateField(_("day"))
    count = models.PositiveIntegerField(_("times"), default=0)
    last_at = models.DateTimeField(_("last time"), default=timezone.now)

    class Meta:
        verbose_name = _("refused call")
        verbose_name_plural = _("refused calls")
        ordering = ["-last_at"]
        constraints = [models.UniqueConstraint(fields=["kind", "source", "reason", "day"], name="refused_once_per_day")]

    def __str__(self) -> str:
        return f"{self.kind} {self.reason} {self.source}"


class ListenerOffset(models.Model):
    """How far the listener has processed one topic. Written in the transaction that stores the topic's events."""

    system = models.CharField(_("system"), max_length=20)
    topic = models.CharField(_("topic"), max_length=50)
    offset = models.CharField(_("offset"), max_length=200)
    at = models.DateTimeField(_("stored"), default=timezone.now)

    class Meta:
        verbose_name = _("listener offset")
        verbose_name_plural = _("listener offsets")
        constraints = [models.UniqueConstraint(fields=["system", "topic"], name="listener_offset_once")]

    def __str__(self) -> str:
        return f"{self.system} {self.topic} {self.offset}"


class ListenerPulse(models.Model):
    """The listener's sign of life. `connected_at` is the last moment at which it was known to hear everything;
    `accounts` are the remote accounts that it heard then."""

    system = models.CharField(_("system"), max_length=20, unique=True)
    at = models.DateTimeField(_("last sign of life"), default=timezone.now)
    connected_at = models.DateTimeField(_("last connected"), null=True, blank=True)
    connected = models.BooleanField(_("connected"), default=False)
    accounts = models.JSONField(_("accounts"), default=list, blank=True)
    events = models.PositiveBigIntegerField(_("events received"), default=0)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    host = models.CharField(_("host"), max_length=100, blank=True)
    pid = models.PositiveIntegerField(_("process"), default=0)

    class Meta:
        verbose_name = _("listener")
        verbose_name_plural = _("listeners")

    def __str__(self) -> str:
        return f"{self.system} {self.at:%Y-%m-%d %H:%M:%S}"


class SeenRequest(models.Model):
    """A signed request that counts once, whoever sends it again: its hash, kept for a day."""

    digest = models.CharField(max_length=64, unique=True)
    seen_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        verbose_name = _("seen request")
        verbose_name_plural = _("seen requests")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.digest[:12]} {self.seen_at:%Y-%m-%d %H:%M:%S}"
