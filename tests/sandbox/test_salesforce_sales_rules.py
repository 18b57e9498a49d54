"""Opportunities and their lines, price books, orders."""

from __future__ import annotations

import pytest

from .hubspot_world import assert_same_shape
from .salesforce_office import Office, payload


@pytest.fixture
def office() -> Office:
    return Office()


# --- opportunities and lines -----------------------------------------------------------------------------------------


def test_the_stage_decides_the_outcome(office: Office) -> None:
    deal = office.deal(Amount=1000)
    assert office.get(deal, "IsClosed", "IsWon", "Probability", "ExpectedRevenue") == (False, False, 10.0, 100.0)
    office.change(deal, StageName="Closed Won")
    shown = office.get(deal, "IsClosed", "IsWon", "Probability", "ForecastCategory", "LastStageChangeDate")
    assert shown == (True, True, 100.0, "Closed", "2026-11-21T10:00:00.000+0000")
    assert office.not_changed(deal, IsWon=False) == ("INVALID_FIELD_FOR_INSERT_UPDATE", ["IsWon"])


def test_lines_make_the_amount_and_the_first_sets_the_price_book(office: Office) -> None:
    entry, deal = office.price(), office.deal(Amount=5)
    first = office.create(
        "OpportunityLineItem", OpportunityId=deal, PricebookEntryId=entry, Quantity=16, UnitPrice=1000
    )
    office.create(
        "OpportunityLineItem", OpportunityId=deal, PricebookEntryId=entry, Quantity=1, UnitPrice=12000, Discount=20
    )
    shown = office.get(deal, "Amount", "HasOpportunityLineItem", "Pricebook2Id")
    assert shown == (25600.0, True, office.standard_book)
    assert office.get(first, "TotalPrice", "ListPrice", "ProductCode", "Name") == (
        16000.0,
        1000.0,
        "TIM-MONT",
        "Vinterunderhåll Montörtimme",
    )
    office.change(deal, Amount=1, NextStep="ring")
    assert office.get(deal, "Amount", "NextStep") == (25600.0, "ring")
    office.call("DELETE", f"/sobjects/OpportunityLineItem/{first}")
    assert office.get(deal, "Amount") == 9600.0
    assert office.send("GET", f"/sobjects/OpportunityLineItem/{first}").body[0]["errorCode"] == "ENTITY_IS_DELETED"
    assert office.org.any_row(first) is None


@pytest.mark.parametrize(
    ("change", "unit", "total"),
    [
        ({"Quantity": 5}, 2000.0, 10000.0),
        ({"Discount": 10}, 1000.0, 9000.0),
        ({"UnitPrice": 500}, 500.0, 5000.0),
        ({"TotalPrice": 8000}, 800.0, 8000.0),
        ({"Quantity": 5, "UnitPrice": 1000}, 1000.0, 5000.0),
        ({"Description": "text"}, 1000.0, 10000.0),
    ],
)
def test_what_moves_when_a_line_changes(office: Office, change: dict[str, object], unit: float, total: float) -> None:
    deal = office.deal()
    values = {"OpportunityId": deal, "PricebookEntryId": office.price(), "Quantity": 10, "UnitPrice": 1000}
    line = office.create("OpportunityLineItem", **values)
    office.change(line, **change)
    assert office.get(line, "UnitPrice", "TotalPrice") == (unit, total)
    assert office.get(deal, "Amount") == total


def test_a_line_needs_one_price_and_an_entry_of_the_same_book(office: Office) -> None:
    entry, deal = office.price(), office.deal()
    line = {"OpportunityId": deal, "PricebookEntryId": entry, "Quantity": 1}
    assert office.refused("OpportunityLineItem", **line) == ("REQUIRED_FIELD_MISSING", ["TotalPrice"])
    both = office.refused("OpportunityLineItem", **line, UnitPrice=1, TotalPrice=1)
    assert both == ("FIELD_INTEGRITY_EXCEPTION", ["UnitPrice", "TotalPrice"])
    made = office.create("OpportunityLineItem", **line, UnitPrice=1)
    assert office.not_changed(made, Quantity=2, Discount=5)[0] == "FIELD_INTEGRITY_EXCEPTION"
    book = office.create("Pricebook2", Name="Avtal", IsActive=True)
    values = {"Pricebook2Id": book, "Product2Id": office.get(entry, "Product2Id"), "UnitPrice": 900, "IsActive": True}
    other = office.create("PricebookEntry", **values)
    refused = office.refused("OpportunityLineItem", **{**line, "PricebookEntryId": other}, UnitPrice=1)
    assert refused == ("FIELD_INTEGRITY_EXCEPTION", ["PricebookEntryId"])
    assert office.not_changed(deal, Pricebook2Id=book) == ("FIELD_INTEGRITY_EXCEPTION", ["Pricebook2Id"])


def test_a_line_that_changes_no_amount_does_not_move_the_opportunity(office: Office) -> None:
    deal = office.deal()
    line = office.create(
        "OpportunityLineItem", OpportunityId=deal, PricebookEntryId=office.price(), Quantity=1, UnitPrice=10
    )
    before = office.get(deal, "SystemModstamp")
    office.clock.moment += 60
    office.change(line, Description="ny text")
    assert office.get(deal, "SystemModstamp") == before
    office.change(line, UnitPrice=11)
    assert office.get(deal, "SystemModstamp", "LastModifiedDate") == ("2026-11-21T10:01:00.000+0000", before)


# --- price books -----------------------------------------------------------------------------------------------------


def test_the_standard_price_comes_first_and_once(office: Office) -> None:
    product = office.create("Product2", Name="Servis")
    assert office.get(product, "IsActive") is False
    book = office.create("Pricebook2", Name="Avtal", IsActive=True)
    custom = {"Pricebook2Id": book, "Product2Id": product, "UnitPrice": 900, "IsActive": True}
    assert office.refused("PricebookEntry", **custom) == ("STANDARD_PRICE_NOT_DEFINED", [])
    standard = {**custom, "Pricebook2Id": office.standard_book, "UnitPrice": 1000}
    first = office.create("PricebookEntry", **standard)
    assert office.refused("PricebookEntry", **standard)[0] == "DUPLICATE_VALUE"
    entry = office.create("PricebookEntry", **custom, UseStandardPrice=False)
    following = office.create(
        "PricebookEntry",
        Pricebook2Id=office.create("Pricebook2", Name="Till", IsActive=True),
        Product2Id=product,
        UseStandardPrice=True,
        IsActive=True,
    )
    office.change(first, UnitPrice=1100)
    assert (office.get(entry, "UnitPrice"), office.get(following, "UnitPrice")) == (900.0, 1100.0)
    assert office.not_changed(following, UnitPrice=1) == ("INVALID_FIELD_FOR_INSERT_UPDATE", ["UnitPrice"])
    office.change(product, Name="Service", ProductCode="S1")
    assert office.get(entry, "Name", "ProductCode") == ("Service", "S1")


def test_an_entry_in_use_is_archived_and_hidden(office: Office) -> None:
    entry = office.price()
    office.create("OpportunityLineItem", OpportunityId=office.deal(), PricebookEntryId=entry, Quantity=1, UnitPrice=1)
    office.call("DELETE", f"/sobjects/PricebookEntry/{entry}")
    assert office.send("GET", f"/sobjects/PricebookEntry/{entry}").status == 404
    assert office.row(entry).values["IsArchived"] is True


# --- orders ----------------------------------------------------------------------------------------------------------


def test_an_order_is_activated_with_items_and_then_frozen(office: Office) -> None:
    order, entry = office.order(), office.price()
    assert office.get(order, "OrderNumber", "StatusCode") == ("00000001", "Draft")
    assert office.not_changed(order, Status="Activated")[0] == "FAILED_ACTIVATION"
    item = office.create("OrderItem", OrderId=order, PricebookEntryId=entry, Quantity=16, UnitPrice=1000)
    assert office.get(item, "TotalPrice", "ListPrice", "OrderItemNumber") == (16000.0, 1000.0, "0000000001")
    office.change(order, Status="Activated", PoNumber="NK-7781")
    assert office.get(order, "StatusCode", "TotalAmount") == ("Activated", 16000.0)
    assert office.not_changed(item, Quantity=2)[0] == "FIELD_INTEGRITY_EXCEPTION"
    more = {"OrderId": order, "PricebookEntryId": entry, "Quantity": 1, "UnitPrice": 1}
    assert office.refused("OrderItem", **more)[0] == "FIELD_INTEGRITY_EXCEPTION"
    assert office.send("DELETE", f"/sobjects/Order/{order}").body[0]["errorCode"] == "DELETE_FAILED"
    office.change(order, PoNumber="NK-7782")


def test_an_activated_order_looks_like_the_known_one(office: Office) -> None:
    known = payload("record_order_with_items")
    order, entry = office.order(PoNumber=known["PoNumber"]), office.price()
    known_item = known["OrderItems"]["records"][0]
    values = {name: known_item[name] for name in ("Quantity", "UnitPrice", "ServiceDate")}
    office.create("OrderItem", OrderId=order, PricebookEntryId=entry, **values)
    office.change(order, Status="Activated")
    columns = ", ".join(name for name in known if name not in ("attributes", "OrderItems"))
    inner = ", ".join(name for name in known_item if name != "attributes")
    (shown,) = office.soql(f"SELECT {columns}, (SELECT {inner} FROM OrderItems) FROM Order")["records"]
    assert_same_shape(known, shown)
    own = ("Status", "StatusCode", "TotalAmount", "PoNumber", "EffectiveDate")
    assert [shown[name] for name in own] == [known[name] for name in own]
    item = shown["OrderItems"]["records"][0]
    prices = ("Quantity", "UnitPrice", "ListPrice", "TotalPrice", "ServiceDate", "EndDate", "Description")
    assert [item[name] for name in prices] == [known_item[name] for name in prices]


def test_an_order_starts_as_a_draft(office: Office) -> None:
    values = {"AccountId": office.create("Account", Name="A"), "EffectiveDate": "2026-11-15"}
    assert office.refused("Order", **values, Status="Activated") == ("FAILED_ACTIVATION", ["Status"])


def test_without_orders_the_object_is_absent() -> None:
    office = Office(orders_enabled=False)
    assert office.send("GET", "/sobjects/Order/describe").status == 404
