"""The Fortnox connector over real HTTP: round trips and exact call counts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from integrations import http
from integrations.connector import Record, Setup, Write
from integrations.errors import Conflict, IncompleteRead, InvalidData, Misconfigured, Missing, TooLarge
from integrations.fortnox import read
from tests.integrations.clients import connector, in_sandbox, set_vendor
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
_NAMES = {"CustomerNumber", "Name", "OrganisationNumber", "Address1", "Address2", "City", "ZipCode", "Phone1"}
DEFAULT = {"customer": frozenset(_NAMES)}
CUSTOMERS, INVOICES = 10_000, 120


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    options = ["--customers", str(CUSTOMERS), "--articles", "60", "--invoices", str(INVOICES), "--no-limits"]
    with SandboxProcess(*options) as process:
        yield process
        process.stop()


@pytest.fixture(autouse=True)
def _no_limits(settings, sandbox: SandboxProcess) -> Iterator[None]:  # type: ignore[no-untyped-def]
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    yield
    sandbox.control("POST", "/faults", {"profile": {}})


def test_ten_thousand_customers_cost_twenty_calls_and_no_details(sandbox: SandboxProcess) -> None:
    with http.counting() as calls:
        pages = list(connector(in_sandbox(sandbox, "fortnox")).changed("customer", None, DEFAULT))
    assert calls == {("fortnox", "customer.list"): 20}
    records = [record for page in pages for record in page.records]
    assert len({record.id for record in records}) == CUSTOMERS
    assert all(record.complete for record in records)
    assert [page.cursor is not None for page in pages] == [False] * 19 + [True]
    assert {page.total for page in pages} == {CUSTOMERS}


def test_nothing_changed_costs_one_call(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    sandbox.control("POST", "/clock", {"advance_seconds": 600})
    cursor = fortnox._client.list_page(read.schema.resource("article"), 1, {"limit": "1"}).remote_time.isoformat()
    with http.counting() as calls:
        (page,) = fortnox.changed("article", cursor, {"article": frozenset({"Description"})})
    assert (calls.total(), list(page.records)) == (1, [])
    assert page.cursor is not None


def test_a_scan_resumes_at_its_page(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    scan = fortnox.changed("customer", None, DEFAULT)
    first = [next(scan) for _ in range(5)]
    scan.close()
    with http.counting() as calls:
        rest = list(fortnox.changed("customer", None, DEFAULT, resume=first[-1].resume))
    assert calls.total() == 15
    assert rest[-1].cursor is not None
    assert len({r.id for page in [*first, *rest] for r in page.records}) == CUSTOMERS


def test_a_field_outside_the_list_makes_rows_incomplete_and_costs_one_call_each(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    wanted = {"customer": frozenset({"Name", "WWW", "domain"})}
    page = next(fortnox.changed("customer", None, wanted))
    assert not any(record.complete for record in page.records)
    with http.counting() as calls:
        loaded = list(fortnox.load("customer", [record.id for record in page.records[:7]], wanted))
    assert calls == {("fortnox", "customer.get"): 7}
    assert all(isinstance(r, Record) and r.complete and set(r.fields) >= {"Name", "WWW", "domain"} for r in loaded)


def test_invoices_come_with_rows_status_and_customer(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    wanted = {
        "invoice": frozenset({"status", "Total", "TotalToPay"}),
        "row": frozenset({"ArticleNumber", "DeliveredQuantity"}),
        "customer": frozenset({"Name"}),
    }
    (page,) = fortnox.changed("invoice", None, wanted)
    with http.counting() as calls:
        records = list(fortnox.load("invoice", [r.id for r in page.records], wanted))
    assert calls["fortnox", "invoice.get"] == len(page.records) >= INVOICES
    assert calls["fortnox", "customer.get"] == len({r.parts["customer"]["CustomerNumber"] for r in records})
    assert {type(line["DeliveredQuantity"]) for r in records for line in r.lines} <= {Decimal, type(None)}
    assert {r.fields["status"] for r in records} >= {"paid", "overdue", "cancelled", "unbooked"}


def test_subsets_are_filters_of_fortnox(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    wanted = {"invoice": frozenset({"Booked", "Balance", "Cancelled"})}

    def of(subset: str) -> list[dict[str, object]]:
        return [r.fields for p in fortnox.changed("invoice", None, wanted, subset=subset) for r in p.records]

    assert all(f["Booked"] and f["Balance"] for f in of("unpaid"))
    assert all(f["Cancelled"] for f in of("cancelled"))
    assert len(of("overdue")) <= len(of("unpaid"))
    of("recently_paid")
    with pytest.raises(Misconfigured):
        of("nosuch")


def test_a_search_that_contains_is_not_a_match(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    with http.counting() as calls:
        found = fortnox.find("customer", "CustomerNumber", ["12"], lambda v: [v], lambda v: v, frozenset({"Name"}))
    assert [record.id for record in found["12"]] == ["12"]
    assert calls.total() <= 9  # "12" is contained in many numbers, and every page of them is read


def test_many_look_ups_read_the_register_instead(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    numbers = [str(n) for n in range(1, 300)]
    with http.counting() as calls:
        found = fortnox.find("customer", "CustomerNumber", numbers, lambda v: [v], lambda v: v, frozenset())
    assert (len(found), calls.total()) == (299, 20)


def test_an_invoice_is_created_once_and_found_by_its_marker(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    marker = fortnox.markers["invoice"]
    write = Write(
        key="1",
        fields={"CustomerNumber": "1", "Currency": "SEK", "Remarks": "Tack för 'ordern'"},
        lines=[{"Description": "Konsult", "DeliveredQuantity": Decimal("1.5"), "Price": Decimal("100.50")}],
        marker="hs1-test-d1-1-abcd",
    )
    with http.counting() as calls:
        outcome = fortnox.create("invoice", write)
    assert outcome.error is None
    assert calls == {("fortnox", "invoice.create"): 1}
    assert outcome.returned[marker] == "hs1-test-d1-1-abcd"
    assert outcome.returned["Remarks"] == "Tack för ’ordern’"
    assert isinstance(outcome.returned["Total"], Decimal)
    found = fortnox.find("invoice", marker, [write.marker], lambda v: [v], lambda v: v, frozenset())
    assert [record.id for record in found[write.marker]] == [outcome.id]
    assert found[write.marker][0].fields["Cancelled"] is False


def test_a_customer_is_found_by_its_marker_although_fortnox_cannot_search_it(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    outcome = fortnox.create("customer", Write("1", fields={"Name": "Ny AB"}, marker="hs1-c1"))
    found = fortnox.find("customer", "ExternalReference", ["hs1-c1"], lambda v: [v], lambda v: v, frozenset())
    assert [record.id for record in found["hs1-c1"]] == [outcome.id]


def test_refusals_are_outcomes_with_class_and_field(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))

    def error_of(name: str, **fields: object) -> object:
        return fortnox.create(name, Write("1", fields=fields)).error

    unknown = error_of("invoice", CustomerNumber="nosuch")
    assert isinstance(unknown, InvalidData)
    assert (unknown.code, unknown.field) == ("2000204", "CustomerNumber")
    assert isinstance(error_of("customer", Name="X", CustomerNumber="1"), Conflict)
    assert isinstance(error_of("customer", Name="X", Country="Sverige"), Misconfigured)


def test_updates_go_by_number_and_clear_with_none(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    writes = [
        Write("a", id="2", fields={"City": "Växjö", "Address2": None}),
        Write("b", id="nosuch", fields={"City": "Växjö"}),
        Write("c", unique=("CustomerNumber", "egen/1"), fields={"Name": "Eget nummer"}),
        Write("d", fields={"Name": "Utan nyckel"}),
    ]
    outcomes = {outcome.key: outcome for outcome in fortnox.upsert("customer", writes)}
    assert outcomes["a"].returned["City"] == "Växjö"
    assert outcomes["a"].returned["Address2"] is None
    assert isinstance(outcomes["b"].error, Missing)
    assert (outcomes["c"].id, outcomes["c"].created) == ("egen/1", True)
    assert isinstance(outcomes["d"].error, Misconfigured)
    (loaded,) = fortnox.load("customer", ["egen/1"], {"customer": frozenset({"Name"})})
    assert isinstance(loaded, Record)
    assert loaded.fields["Name"] == "Eget nummer"


@pytest.mark.parametrize("fault,expected", [("truncated_page", IncompleteRead), ("wrong_types", TooLarge)])
def test_a_list_that_is_not_whole_is_never_concluded_from(
    sandbox: SandboxProcess, fault: str, expected: type[Exception]
) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    sandbox.control("POST", "/faults", {"profile": {fault: 1.0}, "seed": 1})
    cursors = []
    with pytest.raises(expected):
        for page in fortnox.changed("article", None, {"article": frozenset({"Description", "SalesPrice"})}):
            cursors.append(page.cursor)
            if any(not record.complete for record in page.records):
                raise TooLarge("unreadable rows are handed over for a full read")
    assert not any(cursors)


def test_the_readiness_board_of_a_ready_company(sandbox: SandboxProcess) -> None:
    fortnox = connector(in_sandbox(sandbox, "fortnox"))
    lines = {line.code: line for line in fortnox.check()}
    assert set(lines) >= {"token", "scope_customer", "scope_invoice", "tax", "terms", "currencies", "price_lists"}
    assert lines["financial_year"].level == "ok"
    assert {line.level for line in lines.values()} <= {"ok", "warning"}
    assert fortnox.prepare(Setup()) == {}
    assert fortnox.count("article") == 60
    assert fortnox.record_url("invoice", "1") == ""
