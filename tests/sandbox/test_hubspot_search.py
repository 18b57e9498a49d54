"""Search: operators, case rules, limits, and an index that is late."""

from __future__ import annotations

from typing import Any

import pytest

from .hubspot_world import Hub, V


def condition(name: str, operator: str, **operands: Any) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator, **operands}


def found(hub: Hub, *filters: dict[str, Any], plural: str = "companies", **body: Any) -> set[str]:
    answer = hub.search(plural, filterGroups=[{"filters": list(filters)}], limit=200, properties=["name"], **body)
    return {record["properties"]["name"] for record in answer["results"]}


@pytest.fixture(scope="module")
def hub() -> Hub:
    hub = Hub()
    hub.create("companies", name="Ahlgrens Bygg AB", city="Kiruna", numberofemployees="9", lifecyclestage="customer")
    hub.create(
        "companies", name="Boberg El AB", city="kiruna", numberofemployees="10", website="https://boberg.example"
    )
    hub.create("companies", name="Cykelhuset", city="Umeå", lifecyclestage="lead", phone="0980-319 201")
    return hub


A, B, C = "Ahlgrens Bygg AB", "Boberg El AB", "Cykelhuset"


@pytest.mark.parametrize(
    ("test", "names"),
    [
        (condition("city", "EQ", value="KIRUNA"), {A, B}),
        (condition("city", "NEQ", value="kiruna"), {C}),
        (condition("city", "IN", values=["kiruna"]), {A, B}),
        (condition("city", "IN", values=["Kiruna"]), set()),
        (condition("city", "NOT_IN", values=["umeå"]), {A, B}),
        (condition("numberofemployees", "GT", value="9"), {B}),
        (condition("numberofemployees", "GTE", value="9"), {A, B}),
        (condition("numberofemployees", "LT", value="10"), {A}),
        (condition("numberofemployees", "LTE", value=10), {A, B}),
        (condition("numberofemployees", "BETWEEN", value="10", highValue="20"), {B}),
        (condition("numberofemployees", "HAS_PROPERTY"), {A, B}),
        (condition("numberofemployees", "NOT_HAS_PROPERTY"), {C}),
        (condition("name", "CONTAINS_TOKEN", value="bygg"), {A}),
        (condition("name", "CONTAINS_TOKEN", value="byg"), set()),
        (condition("name", "CONTAINS_TOKEN", value="*huset"), {C}),
        (condition("name", "CONTAINS_TOKEN", value="bob*"), {B}),
        (condition("name", "NOT_CONTAINS_TOKEN", value="ab"), {C}),
        (condition("lifecyclestage", "EQ", value="customer"), {A}),
        (condition("lifecyclestage", "EQ", value="Customer"), set()),
        (condition("lifecyclestage", "IN", values=["customer", "lead"]), {A, C}),
        (condition("createdate", "GTE", value="1"), {A, B, C}),
        (condition("hs_lastmodifieddate", "LT", value="1"), set()),
        (condition("hs_object_id", "GT", value="210458813"), {B, C}),
    ],
)
def test_operators(hub: Hub, test: dict[str, Any], names: set[str]) -> None:
    assert found(hub, test) == names


def test_filters_are_and_and_groups_are_or(hub: Hub) -> None:
    both = [condition("city", "EQ", value="kiruna"), condition("numberofemployees", "EQ", value="9")]
    assert found(hub, *both) == {A}
    groups = [{"filters": both}, {"filters": [condition("city", "EQ", value="umeå")]}]
    assert hub.search("companies", filterGroups=groups)["total"] == 2
    assert hub.search("companies", filters=both)["total"] == 1


def test_free_text_looks_in_the_searched_properties_only(hub: Hub) -> None:
    assert hub.search("companies", query="bob")["total"] == 1
    assert hub.search("companies", query="bygg ahl")["total"] == 1
    assert hub.search("companies", query="kiruna")["total"] == 0
    assert hub.search("companies", query="0980")["total"] == 1


def test_links_can_be_searched_for() -> None:
    hub = Hub()
    company = hub.create("companies", name="A")
    deal = hub.create("deals", dealname="D", dealstage="closedwon")
    hub.create("deals", dealname="E", dealstage="closedwon")
    hub.ok("PUT", f"/crm/objects/{V}/deals/{deal}/associations/default/companies/{company}")
    groups = [{"filters": [condition("associations.company", "EQ", value=company)]}]
    assert [record["id"] for record in hub.search("deals", filterGroups=groups)["results"]] == [deal]


def test_one_sort_in_either_form_and_oldest_first_without_one(hub: Hub) -> None:
    def order(**body: Any) -> list[str]:
        results = hub.search("companies", properties=["name"], **body)["results"]
        return [record["properties"]["name"] for record in results]

    assert order() == [A, B, C]
    assert order(sorts=[{"propertyName": "name", "direction": "DESCENDING"}]) == [C, B, A]
    assert order(sorts=["-name"]) == [C, B, A]
    assert order(sorts=[{"propertyName": "numberofemployees", "direction": "DESCENDING"}]) == [B, A, C]
    two = {"sorts": ["name", "city"]}
    assert hub.call("POST", f"/crm/objects/{V}/companies/search", two).status_code == 400


def test_paging_is_an_offset(hub: Hub) -> None:
    first = hub.search("companies", limit=2)
    assert (len(first["results"]), first["total"], first["paging"]["next"]["after"]) == (2, 3, "2")
    second = hub.search("companies", limit=2, after="2")
    assert len(second["results"]) == 1
    assert "paging" not in second


MANY = [condition("city", "EQ", value="x")]


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"limit": 200, "after": "9900"},
        {"after": "10000"},
        {"filterGroups": [{"filters": MANY}] * 6},
        {"filterGroups": [{"filters": MANY * 7}]},
        {"filterGroups": [{"filters": MANY * 5}] * 4},
        {"query": "x" * 3001},
        {"filterGroups": [{"filters": [condition("nosuch", "EQ", value="x")]}]},
        {"filterGroups": [{"filters": [condition("city", "LIKE", value="x")]}]},
        {"filterGroups": [{"filters": [condition("city", "EQ")]}]},
        {"filterGroups": [{"filters": [{"value": "x"}]}]},
        {"filterGroups": [{"filters": [condition("numberofemployees", "GT", value="x")]}]},
        {"filterGroups": [{"filters": [condition("createdate", "GT", value="yesterday")]}]},
        {"sorts": ["nosuch"]},
    ],
)
def test_what_a_search_may_not_ask(hub: Hub, body: dict[str, Any]) -> None:
    assert hub.call("POST", f"/crm/objects/{V}/companies/search", body).status_code == 400


def test_the_largest_search_is_allowed(hub: Hub) -> None:
    groups = [{"filters": MANY * 6}] * 3
    assert hub.search("companies", filterGroups=groups, limit=200, after="9800")["total"] == 0


def test_the_index_is_late_by_the_lag() -> None:
    hub = Hub(lag=3)
    made = hub.create("companies", name="Ny")
    assert hub.search("companies")["total"] == 0
    assert hub.get("companies", made)["properties"]["name"] == "Ny"
    hub.world.clock.advance(4)
    assert hub.search("companies")["total"] == 1


def test_the_index_shows_the_old_form_until_it_has_caught_up() -> None:
    hub = Hub(lag=3)
    made = hub.create("companies", name="Gammal")
    hub.world.clock.advance(4)
    path = f"/crm/objects/{V}/companies/{made}"
    hub.ok("PATCH", path, {"properties": {"name": "Mellan"}})
    hub.world.clock.advance(2)
    hub.ok("PATCH", path, {"properties": {"name": "Ny"}})
    everything = condition("name", "HAS_PROPERTY")
    assert found(hub, everything) == {"Gammal"}
    hub.world.clock.advance(2)
    assert found(hub, everything) == {"Mellan"}
    hub.world.clock.advance(2)
    assert found(hub, everything) == {"Ny"}
    hub.ok("DELETE", path)
    assert found(hub, everything) == {"Ny"}
    hub.world.clock.advance(4)
    assert found(hub, everything) == set()


def test_seeded_records_are_indexed_from_the_start() -> None:
    assert Hub(lag=60, accounts=5).search("companies")["total"] == 5
