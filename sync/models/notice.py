"""Being told: what is wrong, who wants to hear of it how, and each message that was or will be sent (Q-05, Q-07).

The invariants, kept by constraints: of one cause there is at most one open notice; a message exists once per notice,
person, channel and phase, so that a pass that is repeated tells nobody twice.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.audit import AuditedQuerySet, ConfigHistory
from integrations.fields import EncryptedTextField
from integrations.models import Integration, Organization

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notices, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations, and of the whole installation for members; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        if not user.pk or not getattr(user, "is_active", False):
            return self.none()
        own = Organization.objects.filter(memberships__user_id=user.pk).values("pk")
        return self.filter(Q(organization__in=own) | Q(organization=None))

    def open(self) -> Self:
        """Those whose cause is still there."""
        return self.filter(healed_at=None, closed_at=None)


class Notice(models.Model):
    """One thing that is wrong, from when it was noticed until it healed. Its words are made when somebody reads it.

    Without an organization it is about the whole installation, such as workers that are silent.
    """

    class Level(models.TextChoices):
        IMMEDIATE = "immediate", _("At once")
        DIGEST = "digest", _("In the digest")

    organization = models.ForeignKey(
        Organization, models.CASCADE, null=True, blank=True, related_name="notices", verbose_name=_("organization")
    )
    integration = models.ForeignKey(
        Integration, models.CASCADE, null=True, blank=True, related_name="notices", verbose_name=_("integration")
    )
    kind = models.CharField(_("kind"), max_length=40)
    level = models.CharField(_("told"), max_length=10, choices=Level.choices)
    key = models.CharField(_("about"), max_length=120)
    params = models.JSONField(_("particulars"), default=dict, blank=True)
    url = models.CharField(_("address"), max_length=300, blank=True)
    opened_at = models.DateTimeField(_("since"), default=timezone.now)
    changed_at = models.DateTimeField(_("last changed"), default=timezone.now)
    healed_at = models.DateTimeField(_("healed"), null=True, blank=True)
    announced_at = models.DateTimeField(_("messages made"), null=True, blank=True)
    closed_at = models.DateTimeField(_("resolution told"), null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        ordering = ["-pk"]
        default_permissions = ("view",)
        permissions = [("requeue_notice", _("Can set stuck work going again"))]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "kind", "key"],
                condition=Q(healed_at=None, organization__isnull=False),
                name="notice_one_open",
            ),
            models.UniqueConstraint(
                fields=["kind", "key"],
                condition=Q(healed_at=None, organization=None),
                name="notice_one_open_everywhere",
            ),
            models.CheckConstraint(condition=Q(level__in=["immediate", "digest"]), name="notice_level_known"),
            models.CheckConstraint(
                condition=Q(closed_at=None) | Q(healed_at__isnull=False), name="notice_closed_is_healed"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-id"], name="notice_by_organization"),
            models.Index(fields=["kind", "key"], condition=Q(closed_at=None), name="notice_open"),
            models.Index(
                fields=["id"], condition=Q(announced_at=None, closed_at=None), name="notice_to_announce"
            ),
            models.Index(
                fields=["healed_at"], condition=Q(closed_at=None, healed_at__isnull=False), name="notice_to_close"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class NoticePreference(models.Model):
    """How one person wants to be told about one organization; who has no row gets what fits the role."""

    class Digest(models.TextChoices):
        OFF = "off", _("No digest")
        DAILY = "daily", _("Every day")
        WEEKLY = "weekly", _("Every Monday")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("person"))
    organization = models.ForeignKey(
        Organization, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("organization")
    )
    immediate = models.JSONField(_("at once"), default=list, blank=True)
    digest = models.CharField(_("digest"), max_length=10, choices=Digest.choices, default=Digest.DAILY)
    hour = models.PositiveSmallIntegerField(_("hour of the digest"), default=7)
    language = models.CharField(_("language"), max_length=10, blank=True)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now)

    objects = AuditedQuerySet["NoticePreference"].as_manager()
    history = ConfigHistory(engine=["updated_at"])

    class Meta:
        verbose_name = _("notice preference")
        verbose_name_plural = _("notice preferences")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization"], condition=Q(organization__isnull=False), name="preference_once"
            ),
            models.UniqueConstraint(
                fields=["user"], condition=Q(organization=None), name="preference_once_everywhere"
            ),
            models.CheckConstraint(condition=Q(hour__lte=23), name="preference_hour"),
            models.CheckConstraint(condition=Q(digest__in=["off", "daily", "weekly"]), name="preference_digest_known"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.user} · {self.organization or _('the whole installation')}"


class ChatChannel(models.Model):
    """Where an organization's chat hears of what cannot wait. The address is a secret: whoever has it may post."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.OneToOneField(
        Organization, models.CASCADE, related_name="chat_channel", verbose_name=_("organization")
    )
    url = EncryptedTextField(_("webhook address"), blank=True, editable=False)
    host = models.CharField(_("host"), max_length=200, blank=True)
    language = models.CharField(_("language"), max_length=10, default="en")
    sent_at = models.DateTimeField(_("last message"), null=True, blank=True)
    error = models.CharField(_("last error"), max_length=300, blank=True)
    error_at = models.DateTimeField(_("time of the error"), null=True, blank=True)

    objects = AuditedQuerySet["ChatChannel"].as_manager()
    history = ConfigHistory(secret=["url"], engine=["sent_at", "error", "error_at"])

    class Meta:
        verbose_name = _("chat channel")
        verbose_name_plural = _("chat channels")
        default_permissions = ("change",)

    def __str__(self) -> str:
        return f"{self.organization} · {self.host}"


class NoticeDelivery(models.Model):
    """One message that is to go out, or went: the outbox. At least once; `dedupe` keeps it from being made twice."""

    class Channel(models.TextChoices):
        EMAIL = "email", _("E-mail")
        CHAT = "chat", _("Chat")

    class Phase(models.TextChoices):
        OPENED = "opened", _("Something is wrong")
        RESOLVED = "resolved", _("It is resolved")
        DIGEST = "digest", _("Digest")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        SENT = "sent", _("Sent")
        DROPPED = "dropped", _("Not needed any more")
        FAILED = "failed", _("Given up")

    notice = models.ForeignKey(Notice, models.CASCADE, null=True, related_name="deliveries")
    organization = models.ForeignKey(Organization, models.CASCADE, null=True, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    phase = models.CharField(_("phase"), max_length=10, choices=Phase.choices)
    dedupe = models.CharField(max_length=120, unique=True)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    claim = models.UUIDField(null=True)
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    created_at = models.DateTimeField(_("made"), default=timezone.now)
    done_at = models.DateTimeField(_("done"), null=True)
    error = models.CharField(_("error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "sent", "dropped", "failed"]), name="notice_delivery_state_known"
            ),
            # A message is about a notice, or it is the digest of a period.
            models.CheckConstraint(
                condition=Q(notice__isnull=False) | Q(phase="digest"), name="notice_delivery_about_something"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="notice_delivery_due"),
            models.Index(fields=["user", "done_at"], condition=Q(state="sent"), name="notice_delivery_sent"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.phase} {self.state}"
