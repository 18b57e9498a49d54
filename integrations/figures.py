"""What documents add up to: apart and optional, for connectors whose objects are, or mirror, documents of a ledger.

`Figures` says which fields of an object mean number, date, net, VAT, gross, balance, status and currency; `documents`
reads the documents of a period, all of them or not at all. The invariant: a last page has a cursor only when the scan
added up to what the vendor announced; one that does not raises `IncompleteRead` (Q-21, Q-22).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol, cast

from integrations.connector import Connector, Fields, Page

STATUSES = ("draft", "unbooked", "booked", "sent", "partly_paid", "paid", "overdue", "credited", "cancelled")
"""The states of a document in a ledger, in the order of its life."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The names of the fields that carry a document's figures; "" for what the object does not have.

    `statuses` translates the vendor's spellings where they are not ours in another case. `credits` names the document
    that this one credits, `credited_by` the one that credits it. `references` may carry another
    system's name for it. `won` are (field, values) of which one marks a record
    as sold; `won_day` and `amount` say when and for how much. `rate` is that of the document's currency.
    """

    number: str
    day: str
    status: str
    currency: str
    net: str
    vat: str
    gross: str
    balance: str
    due: str = ""
    customer: str = ""
    credits: str = ""
    credited_by: str = ""
    customer_id: str = ""
    references: tuple[str, ...] = ()
    statuses: Mapping[str, str] = field(default_factory=dict)
    won: str = ""
    won_day: str = ""
    amount: str = ""
    rate: str = ""

    @property
    def names(self) -> frozenset[str]:
        """The fields to ask for."""
        named = (self.number, self.day, self.status, self.currency, self.net, self.vat, self.gross, self.balance)
        return frozenset(filter(None, (*named, self.rate, self.due, self.customer, self.credits, self.credited_by)))

    def status_of(self, spelled: object) -> str:
        """One of `STATUSES`, or the vendor's word when it is none of them; "" for nothing."""
        text = str(spelled or "").strip()
        plain = text.casefold().replace(" ", "_")
        return self.statuses.get(text) or (plain if plain in STATUSES else text[:20])


class Documents(Protocol):
    """A connector whose objects carry figures."""

    figures: Mapping[str, Figures]

    def documents(
        self, object_name: str, first: date, last: date, fields: Fields, *, resume: str = ""
    ) -> Iterator[Page]:
        """Pages of the documents whose day is in the period. `resume` continues after an earlier page. Raises
        `IncompleteRead` when what was read is not what was announced."""

    def sold(self, object_name: str, first: date, last: date, fields: Fields, *, resume: str = "") -> Iterator[Page]:
        """Pages of the records that were won in the period, whether they have a document or not."""

    def open_days(self, first: date, last: date) -> bool | None:
        """Whether the ledger's fiscal years cover the period and are open; None when this account cannot say."""


def documents_of(connector: Connector) -> Documents | None:
    """The connector as one that knows figures; None for one that does not."""
    return cast(Documents, connector) if getattr(connector, "figures", None) else None
