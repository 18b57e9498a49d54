"""The portal as a part of the sandbox: limits, seed, control interface, faults, speed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sandbox.core.names import business
from sandbox.core.world import Disconnectable, Editable, FaultVoice

from .hubspot_world import MAIN, SECOND, Hub, V

COMPANIES = f"/crm/objects/{V}/companies"


def test_a_hundred_and_ten_calls_in_ten_seconds_then_429_until_the_window_has_moved() -> None:
    hub = Hub(limits=True)
    answers = [hub.call("GET", f"{COMPANIES}?limit=1") for _ in range(110)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].headers["X-HubSpot-RateLimit-Max"] == "110"
    assert answers[0].headers["X-HubSpot-RateLimit-Remaining"] == "109"
    assert "X-HubSpot-RateLimit-Daily" not in answers[0].headers
    refused = hub.call("GET", f"{COMPANIES}?limit=1")
    assert (refused.status_code, refused.get_json()["policyName"]) == (429, "TEN_SECONDLY_ROLLING")
    hub.world.clock.advance(10)
    assert hub.call("GET", f"{COMPANIES}?limit=1").status_code == 200


def test_limits_are_per_portal() -> None:
    hub = Hub(limits=True)
    for _ in range(110):
        hub.call("GET", COMPANIES)
    assert hub.call("GET", COMPANIES, token=hub.hubspot.token(SECOND)[1]).status_code == 200


def test_five_searches_a_second_counted_apart_and_without_headers() -> None:
    hub = Hub(limits=True)
    answers = [hub.call("POST", f"{COMPANIES}/search", {}) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].get_json()["policyName"] == "SECONDLY"
    assert not [name for name, _ in answers[0].headers if name.startswith("X-HubSpot-RateLimit")]
    assert hub.call("GET", COMPANIES).headers["X-HubSpot-RateLimit-Remaining"] == "109"
    hub.world.clock.advance(1)
    assert hub.call("POST", f"{COMPANIES}/search", {}).status_code == 200


def test_without_limits_nothing_is_counted() -> None:
    hub = Hub()
    assert {hub.call("GET", f"{COMPANIES}?limit=1").status_code for _ in range(130)} == {200}


def test_a_faster_clock_shortens_the_window() -> None:
    hub = Hub(limits=True)
    hub.world.configure({"time_factor": 1000})
    for _ in range(200):
        assert hub.call("GET", f"{COMPANIES}?limit=1").status_code == 200
        time.sleep(0.0005)


def test_errors_carry_the_correlation_id_in_body_and_header() -> None:
    answer = Hub().call("GET", f"{COMPANIES}/5")
    assert answer.get_json()["correlationId"] == answer.headers["x-hubspot-correlation-id"]
    assert answer.content_type == "application/json;charset=utf-8"


def test_the_same_seed_is_the_same_portal() -> None:
    def content(seed: int) -> list[Any]:
        return [
            (record["id"], record["properties"]["name"])
            for record in Hub(accounts=20, seed=seed).hubspot.records(MAIN, "companies")
        ]

    assert content(7) == content(7) != content(8)


def test_the_first_companies_are_the_businesses_of_the_other_emulators() -> None:
    hub = Hub(accounts=20)
    records = hub.hubspot.records(MAIN, "companies")
    names = [record["properties"]["name"] for record in records]
    same = [name == business(1, number).name for number, name in enumerate(names)]
    assert same.count(True) >= 14 and same.count(False) >= 4
    assert any("domain" not in record["properties"] for record in records)
    assert not [name for record in records for name in record["properties"] if "org" in name]
    assert len(hub.hubspot.records(SECOND, "companies")) == 5


def test_the_seed_is_linked_and_dated_in_the_past() -> None:
    hub = Hub(accounts=20)
    for plural in ("companies", "contacts", "deals", "products", "line_items"):
        records = hub.hubspot.records(MAIN, plural)
        assert records
        assert all(record["created_at"] < hub.world.clock.now().isoformat() for record in records)
        assert {record["created_by_request"] for record in records} == {None}
    skus = [record["properties"].get("hs_sku") for record in hub.hubspot.records(MAIN, "products")]
    assert skus[:4] == ["1001", "1002", "1003", None]
    assert hub.hubspot.records(MAIN, "associations")


def test_an_empty_world_has_portals_with_settings_only() -> None:
    hub = Hub()
    assert all(hub.hubspot.records(MAIN, plural) == [] for plural in ("companies", "deals", "associations"))
    assert hub.hubspot.records(MAIN, "pipelines")[0]["id"] == "default"
    assert hub.hubspot.records(MAIN, "properties")


def test_records_name_the_request_that_made_them() -> None:
    hub = Hub()
    hub.create("companies", name="A")
    record = hub.client.get(f"/control/state/hubspot/{MAIN}/companies").get_json()["records"][0]
    journal = hub.client.get("/control/requests").get_json()["requests"]
    assert record["created_by_request"] == journal[-1]["seq"]
    assert journal[-1]["account"] == MAIN


def test_the_emulator_offers_all_the_core_can_use() -> None:
    emulator = Hub().hubspot
    assert isinstance(emulator, Editable) and isinstance(emulator, Disconnectable) and isinstance(emulator, FaultVoice)
    assert [account.account for account in emulator.accounts()] == [MAIN, SECOND]


def test_a_person_edits_links_and_deletes_through_the_control_interface() -> None:
    hub = Hub()
    base = f"/control/records/hubspot/{MAIN}"
    made = hub.client.post(f"{base}/companies", json={"fields": {"name": "A"}}).get_json()["record"]["id"]
    deal = hub.create("deals", dealname="D", dealstage="closedwon")
    hub.client.post(f"{base}/companies/{made}", json={"fields": {"city": "Kiruna"}})
    assert hub.get("companies", made, "?properties=city")["properties"]["city"] == "Kiruna"
    link = {"from_type": "deals", "from_id": deal, "to_type": "companies", "to_id": made, "type_ids": [5]}
    hub.client.post(f"{base}/associations", json={"fields": link})
    assert hub.ok("GET", f"/crm/objects/{V}/deals/{deal}/associations/companies")["results"]
    assert hub.client.post(f"{base}/companies", json={"fields": {"nosuch": "1"}}).status_code == 400
    assert hub.client.delete(f"{base}/companies/{made}").status_code == 200
    assert hub.client.delete(f"{base}/companies/{made}").status_code == 404


@pytest.mark.parametrize(
    ("kind", "status", "category"),
    [("status_401", 401, "INVALID_AUTHENTICATION"), ("status_403", 403, "MISSING_SCOPES"), ("status_503", 503, None)],
)
def test_injected_statuses_speak_hubspots_language(kind: str, status: int, category: str | None) -> None:
    hub = Hub()
    hub.world.faults.load({kind: 1.0})
    answer = hub.call("GET", COMPANIES)
    assert (answer.status_code, answer.get_json().get("category")) == (status, category)


def milliseconds(hub: Hub, path: str, body: Any) -> float:
    best = 1e9
    for _ in range(5):
        started = time.thread_time()
        assert hub.call("POST", path, body).status_code == 200
        best = min(best, (time.thread_time() - started) * 1000)
    return best


def test_batches_and_searches_are_fast_enough_for_large_runs() -> None:
    hub = Hub(accounts=10_000)
    hub.unique_property()
    inputs = [
        {"id": str(n), "idProperty": "fortnox_customer_number", "properties": {"name": f"B{n}", "city": "Kiruna"}}
        for n in range(100)
    ]
    ids = [{"id": record_id} for record_id in list(hub.portal.stores["0-2"].records)[:100]]
    operators = [{"propertyName": "city", "operator": "EQ", "value": "kiruna"}]
    # Four times the budget: the test machine is shared.
    assert milliseconds(hub, f"{COMPANIES}/batch/upsert", {"inputs": inputs}) < 4 * 8
    assert milliseconds(hub, f"{COMPANIES}/batch/read", {"inputs": ids, "properties": ["name", "city"]}) < 4 * 5
    assert milliseconds(hub, f"{COMPANIES}/search", {"filterGroups": [{"filters": operators}]}) < 4 * 20
