"""Scans that do not go as they should: merges, slow servers, dead locators, answers that cannot be right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses

from integrations.connector import Gone, Page
from integrations.errors import IncompleteRead, Misconfigured, SyncError, TooLarge, Transient
from integrations.http import Api
from integrations.salesforce import described
from integrations.salesforce.client import Salesforce
from integrations.salesforce.read import Reader
from integrations.salesforce.scan import Spot
from integrations.salesforce.schema import Objects
from tests.integrations.clients import set_vendor
from tests.integrations.salesforce_canned import BASE, answers, describes, field, org, refuses, row

pytestmark = pytest.mark.django_db
NAMES = {"account": frozenset({"Name"})}
SINCE = "2026-11-21T09:00:00+00:00"
NEXT = "/services/data/v67.0/query/0r8Fx00000QqRrSIAV-2"


@pytest.fixture(autouse=True)
def _canned(settings: Any) -> Iterator[None]:
    set_vendor(settings, "salesforce", rate=(0, 1.0))
    described.clear_cache()
    with responses.mock:
        describes("Account", "MasterRecordId", field("Fortnox_Key__c"))
        yield


def reader() -> Reader:
    client = Salesforce(Api(org()))
    return Reader(client, Objects(client))


def scanned(since: str | None = None, resume: str = "", fields: Any = None) -> list[Page]:
    return list(reader().changed("account", since, fields or NAMES, resume))


def queries() -> list[tuple[str, str]]:
    """(query or locator, page size) of each call for rows."""
    found = []
    for call in responses.calls:
        parts = urlsplit(str(call.request.url))
        if "/describe" not in parts.path:
            text = parse_qs(parts.query).get("q", [parts.path.rpartition("/")[2]])[0]
            found.append((text, call.request.headers["Sforce-Query-Options"].removeprefix("batchSize=")))
    return found


def test_what_a_scan_asks_for() -> None:
    answers(path="queryAll")
    (page,) = scanned(SINCE)
    assert queries() == [
        (
            "SELECT Id, IsDeleted, MasterRecordId, Name, SystemModstamp FROM Account"
            " WHERE SystemModstamp >= 2026-11-21T08:50:00Z ORDER BY SystemModstamp, Id",
            "2000",
        )
    ]
    assert (page.cursor, page.resume, page.total) == ("2026-11-21T10:00:00+00:00", "", 0)


def test_every_call_names_us_and_a_query_says_its_page_size() -> None:
    answers()
    scanned()
    headers = responses.calls[-1].request.headers
    assert headers["Sforce-Call-Options"] == "client=Ledgerbridge"
    assert headers["Sforce-Query-Options"] == "batchSize=2000"


def test_a_merged_record_is_told_with_the_one_it_became() -> None:
    kept, lost, deleted = row(1), row(2), row(3)
    answers(
        kept | {"IsDeleted": False, "MasterRecordId": None},
        lost | {"IsDeleted": True, "MasterRecordId": kept["Id"][:15]},
        deleted | {"IsDeleted": True, "MasterRecordId": None},
        path="queryAll",
    )
    (page,) = scanned(SINCE)
    assert [record.id for record in page.records] == [kept["Id"]]
    assert page.gone == [Gone(lost["Id"], into=kept["Id"]), Gone(deleted["Id"])]


def test_a_slow_page_is_asked_for_in_smaller_ones_behind_the_last_row() -> None:
    answers(row(1), row(2), following=NEXT, totalSize=3)
    refuses("QUERY_TIMEOUT", "Your query request was running for too long.", path="query/0r8")
    answers(row(3))
    pages = scanned()
    assert [record.title for page in pages for record in page.records] == ["Kund 1", "Kund 2", "Kund 3"]
    (_first, size), (locator, _size), (again, smaller) = queries()
    assert (size, locator, smaller) == ("2000", "0r8Fx00000QqRrSIAV-2", "500")
    stamp = "2026-11-20T14:00:02Z"
    assert f"SystemModstamp >= {stamp} AND (SystemModstamp > {stamp} OR Id > '{row(2)['Id']}') ORDER BY" in again


def test_a_query_that_stays_slow_is_given_up_after_the_smallest_page() -> None:
    refuses("QUERY_TIMEOUT", "Your query request was running for too long.")
    with pytest.raises(Transient) as caught:
        scanned()
    assert caught.value.code == "QUERY_TIMEOUT"
    assert [size for _query, size in queries()] == ["2000", "500", "200"]


def test_a_dead_locator_of_an_earlier_process_costs_one_call_and_no_row() -> None:
    refuses("INVALID_QUERY_LOCATOR", "invalid query locator", path="query/0r8")
    answers(row(3))
    token = Spot(clock="2026-11-19T10:00:00+00:00", following="query/0r8Fx00000QqRrSIAV-2",
                 stamp="2026-11-20T14:00:02Z", last=row(2)["Id"], total=3).text()  # fmt: skip
    (page,) = scanned(resume=token)
    assert ([r.title for r in page.records], page.cursor, page.total) == (["Kund 3"], "2026-11-19T10:00:00+00:00", 3)


def test_a_field_that_went_away_and_is_not_asked_for_does_not_stop_the_scan() -> None:
    known = reader()
    known.objects.describe("account")
    responses.reset()
    describes("Account")  # record merging was switched off: no MasterRecordId any more
    refuses("INVALID_FIELD", "No such column 'MasterRecordId' on entity 'Account'.", path="queryAll/")
    answers(row(1, IsDeleted=False), path="queryAll")
    (page,) = known.changed("account", SINCE, NAMES, "")
    assert len(page.records) == 1
    assert "MasterRecordId" not in queries()[-1][0]


def test_a_field_that_the_description_shows_and_the_query_does_not_know_is_the_orgs_word() -> None:
    refuses("INVALID_FIELD", "No such column 'Name' on entity 'Account'.")
    with pytest.raises(Misconfigured) as caught:
        scanned()
    assert caught.value.code == "INVALID_FIELD"
    assert len(queries()) == 2


# --- Lines ----------------------------------------------------------------------------------------------------

DEAL = {"opportunity": frozenset({"Name"}), "line": frozenset({"Quantity", "Product2_Name"})}
LINES = "/services/data/v67.0/query/0r8Fx00000LlLlLIAV-1"


def _deals() -> None:
    describes("Opportunity")
    product = field("Product2Id", type="reference", referenceTo=["Product2"], relationshipName="Product2")
    describes("OpportunityLineItem", field("Quantity", type="double"), product)
    describes("Product2")


def _line(number: int, **values: Any) -> dict[str, Any]:
    return row(number, "OpportunityLineItem", Quantity=1.0, Product2={"Name": "Skruv"}) | values


def deal(**values: Any) -> Any:
    """The record of the only opportunity that the org answers with."""
    _deals()
    answers(row(1, "Opportunity", **values))
    (page,) = reader().changed("opportunity", None, DEAL, "")
    return page.records[0]


def test_lines_that_do_not_fit_a_page_are_fetched() -> None:
    responses.add(
        "GET", f"{BASE}/query/0r8Fx00000LlLlLIAV-1", json={"totalSize": 2, "done": True, "records": [_line(12)]}
    )
    first = {"totalSize": 2, "done": False, "records": [_line(11)], "nextRecordsUrl": LINES}
    found = deal(OpportunityLineItems=first)
    assert [line["Id"] for line in found.lines] == [_line(11)["Id"], _line(12)["Id"]]


def test_null_is_no_lines_and_a_line_may_lack_its_product() -> None:
    assert deal(OpportunityLineItems=None).lines == []
    responses.reset()
    lines = {"totalSize": 1, "done": True, "records": [_line(11, Product2=None)]}
    (line,) = deal(OpportunityLineItems=lines).lines
    assert line == {"Id": _line(11)["Id"], "Quantity": Decimal(1), "Product2_Name": None}


def test_the_contact_of_a_deal_is_that_of_its_primary_role() -> None:
    roles = {"relationshipName": "OpportunityContactRoles", "childSObject": "OpportunityContactRole", "field": "x"}
    describes("Opportunity", children=[roles])
    describes("Contact", "Email")
    fields = {"opportunity": frozenset({"Name"}), "contact": frozenset({"Email"})}
    primary = {"totalSize": 1, "done": True, "records": [{"Contact": row(5, "Contact", Email="a@b.se")}]}
    answers(row(1, "Opportunity", OpportunityContactRoles=primary), row(2, "Opportunity", OpportunityContactRoles=None))
    (page,) = reader().changed("opportunity", None, fields, "")
    assert [record.parts for record in page.records] == [{"contact": {"Email": "a@b.se"}}, {}]
    child = "(SELECT Contact.Email, Contact.Id FROM OpportunityContactRoles WHERE IsPrimary = true"
    assert child in queries()[0][0]


def test_an_org_that_hides_contact_roles_has_deals_without_a_contact() -> None:
    describes("Opportunity")
    describes("Contact", "Email")
    answers(row(1, "Opportunity"))
    (page,) = reader().changed("opportunity", None, {"opportunity": frozenset(), "contact": frozenset({"Email"})}, "")
    assert page.records[0].parts == {}


def test_fewer_lines_than_announced_is_no_record() -> None:
    lines = {"totalSize": 2, "done": True, "records": [_line(11)]}
    with pytest.raises(TooLarge) as caught:
        deal(OpportunityLineItems=lines)
    assert (caught.value.record, caught.value.field) == (row(1)["Id"], "OpportunityLineItems")


def _entry(number: int, price: float, currency: str, book: str = "", key: str | None = None) -> dict[str, Any]:
    """An entry of the standard book, or of another one."""
    in_book = {"IsStandard": not book, "Name": book or "Standard"}
    more = {"UnitPrice": price, "CurrencyIsoCode": currency, "Fortnox_Key__c": key, "Pricebook2": in_book}
    return row(number, "PricebookEntry", **more)


def test_of_many_prices_the_one_in_the_orgs_currency_counts_and_of_other_books_ours() -> None:
    describes("Product2")
    describes("PricebookEntry", "CurrencyIsoCode", "Fortnox_Key__c")
    entries = [
        _entry(11, 10.0, "EUR"), _entry(12, 99.5, "SEK"), _entry(13, 99.5, "SEK", "Partners"),
        _entry(14, 99.5, "SEK", "Sverige", key="1:100"), _entry(15, 10.0, "EUR", "Europa", key="1:100:EUR"),
    ]  # fmt: skip
    listed = {"totalSize": len(entries), "done": True, "records": entries}
    answers(row(1, "Product2", PricebookEntries=listed), row(2, "Product2", PricebookEntries=None))
    (page,) = reader().changed("product", None, {"product": frozenset({"price", "currency", "price_book"})}, "")
    assert [record.fields for record in page.records] == [
        {"price": Decimal("99.5"), "currency": "SEK", "price_book": "Sverige"},
        {"price": None, "currency": None, "price_book": None},
    ]


# --- Answers that cannot be right -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"totalSize": 2, "done": True, "records": [row(1)]}, IncompleteRead),
        ({"totalSize": 1, "done": False, "records": [row(1)]}, TooLarge),
        ({"totalSize": 1, "done": False, "records": [row(1)], "nextRecordsUrl": "https://evil.example/x"}, TooLarge),
        ({"totalSize": 1, "done": False, "records": [row(1)], "nextRecordsUrl": "/query/../../sobjects"}, TooLarge),
        ({"totalSize": 1, "done": True, "records": [7]}, TooLarge),
        ({"totalSize": 1, "done": True, "records": [{**row(1), "Id": "x"}]}, TooLarge),
        ({"totalSize": 1, "done": True, "records": [{**row(1), "Id": ["x"]}]}, TooLarge),
        ({"totalSize": 1, "done": True, "records": [{**row(1), "Name": {"a": 1}}]}, TooLarge),
        ({"totalSize": 1, "done": True, "records": [{"Id": row(1)["Id"]}]}, TooLarge),
        ({"records": []}, TooLarge),
        ([], TooLarge),
        ("x", TooLarge),
        (None, TooLarge),
    ],
)
def test_an_answer_that_cannot_be_right_is_an_error_and_no_record(body: Any, error: type[SyncError]) -> None:
    responses.add("GET", f"{BASE}/query/", body=json.dumps(body))
    with pytest.raises(error):
        scanned()


def test_a_page_that_follows_itself_ends_the_scan() -> None:
    answers(row(1), following=NEXT, totalSize=9)
    responses.add(
        "GET", f"{BASE}/query/0r8Fx00000QqRrSIAV-2",
        json={"totalSize": 9, "done": False, "records": [row(2)], "nextRecordsUrl": NEXT},
    )  # fmt: skip
    with pytest.raises(TooLarge):
        scanned()


def test_one_unreadable_record_fails_alone_when_it_is_loaded_by_id() -> None:
    good, bad = row(1), row(2)
    answers(good, {**bad, "Name": ["x"]})
    found = list(reader().load("account", [good["Id"], bad["Id"]], NAMES))
    assert found[0].id == good["Id"]  # type: ignore[union-attr]
    key, error = found[1]  # type: ignore[misc]
    assert (key, error.code, error.field) == (bad["Id"], "unreadable", "Name")
