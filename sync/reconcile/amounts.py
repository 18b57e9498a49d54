"""Amounts of documents, and their totals by currency and status: Decimal throughout, exact to the last digit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Self

ZERO = Decimal(0)
NAMES = ("net", "vat", "gross", "balance")


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many documents, and what they add up to in one currency."""

    count: int = 0
    net: Decimal = ZERO
    vat: Decimal = ZERO
    gross: Decimal = ZERO
    balance: Decimal = ZERO

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __neg__(self) -> Amounts:
        return Amounts(*(-getattr(self, f.name) for f in fields(self)))

    def __sub__(self, other: Amounts) -> Amounts:
        return self + -other

    def __bool__(self) -> bool:
        return any(getattr(self, f.name) for f in fields(self))

    @property
    def widest(self) -> Decimal:
        """The largest of the amounts, whatever its sign."""
        return max(abs(self.net), abs(self.vat), abs(self.gross), abs(self.balance))

    def dump(self) -> dict[str, Any]:
        """As JSON: amounts as text, because a JSON number never stands for money here."""
        return {"count": self.count} | {name: plain(getattr(self, name)) for name in NAMES}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `dump`."""
        return cls(int(data["count"]), *(Decimal(data[name]) for name in NAMES))

    @classmethod
    def of(cls, row: Any, count: int = 1) -> Self:
        """Those of a row with these columns; blank is nothing."""
        return cls(count, *((getattr(row, name) or ZERO) for name in NAMES))


def plain(value: Decimal) -> str:
    """An amount as text with two decimals, more only where there are more."""
    whole, _, part = f"{value:f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"


@dataclass(slots=True)
class Totals:
    """What one side adds up to, by (currency, status)."""

    by: dict[tuple[str, str], Amounts]

    def add(self, currency: str, status: str, amounts: Amounts) -> None:
        """One more document."""
        key = (currency, status)
        self.by[key] = self.by.get(key, Amounts()) + amounts

    def currencies(self) -> dict[str, Amounts]:
        """Summed over statuses."""
        found: dict[str, Amounts] = {}
        for (currency, _status), amounts in self.by.items():
            found[currency] = found.get(currency, Amounts()) + amounts
        return found

    def dump(self) -> list[dict[str, Any]]:
        """As JSON."""
        return [{"currency": c, "status": s} | amounts.dump() for (c, s), amounts in sorted(self.by.items())]

    @classmethod
    def load(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """The inverse of `dump`."""
        return cls({(str(r["currency"]), str(r["status"])): Amounts.load(r) for r in rows})
