"""Fortnox behind the connector protocol: reading in `read`, writing in `write`, both thin over `client`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from integrations.connector import (
    Estimate,
    Expected,
    Feedback,
    Fields,
    ObjectSchema,
    Outcome,
    Page,
    ReadinessLine,
    Record,
    Setup,
    Totals,
    Value,
    Write,
)
from integrations.errors import InvalidData, Misconfigured, Missing, PermissionMissing, SyncError
from integrations.figures import Figures
from integrations.fortnox import parse, readiness, schema
from integrations.fortnox.actions import perform
from integrations.fortnox.client import PAGE_SIZE, Fortnox
from integrations.fortnox.estimate import CHARGED, SURCHARGES, estimate
from integrations.fortnox.find import RECENT, Finder
from integrations.fortnox.read import Reader
from integrations.fortnox.vat_doubt import vat_doubt
from integrations.fortnox.write import Writer
from integrations.http import Api


class FortnoxConnector:
    """One Fortnox company. Nothing in it is idempotent by a key of ours: creates need the intent protocol."""

    system = "fortnox"
    idempotent: frozenset[str] = frozenset()
    # A customer's ExternalReference cannot be searched; `find` reads the customers of the last days for it.
    markers: Mapping[str, str] = {name: it.marker for name, it in schema.RESOURCES.items() if it.marker}
    found_by_marker = frozenset(name for name, it in schema.RESOURCES.items() if it.marker in it.searches)
    found_for: Mapping[str, timedelta] = {
        name: RECENT for name, it in schema.RESOURCES.items() if it.marker and it.marker not in it.searches
    }
    cancelled: Mapping[str, str] = {"invoice": "Cancelled"}
    verified: Mapping[str, tuple[str, ...]] = {"invoice": ("CustomerNumber", "Currency")}
    locks: Mapping[str, str] = {"invoice": "locked"}
    owners: Mapping[str, str] = {"invoicepayment": "invoice"}
    round = 0
    estimates_from: Mapping[str, frozenset[str]] = {"article": frozenset({"VAT", "Description"})}
    feedback: Mapping[str, Feedback] = {}
    figures: Mapping[str, Figures] = {"invoice": parse.FIGURES}

    def __init__(self, api: Api) -> None:
        self.api = api
        self._client = Fortnox(api)
        self._reader = Reader(self._client)
        self._finder = Finder(self._client, self._reader)
        self._writer = Writer(self._client)

    def describe(self, object_name: str) -> ObjectSchema:
        """The schema from our own tables, because Fortnox has no call for it. For an invoice one call asks for the
        company's currencies; without the right to see them there are no options, which means "not known"."""
        known = schema.object_schema(object_name)
        return schema.with_currencies(known, self._currencies()) if object_name == "invoice" else known

    def _currencies(self) -> list[str]:
        try:
            rows = self._client.register("/3/currencies", "Currencies", {"limit": str(PAGE_SIZE)})
        except (PermissionMissing, InvalidData, Misconfigured, Missing):
            return []  # no scope, no licence, no register: not a reason to know nothing of invoices
        return [str(row["Code"]) for row in rows if isinstance(row, Mapping) and row.get("Code")]

    def changed(
        self, object_name: str, since: str | None, fields: Fields, *, resume: str = "", subset: str = ""
    ) -> Iterator[Page]:
        """Pages of 500 in order of number; the cursor is the `Date` of the first page, given with the last."""
        return self._reader.changed(object_name, since, fields, resume, subset)

    def documents(
        self, object_name: str, first: date, last: date, fields: Fields, *, resume: str = ""
    ) -> Iterator[Page]:
        """Invoices by invoice date, pages of 500; the totals of each need one call of their own."""
        return self._reader.between(object_name, first, last, fields, resume)

    def sold(self, object_name: str, first: date, last: date, fields: Fields, *, resume: str = "") -> Iterator[Page]:
        """Nothing is sold in a ledger."""
        return iter(())

    def open_days(self, first: date, last: date) -> bool | None:
        """Two calls: the fiscal years of the first and of the last day."""
        try:
            return all(bool(self._client.financial_years(day)) for day in (first, last))
        except (PermissionMissing, Misconfigured, Missing, InvalidData):
            return None

    def load(self, object_name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        """One call per record (Fortnox has no bulk read), plus one per distinct customer of invoices."""
        return self._reader.load(object_name, ids, fields)

    def find(
        self,
        object_name: str,
        field_name: str,
        values: Sequence[str],
        spell: Callable[[str], Iterable[str]],
        read: Callable[[str], str],
        fields: frozenset[str],
    ) -> dict[str, list[Record]]:
        """Searches ("contains") compared exactly, or the whole register when that is cheaper."""
        return self._finder.find(object_name, field_name, values, spell, read, fields)

    def search(self, object_name: str, field_name: str, text: str, fields: frozenset[str], limit: int) -> list[Record]:
        """Fortnox's own search: what contains the text."""
        return self._finder.search(object_name, field_name, text, fields, limit)

    def count(self, object_name: str) -> int:
        """The total of a list, one call."""
        return self._reader.count(object_name)

    def upsert(self, object_name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """PUT by number; repeatable."""
        return self._writer.upsert(object_name, writes)

    def create(self, object_name: str, write: Write) -> Outcome:
        """One POST with its marker, never repeated."""
        return self._writer.create(object_name, write)

    def totals(self, object_name: str, record: Record) -> Totals | None:
        """An invoice's own sums; raises `TooLarge` when one of them is missing. One call for its customer when the VAT
        is odd for the customer's country."""
        if object_name != "invoice":
            return None
        totals = parse.invoice_totals(record.fields, record.lines, record.id)
        return replace(totals, vat_doubt=vat_doubt(record.fields, totals, self._reader.customer))

    def totals_fields(self, object_name: str) -> Fields:
        """The sums and rows of an invoice, one call."""
        return parse.TOTALS_OF if object_name == "invoice" else {}

    def estimate(
        self,
        object_name: str,
        fields: Mapping[str, Value],
        lines: Sequence[Mapping[str, Value]],
        known: Mapping[str, Record],
    ) -> Estimate | None:
        """Invoices only; see `estimate`. For a person who waits the customer is asked for, one call per customer, where
        articles say a rate: the VAT type says whether it is charged, and freight or a fee of the customer's leaves VAT
        and total to Fortnox."""
        if object_name != "invoice":
            return None
        return estimate(fields, lines, known, charged=self._charged(fields) if known else True)

    def _charged(self, fields: Mapping[str, Value]) -> bool | None:
        number = str(fields.get("CustomerNumber") or "")
        if not number or self.api.lane != "interactive":
            return True  # a new customer is charged, and a plan of many must not cost a call each
        try:
            customer = self._reader.customer(number)
        except SyncError:
            return None
        if customer is None or any(str(customer.get(name) or "0").strip("0.") for name in SURCHARGES):
            return None
        return str(customer.get("VATType") or "SEVAT") in CHARGED

    def perform(self, object_name: str, record_id: str, act: str) -> Outcome:
        """ "book", "credit" or "cancel" an invoice: two calls, one when it is done already."""
        return perform(self._client, object_name, record_id, act)

    def owners_of(self, object_name: str, ids: Sequence[str]) -> dict[str, str]:
        """The invoice of each payment: one call per payment, 404 for what is none. Fortnox does not say whether a
        payment's event carries the number of the payment or of the invoice, so one that is no payment is an invoice."""
        return self._reader.invoices_of(ids)

    def prepare(self, setup: Setup) -> dict[str, str]:
        """Fortnox needs nothing prepared."""
        return {}

    def check(self) -> list[ReadinessLine]:
        """The readiness lines of the company."""
        return readiness.check(self._client)

    def check_for(self, expected: Expected) -> list[ReadinessLine]:
        """As `check`, judged by what is queued for the company."""
        return readiness.check(self._client, expected)

    def record_url(self, object_name: str, record_id: str) -> str:
        """Fortnox publishes no addresses of single records."""
        return ""
