"""One Fortnox company: its registers, documents, settings and counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from typing import Any

from sandbox.core.world import World

from . import errors, times
from .records import Record, Table

VAT_OF_CODE = {"MP1": 25, "MP2": 12, "MP3": 6, "MF": 0}
VAT_RATES = frozenset(VAT_OF_CODE.values())
DOCUMENTS = ("customers", "articles", "invoices", "invoicepayments", "financialyears")
REGISTERS = (
    "units",
    "termsofpayments",
    "modesofpayments",
    "currencies",
    "pricelists",
    "prices",
    "predefinedaccounts",
    "accounts",
    "voucherseries",
    "predefinedvoucherseries",
)


@dataclass
class Tenant:
    """A company database; ``number`` is the TenantId."""

    number: str
    company: dict[str, Any]
    locked_until: str | None = None
    round_off: bool = True
    default_terms: str = "30"
    accounting_method: str = "ACCRUAL"
    warehouse: bool = False
    current_year: int = 1
    tables: dict[str, Table] = field(default_factory=dict)
    reference_index: dict[str, str] = field(default_factory=dict)
    voucher_counters: Counter[tuple[str, int]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.tables = {name: Table() for name in (*DOCUMENTS, "vouchers")}
        self.tables |= {name: Table(as_text=True) for name in REGISTERS}
        self._row_ids = count(1)

    def next_row_id(self) -> int:
        """Row ids are issued anew on every change of a document."""
        return next(self._row_ids)

    def vat_of_account(self, number: int) -> int:
        """The rate that the account's VAT code stands for."""
        record = self.tables["accounts"].get(str(number))
        return VAT_OF_CODE.get(str(record.values.get("VATCode", "")), 0) if record else 0

    def require_account(self, number: int) -> None:
        """Documented: unknown accounts are refused; reported: inactive ones too."""
        record = self.tables["accounts"].get(str(number))
        if record is None:
            raise errors.FortnoxError(2001304, "Kunde inte hitta konto")
        if not record.values.get("Active", True):
            raise errors.FortnoxError(2000550, f"Konto {number} är inte aktivt")

    def predefined(self, name: str) -> int:
        """The account set up for a purpose, e.g. SALES_25_SE."""
        record = self.tables["predefinedaccounts"].get(name)
        if record is None:
            raise errors.FortnoxError(2001304, "Kunde inte hitta konto")
        return int(record.values["Account"])

    def financial_year(self, day: str) -> int:
        """The id of the year that a date falls in."""
        for record in self.tables["financialyears"]:
            if record.values["FromDate"] <= day <= record.values["ToDate"]:
                return int(record.values["Id"])
        raise errors.own(20, f"Det finns inget räkenskapsår för datumet {day}.")

    def require_open_period(self, day: str) -> None:
        """Reported: bookkeeping in a locked period is refused."""
        if self.locked_until and day <= self.locked_until:
            raise errors.FortnoxError(
                2000401,
                f"Sandlådan har låst perioden t.o.m. {self.locked_until}. Lås upp perioden för att fortsätta.",
            )

    def next_voucher(self, series: str, year: int) -> int:
        """Recorded: voucher numbers count per series and financial year."""
        self.voucher_counters[series, year] += 1
        return self.voucher_counters[series, year]


@dataclass
class Call:
    """One API call on a company."""

    world: World
    tenant: Tenant
    args: Mapping[str, str]
    now: float
    seq: int | None = None

    def today(self) -> date:
        """The calendar day in Sweden."""
        return times.local_date(self.now)

    def add(self, table: str, key: str, values: dict[str, Any]) -> Record:
        """Store a new record."""
        return self.tenant.tables[table].add(Record(key, values, self.now, self.seq))
