"""Objects that a customer made, described well enough to be read like those we know (SA14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.audit import AuditedQuerySet, ConfigHistory
from integrations.models import ConnectedAccount

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class CustomSourceQuerySet(AuditedQuerySet["CustomSource"]):
    """Custom sources, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(account__organization__memberships__user_id=user.pk) if user.pk else self.none()


class CustomSource(models.Model):
    """One object of a customer's own, under the name by which flows and expressions speak of it.

    `parts` are the records it points at, by the name expressions give them: `{"account": "Account__c"}`.
    """

    account = models.ForeignKey(
        ConnectedAccount, models.CASCADE, related_name="custom_sources", verbose_name=_("connected account")
    )
    name = models.CharField(
        _("name in expressions"), max_length=40, validators=[RegexValidator(r"\A[a-z][a-z0-9_]*\Z")]
    )
    label = models.CharField(_("label"), max_length=100)
    remote_object = models.CharField(_("object"), max_length=100, help_text=_("As the remote system names it."))
    line_object = models.CharField(_("object of the lines"), max_length=100, blank=True)
    line_relationship = models.CharField(
        _("relationship to the lines"), max_length=100, blank=True,
        help_text=_("The child relationship that lists the lines. Empty: the object has none."),
    )  # fmt: skip
    parts = models.JSONField(_("records it points at"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = CustomSourceQuerySet.as_manager()
    history = ConfigHistory(engine=["created_at"])

    class Meta:
        verbose_name = _("custom source")
        verbose_name_plural = _("custom sources")
        ordering = ["account", "name"]
        constraints = [
            models.UniqueConstraint(fields=["account", "name"], name="custom_source_once"),
            models.CheckConstraint(
                condition=~models.Q(name="") & ~models.Q(remote_object=""), name="custom_source_named"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.remote_object})"

    def clean(self) -> None:
        """Refuses a second source of an object: its records would be invoiced twice, its events reach one of them. So
        would those of an object that has flows of its own."""
        from integrations.connectors import discovery_for  # it needs this module

        super().clean()
        discovery = discovery_for(self.account) if self.account_id else None
        if discovery is not None and self.remote_object.lower() in discovery.read_anyway:
            raise ValidationError({"remote_object": _("This object has flows of its own.")})
        same = CustomSource.objects.filter(account_id=self.account_id, remote_object__iexact=self.remote_object)
        if self.account_id and same.exclude(pk=self.pk).exists():
            raise ValidationError({"remote_object": _("This object has a custom source already.")})
