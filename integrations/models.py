"""Who we work for and what is connected: organizations, connected accounts, integrations.

This room knows vendors, never flows. The one invariant: every row belongs to one organization, and every queryset a
person sees starts from `for_user` (one organization never sees or touches another's).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.audit import AuditedQuerySet, ConfigHistory
from integrations.fields import EncryptedTextField

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class System(models.TextChoices):
    """The systems we can connect. A new one is a folder in this room."""

    FORTNOX = "fortnox", "Fortnox"
    HUBSPOT = "hubspot", "HubSpot"
    SALESFORCE = "salesforce", "Salesforce"


class OrganizationQuerySet(AuditedQuerySet["Organization"]):
    """Organizations, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those the user is a member of; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(memberships__user_id=user.pk) if user.pk else self.none()


class Organization(models.Model):
    """A customer of the consultancy."""

    name = models.CharField(_("name"), max_length=200, unique=True)
    organisation_number = models.CharField(_("organisation number"), max_length=20, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        through="Membership",
        related_name="organizations",
        verbose_name=_("members"),
    )

    objects = OrganizationQuerySet.as_manager()
    history = ConfigHistory(engine=["created_at"])

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A person's place in an organization; what each role may do grows with the workplace."""

    class Role(models.TextChoices):
        VIEWER = "viewer", _("Viewer")
        SUPPORT = "support", _("Support")
        CONSULTANT = "consultant", _("Consultant")
        ACCOUNTANT = "accountant", _("Accountant")
        OWNER = "owner", _("Owner")

    organization = models.ForeignKey(
        Organization, models.CASCADE, related_name="memberships", verbose_name=_("organization")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships", verbose_name=_("user")
    )
    role = models.CharField(_("role"), max_length=20, choices=Role.choices, default=Role.CONSULTANT)

    objects = AuditedQuerySet["Membership"].as_manager()
    history = ConfigHistory()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_once"),
            models.CheckConstraint(
                condition=Q(role__in=["viewer", "support", "consultant", "accountant", "owner"]),
                name="membership_role_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.organization} · {self.get_role_display()}"


class ConnectedAccountQuerySet(AuditedQuerySet["ConnectedAccount"]):
    """Connected accounts, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(organization__memberships__user_id=user.pk) if user.pk else self.none()


class ConnectedAccount(models.Model):
    """One login to one remote account: a Fortnox company (tenant), a HubSpot portal or a Salesforce org.

    Tokens are ciphertext bound to this row (AES-256-GCM, associated data: table, row, field), so the primary key is a
    UUID known before the first save. Only `integrations.tokens` writes the token columns.
    """

    class Status(models.TextChoices):
        NEW = "new", _("Not connected yet")
        CONNECTED = "connected", _("Connected")
        NEEDS_RECONNECT = "needs_reconnect", _("Needs reconnecting")
        DISCONNECTED = "disconnected", _("Disconnected")

    class Grant(models.TextChoices):
        CODE = "authorization_code", _("Signed-in user (refresh token)")
        CLIENT_CREDENTIALS = "client_credentials", _("Service account (no refresh token)")
        JWT_BEARER = "jwt_bearer", _("Service account with a certificate (no refresh token)")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="accounts", verbose_name=_("organization")
    )
    system = models.CharField(_("system"), max_length=20, choices=System.choices)
    remote_id = models.CharField(
        _("remote account id"),
        max_length=64,
        blank=True,
        help_text=_("Fortnox tenant, HubSpot portal or Salesforce org; pinned at the first connect and never changed."),
    )
    name = models.CharField(_("name"), max_length=200, blank=True, help_text=_("As the remote account calls itself."))
    environment = models.CharField(_("environment"), max_length=20, default="production", editable=False)
    api_url = models.CharField(_("API address"), max_length=200, editable=False)
    oauth_url = models.CharField(_("sign-in address"), max_length=200, editable=False)
    ui_url = models.CharField(_("address of its pages"), max_length=200, blank=True, editable=False)
    status = models.CharField(_("status"), max_length=20, choices=Status.choices, default=Status.NEW, editable=False)
    status_reason = models.CharField(_("reason"), max_length=500, blank=True, editable=False)
    status_at = models.DateTimeField(_("status since"), default=timezone.now, editable=False)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True, editable=False)

    grant = models.CharField(_("grant"), max_length=30, choices=Grant.choices, default=Grant.CODE, editable=False)
    access_token = EncryptedTextField(_("access token"), blank=True, editable=False)
    refresh_token = EncryptedTextField(_("refresh token"), blank=True, editable=False)
    access_expires_at = models.DateTimeField(_("access token expires"), null=True, blank=True, editable=False)
    refresh_expires_at = models.DateTimeField(_("refresh token expires"), null=True, blank=True, editable=False)
    refreshed_at = models.DateTimeField(_("last refresh"), null=True, blank=True, editable=False)
    refresh_due_at = models.DateTimeField(_("next refresh"), null=True, blank=True, editable=False)
    token_generation = models.PositiveIntegerField(_("token generation"), default=0, editable=False)
    granted_scopes = models.JSONField(_("granted scopes"), default=list, blank=True, editable=False)

    # Where the customer registers an app of its own for us (a Salesforce org does), its credentials live here.
    client_id = models.CharField(_("client id"), max_length=300, blank=True)
    client_secret = EncryptedTextField(_("client secret"), blank=True, editable=False)
    signing_key = EncryptedTextField(_("private key of the certificate"), blank=True, editable=False)
    username = models.CharField(_("user name"), max_length=200, blank=True, help_text=_("Whom we work as."))
    inbound_secret = EncryptedTextField(
        _("secret of incoming messages"), blank=True, editable=False,
        help_text=_("What the sender of events proves itself with."),
    )  # fmt: skip
    inbound_used_at = models.DateTimeField(_("secret last used"), null=True, blank=True, editable=False)
    details = models.JSONField(
        _("particulars"), default=dict, blank=True, editable=False,
        help_text=_("What the remote account is like: edition, currencies, options."),
    )  # fmt: skip

    schemas = models.JSONField(
        _("known fields"),
        default=dict,
        blank=True,
        editable=False,
        help_text=_("What the remote account said about its objects, with the time it was asked."),
    )
    usage = models.JSONField(_("API usage"), default=dict, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_served_at = models.DateTimeField(_("last served"), null=True, blank=True, editable=False)

    objects = ConnectedAccountQuerySet.as_manager()
    history = ConfigHistory(
        secret=["access_token", "refresh_token", "client_secret", "signing_key", "inbound_secret"],
        engine=[
            "status_reason", "status_at", "paused_until", "access_expires_at", "refresh_expires_at", "refreshed_at",
            "refresh_due_at", "token_generation", "granted_scopes", "details", "schemas", "usage", "created_at",
            "last_served_at", "inbound_used_at",
        ],
    )  # fmt: skip

    class Meta:
        verbose_name = _("connected account")
        verbose_name_plural = _("connected accounts")
        ordering = ["organization__name", "system", "name"]
        constraints = [
            # One row per remote account and organization: a second connect finds the first row again.
            models.UniqueConstraint(
                fields=["organization", "system", "remote_id"],
                condition=~Q(remote_id=""),
                name="account_once_per_organization",
            ),
            models.CheckConstraint(condition=Q(system__in=System.values), name="account_system_known"),
            models.CheckConstraint(
                condition=Q(status__in=["new", "connected", "needs_reconnect", "disconnected"]),
                name="account_status_known",
            ),
            # A connected account is always pinned to a remote account.
            models.CheckConstraint(
                condition=~Q(status="connected") | ~Q(remote_id=""), name="account_connected_is_pinned"
            ),
        ]
        indexes = [
            models.Index(fields=["refresh_due_at"], condition=Q(status="connected"), name="account_refresh_due"),
        ]

    def __str__(self) -> str:
        return f"{self.get_system_display()} · {self.name or self.remote_id or _('not connected yet')}"

    @property
    def needed_scopes(self) -> list[str]:
        """The scopes this product needs from the system. A service account has no use for a refresh token."""
        wanted = settings.VENDORS[self.system]["scopes"]
        return [scope for scope in wanted if scope != "refresh_token" or self.grant == self.Grant.CODE]

    @property
    def missing_scopes(self) -> list[str]:
        """Needed but not granted; not empty means: re-authenticate."""
        return [scope for scope in self.needed_scopes if scope not in self.granted_scopes]

    @property
    def usable(self) -> bool:
        """Whether work may be started on this account now."""
        return self.status == self.Status.CONNECTED and (
            self.paused_until is None or self.paused_until <= timezone.now()
        )


class IntegrationQuerySet(AuditedQuerySet["Integration"]):
    """Integrations, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(organization__memberships__user_id=user.pk) if user.pk else self.none()


class Integration(models.Model):
    """One CRM account paired with one Fortnox company (the ledger)."""

    class Mode(models.TextChoices):
        OFF = "off", _("Off")
        OBSERVE = "observe", _("Observe (plans only)")
        LIVE = "live", _("Live")

    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="integrations", verbose_name=_("organization")
    )
    name = models.CharField(_("name"), max_length=200)
    crm_account = models.ForeignKey(
        ConnectedAccount, models.PROTECT, related_name="crm_integrations", verbose_name=_("CRM account")
    )
    ledger_account = models.ForeignKey(
        ConnectedAccount,
        models.PROTECT,
        related_name="ledger_integrations",
        verbose_name=_("Fortnox company"),
    )
    mode = models.CharField(
        _("mode"),
        max_length=10,
        choices=Mode.choices,
        default=Mode.LIVE,
        help_text=_("Off: nothing runs. Observe: runs only plan. Live: approved changes are delivered."),
    )
    time_zone = models.CharField(_("time zone"), max_length=50, default="Europe/Stockholm")
    brake_records = models.PositiveIntegerField(
        _("brake: records"),
        default=50,
        help_text=_("A run that would change more records than this, and more than the share below, stops and asks."),
    )
    brake_percent = models.PositiveSmallIntegerField(_("brake: percent"), default=5)
    setup = models.JSONField(
        _("set-up"),
        default=dict,
        blank=True,
        editable=False,
        help_text=_("Ids of what was created on the CRM side: pipelines, stages, fields."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = IntegrationQuerySet.as_manager()
    history = ConfigHistory(engine=["setup", "created_at"])

    class Meta:
        verbose_name = _("integration")
        verbose_name_plural = _("integrations")
        ordering = ["organization__name", "name"]
        constraints = [
            models.UniqueConstraint(fields=["crm_account", "ledger_account"], name="integration_pair_once"),
            models.CheckConstraint(condition=~Q(crm_account=F("ledger_account")), name="integration_two_sides"),
            models.CheckConstraint(condition=Q(mode__in=["off", "observe", "live"]), name="integration_mode_known"),
            models.CheckConstraint(condition=Q(brake_percent__lte=100), name="integration_brake_percent"),
        ]

    def __str__(self) -> str:
        return self.name

    def account(self, side: str) -> ConnectedAccount:
        """The connected account of a side, "crm" or "ledger"."""
        return {"crm": self.crm_account, "ledger": self.ledger_account}[side]


from integrations.custom_models import CustomSource as CustomSource  # noqa: E402  (found by Django)
from integrations.deployment_models import Deployment as Deployment  # noqa: E402  (found by Django)
from integrations.inbound_models import FormerSecret as FormerSecret  # noqa: E402  (found by Django)
from integrations.inbox_models import InboundEvent as InboundEvent  # noqa: E402  (found by Django)
from integrations.inbox_models import ListenerOffset, ListenerPulse, RefusedCall  # noqa: E402, F401  (found by Django)
from integrations.readiness_models import ReadinessEntry as ReadinessEntry  # noqa: E402  (found by Django)
from integrations.readiness_models import ReadinessReport as ReadinessReport  # noqa: E402  (found by Django)
from integrations.second_step_models import AppSecret as AppSecret  # noqa: E402  (found by Django)
from integrations.second_step_models import AuthenticatorApp as AuthenticatorApp  # noqa: E402  (found by Django)
from integrations.token_models import AuthorizationAttempt as AuthorizationAttempt  # noqa: E402  (found by Django)
from integrations.token_models import RateBudget as RateBudget  # noqa: E402  (found by Django)
from integrations.token_models import TokenGeneration as TokenGeneration  # noqa: E402  (found by Django)
