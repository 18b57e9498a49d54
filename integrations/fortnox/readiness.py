"""Is this Fortnox company ready? Asked of Fortnox now, one line per condition, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from integrations.connector import ReadinessLine
from integrations.errors import AuthenticationFailed, Missing, PermissionMissing, RateLimited, SyncError
from integrations.fortnox import times
from integrations.fortnox.client import Fortnox


def check(client: Fortnox) -> list[ReadinessLine]:
    """The readiness lines. A dead connection ends the questions; anything else is one line."""
    lines: list[ReadinessLine] = []
    for question in (_company, _registers, _settings, _money, _calendar):
        try:
            lines += question(client)
        except AuthenticationFailed as error:
            lines.append(
                ReadinessLine("token", "error", _("The connection works"), error.message, _("Reconnect Fortnox."))
            )
            break
        except RateLimited:
            lines.append(
                ReadinessLine("busy", "warning", _("Not everything was asked"), _("The rate limit is used up."))
            )
            break
    return lines


def _ask(code: str, title: str, ask: Callable[[], ReadinessLine | None]) -> list[ReadinessLine]:
    """The line of one question; a refusal becomes a line with the remedy from the error table."""
    try:
        line = ask()
    except (AuthenticationFailed, RateLimited):
        raise
    except PermissionMissing as error:
        return [ReadinessLine(code, "error", title, error.message, _(str(error.context.get("remedy", ""))))]
    except SyncError as error:
        return [ReadinessLine(code, "warning", title, error.message, _(str(error.context.get("remedy", ""))))]
    return [line] if line else []


def _company(client: Fortnox) -> list[ReadinessLine]:
    def ask() -> ReadinessLine:
        company = client.register("/3/companyinformation", "CompanyInformation")
        name = f"{company.get('CompanyName') or ''} {company.get('OrganizationNumber') or ''}".strip()
        return ReadinessLine("token", "ok", _("The connection works"), name)

    return _ask("token", _("The connection works"), ask)


def _registers(client: Fortnox) -> list[ReadinessLine]:
    """Each scope answers: a licence that is missing shows only when its register is asked."""
    lines: list[ReadinessLine] = []
    for scope, path, envelope in (
        ("customer", "/3/customers", "Customers"),
        ("article", "/3/articles", "Articles"),
        ("invoice", "/3/invoices", "Invoices"),
        ("payment", "/3/invoicepayments", "InvoicePayments"),
    ):

        def ask(path: str = path, envelope: str = envelope, scope: str = scope) -> ReadinessLine:
            client.register(path, envelope, {"limit": "1"})
            return ReadinessLine(f"scope_{scope}", "ok", _("Access to %(scope)s") % {"scope": scope})

        lines += _ask(f"scope_{scope}", _("Access to %(scope)s") % {"scope": scope}, ask)
    return lines


def _settings(client: Fortnox) -> list[ReadinessLine]:
    def vat() -> ReadinessLine:
        company = client.register("/3/settings/company", "CompanySettings")
        if company.get("TaxEnabled") is False:
            return ReadinessLine(
                "tax",
                "warning",
                _("Approved for F-tax"),
                _("Fortnox says that F-tax is not enabled; invoices will not say that it is."),
                _("Fortnox: Settings, Company settings."),
            )
        return ReadinessLine("tax", "ok", _("Approved for F-tax"), str(company.get("VATNumber") or ""))

    def terms() -> ReadinessLine:
        codes = _codes(client.register("/3/termsofpayments", "TermsOfPayments"))
        level = "ok" if codes else "warning"
        return ReadinessLine("terms", level, _("Terms of payment"), ", ".join(codes))

    return _ask("tax", _("Approved for F-tax"), vat) + _ask("terms", _("Terms of payment"), terms)


def _money(client: Fortnox) -> list[ReadinessLine]:
    def currencies() -> ReadinessLine:
        codes = _codes(client.register("/3/currencies", "Currencies"))
        fix = "" if "SEK" in codes else _("Fortnox: Register, Currencies.")
        return ReadinessLine("currencies", "warning" if fix else "ok", _("Currencies"), ", ".join(codes), fix)

    def prices() -> ReadinessLine:
        return ReadinessLine(
            "price_lists", "ok", _("Price lists"), ", ".join(_codes(client.register("/3/pricelists", "PriceLists")))
        )

    return _ask("currencies", _("Currencies"), currencies) + _ask("price_lists", _("Price lists"), prices)


def _calendar(client: Fortnox) -> list[ReadinessLine]:
    today = times.local_date(datetime.now(UTC))

    def year() -> ReadinessLine:
        try:
            found = client.financial_years(today)
        except Missing:
            found = []
        if not found:
            return ReadinessLine(
                "financial_year",
                "error",
                _("Financial year for today"),
                _("There is no financial year that contains today; nothing can be booked."),
                _("Fortnox: Settings, Financial years."),
            )
        return ReadinessLine("financial_year", "ok", _("Financial year for today"))

    def locked() -> ReadinessLine:
        period = client.register("/3/settings/lockedperiod", "LockedPeriod")
        end = str((period or {}).get("EndDate") or "")
        if end >= today.isoformat():
            return ReadinessLine(
                "locked_period",
                "error",
                _("Locked period"),
                _("Everything until %(date)s is locked, today included.") % {"date": end},
                _("Fortnox: Settings, Bookkeeping, Lock period."),
            )
        return ReadinessLine("locked_period", "ok", _("Locked period"), end)

    return _ask("financial_year", _("Financial year for today"), year) + _ask(
        "locked_period", _("Locked period"), locked
    )


def _codes(rows: Any) -> list[str]:
    return [str(row.get("Code")) for row in rows if isinstance(row, dict) and row.get("Code")]
