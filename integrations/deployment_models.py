"""One deployment of our fields into a customer's account, with the token of the administrator who allowed it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.fields import EncryptedTextField
from integrations.models import ConnectedAccount

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    """Deployments, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(account__organization__memberships__user_id=user.pk) if user.pk else self.none()


class Deployment(models.Model):
    """One deployment: begun by an administrator's own sign-in, whose token is erased when it ends.

    The token is never the one that the daily work uses; it lives here, encrypted, for an hour at most. The invariant,
    kept by the database: a deployment that has ended holds no token.
    """

    class State(models.TextChoices):
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(
        ConnectedAccount, models.CASCADE, related_name="deployments", verbose_name=_("connected account")
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, verbose_name=_("started by"))
    access_token = EncryptedTextField(_("access token"), blank=True, editable=False)
    remote_id = models.CharField(_("id at the vendor"), max_length=50, blank=True)
    state = models.CharField(_("state"), max_length=20, choices=State.choices, default=State.RUNNING)
    done = models.PositiveIntegerField(_("components done"), default=0)
    total = models.PositiveIntegerField(_("components in all"), default=0)
    problems = models.JSONField(_("problems"), default=list, blank=True)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        verbose_name = _("deployment")
        verbose_name_plural = _("deployments")
        ordering = ["-started_at"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["running", "succeeded", "failed"]), name="deployment_state"),
            models.CheckConstraint(condition=Q(state="running") | Q(access_token=""), name="deployment_ends_tokenless"),
            models.UniqueConstraint(fields=["account"], condition=Q(state="running"), name="deployment_one_at_a_time"),
        ]

    def __str__(self) -> str:
        return f"{self.account} · {self.started_at:%Y-%m-%d %H:%M} · {self.get_state_display()}"
