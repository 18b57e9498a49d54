"""What obtaining tokens and sending leave behind: attempts at a pair, clicks on "Connect", the log of a vendor's limit.

The one invariant: no token is in any of these rows; what must be secret is encrypted, or only its hash is kept.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.fields import EncryptedTextField


class TokenGeneration(models.Model):
    """One attempt to obtain a token pair, committed before the call (trust A3).

    A generation that was started and has no outcome is one whose answer was lost. `refresh_hash` is a hash of the
    refresh token presented: no refresh token is knowingly presented twice (INV6).
    """

    account = models.ForeignKey(
        "integrations.ConnectedAccount", models.CASCADE, related_name="generations", verbose_name=_("connected account")
    )
    number = models.PositiveIntegerField(_("number"))
    grant = models.CharField(_("grant"), max_length=30)
    refresh_hash = models.CharField(_("hash of the refresh token"), max_length=64, blank=True)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("token generation")
        verbose_name_plural = _("token generations")
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["account", "number"], name="token_generation_once")]

    def __str__(self) -> str:
        return f"{self.account} #{self.number} {self.outcome or _('no answer yet')}"


class AuthorizationAttempt(models.Model):
    """One click on "Connect", until the vendor sends the person back (SEC-06).

    The state is random, stored as a hash, single use, ten minutes old at most, and bound to the user, the browser
    session, the system and the account row. `app` holds what was entered about the customer's own app: it takes the
    place of what the row has when the consent succeeds, and not before.
    """

    class Purpose(models.TextChoices):
        CONNECT = "connect", _("Connect the account")
        DEPLOY = "deploy", _("Deploy fields and permission sets, once")

    state_hash = models.CharField(max_length=64, unique=True)
    account = models.ForeignKey("integrations.ConnectedAccount", models.CASCADE, related_name="authorization_attempts")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    session_hash = models.CharField(max_length=64)
    code_verifier = EncryptedTextField(blank=True)
    app = EncryptedTextField(blank=True)
    purpose = models.CharField(max_length=20, choices=Purpose.choices, default=Purpose.CONNECT)
    redirect_uri = models.CharField(max_length=300)
    next_url = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True, blank=True)
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)

    class Meta:
        verbose_name = _("authorization attempt")
        verbose_name_plural = _("authorization attempts")

    def __str__(self) -> str:
        return f"{self.account} · {self.created_at:%Y-%m-%d %H:%M}"


class RateBudget(models.Model):
    """The shared sending log of one vendor limit: an exact sliding window on the database's clock (trust A4).

    `hits` holds the last send times (epoch seconds), oldest first; it is written only by `integrations.budget`.
    """

    key = models.CharField(max_length=120, unique=True)
    hits = models.JSONField(default=list)
    paused_until = models.FloatField(default=0)

    class Meta:
        verbose_name = _("rate budget")
        verbose_name_plural = _("rate budgets")

    def __str__(self) -> str:
        return self.key
