"""The guided connection: organization, CRM, Fortnox, integration; resumable, because it is derived from the rows.

Nothing is remembered between the pages: each step reads what exists and says what is missing. The invariant: only
rows of the person's own organizations are read, offered or paired.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.models import ConnectedAccount, Integration, Organization, System

LEDGER = System.FORTNOX
CRMS = tuple(system for system in System if system != LEDGER)
Text = str | Promise


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do after connecting: shown on the page "what next". `state` is "done", "next" or "later"."""

    title: Text
    detail: Text = ""
    url: str = ""
    state: str = "next"


@dataclass(slots=True)
class Side:
    """One side of the pair on the guided page: the accounts there are, of which systems, and the one that counts."""

    key: str
    systems: tuple[str, ...]
    accounts: list[ConnectedAccount] = field(default_factory=list)
    chosen: ConnectedAccount | None = None

    @property
    def system(self) -> str:
        """The system that counts; "" while there is a choice."""
        if self.chosen is not None:
            return self.chosen.system
        return self.systems[0] if len(self.systems) == 1 else ""

    @property
    def label(self) -> Text:
        """The name of the system, or of what it is."""
        return System(self.system).label if self.system else _("CRM")

    @property
    def offers(self) -> list[tuple[str, str, Text]]:
        """What can be connected: (system, its name, who must approve)."""
        return [(system, System(system).label, EXPLAINED.get(system, "")) for system in self.systems]

    @property
    def pending(self) -> ConnectedAccount | None:
        """A row that was begun and never connected: the next attempt continues with it."""
        return next((a for a in self.accounts if a.status == ConnectedAccount.Status.NEW), None)

    @property
    def done(self) -> bool:
        """Whether this side is connected with everything it needs."""
        return self.chosen is not None and self.chosen.status == ConnectedAccount.Status.CONNECTED


@dataclass(slots=True)
class Progress:
    """How far an organization has come with one pair."""

    organization: Organization
    crm: Side
    ledger: Side
    integration: Integration | None = None

    @property
    def current(self) -> str:
        """The step that is next: "crm", "ledger", "create" or "done"."""
        if self.integration is not None:
            return "done"
        if not self.crm.done:
            return "crm"
        return "create" if self.ledger.done else "ledger"

    @property
    def suggested_name(self) -> str:
        """A name for the pair, from both accounts."""
        if not self.crm.chosen or not self.ledger.chosen:
            return ""
        return f"{self.crm.chosen.name or self.crm.label} – {self.ledger.chosen.name or self.ledger.label}"[:200]


NextSteps = Callable[[Integration], list[Step]]
_providers: list[NextSteps] = []


def register_next_steps(provider: NextSteps) -> NextSteps:
    """Add steps to the page "what next"; for the rooms above, which this room must not import. A decorator."""
    if provider not in _providers:
        _providers.append(provider)
    return provider


def next_steps(integration: Integration) -> list[Step]:
    """What the registered rooms suggest to do with a connected integration, in order of registration."""
    return [step for provider in _providers for step in provider(integration)]


def progress(organization: Organization, *, crm_system: str = "", crm: str = "", ledger: str = "") -> Progress:
    """How far the organization has come; `crm` and `ledger` are ids of accounts the person picked. `crm_system`
    narrows the CRM side to one system."""
    crms = (crm_system,) if crm_system else CRMS
    rows = list(organization.accounts.order_by("created_at"))
    taken = set(organization.integrations.values_list("crm_account_id", "ledger_account_id"))
    state = Progress(
        organization,
        _side("crm", crms, rows, crm, {pair[0] for pair in taken}),
        _side("ledger", (LEDGER,), rows, ledger, {pair[1] for pair in taken}),
    )
    if state.crm.chosen and state.ledger.chosen:
        state.integration = organization.integrations.filter(
            crm_account=state.crm.chosen, ledger_account=state.ledger.chosen
        ).first()
    return state


def _side(key: str, systems: tuple[str, ...], rows: list[ConnectedAccount], picked: str, taken: set[UUID]) -> Side:
    side = Side(key, systems, [row for row in rows if row.system in systems])
    if picked == "new":
        return side
    side.chosen = next((row for row in side.accounts if str(row.pk) == picked), None)
    if side.chosen is None:
        # Resuming: the account that still waits for its integration, else the one there is.
        live = [row for row in side.accounts if row.status != ConnectedAccount.Status.NEW]
        free = [row for row in live if row.pk not in taken]
        side.chosen = next(reversed(free or live), None)
    return side


def account_to_connect(organization: Organization, system: str) -> ConnectedAccount:
    """The row that a new consent will fill: one begun before, or a new one."""
    vendor = settings.VENDORS[system]
    fresh = organization.accounts.filter(system=system, status=ConnectedAccount.Status.NEW).first()
    account = fresh or ConnectedAccount(organization=organization, system=system)
    if not account.client_id:  # where the customer has an app of its own, the addresses were entered with it
        account.api_url, account.oauth_url = vendor["api_url"].rstrip("/"), vendor["oauth_url"].rstrip("/")
    account.save()
    return account


def create_integration(state: Progress, name: str) -> Integration:
    """The pair, named. The same pair again gives the same integration. A new one only observes, until somebody takes
    the step of going live."""
    if state.crm.chosen is None or state.ledger.chosen is None:
        raise ValueError("both sides must be connected first")
    integration, _created = Integration.objects.get_or_create(
        crm_account=state.crm.chosen,
        ledger_account=state.ledger.chosen,
        defaults={"organization": state.organization, "name": name, "mode": Integration.Mode.OBSERVE},
    )
    return integration


EXPLAINED: dict[str, Text] = {
    System.FORTNOX: _(
        "A system administrator of the company signs in to Fortnox and approves. Ledgerbridge then works as a service "
        "account of its own, which does not stop when that person leaves."
    ),
    System.HUBSPOT: _("Someone who may install apps signs in to HubSpot, chooses the account and approves."),
    System.SALESFORCE: _(
        "An administrator of the org creates an app for Ledgerbridge in Salesforce; the next page says how, and takes "
        "its key and secret."
    ),
}
"""Who must approve, said before the click."""
