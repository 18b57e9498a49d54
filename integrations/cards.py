"""Cards: pages of ours that live inside another system, and how that system proves who is asking.

A `CardHost` authenticates one request and says where our pages may be framed; what a card shows is decided by the
rooms above, which name no vendor. The invariants: the account comes from what the host signed, never from the body;
a refusal says nothing to the caller (`CardRefused.reason` is for our log and counters only).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol
from uuid import UUID

from django.http import HttpRequest

from integrations.connector import Value
from integrations.models import ConnectedAccount

APPROVED = "card"
"""The `state` of a consent that a card asked for: the host has noted it, and there is nothing to exchange."""


class CardRefused(Exception):
    """The request is not proven to come from the host, or not from an account of ours. `status` is what to answer.

    `told` is what the person may be told where our page is opened directly; "" while nothing is proven. One of
    repeated, no_record, no_access, over (their session), unreachable (the host), not_posted, and approve, which comes
    with the `link` to do it.
    """

    def __init__(self, status: int, reason: str, *, told: str = "", link: str = "", locale: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.told = told
        self.link = link
        self.locale = locale


@dataclass(frozen=True, slots=True)
class CardCaller:
    """Who asks, as the host signed it, and about which record. `object` and `record_id` are "" where none is meant.

    The record's id is only claimed: whatever is looked up by it must be looked up inside `account`.
    """

    account: ConnectedAccount
    user_id: str
    user_email: str
    object: str = ""
    record_id: str = ""
    locale: str = "en"
    proof: str = ""
    """What is in this very request and in no other, such as its signature: the same request, sent again by whoever
    got hold of it, is the same operation (SEC-09). "" where the host's door takes care of it."""


class CardHost(Protocol):
    """A system that shows our cards."""

    @property
    def frame_ancestors(self) -> tuple[str, ...]:
        """The origins that may frame our pages, as the Content-Security-Policy spells them."""

    def authenticate(self, request: HttpRequest) -> CardCaller:
        """Who asks. Raises `CardRefused` when that is not proven."""


class PostingHost(Protocol):
    """A system whose pages open ours by posting a signed request into the frame, without a call before it."""

    def frame_ancestors(self, account: UUID) -> tuple[str, ...]:
        """The origins that may frame the page of that account; none for an account that is not there."""

    def arrive(self, request: HttpRequest, account: UUID) -> CardCaller:
        """Who asks, and that this person may see the record. Raises `CardRefused`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a stored record says, in words that belong to no vendor; "" and None where it says nothing.

    `status` is one of draft, unbooked, booked, sent, partly_paid, paid, overdue, credited, cancelled, or "" when
    `status_text` holds a word that we do not know.
    """

    organisation_number: str = ""
    status: str = ""
    status_text: str = ""
    values: Mapping[str, Value] | None = None
    """Further values by neutral name: invoice_date, due_date, paid_date (dates); total, balance (money); currency."""


@cache
def hosts() -> Mapping[str, CardHost]:
    """The hosts by system. A new one is a module in its vendor's folder and one line here."""
    from integrations.hubspot.card import HubSpotCard

    return {"hubspot": HubSpotCard()}


def host(system: str) -> CardHost | None:
    """The host of a system; None for a system that shows no cards."""
    return hosts().get(system)


@cache
def posting_hosts() -> Mapping[str, PostingHost]:
    """The hosts that open our page themselves, by system."""
    from integrations.salesforce.card import SalesforceCard

    return {"salesforce": SalesforceCard()}


def facts(system: str, object_name: str, values: Mapping[str, Value]) -> Facts:
    """What the fields of a record of `system` say, in neutral words."""
    from integrations.fortnox import card as ledger_card
    from integrations.hubspot import card as hubspot_card
    from integrations.salesforce import card as salesforce_card

    readers = {"hubspot": hubspot_card.facts, "salesforce": salesforce_card.facts, "fortnox": ledger_card.facts}
    return readers[system](object_name, values)


def merged(*several: Facts) -> Facts:
    """The facts of one record seen from both sides: the first that says something counts."""
    values: dict[str, Value] = {}
    for each in reversed(several):
        values |= {name: value for name, value in (each.values or {}).items() if value not in (None, "")}
    return Facts(
        organisation_number=next((f.organisation_number for f in several if f.organisation_number), ""),
        status=next((f.status for f in several if f.status), ""),
        status_text=next((f.status_text for f in several if f.status_text), ""),
        values=values,
    )
