"""Records: values, validation, lists, recycle bin, merging."""

from __future__ import annotations

from typing import Any

import pytest

from .hubspot_world import MAIN, Hub, V


def refused(hub: Hub, plural: str, code: str, **properties: Any) -> None:
    answer = hub.call("POST", f"/crm/objects/{V}/{plural}", {"properties": properties})
    assert answer.status_code == 400, answer.get_data(as_text=True)
    assert [error["code"] for error in answer.get_json()["errors"]] == [code]


def test_values_come_out_as_text_or_null_whatever_went_in() -> None:
    hub = Hub()
    made = hub.create("companies", name="A", numberofemployees=12, annualrevenue=1200.5, is_public=True)
    read = hub.get("companies", made, "?properties=numberofemployees,annualrevenue,is_public,city")
    values = read["properties"]
    assert (values["numberofemployees"], values["annualrevenue"], values["is_public"]) == ("12", "1200.5", "true")
    assert values["city"] is None


def test_unknown_requested_properties_are_left_out_and_three_are_always_there() -> None:
    hub = Hub()
    values = hub.get("companies", hub.create("companies", name="A"), "?properties=nosuch&properties=city")["properties"]
    assert set(values) == {"city", "createdate", "hs_lastmodifieddate", "hs_object_id"}


def test_contacts_call_their_modification_date_differently() -> None:
    hub = Hub()
    values = hub.get("contacts", hub.create("contacts", firstname="Anna"))["properties"]
    assert "lastmodifieddate" in values
    assert "hs_lastmodifieddate" not in values


def test_a_cleared_value_reads_as_null() -> None:
    hub = Hub()
    made = hub.create("companies", name="A", city="Kiruna")
    answer = hub.ok("PATCH", f"/crm/objects/{V}/companies/{made}", {"properties": {"city": ""}})
    assert answer["properties"]["city"] == ""
    assert hub.get("companies", made, "?properties=city")["properties"]["city"] is None


def test_a_change_moves_the_modification_date_and_an_equal_value_does_not() -> None:
    hub = Hub()
    made = hub.create("companies", name="A")
    before = hub.get("companies", made)["updatedAt"]
    hub.world.clock.advance(5)
    same = hub.ok("PATCH", f"/crm/objects/{V}/companies/{made}", {"properties": {"name": "A"}})
    assert same["updatedAt"] == before
    changed = hub.ok("PATCH", f"/crm/objects/{V}/companies/{made}", {"properties": {"name": "B"}})
    assert changed["updatedAt"] > before
    assert changed["createdAt"] == before


def test_history_lists_versions_newest_first_with_their_source() -> None:
    hub = Hub()
    made = hub.create("companies", name="A")
    hub.ok("PATCH", f"/crm/objects/{V}/companies/{made}", {"properties": {"name": "B"}})
    hub.client.post(f"/control/records/hubspot/{MAIN}/companies/{made}", json={"fields": {"name": "C"}})
    versions = hub.get("companies", made, "?propertiesWithHistory=name")["propertiesWithHistory"]["name"]
    assert [version["value"] for version in versions] == ["C", "B", "A"]
    assert [version["sourceType"] for version in versions] == ["CRM_UI", "INTEGRATION", "INTEGRATION"]
    assert versions[1]["sourceId"] == str(hub.hubspot.oauth.app.app_id)


@pytest.mark.parametrize("name", ["companies", "company", "0-2"])
def test_a_type_has_three_names(name: str) -> None:
    assert Hub(accounts=4).ok("GET", f"/crm/objects/{V}/{name}?limit=1")["results"]


@pytest.mark.parametrize(
    ("plural", "properties", "missing"),
    [
        ("companies", {"city": "Kiruna"}, ["name"]),
        ("deals", {"amount": "1"}, ["dealname", "dealstage"]),
        ("contacts", {"jobtitle": "VD"}, ["email"]),
        ("products", {"price": "1"}, ["name"]),
    ],
)
def test_each_type_has_properties_a_create_needs(plural: str, properties: Any, missing: list[str]) -> None:
    answer = Hub().call("POST", f"/crm/objects/{V}/{plural}", {"properties": properties})
    assert (answer.status_code, answer.get_json()["context"]["properties"]) == (400, missing)


def test_a_domain_alone_makes_a_company_and_nothing_makes_a_line_item() -> None:
    hub = Hub()
    assert hub.create("companies", domain="a.example")
    assert hub.create("line_items")


@pytest.mark.parametrize(
    ("plural", "properties", "code"),
    [
        ("companies", {"numberofemployees": "många"}, "INVALID_NUMBER"),
        ("companies", {"numberofemployees": "1,5"}, "INVALID_NUMBER"),
        ("companies", {"hubspot_owner_id": "1"}, "INVALID_OPTION"),
        ("companies", {"lifecyclestage": "Customer"}, "INVALID_OPTION"),
        ("companies", {"is_public": "ja"}, "INVALID_OPTION"),
        ("companies", {"description": "x" * 65_537}, "VALUE_TOO_LONG"),
        ("companies", {"createdate": "2026-01-01"}, "READ_ONLY_VALUE"),
        ("companies", {"hs_object_id": "1"}, "READ_ONLY_VALUE"),
        ("deals", {"closedate": "i morgon"}, "INVALID_LONG"),
        ("deals", {"dealtype": "new"}, "INVALID_OPTION"),
        ("line_items", {"amount": "5"}, "READ_ONLY_VALUE"),
        ("line_items", {"hs_total_discount": "5"}, "READ_ONLY_VALUE"),
        ("line_items", {"price": "-1"}, "INVALID_NUMBER"),
        ("line_items", {"hs_line_item_currency_code": "NOK"}, "INVALID_OPTION"),
        ("line_items", {"hs_tax_rate_group_id": "1"}, "INVALID_OPTION"),
        ("contacts", {"email": "anna@"}, "INVALID_EMAIL"),
    ],
)
def test_a_bad_value_is_refused_by_its_code(plural: str, properties: dict[str, str], code: str) -> None:
    needed = {"companies": {"name": "A"}, "deals": {"dealname": "D", "dealstage": "closedwon"}}.get(plural, {})
    refused(Hub(), plural, code, **needed, **properties)


def test_all_bad_values_are_told_at_once() -> None:
    properties = {"name": "A", "nosuch": "1", "numberofemployees": "x"}
    answer = Hub().call("POST", f"/crm/objects/{V}/companies", {"properties": properties})
    codes = {error["code"] for error in answer.get_json()["errors"]}
    assert codes == {"PROPERTY_DOESNT_EXIST", "INVALID_NUMBER"}


def test_dates_are_midnight_utc_before_2026_09_and_normalised_with_a_warning_since() -> None:
    hub = Hub()
    body = {"properties": {"firstname": "A", "date_of_birth": "1990-01-01T08:30:00Z"}}
    answer = hub.call("POST", "/crm/objects/2026-03/contacts", body)
    assert answer.get_json()["errors"][0]["code"] == "INVALID_DATE"
    made = hub.ok("POST", f"/crm/objects/{V}/contacts", body)
    assert made["properties"]["date_of_birth"] == "1990-01-01"
    context = made["warnings"][0]["context"]
    assert made["warnings"][0]["category"] == "PROPERTY_VALUE_NORMALIZED"
    assert context["normalizedValue"] == "631152000000"


@pytest.mark.parametrize("given", ["1990-01-01", "631152000000", 631152000000])
def test_a_plain_date_or_midnight_needs_no_warning(given: Any) -> None:
    body = {"properties": {"firstname": "A", "date_of_birth": given}}
    made = Hub().ok("POST", f"/crm/objects/{V}/contacts", body)
    assert made["properties"]["date_of_birth"] == "1990-01-01"
    assert "warnings" not in made


def test_moments_are_taken_as_text_or_epoch_and_drop_zero_milliseconds() -> None:
    hub = Hub()
    for given in ("2026-12-15T12:00:00+01:00", "1797332400000", 1797332400000):
        made = hub.create("deals", dealname="D", dealstage="closedwon", closedate=given)
        assert hub.get("deals", made)["properties"]["closedate"] == "2026-12-15T11:00:00Z"


def test_admin_rules_hold_on_2026_09_only() -> None:
    hub = Hub()
    hub.portal.required["0-2"] = ["phone"]
    body = {"properties": {"name": "A"}}
    assert hub.call("POST", f"/crm/objects/{V}/companies", body).status_code == 400
    assert hub.call("POST", "/crm/objects/2026-03/companies", body).status_code == 201
    assert hub.call("POST", "/crm/v3/objects/companies", body).status_code == 201


def test_several_values_are_kept_apart_by_semicolons_and_a_leading_one_appends() -> None:
    hub = Hub()
    made = hub.create("companies", name="A")
    body = {"name": "tags", "label": "T", "groupName": "companyinformation", "type": "enumeration"}
    options = [{"label": value, "value": value} for value in "abc"]
    hub.ok("POST", f"/crm/properties/{V}/companies", {**body, "fieldType": "checkbox", "options": options})
    for given, kept in (("a;b", "a;b"), (";c", "a;b;c"), ("b", "b")):
        hub.ok("PATCH", f"/crm/objects/{V}/companies/{made}", {"properties": {"tags": given}})
        assert hub.get("companies", made, "?properties=tags")["properties"]["tags"] == kept


def test_a_lifecycle_stage_moves_forward_only_unless_cleared() -> None:
    hub = Hub()
    made = hub.create("companies", name="A", lifecyclestage="customer")
    path = f"/crm/objects/{V}/companies/{made}"
    assert (
        hub.ok("PATCH", path, {"properties": {"lifecyclestage": "lead"}})["properties"]["lifecyclestage"] == "customer"
    )
    hub.ok("PATCH", path, {"properties": {"lifecyclestage": ""}})
    assert hub.ok("PATCH", path, {"properties": {"lifecyclestage": "lead"}})["properties"]["lifecyclestage"] == "lead"


def test_companies_are_not_deduplicated_by_domain() -> None:
    hub = Hub()
    assert hub.create("companies", domain="a.example") != hub.create("companies", domain="https://www.A.example/")


def test_contacts_are_deduplicated_by_email_whatever_its_case() -> None:
    hub = Hub()
    made = hub.create("contacts", email="Anna@example.se")
    answer = hub.call("POST", f"/crm/objects/{V}/contacts", {"properties": {"email": "anna@EXAMPLE.se"}})
    assert answer.status_code == 409
    assert answer.get_json()["message"] == f"Contact already exists. Existing ID: {made}"
    assert hub.get("contacts", "anna@example.se", "?idProperty=email")["id"] == made


def test_a_unique_value_names_its_record_and_is_free_again_after_archiving() -> None:
    hub = Hub()
    hub.unique_property()
    made = hub.create("companies", name="A", fortnox_customer_number="1")
    path = f"/crm/objects/{V}/companies"
    assert hub.get("companies", "1", "?idProperty=fortnox_customer_number")["id"] == made
    refused(hub, "companies", "CONFLICTING_UNIQUE_VALUE", name="B", fortnox_customer_number="1")
    hub.ok("DELETE", f"{path}/{made}")
    assert hub.create("companies", name="B", fortnox_customer_number="1") != made


def test_a_unique_value_follows_changes() -> None:
    hub = Hub()
    hub.unique_property()
    made = hub.create("companies", name="A", fortnox_customer_number="1")
    path = f"/crm/objects/{V}/companies/{made}"
    hub.ok("PATCH", path, {"properties": {"fortnox_customer_number": "2"}})
    assert hub.create("companies", name="B", fortnox_customer_number="1")
    refused(hub, "companies", "CONFLICTING_UNIQUE_VALUE", name="C", fortnox_customer_number="2")


def test_the_domain_is_reduced_and_filled_from_the_website() -> None:
    hub = Hub()
    made = hub.create("companies", name="A", website="https://www.Exempel.se/om")
    assert hub.get("companies", made)["properties"]["domain"] == "exempel.se"


def test_a_deal_stage_belongs_to_its_pipeline() -> None:
    hub = Hub()
    stage = {"label": "Ny", "displayOrder": 0, "metadata": {"probability": "0.5"}}
    pipeline = hub.ok("POST", f"/crm/pipelines/{V}/deals", {"label": "P", "displayOrder": 1, "stages": [stage]})
    stage_id = pipeline["stages"][0]["id"]
    answer = hub.call("POST", f"/crm/objects/{V}/deals", {"properties": {"dealname": "D", "dealstage": stage_id}})
    assert answer.get_json()["context"]["properties"] == ["pipeline"]
    refused(hub, "deals", "INVALID_OPTION", dealname="D", pipeline="default", dealstage=stage_id)
    made = hub.create("deals", dealname="D", pipeline="default", dealstage="closedwon")
    path = f"/crm/objects/{V}/deals/{made}"
    assert hub.call("PATCH", path, {"properties": {"pipeline": pipeline["id"]}}).status_code == 400
    hub.ok("PATCH", path, {"properties": {"pipeline": pipeline["id"], "dealstage": stage_id}})


def test_a_deal_follows_its_stage_and_its_currency() -> None:
    hub = Hub()
    made = hub.create("deals", dealname="D", dealstage="closedwon", amount="100", deal_currency_code="EUR")
    names = "hs_is_closed_won,amount_in_home_currency,hs_is_closed"
    values = hub.get("deals", made, f"?properties={names}")["properties"]
    assert (values["hs_is_closed_won"], values["amount_in_home_currency"]) == ("true", "1102.15")
    hub.ok("PATCH", f"/crm/objects/{V}/deals/{made}", {"properties": {"dealstage": "contractsent"}})
    assert hub.get("deals", made, f"?properties={names}")["properties"]["hs_is_closed"] == "false"


def test_a_deals_amount_is_not_the_sum_of_its_lines() -> None:
    hub = Hub()
    deal = hub.create("deals", dealname="D", dealstage="closedwon")
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 20}
    body = {"properties": {"price": "10", "quantity": "2"}, "associations": [{"to": {"id": deal}, "types": [spec]}]}
    hub.ok("POST", f"/crm/objects/{V}/line_items", body)
    assert hub.get("deals", deal)["properties"]["amount"] is None


@pytest.mark.parametrize(
    ("given", "amount", "discount"),
    [
        ({"price": "1200", "quantity": "10", "discount": "100"}, "11000", "1000"),
        ({"price": "1200", "quantity": "10", "hs_discount_percentage": "25"}, "9000", "3000"),
        ({"price": "99.90", "quantity": "1.5"}, "149.85", "0"),
        ({"price": "10", "quantity": "1", "discount": "20"}, "0", "20"),
        ({"price": "10"}, None, None),
    ],
)
def test_a_line_items_net_price_is_calculated(given: Any, amount: str | None, discount: str | None) -> None:
    hub = Hub()
    values = hub.get("line_items", hub.create("line_items", **given), "?properties=amount,hs_total_discount")[
        "properties"
    ]
    assert (values["amount"], values["hs_total_discount"]) == (amount, discount)


def test_a_line_item_takes_over_its_product_in_the_lines_currency() -> None:
    hub = Hub()
    product = hub.create("products", name="Timme", hs_sku="1001", price="1200", hs_price_eur="105")
    values = {"hs_product_id": product, "quantity": "1"}
    for currency, price in (("SEK", "1200"), ("EUR", "105")):
        line = hub.create("line_items", **values, hs_line_item_currency_code=currency)
        read = hub.get("line_items", line, "?properties=name,hs_sku,price")["properties"]
        assert (read["name"], read["hs_sku"], read["price"]) == ("Timme", "1001", price)
    own = hub.create("line_items", **values, price="900", name="Rabatterad")
    read = hub.get("line_items", own, "?properties=name,price")["properties"]
    assert (read["name"], read["price"]) == ("Rabatterad", "900")


def test_a_products_price_and_its_price_in_company_currency_stay_equal() -> None:
    hub = Hub()
    product = hub.create("products", name="P", price="10")
    hub.ok("PATCH", f"/crm/objects/{V}/products/{product}", {"properties": {"hs_price_sek": "12"}})
    assert hub.get("products", product)["properties"]["price"] == "12"


def test_lists_walk_everything_in_id_order_with_an_opaque_cursor() -> None:
    hub = Hub()
    made = [hub.create("companies", name=f"B{n}") for n in range(5)]
    seen, after = [], ""
    while True:
        page = hub.ok("GET", f"/crm/objects/{V}/companies?limit=2{after}")
        seen += [record["id"] for record in page["results"]]
        if "paging" not in page:
            break
        after = f"&after={page['paging']['next']['after']}"
    assert seen == made


@pytest.mark.parametrize("query", ["limit=101", "limit=0", "after=x", "limit=51&propertiesWithHistory=name"])
def test_lists_have_limits(query: str) -> None:
    assert Hub().call("GET", f"/crm/objects/{V}/companies?{query}").status_code == 400


def test_archived_records_are_seen_only_when_asked_for() -> None:
    hub = Hub()
    made = hub.create("companies", name="A")
    path = f"/crm/objects/{V}/companies"
    assert hub.call("DELETE", f"{path}/{made}").status_code == 204
    assert hub.call("DELETE", f"{path}/{made}").status_code == 204
    assert hub.call("PATCH", f"{path}/{made}", {"properties": {"name": "B"}}).status_code == 404
    assert hub.ok("GET", path)["results"] == []
    assert [record["id"] for record in hub.ok("GET", f"{path}?archived=true")["results"]] == [made]
    assert hub.search("companies")["total"] == 0
    assert hub.batch("companies", "read", [{"id": made}], properties=[]).status_code == 207
    archived = hub.ok("POST", f"{path}/batch/read?archived=true", {"inputs": [{"id": made}], "properties": []})
    assert archived["results"][0]["archived"] is True


def test_a_merge_moves_links_and_leads_the_old_id_to_the_survivor() -> None:
    hub = Hub()
    one, other = hub.create("companies", name="Ett"), hub.create("companies", name="Två", city="Kiruna")
    deal = hub.create("deals", dealname="D", dealstage="closedwon")
    hub.ok("PUT", f"/crm/objects/{V}/deals/{deal}/associations/default/companies/{other}")
    hub.ok("POST", f"/crm/objects/{V}/companies/merge", {"primaryObjectId": one, "objectIdToMerge": other})
    survivor = hub.get("companies", other, "?properties=name,city,hs_merged_object_ids")
    assert (survivor["id"], survivor["properties"]["name"], survivor["properties"]["city"]) == (one, "Ett", "Kiruna")
    linked = hub.ok("GET", f"/crm/objects/{V}/deals/{deal}/associations/companies")["results"]
    assert [entry["toObjectId"] for entry in linked] == [int(one)]
    hub.ok("PATCH", f"/crm/objects/{V}/companies/{other}", {"properties": {"zip": "1"}})
    assert hub.batch("companies", "update", [{"id": other, "properties": {"zip": "2"}}]).status_code == 207


@pytest.mark.parametrize("plural", ["products", "line_items"])
def test_commerce_records_cannot_be_merged(plural: str) -> None:
    body = {"primaryObjectId": "1", "objectIdToMerge": "2"}
    assert Hub().call("POST", f"/crm/objects/{V}/{plural}/merge", body).status_code >= 400


def test_a_privacy_deletion_leaves_nothing() -> None:
    hub = Hub()
    made = hub.create("contacts", email="anna@example.se")
    body = {"objectId": "anna@example.se", "idProperty": "email"}
    assert hub.call("POST", f"/crm/objects/{V}/contacts/gdpr-delete", body).status_code == 204
    assert hub.call("GET", f"/crm/objects/{V}/contacts/{made}?archived=true").status_code == 404
    assert hub.create("contacts", email="anna@example.se")


@pytest.mark.parametrize("name", ["domain", "name", "hs_tax_id"])
def test_only_unique_properties_name_a_record(name: str) -> None:
    answer = Hub().call("GET", f"/crm/objects/{V}/companies/a?idProperty={name}")
    assert answer.status_code == 400
    assert "non-unique 0-2 property" in answer.get_json()["message"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/crm/objects/{V}/nosuch", 400),
        ("/crm/objects/2025-01/companies", 404),
        ("/crm/v2/objects/companies", 404),
        ("/nothing/here", 404),
    ],
)
def test_paths_that_are_not_there(path: str, status: int) -> None:
    assert Hub().call("GET", path).status_code == status


def test_a_body_that_is_no_json_is_told_by_line_and_column() -> None:
    hub = Hub()
    answer = hub.call("POST", f"/crm/objects/{V}/companies", data="{no", content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["message"].startswith("Invalid input JSON on line 1, column 2:")


def test_a_very_long_address_is_414() -> None:
    assert Hub().call("GET", f"/crm/objects/{V}/companies?properties={'x' * 9000}").status_code == 414
