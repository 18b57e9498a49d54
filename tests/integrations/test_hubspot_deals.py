"""Deals that become invoices, as the connector reads them: parts, lines, order, and exactly how many calls."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from integrations import http
from integrations.connector import Gone, Record, Write
from integrations.errors import Missing, SyncError
from integrations.hubspot import schema
from tests.integrations.clients import connector, in_sandbox, set_vendor
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
LINE = frozenset(
    [
        "name",
        "hs_sku",
        "description",
        "quantity",
        "price",
        "discount",
        "hs_discount_percentage",
        "hs_total_discount",
        "hs_line_item_currency_code",
        "recurringbillingfrequency",
        "amount",
    ]
)
DEAL = frozenset({"dealname", "deal_currency_code", "description"})
LINES_ONLY = {"deal": DEAL, "line": LINE}
EVERYTHING = {
    **LINES_ONLY,
    "company": frozenset({"name", "hs_object_id", "zip"}),
    "contact": frozenset({"firstname", "lastname", "hs_object_id"}),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    options = ["--customers", "0", "--invoices", "0", "--accounts", "20", "--deals", "30", "--no-limits"]
    with SandboxProcess(*options) as process:
        yield process
        process.stop()


@pytest.fixture
def hubspot(settings: Any, sandbox: SandboxProcess) -> Iterator[Any]:
    set_vendor(settings, "hubspot", rate=(0, 10.0), search_rate=(0, 1.0))
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    schema.clear_cache()
    found = connector(in_sandbox(sandbox, "hubspot"))
    for name in ("deal", "line_item", "company", "contact"):
        found._properties.types(name)  # asked for once per process and ten minutes
    yield found
    sandbox.control("POST", "/faults", {"profile": {}})


def _ids(hubspot: Any) -> dict[str, str]:
    """The waiting deals by name without its number."""
    pages = hubspot.changed("deal", None, {"deal": frozenset({"dealname", "dealstage"})})
    waiting = [r for page in pages for r in page.records if r.fields["dealstage"] == "contractsent"]
    return {str(r.fields["dealname"]).rpartition(" ")[0]: r.id for r in reversed(waiting)}


def _load(hubspot: Any, name: str, fields: dict[str, frozenset[str]]) -> Record:
    (deal,) = hubspot.load("deal", [_ids(hubspot)[name]], fields)
    assert isinstance(deal, Record), deal
    return deal


def _journal(sandbox: SandboxProcess, since: int) -> list[str]:
    entries = sandbox.control("GET", f"/requests?since={since}")["requests"]
    return [f"{entry['method']} {entry['path']}" for entry in entries]


def test_one_deal_with_its_lines_costs_exactly_two_calls(hubspot: Any, sandbox: SandboxProcess) -> None:
    key = _ids(hubspot)["Vanlig order"]
    before = sandbox.control("GET", "/requests?since=999999999")["total"]
    with http.counting() as calls:
        (deal,) = hubspot.load("deal", [key], LINES_ONLY)
    assert calls == {("hubspot", "deal.get"): 1, ("hubspot", "line_item.batch_read"): 1}
    assert len(_journal(sandbox, before)) == 2
    assert [line["hs_sku"] for line in deal.lines] == ["1001", "1002"]
    assert [line["price"] for line in deal.lines] == [Decimal(125), Decimal("99.9")]
    assert set(deal.lines[0]) >= LINE
    assert deal.parts == {}
    assert deal.complete


def test_one_deal_with_everything_costs_four_calls(hubspot: Any) -> None:
    key = _ids(hubspot)["Vanlig order"]
    with http.counting() as calls:
        (deal,) = hubspot.load("deal", [key], EVERYTHING)
    assert calls.total() == 4
    assert set(deal.parts) == {"company", "contact"}
    assert deal.parts["company"]["hs_object_id"]
    assert deal.parts["contact"]["firstname"]


def test_a_deal_without_parts_costs_one_call(hubspot: Any) -> None:
    key = _ids(hubspot)["Vanlig order"]
    with http.counting() as calls:
        (deal,) = hubspot.load("deal", [key], {"deal": DEAL})
    assert calls == {("hubspot", "deal.batch_read"): 1}
    assert deal.fields["deal_currency_code"] == "SEK"


def test_a_deal_with_nothing_associated_has_no_lines_and_costs_one_call(hubspot: Any) -> None:
    key = _ids(hubspot)["Utan rader"]
    with http.counting() as calls:
        (deal,) = hubspot.load("deal", [key], LINES_ONLY)
    assert (deal.lines, calls.total()) == ([], 1)
    assert _load(hubspot, "Utan företag", EVERYTHING).parts == {}


def test_one_deal_and_many_are_the_same_to_the_caller(hubspot: Any) -> None:
    ids = list(_ids(hubspot).values())
    with http.counting() as calls:
        many = list(hubspot.load("deal", ids, EVERYTHING))
    assert calls.total() == 7  # deals, three kinds of associations, three kinds of parts
    single = [one for key in ids for one in hubspot.load("deal", [key], EVERYTHING)]
    assert [(r.id, r.fields, r.parts, r.lines, r.title, r.url, r.version) for r in single] == [
        (r.id, r.fields, r.parts, r.lines, r.title, r.url, r.version) for r in many
    ]


def test_the_contact_labelled_for_billing_wins_over_older_ones(hubspot: Any) -> None:
    key = _ids(hubspot)["Fakturakontakt"]
    entries = hubspot._reader.links._read("deal", "contact", [key])[key]
    labelled = [e for e in entries if any(t["label"] == "Billing contact" for t in e["associationTypes"])]
    assert len(entries) == 3
    contact = _load(hubspot, "Fakturakontakt", EVERYTHING).parts["contact"]
    assert str(contact["hs_object_id"]) == str(labelled[0]["toObjectId"])


def test_without_a_label_the_oldest_contact_is_named(hubspot: Any) -> None:
    key = _ids(hubspot)["Två kontakter"]
    oldest = hubspot._reader.links.all("deal", "contact", [key])[key][0]
    assert str(_load(hubspot, "Två kontakter", EVERYTHING).parts["contact"]["hs_object_id"]) == oldest


def test_the_primary_company_wins_over_others(hubspot: Any) -> None:
    key = _ids(hubspot)["Retur"]
    primary = hubspot._reader.links.chosen("deal", "company", [key])[key]
    page = next(iter(hubspot.changed("company", None, {"company": frozenset({"name"})})))
    other = min((r.id for r in page.records if r.id != primary), key=int)
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 341}]
    body = {"inputs": [{"from": {"id": key}, "to": {"id": other}, "types": types}]}
    hubspot.api.call("POST", "/crm/associations/2026-09/deals/companies/batch/create", json=body, empty_ok=True)
    with http.counting() as calls:
        (deal,) = hubspot.load("deal", [key], {"deal": DEAL, "company": frozenset({"hs_object_id"})})
    assert str(deal.parts["company"]["hs_object_id"]) == primary
    assert calls.total() == 3  # the deal, the labels because there are two, the company


def test_lines_come_in_the_order_of_the_quote(hubspot: Any) -> None:
    deal = _load(hubspot, "Ordning", LINES_ONLY)
    assert [line["name"] for line in deal.lines] == ["Rad 0", "Rad 1", "Rad 2"]


def test_awkward_lines_arrive_as_they_are(hubspot: Any) -> None:
    def first(name: str) -> dict[str, Any]:
        return dict(_load(hubspot, name, LINES_ONLY).lines[0])

    assert first("Procentrabatt")["hs_discount_percentage"] == Decimal(10)
    assert first("Procentrabatt")["hs_total_discount"] == Decimal(25)
    assert first("Rabatt i kronor")["discount"] == Decimal("25.5")
    assert first("Rabatt i kronor")["hs_total_discount"] == Decimal(102)
    assert first("Rabatt med fyra decimaler")["hs_discount_percentage"] == Decimal("12.0001")
    assert first("Retur")["quantity"] == Decimal(-1)
    assert first("Rad utan artikel")["hs_sku"] is None
    assert first("Abonnemang")["recurringbillingfrequency"] == "monthly"
    assert first("Order i euro")["hs_line_item_currency_code"] == "EUR"
    assert len(first("Långt radnamn")["name"]) == 300
    assert first("Tre decimaler")["price"] == Decimal("10.125")
    assert {line["hs_line_item_currency_code"] for line in _load(hubspot, "Blandade valutor", LINES_ONLY).lines} == {
        "SEK",
        "EUR",
    }
    assert "🙏" in str(_load(hubspot, "Tecken 🎉 \t[x]", LINES_ONLY).fields["description"])


def test_five_hundred_and_one_lines_are_all_read(hubspot: Any) -> None:
    fields = {"dealname": "Stor", "pipeline": "default", "dealstage": "qualifiedtobuy"}
    made = hubspot.create("deal", Write("1", fields=fields))
    lines = [{"name": f"Rad {n}", "quantity": "1", "price": "1"} for n in range(501)]
    ids: list[str] = []
    for start in range(0, 501, 100):
        inputs = [{"properties": line} for line in lines[start : start + 100]]
        reply = hubspot.api.call("POST", "/crm/objects/2026-09/line_items/batch/create", json={"inputs": inputs})
        ids += [row["id"] for row in reply.data["results"]]
    hubspot._reader.links.set("deal", "line_item", [(made.id, key) for key in ids])
    with http.counting() as calls:
        (deal,) = hubspot.load("deal", [made.id], LINES_ONLY)
    assert len(deal.lines) == 501
    assert calls["hubspot", "deal.get"] == 1
    assert calls["hubspot", "deal.line_item.read"] >= 1
    assert calls["hubspot", "line_item.batch_read"] == 6


def test_a_deal_that_is_not_there_or_was_merged_is_an_error_of_its_own(hubspot: Any) -> None:
    ((key, error),) = hubspot.load("deal", ["1"], LINES_ONLY)
    assert key == "1"
    assert isinstance(error, Missing)
    ids = [
        hubspot.create("deal", Write(n, fields={"dealname": n, "pipeline": "default", "dealstage": "closedlost"})).id
        for n in ("a", "b")
    ]
    hubspot.api.call(
        "POST",
        "/crm/objects/2026-09/deals/merge",
        json={"primaryObjectId": ids[0], "objectIdToMerge": ids[1]},
    )
    ((key, error),) = hubspot.load("deal", [ids[1]], LINES_ONLY)
    assert (key, type(error)) == (ids[1], Missing)
    # A webhook that got lost is made good by the next scan, without a call of its own.
    with http.counting() as calls:
        pages = list(hubspot.changed("deal", None, {"deal": frozenset({"dealname"})}))
    assert [gone for page in pages for gone in page.gone] == [Gone(ids[1], into=ids[0])]
    assert sum(calls.values()) == len(pages) == calls["hubspot", "deal.list"]
    assert all("hs_merged_object_ids" not in record.fields for page in pages for record in page.records)


@pytest.mark.parametrize("single", [True, False])
def test_a_deal_whose_lines_cannot_be_read_is_an_error_and_never_a_smaller_deal(
    hubspot: Any, sandbox: SandboxProcess, single: bool
) -> None:
    ids = [_ids(hubspot)["Vanlig order"], _ids(hubspot)["Utan rader"]]
    match = {"path_contains": "objects/2026-09/line_items/batch/read"}
    sandbox.control("POST", "/faults", {"profile": {"status_503": 1.0}, "seed": 1, "match": match})
    answers = list(hubspot.load("deal", ids[:1] if single else ids, LINES_ONLY))
    assert isinstance(answers[0], tuple)
    assert isinstance(answers[0][1], SyncError)
    assert all(isinstance(answer, Record) for answer in answers[1:])


def test_the_deal_of_each_line_is_found_in_one_call(hubspot: Any) -> None:
    key = _ids(hubspot)["Ordning"]
    lines = hubspot._reader.links.all("deal", "line_item", [key])[key]
    assert hubspot.owners == {"line_item": "deal"}
    with http.counting() as calls:
        owners = hubspot.owners_of("line_item", [*lines, "1"])
    assert owners == dict.fromkeys(lines, key)
    assert calls.total() == 1
    assert hubspot.owners_of("line_item", []) == {}


def test_the_schema_says_what_is_calculated_and_which_stages_there_are(hubspot: Any) -> None:
    deal = hubspot.describe("deal")
    line = deal.parts["line"]
    assert not any(line[name].writable for name in ("amount", "hs_total_discount"))
    assert all(line[name].writable for name in ("price", "quantity", "hs_sku", "discount"))
    assert {"contractsent", "closedwon"} <= {option.value for option in deal.fields["dealstage"].options}
    assert "default" in {option.value for option in deal.fields["pipeline"].options}
