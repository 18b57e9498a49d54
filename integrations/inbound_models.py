"""Secrets of incoming calls that were renewed: the old one is accepted for a while, so that nothing is lost meanwhile.

The secret in use stands with its account; here are those before it. The invariant, kept by the database: a secret that
was ended by hand is not kept.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.audit import AuditedQuerySet, ConfigHistory
from integrations.fields import EncryptedTextField
from integrations.models import ConnectedAccount


class FormerSecretQuerySet(AuditedQuerySet["FormerSecret"]):
    """Former secrets."""

    def valid(self, now: datetime | None = None) -> FormerSecretQuerySet:
        """Those that are still accepted."""
        return self.filter(ended_at=None, valid_until__gt=now or timezone.now())


class FormerSecret(models.Model):
    """A secret that an account's sender proved itself with until somebody renewed it. Ciphertext, bound to this row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(
        ConnectedAccount, models.CASCADE, related_name="former_secrets", verbose_name=_("connected account")
    )
    secret = EncryptedTextField(_("secret of incoming messages"), blank=True, editable=False)
    replaced_at = models.DateTimeField(_("renewed"), default=timezone.now)
    replaced_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("person")
    )
    valid_until = models.DateTimeField(_("valid until"))
    ended_at = models.DateTimeField(_("ended by hand"), null=True, blank=True)
    used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    objects = FormerSecretQuerySet.as_manager()
    history = ConfigHistory(secret=["secret"], engine=["used_at"])

    class Meta:
        verbose_name = _("former secret")
        verbose_name_plural = _("former secrets")
        ordering = ["-replaced_at"]
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(ended_at=None) | Q(secret=""), name="former_secret_ends_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.account} · {self.replaced_at:%Y-%m-%d %H:%M}"

    @property
    def state(self) -> str:
        """One of "valid", "ended" (by hand) or "over" (its time is up)."""
        if self.ended_at is not None:
            return "ended"
        return "valid" if self.valid_until > timezone.now() else "over"
