"""Twins: the known pages of a query come out again."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from sandbox.salesforce.ids import DIGITS

from .hubspot_world import assert_same_shape
from .salesforce_desk import Desk, V

PAYLOADS = Path(__file__).parent / "payloads" / "salesforce"


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def _next(desk: Desk, prefix: str, id15: str) -> None:
    """Let the next id with a prefix be this one."""
    number = 0
    for letter in id15[5:]:
        number = number * 62 + DIGITS.index(letter)
    desk.org.ids._counters[prefix] = count(number)


def _example(desk: Desk) -> None:
    """The records of the known pages."""
    desk.number_field()
    desk.number_field("Product2", "Fortnox_Article_Number__c")
    for prefix, id15 in (("001", "001Fx00000AbCdE"), ("006", "006Fx00000QrStU"), ("00k", "00kFx00000VwXyZ")):
        _next(desk, prefix, id15)
    _next(desk, "01t", "01tFx00000AaBbC")
    account = desk.put("Account", Name="Nordkraft Fastigheter AB", Fortnox_Customer_Number__c="1001")
    deal = desk.put(
        "Opportunity",
        at="2026-11-20T14:05:12Z",
        Name="Nordkraft - vinterunderhåll",
        StageName="Closed Won",
        IsClosed=True,
        IsWon=True,
        CloseDate="2026-11-20",
        Amount=Decimal("25600.00"),
        CurrencyIsoCode="SEK",
        HasOpportunityLineItem=True,
        Pricebook2Id="01sFx00000DdEeFIAV",
        AccountId=account,
    )
    hours = desk.put("Product2", Name="h", Fortnox_Article_Number__c="200", QuantityUnitOfMeasure="tim")
    service = desk.put("Product2", Name="s", QuantityUnitOfMeasure="st")
    line: dict[str, Any] = {"OpportunityId": deal, "PricebookEntryId": "01uFx00000GgHhIIAV"}
    desk.put(
        "OpportunityLineItem",
        **line,
        Quantity=Decimal("16.00"),
        UnitPrice=Decimal("1000.00"),
        TotalPrice=Decimal("16000.00"),
        ServiceDate="2026-11-18",
        Description="Montörtimmar",
        ProductCode="TIM-MONT",
        Product2Id=hours,
    )
    desk.put(
        "OpportunityLineItem",
        **line,
        Quantity=Decimal("1.00"),
        UnitPrice=Decimal("12000.00"),
        Discount=Decimal("20.00"),
        TotalPrice=Decimal("9600.00"),
        ProductCode="SERVICE-VINTER",
        Product2Id=service,
    )


def test_the_first_page_is_the_known_one_to_the_letter() -> None:
    desk = Desk(multi_currency=True)
    _example(desk)
    for _ in range(2430):
        desk.put("Opportunity", at="2026-11-20T15:00:00Z", Name="later")
    text = (
        "SELECT Id, Name, StageName, IsClosed, IsWon, CloseDate, Amount, CurrencyIsoCode, HasOpportunityLineItem, "
        "Pricebook2Id, LastModifiedDate, SystemModstamp, Account.Id, Account.Name, "
        "Account.Fortnox_Customer_Number__c, (SELECT Id, Quantity, UnitPrice, Discount, TotalPrice, ServiceDate, "
        "Description, ProductCode, PricebookEntryId, Product2.Id, Product2.Fortnox_Article_Number__c, "
        "Product2.QuantityUnitOfMeasure FROM OpportunityLineItems) FROM Opportunity ORDER BY SystemModstamp, Id"
    )
    answer = desk.soql(text)
    known = payload("query_page_first")
    known["records"][0]["LastModifiedDate"] = "2026-11-20T14:05:12.000+0000"  # a person's edit, one second earlier
    lines = known["records"][0]["OpportunityLineItems"]["records"]
    service = answer["records"][0]["OpportunityLineItems"]["records"][1]["Product2"]
    lines[1]["Product2"] |= {"Id": service["Id"], "attributes": service["attributes"]}  # the known lines share an id
    assert answer["records"][0] == known["records"][0]
    assert {**answer, "nextRecordsUrl": "", "records": []} == {**known, "nextRecordsUrl": "", "records": []}
    last = desk.call("GET", answer["nextRecordsUrl"]).body
    last["records"] = last["records"][-1:]
    assert list(last) == list(payload("query_page_last"))
    assert (last["records"][0]["Account"], last["records"][0]["OpportunityLineItems"]) == (None, None)


def test_counts_aggregates_and_deleted_rows_have_the_known_shapes() -> None:
    desk = Desk()
    _example(desk)
    desk.put("Opportunity", Name="p", StageName="Prospecting")
    count = desk.soql("SELECT COUNT() FROM Opportunity")
    assert count == payload("query_count") | {"totalSize": 2}
    groups = desk.soql("SELECT StageName, COUNT(Id) FROM Opportunity GROUP BY StageName")
    assert_same_shape(payload("query_aggregate"), groups)
    loser = desk.put("Account", at="2026-11-19T09:00:01Z", Name="x", MasterRecordId="001Fx00000AbCdEIAV")
    desk.bin(loser)
    text = "SELECT Id, IsDeleted, MasterRecordId, SystemModstamp FROM Account WHERE IsDeleted = true"
    known = payload("queryall_deleted")
    known["records"][0]["Id"] = loser
    known["records"][0]["attributes"]["url"] = f"{V}/sobjects/Account/{loser}"
    assert desk.soql(text, "queryAll") == known
