"""What a product costs, in price books: the standard price first, one entry per book and currency, counted calls."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest

from integrations import errors as e
from integrations.connector import Outcome, Value, Write
from tests.integrations.salesforce_packaged import Org, calls
from tests.sandbox_process import SandboxProcess

KEY = "Fortnox_Key__c"
pytestmark = pytest.mark.django_db
_books = itertools.count(1)


@pytest.fixture(params=[0, 1], ids=["one currency", "several currencies"])
def org(
    request: pytest.FixtureRequest, salesforce_sandbox: SandboxProcess, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Org:
    monkeypatch.setattr("integrations.salesforce.batches.time.sleep", lambda seconds: None)
    return Org(salesforce_sandbox, settings, request.param)


@pytest.fixture
def rich(salesforce_sandbox: SandboxProcess, settings: Any) -> Org:
    """The org with several currencies."""
    return Org(salesforce_sandbox, settings, 1)


@pytest.fixture
def poor(salesforce_sandbox: SandboxProcess, settings: Any) -> Org:
    """The org with one currency."""
    return Org(salesforce_sandbox, settings, 0)


def article(number: str, price: str | None = "100", **fields: Value) -> Write:
    """An article on its way to a product."""
    cost = {} if price is None else {"price": Decimal(price)}
    return Write(number, fields={"Name": f"Artikel {number}", **cost, **fields}, unique=(KEY, f"1:{number}"))


def _one(org: Org, write: Write) -> Outcome:
    (outcome,) = org.upsert("product", write)
    return outcome


def _good(org: Org, write: Write) -> str:
    outcome = _one(org, write)
    assert outcome.error is None, outcome.error
    return outcome.id


def _book(org: Org, **fields: Any) -> tuple[str, str]:
    """(name, id) of a new price book."""
    name = f"Återförsäljare {next(_books)}"
    return name, org.make("Pricebook2", **{"Name": name, "IsActive": True, **fields})


def _entries(org: Org, product: str) -> dict[tuple[str, str], tuple[Decimal, bool]]:
    """(price, follows the standard) of a product by (book or "standard", currency or "")."""
    standard = {row["id"] for row in org.records("Pricebook2") if row.get("IsStandard")}
    return {
        ("standard" if r["Pricebook2Id"] in standard else r["Pricebook2Id"], r.get("CurrencyIsoCode") or ""): (
            Decimal(r["UnitPrice"]),
            bool(r.get("UseStandardPrice")),
        )
        for r in org.records("PricebookEntry")
        if r["Product2Id"] == product and not r["deleted"]
    }


def _code(org: Org, code: str = "SEK") -> str:
    return code if org.account.details["multi_currency"] else ""


def test_a_new_product_gets_a_standard_price_and_one_in_its_book(org: Org) -> None:
    name, book = _book(org)
    outcome = _one(org, article("new", "99.50", currency="SEK", price_book=name))
    assert outcome.error is None, outcome.error
    assert outcome.returned == {
        "Name": "Artikel new", "price": Decimal("99.50"), "currency": "SEK", "price_book": name,
    }  # fmt: skip
    price = (Decimal("99.5"), False)
    assert _entries(org, outcome.id) == {("standard", _code(org)): price, (book, _code(org)): price}


def test_a_new_price_changes_the_entries_that_are_there(org: Org) -> None:
    name, book = _book(org)
    product = _good(org, article("again", "10", price_book=name))
    assert _good(org, article("again", "12.25", price_book=name)) == product
    price = (Decimal("12.25"), False)
    assert _entries(org, product) == {("standard", _code(org)): price, (book, _code(org)): price}


def test_the_same_price_again_writes_no_entry(org: Org) -> None:
    name, _id = _book(org)
    _good(org, article("same", "10", price_book=name))
    with calls() as seen:
        _good(org, article("same", "10.00", price_book=name))
    assert {kind for kind in seen if kind.startswith("PricebookEntry.") and not kind.endswith("describe")} == set()


def test_200_products_cost_as_many_calls_as_one(org: Org) -> None:
    name, _id = _book(org)
    _good(org, article("warm"))
    counts = []
    for batch in (range(1), range(1000, 1200)):
        with calls() as seen:
            outcomes = org.upsert("product", *(article(f"b{n}", "5", price_book=name) for n in batch))
        assert all(outcome.error is None for outcome in outcomes)
        counts.append(dict(seen))
    assert counts[0] == counts[1]
    assert sum(counts[1].values()) == 6  # products, what was kept, books, entries, standard prices, second prices


def test_a_product_without_a_price_keeps_what_it_has(org: Org) -> None:
    product = _good(org, article("keep", "7"))
    _good(org, article("keep", None))
    _good(org, Write("keep", id=product, fields={"price": None}))
    assert _entries(org, product) == {("standard", _code(org)): (Decimal(7), False)}


def test_a_change_of_the_price_alone_does_not_write_the_product(org: Org) -> None:
    product = _good(org, article("only", "7"))
    with calls() as seen:
        outcome = _one(org, Write("only", id=product, fields={"price": Decimal("8.005")}))
    assert (outcome.error, outcome.returned["price"]) == (None, Decimal("8.01"))
    assert not [kind for kind in seen if kind.startswith("Product2.update")]
    assert _entries(org, product)[("standard", _code(org))] == (Decimal("8.01"), False)


def test_prices_in_two_currencies_stand_beside_each_other(rich: Org) -> None:
    product = _good(rich, article("two", "100", currency="SEK"))
    _good(rich, Write("two", id=product, fields={"price": Decimal(9), "currency": "EUR"}))
    assert _entries(rich, product) == {
        ("standard", "SEK"): (Decimal(100), False),
        ("standard", "EUR"): (Decimal(9), False),
    }


def test_an_org_with_one_currency_takes_no_price_in_another(poor: Org) -> None:
    outcome = _one(poor, article("dkk", "9", currency="DKK"))
    assert isinstance(outcome.error, e.Misconfigured)
    assert (outcome.error.code, outcome.error.field, outcome.error.value) == ("INVALID_CURRENCY_ISO", "currency", "DKK")
    assert outcome.id
    assert _entries(poor, outcome.id) == {}


def test_a_second_price_needs_the_standard_one_in_its_currency_which_is_made(rich: Org) -> None:
    name, book = _book(rich)
    product = _good(rich, article("eur", "100", currency="SEK"))
    _good(rich, Write("eur", id=product, fields={"price": Decimal(9), "currency": "EUR", "price_book": name}))
    assert set(_entries(rich, product)) == {("standard", "SEK"), ("standard", "EUR"), (book, "EUR")}


@pytest.mark.parametrize("fields,word", [({"IsActive": False}, "not active"), (None, "no price book")])
def test_a_book_that_cannot_be_used_is_named(org: Org, fields: dict[str, Any] | None, word: str) -> None:
    name = _book(org, **fields)[0] if fields else "Finns inte"
    refused, good = org.upsert("product", article("nobook", price_book=name), article("fine"))
    assert isinstance(refused.error, e.Misconfigured)
    assert (refused.error.code, refused.error.field, refused.error.value) == ("price_book", "price_book", name)
    assert word in refused.error.message
    assert good.error is None


def test_an_inactive_entry_is_active_again_with_its_price(org: Org) -> None:
    product = _good(org, article("off", "5"))
    (entry,) = [row for row in org.records("PricebookEntry") if row["Product2Id"] == product]
    org.edit("PricebookEntry", entry["id"], IsActive=False)
    _good(org, article("off", "6"))
    stored = org.record("PricebookEntry", entry["id"])
    assert (stored["IsActive"], Decimal(stored["UnitPrice"])) == (True, Decimal(6))


def test_an_entry_that_follows_the_standard_price_is_left_to_follow(org: Org) -> None:
    name, book = _book(org)
    product = _good(org, article("follow", "5"))
    code = {"CurrencyIsoCode": "SEK"} if _code(org) else {}
    org.make("PricebookEntry", Pricebook2Id=book, Product2Id=product, UseStandardPrice=True, IsActive=True, **code)
    _good(org, article("follow", "6", price_book=name))
    assert _entries(org, product)[(book, _code(org))] == (Decimal(6), True)


def test_another_second_book_takes_the_mark_from_the_first(org: Org) -> None:
    (old, old_id), (new, new_id) = _book(org), _book(org)
    product = _good(org, article("move", "5", price_book=old))
    _good(org, article("move", "5", price_book=new))
    marked = {
        row["Pricebook2Id"]: row.get(KEY) for row in org.records("PricebookEntry") if row["Product2Id"] == product
    }
    assert marked[old_id] is None
    assert str(marked[new_id]).startswith(product)


def test_without_the_standard_price_no_second_one_is_tried(org: Org) -> None:
    name, _id = _book(org)
    conditions = [{"field": "UnitPrice", "operator": "less", "value": 3}]
    org.set(validation=[{"object": "PricebookEntry", "message": "För billigt", "conditions": conditions}])
    cheap, fair = org.upsert("product", article("cheap", "2", price_book=name), article("fair", "4", price_book=name))
    assert isinstance(cheap.error, e.InvalidData)
    assert cheap.error.message == "För billigt"
    assert _entries(org, cheap.id) == {}
    assert fair.error is None
    assert len(_entries(org, fair.id)) == 2


def test_a_second_price_that_salesforce_does_not_find_the_standard_one_for_is_the_products_error(poor: Org) -> None:
    _name, book = _book(poor)
    product = poor.make("Product2", Name="Utan pris", IsActive=True)
    entry = {"Pricebook2Id": book, "Product2Id": product, "UnitPrice": 5, "IsActive": True}
    (answer,) = poor.writer.batches.write("PricebookEntry", "create", [entry])
    assert isinstance(answer, e.InvalidData)
    assert answer.code == "STANDARD_PRICE_NOT_DEFINED"
    assert "standard price" in answer.context["remedy"]


@pytest.mark.parametrize("price", [Decimal(-1), Decimal("NaN"), "tio"])
def test_what_is_no_price_is_refused_before_anything_is_sent(poor: Org, price: Value) -> None:
    outcome = _one(poor, Write("bad", fields={"Name": "Fel", "price": price}, unique=(KEY, "1:bad")))
    assert isinstance(outcome.error, e.InvalidData)
    assert (outcome.error.code, outcome.error.field) == ("wrong_type", "price")
    assert outcome.id == ""
