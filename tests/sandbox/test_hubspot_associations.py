"""Links: both directions, labels, the primary company, nothing associated."""

from __future__ import annotations

from typing import Any

import pytest

from .hubspot_world import Hub, V


class Linked(Hub):
    """A deal and two companies."""

    def __init__(self) -> None:
        super().__init__()
        self.deal = self.create("deals", dealname="D", dealstage="closedwon")
        self.one, self.other = self.create("companies", name="A"), self.create("companies", name="B")

    def put(self, path: str, body: Any = None) -> Any:
        return self.ok("PUT", f"/crm/objects/{V}/{path}", body)

    def types(self, one: str, record_id: str, other: str) -> dict[str, list[int]]:
        listed = self.ok("GET", f"/crm/objects/{V}/{one}/{record_id}/associations/{other}")["results"]
        return {str(entry["toObjectId"]): [kind["typeId"] for kind in entry["associationTypes"]] for entry in listed}


def spec(*type_ids: int) -> list[dict[str, Any]]:
    return [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id} for type_id in type_ids]


def test_a_link_is_seen_from_both_ends() -> None:
    hub = Linked()
    hub.put(f"deals/{hub.deal}/associations/default/companies/{hub.one}")
    assert hub.types("deals", hub.deal, "companies") == {hub.one: [341]}
    assert hub.types("companies", hub.one, "deals") == {hub.deal: [342]}


def test_nothing_linked_is_an_empty_list_alone_and_a_207_in_a_batch() -> None:
    hub = Linked()
    assert hub.types("deals", hub.deal, "companies") == {}
    answer = hub.call(
        "POST", f"/crm/associations/{V}/deals/companies/batch/read", {"inputs": [{"id": hub.deal}, {"id": "5"}]}
    )
    body = answer.get_json()
    assert (answer.status_code, body["results"], body["numErrors"]) == (207, [], 2)
    assert body["errors"][0]["message"] == f"No company is associated with deal {hub.deal}."


def test_primary_moves_from_one_company_to_another() -> None:
    hub = Linked()
    hub.put(f"deals/{hub.deal}/associations/companies/{hub.one}", spec(5))
    hub.put(f"deals/{hub.deal}/associations/companies/{hub.other}", spec(5))
    assert hub.types("deals", hub.deal, "companies") == {hub.one: [341], hub.other: [5, 341]}
    assert hub.types("companies", hub.one, "deals") == {hub.deal: [342]}
    assert hub.types("companies", hub.other, "deals") == {hub.deal: [6, 342]}


def test_labels_are_replaced_and_the_default_link_keeps_them() -> None:
    hub = Linked()
    pair = f"companies/{hub.one}/associations"
    hub.put(f"{pair}/companies/{hub.other}", spec(13))
    assert hub.types("companies", hub.other, "companies") == {hub.one: [14, 450]}
    hub.put(f"{pair}/default/companies/{hub.other}")
    assert hub.types("companies", hub.one, "companies") == {hub.other: [13, 450]}
    hub.put(f"{pair}/companies/{hub.other}", spec(450))
    assert hub.types("companies", hub.one, "companies") == {hub.other: [450]}


def test_deleting_removes_all_types_and_may_be_repeated() -> None:
    hub = Linked()
    hub.put(f"deals/{hub.deal}/associations/companies/{hub.one}", spec(5))
    for _ in range(2):
        path = f"/crm/objects/{V}/deals/{hub.deal}/associations/companies/{hub.one}"
        assert hub.call("DELETE", path).status_code == 204
    assert hub.types("companies", hub.one, "deals") == {}


def test_removing_the_unlabelled_type_removes_the_link_and_a_label_alone_does_not() -> None:
    hub = Linked()
    path = f"/crm/associations/{V}/deals/companies/batch/labels/archive"
    hub.put(f"deals/{hub.deal}/associations/companies/{hub.one}", spec(5))
    pair = {"from": {"id": hub.deal}, "to": {"id": hub.one}}
    assert hub.call("POST", path, {"inputs": [{**pair, "types": spec(5)}]}).status_code == 204
    assert hub.types("deals", hub.deal, "companies") == {hub.one: [341]}
    hub.call("POST", path, {"inputs": [{**pair, "types": spec(341)}]})
    assert hub.types("deals", hub.deal, "companies") == {}


@pytest.mark.parametrize("type_id", [342, 20, 279, 9999])
def test_the_type_must_be_the_one_of_this_direction(type_id: int) -> None:
    hub = Linked()
    path = f"/crm/objects/{V}/deals/{hub.deal}/associations/companies/{hub.one}"
    answer = hub.call("PUT", path, spec(type_id))
    assert (answer.status_code, answer.get_json()["category"]) == (400, "VALIDATION_ERROR")


def test_a_create_with_the_wrong_direction_stores_nothing() -> None:
    hub = Linked()
    body = {"properties": {"name": "R"}, "associations": [{"to": {"id": hub.deal}, "types": spec(19)}]}
    answer = hub.call("POST", f"/crm/objects/{V}/line_items", body)
    assert answer.status_code == 400
    assert "expected: 0-3" in answer.get_json()["message"]
    assert hub.ok("GET", f"/crm/objects/{V}/line_items")["results"] == []


def test_products_cannot_be_linked() -> None:
    hub = Linked()
    product = hub.create("products", name="P")
    path = f"/crm/objects/{V}/deals/{hub.deal}/associations/default/products/{product}"
    assert hub.call("PUT", path).status_code == 400


def test_a_line_item_has_one_deal() -> None:
    hub = Linked()
    line, second = hub.create("line_items", name="R"), hub.create("deals", dealname="E", dealstage="closedwon")
    path = f"/crm/objects/{V}/line_items/{line}/associations/default/deals"
    assert hub.call("PUT", f"{path}/{hub.deal}").status_code == 200
    assert hub.call("PUT", f"{path}/{hub.deal}").status_code == 200
    assert hub.call("PUT", f"{path}/{second}").status_code == 400


def test_a_batch_of_links_reports_the_pairs_that_failed() -> None:
    hub = Linked()
    pairs = [{"from": {"id": hub.deal}, "to": {"id": to_id}} for to_id in (hub.one, "5")]
    answer = hub.call("POST", f"/crm/associations/{V}/deals/companies/batch/associate/default", {"inputs": pairs})
    assert (answer.status_code, answer.get_json()["numErrors"]) == (207, 1)
    labelled = [{**pairs[0], "types": spec(5)}]
    path = f"/crm/associations/{V}/deals/companies/batch"
    answer = hub.call("POST", f"{path}/create", {"inputs": labelled})
    assert (answer.status_code, answer.get_json()["results"][0]["labels"]) == (201, ["Primary"])
    gone = [{"from": {"id": hub.deal}, "to": [{"id": hub.one}]}]
    assert hub.call("POST", f"{path}/archive", {"inputs": gone}).status_code == 204
    assert hub.types("deals", hub.deal, "companies") == {}


@pytest.mark.parametrize(("action", "most"), [("read", 1000), ("create", 2000), ("archive", 2000)])
def test_batch_sizes(action: str, most: int) -> None:
    entries = [{"id": "1", "from": {"id": "1"}, "to": [] if action == "archive" else {"id": "2"}}]
    path = f"/crm/associations/{V}/deals/companies/batch/{action}"
    hub = Hub()
    assert hub.call("POST", path, {"inputs": entries * most}).status_code < 300
    assert hub.call("POST", path, {"inputs": entries * (most + 1)}).status_code == 400


def test_link_lists_are_paged() -> None:
    hub = Linked()
    for _ in range(3):
        deal = hub.create("deals", dealname="D", dealstage="closedwon")
        hub.put(f"deals/{deal}/associations/default/companies/{hub.one}")
    path = f"/crm/objects/{V}/companies/{hub.one}/associations/deals"
    first = hub.ok("GET", f"{path}?limit=2")
    second = hub.ok("GET", f"{path}?limit=2&after={first['paging']['next']['after']}")
    assert (len(first["results"]), len(second["results"])) == (2, 1)
    assert hub.call("GET", f"{path}?limit=501").status_code == 400


def test_archived_records_disappear_from_links_and_counts_stay_right() -> None:
    hub = Linked()
    hub.put(f"deals/{hub.deal}/associations/default/companies/{hub.one}")
    read = hub.get("companies", hub.one, "?properties=num_associated_deals")
    assert read["properties"]["num_associated_deals"] == "1"
    hub.ok("DELETE", f"/crm/objects/{V}/deals/{hub.deal}")
    assert hub.types("companies", hub.one, "deals") == {}


def test_archiving_a_deal_leaves_its_line_items() -> None:
    hub = Linked()
    line = hub.create("line_items", name="R")
    hub.put(f"deals/{hub.deal}/associations/default/line_items/{line}")
    hub.ok("DELETE", f"/crm/objects/{V}/deals/{hub.deal}")
    assert hub.get("line_items", line)["archived"] is False


def test_custom_labels_have_ids_of_their_own() -> None:
    hub = Linked()
    path = f"/crm/associations/{V}/deals/companies/labels"
    made = hub.ok("POST", path, {"name": "payer", "label": "Betalare", "inverseLabel": "Betalas av"})["results"]
    assert (made[0]["category"], made[0]["label"]) == ("USER_DEFINED", "Betalare")
    type_id = made[0]["typeId"]
    labels = [{"associationCategory": "USER_DEFINED", "associationTypeId": type_id}]
    answer = hub.put(f"deals/{hub.deal}/associations/companies/{hub.one}", labels)
    assert answer["labels"] == ["Betalare"]
    assert hub.call("DELETE", f"{path}/{type_id}").status_code == 204
    assert hub.types("deals", hub.deal, "companies") == {hub.one: [341]}
    assert hub.call("DELETE", f"{path}/341").status_code == 400


def test_links_are_on_dated_and_v4_paths_only() -> None:
    hub = Linked()
    hub.put(f"deals/{hub.deal}/associations/default/companies/{hub.one}")
    for path, status in (
        (f"/crm/v4/objects/deals/{hub.deal}/associations/companies", 200),
        (f"/crm/objects/2026-03/deals/{hub.deal}/associations/companies", 200),
        (f"/crm/v3/objects/deals/{hub.deal}/associations/companies", 404),
        (f"/crm/v4/objects/deals/{hub.deal}", 404),
    ):
        assert hub.call("GET", path).status_code == status
