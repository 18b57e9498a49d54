"""Who we work for and what is connected: organizations, connected accounts, integrations, inbound events.

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

from integrations.fields import EncryptedTextField

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class System(models.TextChoices):
    """The systems we can connect. A new one is a folder in this room."""

    FORTNOX = "fortnox", "Fortnox"
    HUBSPOT = "hubspot", "HubSpot"


class OrganizationQuerySet(models.QuerySet["Organization"]):
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
        OWNER = "owner", _("Owner")

    organization = models.ForeignKey(
        Organization, models.CASCADE, related_name="memberships", verbose_name=_("organization")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships", verbose_name=_("user")
    )
    role = models.CharField(_("role"), max_length=20, choices=Role.choices, default=Role.CONSULTANT)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="membership_once"),
            models.CheckConstraint(
                condition=Q(role__in=["viewer", "support", "consultant", "owner"]),
                name="membership_role_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.organization} · {self.get_role_display()}"


class ConnectedAccountQuerySet(models.QuerySet["ConnectedAccount"]):
    """Connected accounts, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(organization__memberships__user_id=user.pk) if user.pk else self.none()


class ConnectedAccount(models.Model):
    """One login to one remote account: a Fortnox company (tenant) or a HubSpot portal.

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

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(
        Organization, models.PROTECT, related_name="accounts", verbose_name=_("organization")
    )
    system = models.CharField(_("system"), max_length=20, choices=System.choices)
    remote_id = models.CharField(
        _("remote account id"),
        max_length=64,
        blank=True,
        help_text=_("Fortnox tenant id or HubSpot portal id; pinned at the first connect and never changed."),
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
        """The scopes this product needs from the system."""
        return list(settings.VENDORS[self.system]["scopes"])

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


class TokenGeneration(models.Model):
    """One attempt to obtain a token pair, committed before the call (trust A3).

    A generation that was started and has no outcome is one whose answer was lost. `refresh_hash` is a hash of the
    refresh token presented: no refresh token is knowingly presented twice (INV6).
    """

    account = models.ForeignKey(
        ConnectedAccount, models.CASCADE, related_name="generations", verbose_name=_("connected account")
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
    session, the system and the account row.
    """

    state_hash = models.CharField(max_length=64, unique=True)
    account = models.ForeignKey(ConnectedAccount, models.CASCADE, related_name="authorization_attempts")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    session_hash = models.CharField(max_length=64)
    code_verifier = EncryptedTextField(blank=True)
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


class IntegrationQuerySet(models.QuerySet["Integration"]):
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


class InboundEvent(models.Model):
    """A webhook, outbound message or socket event, stored before anything else. A hint to re-read, never data."""

    account = models.ForeignKey(
        ConnectedAccount, models.CASCADE, related_name="events", verbose_name=_("connected account")
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
        indexes = [models.Index(fields=["account", "object"], condition=Q(processed_at=None), name="event_unprocessed")]

    def __str__(self) -> str:
        return f"{self.kind} {self.object} {self.record_id}"


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
