"""Bokis, an accounting system that exists only in the tests: its customers, articles and invoices, and its own rules.

`Books` is the remote side alone, as the people who use it and a programming interface see it; it knows nothing of us.
It numbers customers and invoices itself, computes VAT and rounding itself, locks what is booked, deletes nothing,
refuses with codes of its own (`Refused`), and its search lags behind what was just written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django.utils import timezone

from integrations.connector import Value

CENT = Decimal("0.01")
HALF = Decimal("0.5")
Row = dict[str, Value]


class Refused(Exception):
    """What Bokis answers instead of doing it: its code, its words, and the field it means."""

    def __init__(self, code: str, text: str, field_name: str = "") -> None:
        super().__init__(text)
        self.code, self.text, self.field = code, text, field_name


class NoAnswer(Exception):
    """The line went dead after the request was sent."""


@dataclass
class Entry:
    """One record: its fields, its rows, and when it was made and last changed by Bokis' clock."""

    fields: Row
    rows: list[Row]
    made: datetime
    changed: datetime


@dataclass
class Books:
    """One company in Bokis. `calls` counts what was asked of it; `faults` run after a request was carried out."""

    clock: datetime = field(default_factory=timezone.now)
    lag: timedelta = timedelta(0)
    records: dict[str, dict[str, Entry]] = field(default_factory=lambda: {"customer": {}, "article": {}, "invoice": {}})
    calls: list[str] = field(default_factory=list)
    faults: list[Callable[[str], None]] = field(default_factory=list)
    _next: dict[str, int] = field(default_factory=lambda: {"customer": 1001, "invoice": 1})

    def asked(self, call: str) -> None:
        """Note a request, and let the line fail after it was carried out."""
        self.calls.append(call)
        for fault in list(self.faults):
            fault(call)

    def get(self, kind: str, number: str) -> Entry:
        """One record; Refused when there is none."""
        if number not in self.records[kind]:
            raise Refused("E04", f"There is no {kind} {number}.")
        return self.records[kind][number]

    def live(self, kind: str) -> list[Row]:
        """The fields of every record of one kind."""
        return [entry.fields for entry in self.records[kind].values()]

    def add(self, kind: str, fields: Mapping[str, Value], rows: Sequence[Mapping[str, Value]] = ()) -> str:
        """Enter a record and return its number: Bokis' next one, for an article the one given."""
        self._check(kind, fields, rows)
        number = str(fields.get("number") or "") if kind == "article" else str(self._next[kind])
        if kind == "article" and number in self.records[kind]:
            raise Refused("E21", f"Article {number} exists already.", "number")
        if kind != "article":
            self._next[kind] += 1
        self._tick()
        start: Row = {"state": "draft", "paid": Decimal(0), "cancelled": False} if kind == "invoice" else {}
        self.records[kind][number] = Entry({**start, **_tidy(fields), "number": number}, [], self.clock, self.clock)
        self._settle(kind, number, rows)
        return number

    def change(
        self, kind: str, number: str, fields: Mapping[str, Value], rows: Sequence[Mapping[str, Value]] | None = None
    ) -> None:
        """Change a record; `rows` replace those there are. Refused for an invoice that is no draft any more."""
        entry = self.get(kind, number)
        if kind == "invoice" and entry.fields["state"] != "draft":
            raise Refused("E30", f"Invoice {number} is {entry.fields['state']}.", "state")
        self._check(kind, {**entry.fields, **fields}, entry.rows if rows is None else rows)
        entry.fields.update(_tidy(fields))
        self._settle(kind, number, entry.rows if rows is None else rows)
        self._touch(entry)

    def _check(self, kind: str, fields: Mapping[str, Value], rows: Sequence[Mapping[str, Value]]) -> None:
        if kind == "customer" and not str(fields.get("name") or "").strip():
            raise Refused("E20", "A customer needs a name.", "name")
        if kind == "invoice":
            self._check_invoice(fields, rows)

    def _check_invoice(self, fields: Mapping[str, Value], rows: Sequence[Mapping[str, Value]]) -> None:
        customer = self.records["customer"].get(str(fields.get("customer") or ""))
        if customer is None:
            raise Refused("E22", f"There is no customer {fields.get('customer')}.", "customer")
        if customer.fields.get("blocked"):
            raise Refused("E23", f"Customer {fields['customer']} is blocked for invoicing.", "customer")
        for row in rows:
            if row.get("article") and str(row["article"]) not in self.records["article"]:
                raise Refused("E24", f"There is no article {row['article']}.", "article")

    # --- what Bokis computes ------------------------------------------------------------------------------------

    def _settle(self, kind: str, number: str, rows: Sequence[Mapping[str, Value]]) -> None:
        entry = self.records[kind][number]
        if kind != "invoice":
            return
        entry.rows = [self._row(row) for row in rows]
        net = sum((_amount(row["sum"]) for row in entry.rows), Decimal(0))
        vat = sum(self._vat(entry.rows).values(), Decimal(0))
        total = net + vat
        if entry.fields.get("currency") == "SEK":  # to half kronor, half up
            total = (total / HALF).quantize(Decimal(1), ROUND_HALF_UP) * HALF
        entry.fields |= {"net": net, "vat": vat, "rounding": total - net - vat, "total": total.quantize(CENT)}

    def _row(self, row: Mapping[str, Value]) -> Row:
        article = self.records["article"][str(row["article"])].fields if row.get("article") else {}
        quantity = _amount(row.get("quantity"))
        if article.get("whole_packages"):  # sold in packages: what is begun is paid for
            quantity = quantity.to_integral_value("ROUND_CEILING")
        price = _amount(row["price"] if row.get("price") is not None else article.get("price"))
        rate = row["vat_percent"] if row.get("vat_percent") is not None else article.get("vat_percent", Decimal(25))
        return {
            "article": row.get("article"), "text": row.get("text") or article.get("name"), "quantity": quantity,
            "price": price, "vat_percent": rate, "sum": (price * quantity).quantize(CENT, ROUND_HALF_UP),
        }  # fmt: skip

    @staticmethod
    def _vat(rows: Sequence[Row]) -> dict[Decimal, Decimal]:
        """VAT by rate: of the sum of its rows, once."""
        sums: dict[Decimal, Decimal] = {}
        for row in rows:
            rate = _amount(row["vat_percent"])
            sums[rate] = sums.get(rate, Decimal(0)) + _amount(row["sum"])
        return {rate: (net * rate / 100).quantize(CENT, ROUND_HALF_UP) for rate, net in sums.items()}

    # --- what becomes of an invoice -----------------------------------------------------------------------------

    def book(self, number: str) -> None:
        """From here on it cannot be changed."""
        entry = self._invoice(number, "draft")
        entry.fields["state"] = "booked"
        self._touch(entry)

    def pay(self, number: str) -> None:
        """The customer paid everything."""
        entry = self._invoice(number, "booked")
        entry.fields |= {"state": "paid", "paid": entry.fields["total"]}
        self._touch(entry)

    def cancel(self, number: str) -> None:
        """A draft is thrown away; its number stays."""
        entry = self._invoice(number, "draft")
        entry.fields |= {"state": "cancelled", "cancelled": True}
        self._touch(entry)

    def credit(self, number: str) -> str:
        """The number of the credit invoice: the same rows, negative, booked at once."""
        entry = self._invoice(number, "booked", "paid")
        rows = [{**row, "quantity": -_amount(row["quantity"])} for row in entry.rows]
        head = {name: entry.fields[name] for name in ("customer", "currency")}
        other = self.add("invoice", head | {"credit_of": number}, rows)
        self.records["invoice"][other].fields["state"] = "booked"
        entry.fields |= {"state": "credited", "credited_by": other}
        self._touch(entry)
        return other

    def _invoice(self, number: str, *states: str) -> Entry:
        entry = self.get("invoice", number)
        if entry.fields["state"] not in states:
            raise Refused("E30", f"Invoice {number} is {entry.fields['state']}.", "state")
        return entry

    # --- asking -------------------------------------------------------------------------------------------------

    def search(self, kind: str, field_name: str, text: str) -> list[str]:
        """Numbers of records whose field contains the text, as its index knows them: it lags, and takes what is alike
        in upper and lower case."""
        indexed = {number: entry for number, entry in self.records[kind].items() if entry.made + self.lag <= self.clock}
        wanted = text.casefold()
        return [
            number for number, entry in indexed.items() if wanted in str(entry.fields.get(field_name) or "").casefold()
        ]

    def wait(self, seconds: float) -> None:
        """Time passes in Bokis."""
        self.clock += timedelta(seconds=seconds)

    def _tick(self) -> None:
        self.wait(1)

    def _touch(self, entry: Entry) -> None:
        self._tick()
        entry.changed = self.clock


def _tidy(fields: Mapping[str, Value]) -> Row:
    """Bokis trims what is typed in."""
    return {name: value.strip() if isinstance(value, str) else value for name, value in fields.items()}


def _amount(value: Value) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value or 0))
