"""The money side of a Fortnox company's readiness: currencies, VAT rates, default accounts, accounts behind articles.

Source: Fortnox's interface description of currencies, predefined accounts, accounts and articles. The invariant: what
is read is bounded, whatever the size of the registers; a line that looked at a part only says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from integrations.connector import Expected, ReadinessLine
from integrations.errors import Missing
from integrations.fortnox.client import PAGE_SIZE, Fortnox
from integrations.hosts import path_key
from integrations.words import every as _

HOME_CURRENCY = "SEK"
VAT_ACCOUNTS = {"25": "OUTVAT_MP1", "12": "OUTVAT_MP2", "6": "OUTVAT_MP3"}
NEEDED = ("CUSTCLAIM", "SALES_25_SE")
"""Without these no invoice is booked."""
WANTED = ("ROUNDOFF", "FREIGHT", "ADMFEE", "CURRENCYWIN", "CURRENCYLOSS", "SALES_12_SE", "SALES_6_SE", "SALES_0_SE")
ACCOUNT_PAGES = 6
ARTICLES = 10
"""How many articles are looked at, those of queued invoices first: each is a call."""
SALES_ACCOUNTS = ("SalesAccount", "EUAccount", "EUVATAccount", "ExportAccount")
SHOWN = 6

Question = Callable[[], ReadinessLine | None]


def questions(client: Fortnox, expected: Expected) -> Iterable[tuple[str, str, Question]]:
    """(code, title, question) of these lines."""
    books = _Books(client)
    yield "currencies", _("Currencies"), lambda: _currencies(client, expected)
    yield "vat", _("VAT rates"), lambda: _vat(books, expected)
    yield "default_accounts", _("Default accounts"), lambda: _defaults(books)
    yield "article_accounts", _("Accounts behind articles"), lambda: _articles(client, books, expected)


class _Books:
    """Predefined accounts and the chart of accounts, read once."""

    def __init__(self, client: Fortnox) -> None:
        self._client = client
        self._predefined: dict[str, str] | None = None
        self._active: dict[str, bool] | None = None

    def predefined(self) -> dict[str, str]:
        """Account by purpose; "" for one that is not set."""
        if self._predefined is None:
            rows = self._client.register("/3/predefinedaccounts", "PreDefinedAccounts", {"limit": str(PAGE_SIZE)})
            self._predefined = {
                str(row.get("Name")): str(row.get("Account") or "") for row in rows if isinstance(row, Mapping)
            }
        return self._predefined

    def active(self) -> dict[str, bool]:
        """Whether each account of the current year is active."""
        if self._active is None:
            self._active = {}
            for page in range(1, ACCOUNT_PAGES + 1):
                params = {"limit": str(PAGE_SIZE), "page": str(page)}
                rows = self._client.register("/3/accounts", "Accounts", params)
                self._active |= {
                    str(row.get("Number")): row.get("Active") is not False for row in rows if isinstance(row, Mapping)
                }
                if len(rows) < PAGE_SIZE:
                    break
        return self._active

    def wrong(self, number: str) -> str:
        """Why an account cannot be used: "missing", "inactive", or ""."""
        if number not in self.active():
            return "missing"
        return "" if self.active()[number] else "inactive"


def _currencies(client: Fortnox, expected: Expected) -> ReadinessLine:
    code, title = "currencies", _("Currencies")
    fix = _("Fortnox: Register › Currencies › Create new.")
    rows = [
        row
        for row in client.register("/3/currencies", "Currencies", {"limit": str(PAGE_SIZE)})
        if isinstance(row, Mapping) and row.get("Code")
    ]
    known = {str(row["Code"]): row for row in rows}
    shown = ", ".join(known)
    queued = sorted((expected.of("invoice.Currency") | expected.of("customer.Currency")) - known.keys() - {""})
    if HOME_CURRENCY not in known or queued:
        lacking = ", ".join(queued[:SHOWN]) if queued else HOME_CURRENCY
        detail = _("Not there, and needed: %(codes)s") % {"codes": lacking}
        return ReadinessLine(code, "error", title, detail, fix)
    foreign = sorted(expected.currencies - known.keys() - {""})
    if foreign:
        detail = _("The CRM also uses %(codes)s; records in these will be refused.") % {
            "codes": ", ".join(foreign[:SHOWN])
        }
        return ReadinessLine(code, "warning", title, detail, fix)
    unrated = [name for name, row in known.items() if name != HOME_CURRENCY and not _positive(row.get("SellRate"))]
    if unrated:
        detail = _("No exchange rate: %(codes)s") % {"codes": ", ".join(unrated[:SHOWN])}
        return ReadinessLine(code, "warning", title, detail, _("Fortnox: Register › Currencies › Update rates."))
    return ReadinessLine(code, "ok", title, shown)


def _positive(value: Any) -> bool:
    try:
        return Decimal(str(value or 0)) > 0
    except InvalidOperation:
        return False


def _vat(books: _Books, expected: Expected) -> ReadinessLine:
    """Each rate needs its account for outgoing VAT, or Fortnox answers that it cannot find the VAT."""
    code, title = "vat", _("VAT rates")
    fix = _("Fortnox: Settings › Bookkeeping › Predefined accounts › Outgoing VAT.")
    predefined = books.predefined()
    broken = {}
    for rate, name in VAT_ACCOUNTS.items():
        number = predefined.get(name, "")
        problem = books.wrong(number) if number else "missing"
        if problem:
            broken[rate] = f"{rate} % ({number or name})"
    queued = {_rate(value) for value in expected.of("invoice.lines.VAT")} - {""}
    odd = sorted(queued - VAT_ACCOUNTS.keys() - {"0"})
    if odd:
        detail = _("Queued invoices have rates that Fortnox does not know: %(rates)s") % {
            "rates": ", ".join(f"{rate} %" for rate in odd[:SHOWN])
        }
        return ReadinessLine(code, "error", title, detail, _("Change the VAT of the products in the CRM."))
    if broken:
        level = "error" if "25" in broken or queued & broken.keys() else "warning"
        detail = _("The account for outgoing VAT is not there or inactive: %(rates)s") % {
            "rates": ", ".join(broken.values())
        }
        return ReadinessLine(code, level, title, detail, fix)
    return ReadinessLine(code, "ok", title, "25 %, 12 %, 6 %, 0 %")


def _rate(value: str) -> str:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return ""
    return f"{number.normalize():f}"


def _defaults(books: _Books) -> ReadinessLine:
    code, title = "default_accounts", _("Default accounts")
    fix = _("Fortnox: Settings › Bookkeeping › Predefined accounts.")
    predefined = books.predefined()
    found: dict[str, list[str]] = {"error": [], "warning": []}
    for names, level in ((NEEDED, "error"), (WANTED, "warning")):
        for name in names:
            number = predefined.get(name, "")
            if not number:
                found[level].append(name)
            elif books.wrong(number):
                found[level].append(f"{name} ({number})")
    for level in ("error", "warning"):
        if found[level]:
            detail = _("Not set, or on an account that is not there or inactive: %(names)s")
            return ReadinessLine(code, level, title, detail % {"names": ", ".join(found[level][:SHOWN])}, fix)
    return ReadinessLine(code, "ok", title, f"{predefined.get('CUSTCLAIM')}, {predefined.get('SALES_25_SE')} …")


def _articles(client: Fortnox, books: _Books, expected: Expected) -> ReadinessLine:
    """An article whose sales account is inactive is refused on the row that uses it."""
    code, title = "article_accounts", _("Accounts behind articles")
    queued = sorted(expected.of("invoice.lines.ArticleNumber") - {""})
    rows = client.register("/3/articles", "Articles", {"filter": "active", "limit": str(ARTICLES)})
    listed = [str(row.get("ArticleNumber")) for row in rows if isinstance(row, Mapping)]
    bad: dict[str, list[str]] = {}
    looked_at = list(dict.fromkeys([*queued, *listed]))[: max(ARTICLES, min(len(queued), 2 * ARTICLES))]
    for number in looked_at:
        try:
            article = client.register(f"/3/articles/{path_key(number)}", "Article")
        except Missing:
            continue  # that it is not there, the plan says, with the button that creates it
        for name in SALES_ACCOUNTS:
            account = str(article.get(name) or "")
            if account and books.wrong(account) and (name == "SalesAccount" or number in queued):
                bad.setdefault(account, []).append(number)
    looked = _("%(n)s articles were looked at.") % {"n": len(looked_at)}
    if not bad:
        return ReadinessLine(code, "ok", title, looked)
    named = "; ".join(f"{account}: {', '.join(numbers[:SHOWN])}" for account, numbers in list(bad.items())[:SHOWN])
    detail = _("Inactive or missing accounts, with the articles that use them: %(named)s") % {"named": named}
    level = "error" if {number for numbers in bad.values() for number in numbers} & set(queued) else "warning"
    fix = _("Fortnox: Register › Accounts (activate it), or Register › Articles › Accounts (choose another).")
    return ReadinessLine(code, level, title, detail, fix)
