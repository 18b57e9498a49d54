"""Which connector speaks for an account. A new system is a folder in this room and one line here."""

from __future__ import annotations

from collections.abc import Callable

from integrations.connector import Connector
from integrations.fortnox.connector import FortnoxConnector
from integrations.http import Api
from integrations.hubspot.connector import HubSpotConnector
from integrations.models import ConnectedAccount

CONNECTORS: dict[str, Callable[[Api], Connector]] = {"fortnox": FortnoxConnector, "hubspot": HubSpotConnector}


def connector_for(account: ConnectedAccount, *, lane: str = "bulk") -> Connector:
    """A connector for `account`; `lane` is "interactive" when a person waits. Cheap: makes no call."""
    return CONNECTORS[account.system](Api(account, lane=lane))
