"""Tickets: how a CRM card opens one of our pages in the browser, which carries no signature of its own (SEC-12)."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import ConnectedAccount


class CardTicket(models.Model):
    """A single-use right to open one page for one person and one record, for a minute. Only the hash is stored."""

    token_hash = models.CharField(max_length=64, unique=True)
    account = models.ForeignKey(ConnectedAccount, models.CASCADE, related_name="+")
    user_id = models.CharField(max_length=100)
    user_email = models.CharField(max_length=254)
    object = models.CharField(max_length=50)
    record_id = models.CharField(max_length=100)
    view = models.CharField(max_length=20, blank=True)
    locale = models.CharField(max_length=10, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("card ticket")
        verbose_name_plural = _("card tickets")
        default_permissions = ()
        indexes = [models.Index(fields=["expires_at"], name="ticket_expires")]

    def __str__(self) -> str:
        return f"{self.object} {self.record_id}"
