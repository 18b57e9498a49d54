"""The seeded companies: deterministic, old, awkward, in every state."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.core.names import business, luhn_digit
from sandbox.core.world import Sizes

from .fortnox_world import Fortnox

SIZES = Sizes(customers=120, articles=60, invoices=200)


@pytest.fixture(scope="module")
def fortnox() -> Iterator[Fortnox]:
    yield Fortnox(SIZES)


def _state(fortnox: Fortnox, name: str) -> list[dict[str, Any]]:
    return fortnox.emulator.records(fortnox.account, name)


def test_fortnox_same_seed_same_world_other_seed_other_world(fortnox: Fortnox) -> None:
    def content(world: Fortnox) -> list[Any]:
        return [
            (row["CustomerName"], row["Total"], row["Booked"], row["InvoiceRows"][0]["Description"])
            for row in _state(world, "invoices")
        ]

    assert content(Fortnox(SIZES)) == content(fortnox)
    assert content(Fortnox(SIZES, seed=2)) != content(fortnox)


def test_fortnox_customers_are_the_businesses_every_emulator_knows(fortnox: Fortnox) -> None:
    first = fortnox.get("/customers/1")["Customer"]
    known = business(fortnox.world.seed, 0)
    assert (first["Name"], first["OrganisationNumber"], first["Email"]) == (
        known.name,
        known.organisation_number,
        known.email,
    )


def test_fortnox_organisation_numbers_are_valid_and_unique() -> None:
    numbers = [business(1, index).organisation_number.replace("-", "") for index in range(2000)]
    assert len(set(numbers)) == len(numbers)
    assert all(luhn_digit(number[:9]) == number[9] for number in numbers)


def test_fortnox_seeded_invoices_are_in_every_state(fortnox: Fortnox) -> None:
    rows = _state(fortnox, "invoices")
    states = Counter(
        "draft"
        if row["NotCompleted"]
        else "cancelled"
        if row["Cancelled"]
        else "credit"
        if row["Credit"] == "true"
        else "unbooked"
        if not row["Booked"]
        else "paid"
        if row["Balance"] == 0
        else "partly"
        if row["Balance"] != row["Total"]
        else "unpaid"
        for row in rows
    )
    assert set(states) == {"draft", "cancelled", "credit", "unbooked", "paid", "partly", "unpaid"}
    assert {row["Currency"] for row in rows} >= {"SEK", "EUR", "USD", "NOK"}
    assert {line["VAT"] for row in rows for line in row["InvoiceRows"]} == {25, 12, 6, 0}
    assert {line["DiscountType"] for row in rows for line in row["InvoiceRows"]} == {"PERCENT", "AMOUNT"}
    assert any(row["VATIncluded"] for row in rows)
    assert any(row["InvoiceType"] == "CASHINVOICE" for row in rows)
    assert any(row["Sent"] for row in rows)
    assert any(line["DeliveredQuantity"] == "0" for row in rows for line in row["InvoiceRows"])
    assert any(row["Freight"] for row in rows)
    assert any(row["AdministrationFee"] for row in rows)
    assert fortnox.get("/invoices?filter=unpaidoverdue")["MetaInformation"]["@TotalResources"] > 0


def test_fortnox_seeded_customers_are_awkward(fortnox: Fortnox) -> None:
    rows = _state(fortnox, "customers")
    names = Counter(row["Name"] for row in rows)
    numbers = Counter(row["OrganisationNumber"] for row in rows if row["OrganisationNumber"])
    assert max(names.values()) == 2
    assert max(numbers.values()) == 2
    assert any(not row["OrganisationNumber"] for row in rows)
    assert any(not row["Email"] and not row["WWW"] for row in rows)
    assert any(row["Email"].endswith("@gmail.com") or "@hotmail" in row["Email"] for row in rows)
    assert any(len(row["Name"]) > 100 for row in rows)
    assert {row["Type"] for row in rows} == {"COMPANY", "PRIVATE"}
    assert {row["CountryCode"] for row in rows} >= {"SE", "NO", "DE", "US"}
    inactive = {row["CustomerNumber"] for row in rows if not row["Active"]}
    assert inactive & {row["CustomerNumber"] for row in _state(fortnox, "invoices")}


def test_fortnox_seeded_articles_are_awkward(fortnox: Fortnox) -> None:
    rows = _state(fortnox, "articles")
    numbers = {row["ArticleNumber"] for row in rows}
    assert {"SKRUV/M6", "Färg-01"} <= numbers
    assert any(not row["Active"] for row in rows)
    assert any(row["SalesPrice"] is None for row in rows)
    assert any(row["SalesPrice"] and row["SalesPrice"] % 1 for row in rows)


@pytest.mark.parametrize("name", ["customers", "articles", "invoices", "invoicepayments", "prices"])
def test_fortnox_seeded_records_have_not_changed_within_the_hour(fortnox: Fortnox, name: str) -> None:
    now = fortnox.world.clock.time()
    for tenant in fortnox.emulator.tenants.values():
        assert all(record.created <= record.updated <= now - 3600 for record in tenant.tables[name])


def test_fortnox_second_company_is_a_tenth(fortnox: Fortnox) -> None:
    other = list(fortnox.emulator.tenants)[1]
    assert len(fortnox.emulator.records(other, "customers")) == 12
    names = {row["Name"] for row in fortnox.emulator.records(other, "customers")}
    assert not names & {row["Name"] for row in _state(fortnox, "customers")}


def test_fortnox_empty_world_has_registers_and_settings_only() -> None:
    fortnox = Fortnox()
    for name in ("customers", "articles", "invoices", "invoicepayments", "vouchers"):
        assert fortnox.emulator.records(fortnox.account, name) == []
    for name in ("units", "currencies", "accounts", "pricelists", "predefinedaccounts", "financialyears"):
        assert fortnox.emulator.records(fortnox.account, name)


def test_fortnox_fifty_thousand_customers_are_seeded_quickly() -> None:
    started = time.thread_time()
    fortnox = Fortnox(Sizes(customers=50_000, articles=10, invoices=10))
    assert time.thread_time() - started < 20
    assert len(fortnox.emulator.tenants[fortnox.account].tables["customers"]) == 50_000
