"""Every line of a Fortnox company's readiness, green, amber and red as the company is, through the sandbox."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone, translation

from integrations import readiness, readiness_store
from integrations.connector import Expected, ReadinessLine
from integrations.fortnox import readiness as fortnox
from integrations.models import ConnectedAccount, Integration, ReadinessReport
from sync import board
from sync.models import Notice
from tests import factories as make
from tests.integrations.clients import connector, in_sandbox, set_vendor
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(
        "--customers", "3", "--articles", "4", "--invoices", "3", "--accounts", "1", "--no-limits"
    ) as made:
        yield made


class Company:
    """A Fortnox company, as a person and as the board see it."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        sizes = {"seed": 1, "customers": 3, "articles": 4, "invoices": 3, "accounts": 1}
        sandbox.control("POST", "/reset", sizes)
        self.account = in_sandbox(sandbox, "fortnox")

    def edit(self, register: str, record: str, **fields: Any) -> None:
        path = f"/records/fortnox/{self.account.remote_id}/{register}"
        self.sandbox.control("POST", f"{path}/{record}" if record else path, {"fields": fields})

    def remove(self, register: str, record: str) -> None:
        self.sandbox.control("DELETE", f"/records/fortnox/{self.account.remote_id}/{register}/{record}", {})

    def lines(self, **expected: Any) -> dict[str, ReadinessLine]:
        currencies = frozenset(expected.pop("currencies", ()))
        values = {name.replace("__", "."): frozenset(found) for name, found in expected.items()}
        found = connector(self.account).check_for(Expected(values, currencies))
        assert all(line.fix for line in found if line.level != "ok"), found
        return {line.code: line for line in found}

    def level(self, code: str, **expected: Any) -> str:
        return self.lines(**expected)[code].level


@pytest.fixture
def company(sandbox: SandboxProcess, settings: Any) -> Company:
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    return Company(sandbox)


CODES = {
    "token", "tax", "currencies", "vat", "default_accounts", "article_accounts", "financial_year",
    "financial_year_queued", "locked_period", "number_series", "warehouse", "terms", "price_lists",
    *(f"scope_{scope}" for scope, *_rest in fortnox.REGISTERS),
}  # fmt: skip


def test_a_company_in_order_is_green_on_every_line(company: Company) -> None:
    lines = company.lines(
        invoice__InvoiceDate=[timezone.localdate().isoformat()], invoice__Currency=["EUR"],
        invoice__lines__VAT=["25", "6.0"],
        invoice__TermsOfPayment=["30"], invoice__PriceList=["A"], currencies=["SEK", "EUR"],
    )  # fmt: skip
    assert {code: line.level for code, line in lines.items()} == dict.fromkeys(CODES, "ok")


def test_money_lines_turn_amber_and_red(company: Company) -> None:
    assert company.level("currencies", currencies=["SEK", "CHF"]) == "warning"
    assert company.level("currencies", invoice__Currency=["CHF"]) == "error"
    company.edit("currencies", "USD", SellRate=0)
    assert "USD" in company.lines()["currencies"].detail
    assert company.level("vat", invoice__lines__VAT=["19"]) == "error"
    company.edit("accounts", "2631", Active=False)
    assert company.level("vat") == "warning"
    assert company.level("vat", invoice__lines__VAT=["6"]) == "error"
    company.edit("accounts", "3740", Active=False)
    assert company.level("default_accounts") == "warning"
    company.edit("accounts", "1510", Active=False)
    assert "CUSTCLAIM (1510)" in company.lines()["default_accounts"].detail
    company.edit("articles", "", ArticleNumber="GAMMAL", Description="Gammal", SalesAccount=3011)
    company.edit("accounts", "3011", Active=False)
    assert "3011: GAMMAL" in company.lines()["article_accounts"].detail
    assert company.level("article_accounts") == "warning"
    assert company.level("article_accounts", invoice__lines__ArticleNumber=["GAMMAL", "NEW"]) == "error"


def test_calendar_and_registers_turn_amber_and_red(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    today = timezone.localdate()
    lines = company.lines(invoice__InvoiceDate=["2041-02-01", today.isoformat(), "nonsense"])
    assert (lines["financial_year_queued"].level, lines["financial_year"].level) == ("error", "ok")
    assert "2041-02-01" in lines["financial_year_queued"].detail
    company.edit("lockedperiod", "x", EndDate=(today - dt.timedelta(days=20)).isoformat())
    assert company.level("locked_period") == "ok"
    assert company.level("locked_period", invoice__InvoiceDate=[(today - dt.timedelta(days=25)).isoformat()]) == "error"
    company.edit("lockedperiod", "x", EndDate=today.isoformat())
    assert company.level("locked_period") == "error"
    company.edit("predefinedvoucherseries", "INCOMINGPAYMENT", VoucherSeries="Y")
    assert company.level("number_series") == "warning"
    company.edit("predefinedvoucherseries", "INVOICE", VoucherSeries="Z")
    assert "Z" in company.lines()["number_series"].detail
    assert company.level("number_series") == "error"
    company.edit("company", "x", TaxEnabled=False, Warehouse=True)
    customer = company.sandbox.control("GET", f"/state/fortnox/{company.account.remote_id}/customers")["records"][0]
    company.edit(
        "invoices", "", CustomerNumber=customer["CustomerNumber"], InvoiceRows=[{"Price": 10, "DeliveredQuantity": 1}]
    )
    lines = company.lines(invoice__TermsOfPayment=["45"], invoice__PriceList=["VIP"])
    assert [lines[code].level for code in ("tax", "warehouse", "terms", "price_lists")] == [
        "warning",
        "warning",
        "error",
        "error",
    ]
    monkeypatch.setattr("integrations.fortnox.times.local_date", lambda moment: dt.date(2041, 1, 1))
    assert company.level("financial_year") == "error"


def test_a_missing_licence_and_a_dead_connection_are_lines(company: Company) -> None:
    company.sandbox.control("POST", "/settings", {"missing_licences": ["article", "bookkeeping"]})
    lines = company.lines()
    assert [lines[f"scope_{name}"].level for name in ("article", "customer", "bookkeeping")] == ["error", "ok", "error"]
    assert lines["scope_article"].fix and lines["article_accounts"].level == "error"
    company.sandbox.control("POST", "/settings", {"missing_licences": []})
    company.sandbox.control("POST", "/disconnect", {"system": "fortnox", "account": company.account.remote_id})
    found = connector(company.account).check()
    assert (found[-1].code, found[-1].level, found[-1].fix) == ("token", "error", "Reconnect Fortnox.")


def paired(company: Company) -> Integration:
    """The company with a CRM that is not asked."""
    organization = make.make_organization()
    ConnectedAccount.objects.filter(pk=company.account.pk).update(organization=organization)
    crm = make.make_account(organization, "hubspot", status="disconnected", status_reason="gone")
    return make.make_integration(organization, crm=crm, ledger=ConnectedAccount.objects.get(pk=company.account.pk))


def test_a_report_is_kept_with_since_when_and_tells_once_when_a_line_turns_red(company: Company) -> None:
    pair = paired(company)
    ConnectedAccount.objects.filter(pk=pair.crm_account_id).update(status="connected")
    long_ago = timezone.now() - dt.timedelta(days=2)
    readiness_store.store(
        pair,
        [("ledger", ReadinessLine("tax", "ok", "Tax")), ("ledger", ReadinessLine("vat", "ok", "VAT"))],
        now=long_ago,
    )
    ConnectedAccount.objects.filter(pk=pair.crm_account_id).update(status="disconnected")
    company.edit("accounts", "2611", Active=False)
    flow = make.make_flow(
        pair,
        "deals-to-invoices",
        source_side="crm",
        source_object="deal",
        target_side="ledger",
        target_object="invoice",
    )
    make.make_change(flow=flow, payload={"fields": {"InvoiceDate": "2041-05-05"}, "lines": [{"VAT": "25"}]})
    assert board.expectations(pair).of("invoice.lines.VAT") == {"25"}
    fresh = Integration.objects.select_related("organization", "crm_account", "ledger_account").get(pk=pair.pk)
    stored = board.check_now(fresh)
    assert stored is not None
    kept = {(line.side, line.code): line for line in stored.report.lines.all()}
    assert kept["ledger", "tax"].first_seen == long_ago
    assert kept["ledger", "vat"].level == "error" and kept["ledger", "vat"].first_seen > long_ago
    assert kept["ledger", "financial_year_queued"].level == "error"
    assert kept["crm", "connection"].level == "error"
    assert {line.code for line in stored.turned_red} >= {"vat", "connection"}
    with translation.override("sv"):
        assert kept["ledger", "vat"].words["title"] == kept["ledger", "vat"].title["sv"]
    again = board.check_now(fresh)
    assert again is not None and again.turned_red == []
    assert Notice.objects.filter(kind="readiness_red", integration=pair).count() == 1
    assert stored.report.errors == len(stored.red) >= 3


def test_checks_are_daily_one_at_a_time_and_a_failing_one_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "check_sides", lambda *args, **options: [("", ReadinessLine("mode", "ok", "Mode"))])
    old = timezone.now() - dt.timedelta(days=3)
    first, second, new = make.make_integration(), make.make_integration(), make.make_integration()
    Integration.objects.exclude(pk=new.pk).update(created_at=old)
    assert [board.serve_due() for _minute in range(6)] == [0, 1, 0, 1, 0, 0]
    assert set(ReadinessReport.objects.values_list("integration", flat=True)) == {first.pk, second.pk}
    due = ReadinessReport.objects.get(integration=first).due_at - timezone.now()
    assert dt.timedelta(hours=22) < due < dt.timedelta(hours=26)

    def broken(*args: Any, **options: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(readiness, "check_sides", broken)
    report = readiness_store.ask(new, make.make_superuser())
    assert board.serve_asked() == 0
    report.refresh_from_db()
    assert report.checked_at is None and not report.running and report.due_at > timezone.now()
