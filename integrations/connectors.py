"""Which connector speaks for an account. A new system is a folder in this room and one line here."""

from __future__ import annotations

from collections.abc import Callable

from integrations.connector import Connector
from integrations.discovery import Discovery
from integrations.fortnox.connector import FortnoxConnector
from integrations.http import Api
from integrations.hubspot.connector import HubSpotConnector
from integrations.models import ConnectedAccount
from integrations.salesforce.connector import SalesforceConnector
from integrations.salesforce.discovery import SalesforceDiscovery

CONNECTORS: dict[str, Callable[[Api], Connector]] = {
    "fortnox": FortnoxConnector,
    "hubspot": HubSpotConnector,
    "salesforce": SalesforceConnector,
}

DISCOVERIES: dict[str, Callable[[ConnectedAccount], Discovery]] = {"salesforce": SalesforceDiscovery}


def discovery_for(account: ConnectedAccount) -> Discovery | None:
    """Who can say which objects the customer made in `account`; None for systems that have none. Makes no call."""
    make = DISCOVERIES.get(account.system)
    return make(account) if make else None


def connector_for(account: ConnectedAccount, *, lane: str = "bulk") -> Connector:
    """A connector for `account`; `lane` is "interactive" when a person waits. Cheap: makes no call."""
    return CONNECTORS[account.system](Api(account, lane=lane))
