"""Is this Fortnox company ready? Asked of Fortnox now, one line per condition, each with its remedy and menu path.

Source of paths and fields: Fortnox's interface description; of what goes wrong in practice: its error table. The money
side of the board is in `readiness_money`. The invariant: a question that Fortnox refuses is a line of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from django.utils.translation import gettext_noop

from integrations.connector import Expected, ReadinessLine
from integrations.errors import AuthenticationFailed, Missing, PermissionMissing, RateLimited, SyncError
from integrations.fortnox import readiness_money, times
from integrations.fortnox.client import Fortnox
from integrations.words import every as _

REGISTERS = (
    ("customer", "/3/customers", "Customers", gettext_noop("Customers")),
    ("article", "/3/articles", "Articles", gettext_noop("Articles")),
    ("invoice", "/3/invoices", "Invoices", gettext_noop("Invoices")),
    ("payment", "/3/invoicepayments", "InvoicePayments", gettext_noop("Payments")),
    ("price", "/3/pricelists", "PriceLists", gettext_noop("Price lists")),
    ("currency", "/3/currencies", "Currencies", gettext_noop("Currencies")),
    ("settings", "/3/termsofpayments", "TermsOfPayments", gettext_noop("Terms of payment")),
    ("bookkeeping", "/3/voucherseries", "VoucherSeriesCollection", gettext_noop("Voucher series")),
)
"""A register per scope, and what people call it: a licence that is missing shows only when one is asked."""
SHOWN = 8
CUSTOMER_INVOICES, CUSTOMER_PAYMENTS = "INVOICE", "INCOMINGPAYMENT"

Question = Callable[[], ReadinessLine | None]


def check(client: Fortnox, expected: Expected | None = None) -> list[ReadinessLine]:
    """The readiness lines. A dead connection ends the questions; anything else is one line."""
    lines: list[ReadinessLine] = []
    for code, title, question in _questions(client, expected or Expected()):
        try:
            lines += _ask(code, title, question)
        except AuthenticationFailed as error:
            lines.append(
                ReadinessLine("token", "error", _("The connection works"), error.message, _("Reconnect Fortnox."))
            )
            break
        except RateLimited:
            lines.append(
                ReadinessLine(
                    "busy", "warning", _("Not everything was asked"), _("The rate limit is used up."),
                    _("Check again in a minute."),
                )
            )  # fmt: skip
            break
    return lines


def _questions(client: Fortnox, expected: Expected) -> Iterable[tuple[str, str, Question]]:
    yield "token", _("The connection works"), lambda: _company(client)
    for scope, path, envelope, words in REGISTERS:
        title = _("Licence and access: %(scope)s") % {"scope": _(words)}
        yield f"scope_{scope}", title, lambda p=path, e=envelope, s=scope, t=title: _register(client, p, e, s, t)  # type: ignore[misc]
    yield "tax", _("Approved for F-tax"), lambda: _tax(client)
    yield from readiness_money.questions(client, expected)
    yield "financial_year", _("Financial year for today"), lambda: _year(client)
    yield "financial_year_queued", _("Financial years of queued invoices"), lambda: _queued_years(client, expected)
    yield "locked_period", _("Locked period"), lambda: _locked(client, expected)
    yield "number_series", _("Number series"), lambda: _series(client)
    yield "warehouse", _("Warehouse module"), lambda: _warehouse(client)
    yield "terms", _("Terms of payment"), lambda: _terms(client, expected)
    yield "price_lists", _("Price lists"), lambda: _price_lists(client, expected)


def _ask(code: str, title: str, ask: Question) -> list[ReadinessLine]:
    """The line of one question; a refusal becomes a line with the remedy from the error table."""
    try:
        line = ask()
    except (AuthenticationFailed, RateLimited):
        raise
    except PermissionMissing as error:
        fix = str(error.context.get("remedy", ""))
        return [ReadinessLine(code, "error", title, error.message, _(fix) if fix else _LICENCES())]
    except SyncError as error:
        fix = str(error.context.get("remedy", ""))
        return [ReadinessLine(code, "warning", title, error.message, _(fix) if fix else _("Check again in a minute."))]
    return [line] if line else []


def _LICENCES() -> str:
    return _("Fortnox: Manage users › Licences; then reconnect as a system administrator.")


def _company(client: Fortnox) -> ReadinessLine:
    company = client.register("/3/companyinformation", "CompanyInformation")
    name = f"{company.get('CompanyName') or ''} {company.get('OrganizationNumber') or ''}".strip()
    return ReadinessLine("token", "ok", _("The connection works"), name)


def _register(client: Fortnox, path: str, envelope: str, scope: str, title: str) -> ReadinessLine:
    client.register(path, envelope, {"limit": "1"})
    return ReadinessLine(f"scope_{scope}", "ok", title)


def _tax(client: Fortnox) -> ReadinessLine:
    company = client.register("/3/settings/company", "CompanySettings")
    title = _("Approved for F-tax")
    if company.get("TaxEnabled") is False:
        detail = _("Fortnox says that F-tax is not enabled; invoices will not say that it is.")
        return ReadinessLine("tax", "warning", title, detail, _("Fortnox: Settings › Company settings."))
    return ReadinessLine("tax", "ok", title, str(company.get("VATNumber") or ""))


# --- calendar ---------------------------------------------------------------------------------------------------


def _years(client: Fortnox, day: date) -> Any:
    try:
        return client.financial_years(day)
    except Missing:
        return []


def _year(client: Fortnox) -> ReadinessLine:
    title = _("Financial year for today")
    if not _years(client, times.local_date(datetime.now(UTC))):
        detail = _("There is no financial year that contains today; nothing can be booked.")
        return ReadinessLine("financial_year", "error", title, detail, _years_path())
    return ReadinessLine("financial_year", "ok", title)


def _years_path() -> str:
    return _("Fortnox: Settings › Bookkeeping › Financial years › Create new.")


def _dates(expected: Expected) -> list[date]:
    found = []
    for value in expected.of("invoice.InvoiceDate"):
        try:
            found.append(date.fromisoformat(value[:10]))
        except ValueError:
            continue
    return sorted(found)


def _queued_years(client: Fortnox, expected: Expected) -> ReadinessLine:
    code, title = "financial_year_queued", _("Financial years of queued invoices")
    dates = _dates(expected)
    if not dates:
        return ReadinessLine(code, "ok", title, _("No invoice with a date of its own is queued."))
    lacking: list[date] = []
    covered: list[tuple[str, str]] = []
    for day in dates[:200]:
        if any(first <= day.isoformat() <= last for first, last in covered):
            continue
        years = _years(client, day)
        covered += [(str(row.get("FromDate")), str(row.get("ToDate"))) for row in years if isinstance(row, Mapping)]
        lacking += [day] if not years else []
    if lacking:
        detail = _("There is no financial year for: %(dates)s") % {"dates": _listed(map(str, lacking))}
        return ReadinessLine(code, "error", title, detail, _years_path())
    return ReadinessLine(code, "ok", title, f"{dates[0]} – {dates[-1]}")


def _locked(client: Fortnox, expected: Expected) -> ReadinessLine:
    code, title = "locked_period", _("Locked period")
    period = client.register("/3/settings/lockedperiod", "LockedPeriod")
    end = str((period or {}).get("EndDate") or "")
    fix = _("Fortnox: Settings › Bookkeeping › Lock period.")
    if end >= times.local_date(datetime.now(UTC)).isoformat():
        detail = _("Everything until %(date)s is locked, today included.") % {"date": end}
        return ReadinessLine(code, "error", title, detail, fix)
    inside = [str(day) for day in _dates(expected) if day.isoformat() <= end]
    if inside:
        detail = _("Until %(date)s all is locked; queued invoices have these dates: %(dates)s") % {
            "date": end, "dates": _listed(inside),
        }  # fmt: skip
        return ReadinessLine(code, "error", title, detail, fix)
    return ReadinessLine(code, "ok", title, end or _("Nothing is locked."))


# --- registers --------------------------------------------------------------------------------------------------


def _series(client: Fortnox) -> ReadinessLine:
    """Customer invoices and payments are booked in the series that the company chose for them."""
    code, title = "number_series", _("Number series")
    fix = _("Fortnox: Settings › Bookkeeping › Predefined voucher series.")
    known = {
        str(row.get("Code"))
        for row in client.register("/3/voucherseries", "VoucherSeriesCollection", {"limit": "500"})
        if isinstance(row, Mapping)
    }
    chosen = {
        str(row.get("Name")): str(row.get("VoucherSeries") or "")
        for row in client.register("/3/predefinedvoucherseries", "PreDefinedVoucherSeriesCollection", {"limit": "500"})
        if isinstance(row, Mapping)
    }
    shown = ", ".join(f"{name} {chosen[name]}" for name in (CUSTOMER_INVOICES, CUSTOMER_PAYMENTS) if chosen.get(name))
    if CUSTOMER_INVOICES in chosen and chosen[CUSTOMER_INVOICES] not in known:
        detail = _("Customer invoices are to be booked in series “%(code)s”, which does not exist this year.")
        return ReadinessLine(code, "error", title, detail % {"code": chosen[CUSTOMER_INVOICES]}, fix)
    if CUSTOMER_INVOICES not in chosen:
        return ReadinessLine(code, "warning", title, _("No series is chosen for customer invoices."), fix)
    if CUSTOMER_PAYMENTS in chosen and chosen[CUSTOMER_PAYMENTS] not in known:
        detail = _("Payments are to be booked in series “%(code)s”, which does not exist this year.")
        return ReadinessLine(code, "warning", title, detail % {"code": chosen[CUSTOMER_PAYMENTS]}, fix)
    return ReadinessLine(code, "ok", title, shown)


def _warehouse(client: Fortnox) -> ReadinessLine:
    """With the warehouse module an invoice begins as not ready, and Fortnox may set delivered quantities to 0. The
    module's own address needs a right that nothing else needs; an unbooked invoice tells as well."""
    code, title = "warehouse", _("Warehouse module")
    rows = client.register("/3/invoices", "Invoices", {"filter": "unbooked", "limit": "1"})
    if not rows:
        return ReadinessLine(code, "ok", title, _("No unbooked invoice says that it is used."))
    number = str(rows[0].get("DocumentNumber"))
    invoice = client.register(f"/3/invoices/{number}", "Invoice")
    if invoice.get("WarehouseReady") is False:
        detail = _(
            "It is active: invoice %(number)s waits for its delivery, and quantities may be set to 0 until then."
        )
        fix = _("Fortnox: Warehouse › Settings; or mark invoices as delivered before they are booked.")
        return ReadinessLine(code, "warning", title, detail % {"number": number}, fix)
    return ReadinessLine(code, "ok", title, _("Not used."))


def _terms(client: Fortnox, expected: Expected) -> ReadinessLine:
    rows = client.register("/3/termsofpayments", "TermsOfPayments", {"limit": "500"})
    used = expected.of("invoice.TermsOfPayment") | expected.of("customer.TermsOfPayment")
    fix = _("Fortnox: Settings › Invoicing › Terms of payment.")
    return _codes_line("terms", _("Terms of payment"), codes(rows), used, fix)


def _price_lists(client: Fortnox, expected: Expected) -> ReadinessLine:
    rows = client.register("/3/pricelists", "PriceLists", {"limit": "500"})
    used = expected.of("invoice.PriceList") | expected.of("customer.PriceList")
    fix = _("Fortnox: Register › Price lists.")
    return _codes_line("price_lists", _("Price lists"), codes(rows), used, fix)


def _codes_line(code: str, title: str, known: list[str], used: frozenset[str], fix: str) -> ReadinessLine:
    """Red when something queued names a code that is not there, amber when there is none at all."""
    lacking = sorted(value for value in used if value and value not in known)
    if lacking:
        detail = _("Queued records use codes that do not exist: %(codes)s") % {"codes": _listed(lacking)}
        return ReadinessLine(code, "error", title, detail, fix)
    if not known:
        return ReadinessLine(code, "warning", title, _("There are none."), fix)
    return ReadinessLine(code, "ok", title, _listed(known))


def codes(rows: Any) -> list[str]:
    """The codes of a register's rows."""
    return [str(row.get("Code")) for row in rows if isinstance(row, Mapping) and row.get("Code")]


def _listed(values: Iterable[str]) -> str:
    found = list(values)
    return ", ".join(found[:SHOWN]) + (" …" if len(found) > SHOWN else "")
