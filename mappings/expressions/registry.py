"""The register of functions an expression may call: closed, documented, argument-checked.

Each function is pure (no clock, no randomness, no database) and total: a `Value` or a `MappingError`. Its one example
is executed by a test and printed in `docs/expressions.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from mappings.expressions.values import ValueTable, table_of

Check = Callable[[object], None]
"""Validates a literal argument when the expression is compiled; raises ValueError with what was expected."""


@dataclass(frozen=True, slots=True)
class Function:
    """One registered function. `literals` are arguments that must be constants, with their checks by position.

    `form`: "plain" gets values; "lookup" gets (value, table); "lines" gets one value per line.
    """

    name: str
    call: Callable[..., Any]
    signature: str
    summary: str
    example: str
    result: object
    minimum: int
    maximum: int
    group: str
    literals: dict[int, Check]
    form: str = "plain"

    @property
    def arity(self) -> str:
        """How many arguments it takes, in words."""
        if self.minimum == self.maximum:
            return str(self.minimum)
        return f"{self.minimum}–{self.maximum}" if self.maximum < MAX_ARGUMENTS else f"≥ {self.minimum}"


MAX_ARGUMENTS = 100
FUNCTIONS: dict[str, Function] = {}


def function(
    signature: str,
    example: str,
    result: object,
    *,
    group: str,
    arguments: tuple[int, int],
    literals: dict[int, Check] | None = None,
    form: str = "plain",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers the decorated function under the name in its signature; its docstring is the documentation."""

    def register(call: Callable[..., Any]) -> Callable[..., Any]:
        name = signature.partition("(")[0]
        FUNCTIONS[name] = Function(
            name,
            call,
            signature,
            " ".join((call.__doc__ or "").split()),
            example,
            result,
            *arguments,
            group,
            literals or {},
            form,
        )
        return call

    return register


# What the examples in the documentation see.
EXAMPLE_PARTS: dict[str, dict[str, object]] = {
    "customer": {
        "CustomerNumber": "1042",
        "Name": " Åkers Järn AB ",
        "OrganisationNumber": "5560160680",
        "Email": "faktura@akersjarn.se",
        "WWW": "https://www.akersjarn.se/kontakt",
        "Phone1": "08-123 45 67",
        "Address2": None,
        "Country": "Sverige",
    },
    "invoice": {
        "DocumentNumber": "203",
        "InvoiceType": "INVOICE",
        "InvoiceDate": date(2026, 11, 21),
        "Total": Decimal("1250.50"),
        "TotalVAT": Decimal("250.10"),
        "Remarks": "PO 4711, deliver to gate 3",
    },
}
EXAMPLE_LINES: list[dict[str, object]] = [
    {"ArticleNumber": "A-1", "Total": Decimal("600.40")},
    {"ArticleNumber": "A-2", "Total": Decimal("400.00")},
]
EXAMPLE_LINE_PART = "row"
EXAMPLE_TABLES: dict[str, ValueTable] = {
    "Invoice type": table_of("Invoice type", {"INVOICE": "Invoice", "CASHINVOICE": "Cash invoice"}, "pass")
}
