"""Where single records go: decisions of a person that override the routing rules, and moves from company to company.

The invariant: a pin never points outside its account: its integration reads the same CRM account and belongs to the
same organization, checked by every save. A move is written down for good, with who, why, and how things stood before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import ConnectedAccount, Integration
from sync.models.scope import ScopedQuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class RoutePinQuerySet(models.QuerySet["RoutePin"]):
    """Pins, as seen by a person and by a flow."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(account__organization__memberships__user_id=user.pk) if user.pk else self.none()

    def of(self, account_id: object, object_name: str) -> Self:
        """The pins of one object of a CRM account; a row that was bent to point elsewhere is none of them."""
        return self.filter(
            account_id=account_id,
            object_name=object_name,
            integration__crm_account_id=F("account_id"),
            integration__organization_id=F("account__organization_id"),
        )


class RoutePin(models.Model):
    """One CRM record that goes to this integration, whatever the rules say, because somebody decided so."""

    account = models.ForeignKey(
        ConnectedAccount, models.CASCADE, related_name="route_pins", verbose_name=_("CRM account")
    )
    object_name = models.CharField(_("object"), max_length=50)
    record_id = models.CharField(_("record id"), max_length=100)
    integration = models.ForeignKey(Integration, models.CASCADE, related_name="route_pins", verbose_name=_("company"))
    rival = models.ForeignKey(
        Integration, models.SET_NULL, related_name="+", null=True, blank=True, verbose_name=_("other company"),
        help_text=_("Chosen for a record that was merged into this one: held until somebody chooses again."),
    )  # fmt: skip
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, verbose_name=_("person"))
    at = models.DateTimeField(_("time"), default=timezone.now)

    objects = RoutePinQuerySet.as_manager()

    class Meta:
        verbose_name = _("decided company")
        verbose_name_plural = _("decided companies")
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["account", "object_name", "record_id"], name="route_pin_once"),
            models.CheckConstraint(condition=~Q(object_name="") & ~Q(record_id=""), name="route_pin_complete"),
        ]

    def __str__(self) -> str:
        return f"{self.object_name} {self.record_id} → {self.integration}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Guards the invariant for code that does not validate. Raises `ValidationError`."""
        self.clean()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuses a company of another account or organization."""
        super().clean()
        pair = self.integration
        if (pair.crm_account_id, pair.organization_id) != (self.account_id, self.account.organization_id):
            raise ValidationError({"integration": _("This company is not connected to this CRM account.")})


class RouteMove(models.Model):
    """A linked record that was moved to another company: what was linked before, who moved it, when and why."""

    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="moves_away", verbose_name=_("moved from")
    )
    moved_to = models.ForeignKey(Integration, models.CASCADE, related_name="moves_here", verbose_name=_("moved to"))
    crm_object = models.CharField(_("CRM object"), max_length=50)
    crm_id = models.CharField(_("CRM id"), max_length=100)
    title = models.CharField(_("name"), max_length=300, blank=True)
    before = models.JSONField(_("link before"), default=dict, help_text=_("What was linked, as it stood."))
    reason = models.CharField(_("reason"), max_length=500)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, verbose_name=_("person"))
    at = models.DateTimeField(_("time"), default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("move")
        verbose_name_plural = _("moves")
        ordering = ["-pk"]
        default_permissions = ("view",)
        permissions = [("move_record", _("Can choose the company of a record, and move it to another one"))]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="route_move_has_reason"),
            models.CheckConstraint(condition=~Q(integration=F("moved_to")), name="route_move_goes_somewhere"),
        ]
        indexes = [models.Index(fields=["integration", "crm_object", "crm_id"], name="route_move_record")]

    def __str__(self) -> str:
        return f"{self.title or self.crm_id}: {self.integration} → {self.moved_to}"
