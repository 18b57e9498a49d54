"""Reading Salesforce over real HTTP: what comes, and exactly how many calls it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from integrations.connector import Gone, Page, Record, Setup
from integrations.errors import InvalidData, Misconfigured, Missing
from integrations.models import CustomSource
from integrations.salesforce import bulk_query, described, scan
from tests.integrations.clients import connector
from tests.integrations.salesforce_org import SMALL, Org, calls, deploy
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
HOUR = 3600
ACCOUNT = {"account": frozenset({"Name", "BillingCity"})}
DEAL = {
    "opportunity": frozenset({"Name", "Amount", "CloseDate", "IsWon", "currency"}),
    "account": frozenset({"Name"}),
    "line": frozenset({"Quantity", "UnitPrice", "Product2_ProductCode"}),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(*SMALL) as process:
        deploy(process)
        yield process


class Reading(Org):
    """An org with its connector."""

    def __init__(self, sandbox: SandboxProcess, settings: Any, **features: Any) -> None:
        super().__init__(sandbox, settings, **features)
        self.connector = connector(self.account)


@pytest.fixture
def org(sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Reading:
    monkeypatch.setattr("integrations.salesforce.jobs.time.sleep", lambda seconds: None)
    return Reading(sandbox, settings)


def asked(seen: Mapping[str, int]) -> dict[str, int]:
    """The calls without descriptions, which are kept for an hour."""
    return {kind: count for kind, count in seen.items() if not kind.endswith(".describe")}


def later(org: Reading, seconds: float = HOUR) -> None:
    """Beyond the overlap of everything that was written so far."""
    org.sandbox.control("POST", "/clock", {"advance_seconds": seconds})


def read(
    org: Reading, name: str, since: str | None, fields: Any, resume: str = ""
) -> tuple[list[Record], str, list[Page]]:
    """(records, cursor, pages) of a scan."""
    pages = list(org.connector.changed(name, since, fields, resume=resume))
    assert [page.cursor for page in pages[:-1]] == [None] * (len(pages) - 1)
    assert pages[-1].cursor
    return [record for page in pages for record in page.records], pages[-1].cursor, pages


def accounts(org: Reading, tag: str, count: int) -> list[str]:
    """The ids of new accounts, made by the collection's dozen."""
    ids: list[str] = []
    for start in range(0, count, 200):
        rows = [
            {"attributes": {"type": "Account"}, "Name": f"{tag} {n:03}", "BillingCity": "Växjö"}
            for n in range(start, min(start + 200, count))
        ]
        reply = org.client.api.do(org.client.create_many_call("Account", rows))
        ids += [entry["id"] for entry in reply.data]
    return ids


def deal(org: Reading, tag: str, quantities: Sequence[int] = (1, 2)) -> tuple[str, list[str]]:
    """An opportunity with lines, each of a product of its own; its id and theirs."""
    account = org.make("Account", Name=f"{tag} AB")
    standard = next(row["id"] for row in org.records("Pricebook2") if row.get("IsStandard"))
    key = org.make(
        "Opportunity", Name=tag, AccountId=account, StageName="Closed Won", CloseDate="2026-11-20",
        Pricebook2Id=standard,
    )  # fmt: skip
    lines = []
    for n, quantity in enumerate(quantities):
        product = org.make("Product2", Name=f"{tag} {n}", ProductCode=f"{tag}-{n}", IsActive=True)
        entry = org.make("PricebookEntry", Pricebook2Id=standard, Product2Id=product, UnitPrice=100, IsActive=True)
        line = {"OpportunityId": key, "PricebookEntryId": entry, "Quantity": quantity, "UnitPrice": 100 * (n + 1)}
        lines.append(org.make("OpportunityLineItem", **line))
    return key, lines


# --- Scans ----------------------------------------------------------------------------------------------------


def test_450_accounts_are_three_pages_of_200_then_one_query_then_only_what_changed(org: Reading) -> None:
    made = set(accounts(org, "many", 450))
    before = {row["id"] for row in org.records("Account") if not row.get("IsDeleted")}
    with calls() as seen:
        records, cursor, pages = read(org, "account", None, ACCOUNT, resume=scan.Spot(batch=200).text())
    assert asked(seen) == {"account.query": -(-len(before) // 200)}
    assert {record.id for record in records} == before >= made
    assert len(records) == len(before)
    assert {page.total for page in pages} == {len(before)}
    later(org)
    _again, cursor, _pages = read(org, "account", cursor, ACCOUNT)
    with calls() as seen:
        nothing, cursor, _pages = read(org, "account", cursor, ACCOUNT)
    assert (nothing, asked(seen)) == ([], {"account.query": 1})
    changed = sorted(made)[:4]  # 1 %
    for key in changed:
        org.edit("Account", key, BillingCity="Lund")
    with calls() as seen:
        records, _cursor, _pages = read(org, "account", cursor, ACCOUNT)
    assert asked(seen) == {"account.query": 1}
    assert sorted(record.id for record in records) == changed
    assert {record.fields["BillingCity"] for record in records} == {"Lund"}


def test_a_scan_goes_on_in_another_process_and_after_its_locator_died(
    org: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts(org, "resumed", 250)
    start = scan.Spot(batch=200).text()
    everything, _cursor, pages = read(org, "account", None, ACCOUNT, resume=start)
    first = pages[0]
    assert len(pages) >= 2
    # Another process: nothing but the token.
    rest, cursor, _pages = read(org, "account", None, ACCOUNT, resume=first.resume)
    assert [r.id for r in [*first.records, *rest]] == [r.id for r in everything]
    assert datetime.fromisoformat(cursor) == datetime.fromisoformat(scan.Spot.read(first.resume).clock)
    # Two days later the locator is unknown: on behind the last row, nothing twice, nothing lost.
    dead = scan.Spot.read(first.resume)
    token = scan.replace(dead, following="query/0r8Fx00000QqRrSIAV-200").text()
    with calls() as seen:
        rest, again, _pages = read(org, "account", None, ACCOUNT, resume=token)
    assert [r.id for r in [*first.records, *rest]] == [r.id for r in everything]
    assert again == cursor
    assert seen["account.query"] >= 2  # the dead locator, then the rest by (stamp, id)


def test_the_next_scan_starts_at_the_servers_clock_and_looks_back_ten_minutes(org: Reading) -> None:
    later(org)
    key = org.make("Account", Name="Late")
    later(org, 9 * 60)
    _records, cursor, _pages = read(org, "account", None, ACCOUNT)
    assert abs(datetime.now(UTC) - datetime.fromisoformat(cursor)) > timedelta(minutes=30)  # the sandbox's clock
    records, _cursor, _pages = read(org, "account", cursor, ACCOUNT)
    assert [record.id for record in records] == [key]
    later(org, 2 * 60)
    _none, cursor, _pages = read(org, "account", cursor, ACCOUNT)
    records, _cursor, _pages = read(org, "account", cursor, ACCOUNT)
    assert records == []


def test_what_was_stamped_early_and_committed_late_is_found(org: Reading) -> None:
    key = org.make("Account", Name="Slow")
    later(org)
    _records, cursor, _pages = read(org, "account", None, ACCOUNT)
    org.set(late_commit_seconds=300)
    org.edit("Account", key, BillingCity="Kiruna")
    org.set(late_commit_seconds=0)
    later(org, 100)
    records, cursor, _pages = read(org, "account", cursor, ACCOUNT)
    assert records == []
    later(org, 250)
    records, _cursor, _pages = read(org, "account", cursor, ACCOUNT)
    assert [record.fields["BillingCity"] for record in records] == ["Kiruna"]


def test_a_deleted_account_is_told_once_it_was_known(org: Reading) -> None:
    deleted = org.make("Account", Name="Borta")
    _records, cursor, _pages = read(org, "account", None, ACCOUNT)
    later(org)
    org.remove("Account", deleted)
    records, _cursor, pages = read(org, "account", cursor, ACCOUNT)
    assert [entry for page in pages for entry in page.gone] == [Gone(deleted)]
    assert deleted not in {record.id for record in records}
    # As a full run asks for it before its first page: without any field.
    pages = list(org.connector.changed("account", cursor, {"account": frozenset()}))
    assert [entry for page in pages for entry in page.gone] == [Gone(deleted)]
    # A first scan has nothing to tell of what was never seen.
    records, _cursor, pages = read(org, "account", None, ACCOUNT)
    assert deleted not in {record.id for record in records}
    assert not any(page.gone for page in pages)


def test_a_deal_comes_whole_and_a_changed_line_brings_it_again(org: Reading) -> None:
    key, (first, second) = deal(org, "whole")
    _records, cursor, _pages = read(org, "opportunity", None, DEAL)
    with calls() as seen:
        (found,) = org.connector.load("opportunity", [key[:15]], DEAL)
    assert asked(seen) == {"opportunity.query": 1}
    assert found.fields == {
        "Name": "whole", "Amount": Decimal(500), "CloseDate": date(2026, 11, 20), "IsWon": True, "currency": "SEK",
    }  # fmt: skip
    assert found.parts == {"account": {"Name": "whole AB"}}
    assert found.lines == [
        {"Id": first, "Quantity": 1, "UnitPrice": 100, "Product2_ProductCode": "whole-0"},
        {"Id": second, "Quantity": 2, "UnitPrice": 200, "Product2_ProductCode": "whole-1"},
    ]
    assert (found.title, found.complete) == ("whole", True)
    assert found.url.endswith(f"/lightning/r/Opportunity/{key}/view")
    later(org)
    _same, cursor, _pages = read(org, "opportunity", cursor, DEAL)
    with calls() as seen:
        nothing, cursor, _pages = read(org, "opportunity", cursor, DEAL)
    assert (nothing, asked(seen)) == ([], {"opportunity.query": 2})
    # A text on a line changes no amount, so the opportunity itself keeps its stamp.
    org.edit("OpportunityLineItem", first, Description="Ny text")
    with calls() as seen:
        (changed,), cursor, _pages = read(org, "opportunity", cursor, DEAL)
    assert (changed.id, asked(seen)) == (key, {"opportunity.query": 2})
    assert changed.version == found.version  # nothing that was asked for
    later(org)
    org.remove("OpportunityLineItem", second)
    (changed,), _cursor, _pages = read(org, "opportunity", cursor, DEAL)
    assert [line["Id"] for line in changed.lines] == [first]
    assert changed.version != found.version


def test_without_lines_asked_for_a_deal_is_one_query_too(org: Reading) -> None:
    fields = {"opportunity": frozenset({"Name"})}
    _records, cursor, _pages = read(org, "opportunity", None, fields)
    with calls() as seen:
        read(org, "opportunity", cursor, fields)
    assert asked(seen) == {"opportunity.query": 1}


def test_a_product_has_its_standard_price_and_comes_again_when_only_that_changes(org: Reading) -> None:
    fields = {"product": frozenset({"Name", "price", "currency", "price_book"})}
    standard = next(row["id"] for row in org.records("Pricebook2") if row.get("IsStandard"))
    product = org.make("Product2", Name="Priced", IsActive=True)
    unpriced = org.make("Product2", Name="Unpriced", IsActive=True)
    entry = org.make("PricebookEntry", Pricebook2Id=standard, Product2Id=product, UnitPrice=12.5, IsActive=True)
    later(org)
    _records, cursor, _pages = read(org, "product", None, fields)
    found = {record.id: record.fields for record in org.connector.load("product", [product, unpriced], fields)}
    assert found[product] == {"Name": "Priced", "price": Decimal("12.5"), "currency": "SEK", "price_book": None}
    assert found[unpriced] == {"Name": "Unpriced", "price": None, "currency": None, "price_book": None}
    org.edit("PricebookEntry", entry, UnitPrice=13)
    (changed,), _cursor, _pages = read(org, "product", cursor, fields)
    assert (changed.id, changed.fields["price"]) == (product, Decimal(13))


def test_an_object_of_the_customer_is_read_with_its_lines(org: Reading) -> None:
    CustomSource.objects.create(
        account=org.account, name="service_order", label="Serviceorder", remote_object="Service_Order__c",
        line_relationship="Service_Order_Lines__r", parts={"account": "Account__c"},
    )  # fmt: skip
    account = org.make("Account", Name="Serviceköp AB")
    order = org.make("Service_Order__c", Account__c=account, Currency__c="SEK")
    line = org.make("Service_Order_Line__c", Service_Order__c=order, Text__c="Byte", Quantity__c=2, Price__c=450)
    fields = {
        "service_order": frozenset({"Currency__c"}), "account": frozenset({"Name"}),
        "line": frozenset({"Text__c", "Price__c"}),
    }  # fmt: skip
    (found,) = org.connector.load("service_order", [order], fields)
    assert (found.fields, found.parts) == ({"Currency__c": "SEK"}, {"account": {"Name": "Serviceköp AB"}})
    assert found.lines == [{"Id": line, "Text__c": "Byte", "Price__c": Decimal(450)}]
    assert org.connector.record_url("service_order", order).endswith(f"/lightning/r/Service_Order__c/{order}/view")
    later(org)
    _records, cursor, _pages = read(org, "service_order", None, fields)
    # A line in the recycle bin is none, and its record comes again though nothing else of it changed.
    org.remove("Service_Order_Line__c", line)
    (changed,), _cursor, _pages = read(org, "service_order", cursor, fields)
    assert (changed.id, changed.lines) == (order, [])


def test_very_many_rows_come_through_a_job(org: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts(org, "bulk", 30)
    by_query, _cursor, _pages = read(org, "account", None, {**ACCOUNT, "owner": frozenset({"Name"})})
    monkeypatch.setattr(scan, "BULK_QUERY_FROM", 20)
    monkeypatch.setattr(bulk_query, "PART", 25)
    with calls() as seen:
        by_job, cursor, pages = read(org, "account", None, {**ACCOUNT, "owner": frozenset({"Name"})})
    assert seen["account.query"] == 1
    assert seen["query.job_create"] == 1
    assert seen["query.results"] == -(-len(by_query) // 25)
    # The same records with the same versions, whichever way they came.
    assert {r.id: r for r in by_job} == {r.id: r for r in by_query}
    # The job is told before its rows, so that another process waits for the same one.
    assert scan.Spot.read(pages[0].resume).job
    with calls() as seen:
        rest, again, _pages = read(
            org, "account", None, {**ACCOUNT, "owner": frozenset({"Name"})}, resume=pages[1].resume
        )
    assert "query.job_create" not in seen
    assert [*pages[1].records, *rest] == by_job
    assert again == cursor


# --- Look-ups -------------------------------------------------------------------------------------------------


def find(
    org: Reading, field: str, *values: str, read: Any = None, fields: frozenset[str] = frozenset()
) -> dict[str, list[str]]:
    hits = org.connector.find("account", field, values, lambda v: [v], read or (lambda text: text), fields)
    return {key: [record.id for record in records] for key, records in hits.items()}


def test_a_value_is_compared_exactly_though_salesforce_ignores_case(org: Reading) -> None:
    right, _other = org.make("Account", Name="O'Brien & Söner"), org.make("Account", Name="o'brien & söner")
    with calls() as seen:
        assert find(org, "Name", "O'Brien & Söner", "nobody", "' OR Name != '") == {"O'Brien & Söner": [right]}
    assert asked(seen) == {"account.query": 1}


def test_many_values_are_asked_for_by_as_few_queries_as_addresses_hold(org: Reading) -> None:
    keys = [f"{n:09}" for n in range(1000)]
    wanted = org.make("Account", Name="Found", AccountNumber=keys[777])
    with calls() as seen:
        assert find(org, "AccountNumber", *keys) == {keys[777]: [wanted]}
    assert 5 <= seen["account.query"] <= 6


def test_values_are_found_in_the_spellings_that_are_stored(org: Reading) -> None:
    key = org.make("Account", Name="Stavning", AccountNumber="556677-8899")
    hits = org.connector.find(
        "account", "AccountNumber", ["5566778899"], lambda v: [v, f"{v[:6]}-{v[6:]}"],
        lambda text: text.replace("-", ""), frozenset({"Name"}),
    )  # fmt: skip
    assert [(r.id, r.fields["Name"]) for r in hits["5566778899"]] == [(key, "Stavning")]


def test_numbers_and_ids_are_found_by_what_they_are(org: Reading) -> None:
    key = org.make("Account", Name="Rik", AnnualRevenue=1234.0)
    assert find(org, "AnnualRevenue", "1234", "many") == {"1234": [key]}
    assert find(org, "Id", key, key[:15], "nonsense") == {key: [key]}
    with calls() as seen:
        assert find(org, "Id", "nonsense") == {}
    assert not seen


def test_a_long_text_cannot_be_searched(org: Reading) -> None:
    with pytest.raises(Misconfigured) as caught:
        find(org, "Description", "x")
    assert (caught.value.code, caught.value.field) == ("not_searchable", "Description")


def test_ids_that_are_gone_or_none_get_an_error_of_their_own(org: Reading) -> None:
    key, gone = org.make("Account", Name="Here"), org.make("Account", Name="Gone")
    org.remove("Account", gone)
    with calls() as seen:
        found = list(org.connector.load("account", [key, gone, "0", "001Fx00000ZzZzZAAA"], ACCOUNT))
    assert asked(seen) == {"account.query": 1}
    by_id = {entry[0]: entry[1] for entry in found if isinstance(entry, tuple)}
    assert [entry.id for entry in found if isinstance(entry, Record)] == [key]
    assert isinstance(by_id[gone], Missing)
    assert {type(error) for error in (by_id["0"], by_id["001Fx00000ZzZzZAAA"])} == {InvalidData}


def test_450_records_by_id_are_three_queries(org: Reading) -> None:
    ids = accounts(org, "load", 450)
    with calls() as seen:
        found = list(org.connector.load("account", ids, ACCOUNT))
    assert asked(seen) == {"account.query": 3}
    assert [record.id for record in found] == ids


def test_counting_and_the_owners_of_lines(org: Reading) -> None:
    key, (first, second) = deal(org, "owned")
    live = [row for row in org.records("Opportunity") if not row.get("IsDeleted")]
    with calls() as seen:
        assert org.connector.count("opportunity") == len(live)
        owners = org.connector.owners_of("opportunity_line", [first[:15], second, "00kFx00000VwXyZIAV", "x"])
    assert owners == {first[:15]: key, second: key}
    assert asked(seen) == {"opportunity.count": 1, "opportunity.owners": 1}


# --- What an org lacks ----------------------------------------------------------------------------------------


def test_a_field_hidden_after_it_was_described_becomes_the_clear_error(org: Reading) -> None:
    fields = {"account": frozenset({"Name", "Fortnox_Customer_Number__c"})}
    read(org, "account", None, fields)
    org.set(hidden_fields=["Account.Fortnox_Customer_Number__c"])
    with calls() as seen, pytest.raises(Misconfigured) as caught:
        read(org, "account", None, fields)
    assert (caught.value.code, caught.value.field) == ("INVALID_FIELD", "Fortnox_Customer_Number__c")
    assert "hidden from the integration user by field-level security" in caught.value.message
    assert seen["Account.describe"] == 1
    described.clear_cache()
    for ask in (
        lambda: list(org.connector.load("account", [org.make("Account", Name="Any")], fields)),
        lambda: find(org, "Fortnox_Customer_Number__c", "1"),
        lambda: org.connector.prepare(Setup(fields={"account": [{"name": "Fortnox_Customer_Number__c"}]})),
    ):
        with pytest.raises(Misconfigured) as caught:
            ask()
        assert "permission set Fortnox_Integration" in caught.value.message


def test_prepared_is_what_the_package_brought(org: Reading) -> None:
    wanted = Setup(fields={"account": [{"name": "Fortnox_Key__c"}], "fortnox_invoice": [{"name": "Status__c"}]})
    assert org.connector.prepare(wanted) == {}


def test_currencies_are_asked_for_only_where_there_are_several(sandbox: SandboxProcess, settings: Any) -> None:
    org = Reading(sandbox, settings, multi_currency=True)
    key = org.make("Account", Name="Valuta", CurrencyIsoCode="EUR")
    (found,) = org.connector.load("account", [key], {"account": frozenset({"Name", "CurrencyIsoCode"})})
    assert found.fields["CurrencyIsoCode"] == "EUR"


def test_the_readiness_board_of_a_prepared_org(org: Reading) -> None:
    user = org.client.user_info()["user_id"]
    org.account.details |= {"user_id": user, "is_sandbox": False}
    lines = {line.code: line for line in org.connector.check()}
    assert {code: line.level for code, line in lines.items() if code != "sharing"} == {
        "version": "ok", "org": "ok", "package": "ok", "currencies": "ok", "features": "ok", "usage": "ok",
    }, lines  # fmt: skip
    org.account.remote_id = "00DFx00000AbCdEMAV"
    lines = {line.code: line for line in org.connector.check()}
    assert lines["org"].level == "error"
    org.account.remote_id, org.account.details["is_sandbox"] = org.id, True
    assert {line.code: line.level for line in org.connector.check()}["org"] == "error"


def test_a_person_s_search_is_one_query_and_no_wildcard_of_theirs_counts(org: Reading) -> None:
    """What contains the text, bounded; hostile text is data."""
    for number in range(25):
        org.make("Account", Name=f"Söktorp 100%_'{number} AB")
    found = org.connector.search("account", "Name", "söktorp 100%_'", frozenset({"BillingCity"}), 20)
    assert len(found) == 20 and all(row.title.startswith("Söktorp") for row in found)
    for text in ("%", "_", "' OR Name != '", "\\", "söktorp%AB"):
        hits = org.connector.search("account", "Name", text, frozenset(), 20)
        assert all(text.lower() in row.title.lower() for row in hits), text
