"""Definitions and settings: properties, groups, pipelines, owners, account, currencies, tax rates."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.hubspot.kinds import KINDS

from .hubspot_world import SECOND, UNIQUE, Hub, V

PROPERTIES = f"/crm/properties/{V}/companies"
PIPELINES = f"/crm/pipelines/{V}/deals"


def definition(name: str, **changed: Any) -> dict[str, Any]:
    body = {"name": name, "label": name, "type": "string", "fieldType": "text", "groupName": "companyinformation"}
    return {**body, **changed}


def stage(label: str, order: int, probability: str, **more: str) -> dict[str, Any]:
    return {"label": label, "displayOrder": order, "metadata": {"probability": probability}, **more}


def test_setup_can_be_repeated_because_conflicts_are_told_apart() -> None:
    hub = Hub()
    assert hub.call("POST", PROPERTIES, definition("x")).status_code == 201
    again = hub.call("POST", PROPERTIES, definition("x"))
    assert (again.status_code, again.get_json()["subCategory"]) == (409, "Properties.PROPERTY_WITH_NAME_EXISTS")
    group = {"name": "companyinformation", "label": "X"}
    assert hub.call("POST", f"{PROPERTIES}/groups", group).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        definition("Upper"),
        definition("1st"),
        definition("x", groupName="nosuch"),
        definition("x", type="text"),
        definition("x", fieldType="number"),
        definition("x", type="enumeration", fieldType="select"),
        definition("x", type="enumeration", fieldType="select", options=[{"label": "A"}]),
        definition("x", fieldType="textarea", hasUniqueValue=True),
        {"name": "x"},
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(body: dict[str, Any]) -> None:
    assert Hub().call("POST", PROPERTIES, body).status_code == 400


def test_ten_properties_can_be_unique() -> None:
    hub = Hub()
    for number in range(10):
        hub.ok("POST", PROPERTIES, definition(f"key_{number}", **UNIQUE))
    assert hub.call("POST", PROPERTIES, definition("key_10", **UNIQUE)).status_code == 400
    assert hub.call("POST", PROPERTIES, definition("plain")).status_code == 201


def test_options_are_replaced_as_a_whole_and_stay_when_not_mentioned() -> None:
    hub = Hub()
    options = [{"label": value, "value": value} for value in "ab"]
    hub.ok("POST", PROPERTIES, definition("x", type="enumeration", fieldType="select", options=options))
    assert len(hub.ok("PATCH", f"{PROPERTIES}/x", {"label": "X"})["options"]) == 2
    changed = hub.ok("PATCH", f"{PROPERTIES}/x", {"options": options[1:]})
    assert [option["value"] for option in changed["options"]] == ["b"]
    body = {"properties": {"name": "A", "x": "a"}}
    assert hub.call("POST", f"/crm/objects/{V}/companies", body).status_code == 400


def test_an_archived_property_is_unknown_until_its_name_is_posted_again() -> None:
    hub = Hub()
    hub.ok("POST", PROPERTIES, definition("x"))
    made = hub.create("companies", name="A", x="1")
    assert hub.call("DELETE", f"{PROPERTIES}/x").status_code == 204
    assert hub.call("GET", f"{PROPERTIES}/x").status_code == 404
    assert hub.ok("GET", f"{PROPERTIES}/x?archived=true")["archived"] is True
    assert "x" not in hub.get("companies", made, "?properties=x")["properties"]
    assert hub.call("POST", PROPERTIES, definition("x")).status_code == 201
    assert hub.get("companies", made, "?properties=x")["properties"]["x"] == "1"


def test_hubspots_own_properties_stay() -> None:
    hub = Hub()
    assert hub.call("DELETE", f"{PROPERTIES}/name").status_code == 400
    assert hub.call("PATCH", f"{PROPERTIES}/name", {"label": "Namn"}).status_code == 400
    assert hub.call("DELETE", f"{PROPERTIES}/nosuch").status_code == 404


def test_a_group_in_use_stays() -> None:
    hub = Hub()
    hub.ok("POST", f"{PROPERTIES}/groups", {"name": "g", "label": "G"})
    hub.ok("POST", PROPERTIES, definition("x", groupName="g"))
    refused = hub.call("DELETE", f"{PROPERTIES}/groups/g")
    expected = (400, "PropertyGroupError.GROUP_WITH_ACTIVE_PROPERTIES")
    assert (refused.status_code, refused.get_json()["subCategory"]) == expected
    hub.ok("DELETE", f"{PROPERTIES}/x")
    assert hub.call("DELETE", f"{PROPERTIES}/groups/g").status_code == 204
    assert hub.call("GET", f"{PROPERTIES}/groups/g").status_code == 404


def test_a_batch_of_definitions_is_mixed() -> None:
    hub = Hub()
    inputs = [definition("x"), definition("name"), definition("Y")]
    answer = hub.call("POST", f"{PROPERTIES}/batch/create", {"inputs": inputs})
    assert (answer.status_code, answer.get_json()["numErrors"]) == (207, 2)
    read = hub.call("POST", f"{PROPERTIES}/batch/read", {"inputs": [{"name": "x"}, {"name": "q"}], "archived": False})
    assert (read.status_code, len(read.get_json()["results"])) == (207, 1)


@pytest.mark.parametrize("plural", [kind.plural for kind in KINDS])
def test_every_type_describes_what_can_be_written(plural: str) -> None:
    found = {entry["name"]: entry for entry in Hub().ok("GET", f"/crm/properties/{V}/{plural}")["results"]}
    assert found["hs_object_id"]["modificationMetadata"]["readOnlyValue"] is True
    assert found["createdate"]["modificationMetadata"]["readOnlyValue"] is (plural != "deals")
    for entry in found.values():
        assert entry["groupName"] and entry["label"] and entry["hubspotDefined"]
        if entry["calculated"]:
            assert entry["modificationMetadata"]["readOnlyValue"] is True


def test_owners_and_currencies_are_options() -> None:
    hub = Hub()
    owners = hub.ok("GET", f"{PROPERTIES}/hubspot_owner_id")
    assert owners["externalOptions"] is True
    assert {option["value"] for option in owners["options"]} == {"41629779", "41629780"}
    codes = hub.ok("GET", f"/crm/properties/{V}/deals/deal_currency_code")["options"]
    assert [option["value"] for option in codes] == ["SEK", "EUR"]


def test_an_account_with_one_currency_has_no_currency_properties_until_the_second() -> None:
    hub = Hub()
    token = hub.hubspot.token(SECOND)[1]
    paths = [f"/crm/properties/{V}/deals/deal_currency_code", f"/crm/properties/{V}/products/hs_price_sek"]
    assert [hub.call("GET", path, token=token).status_code for path in paths] == [404, 404]
    rate = {"fromCurrencyCode": "NOK", "conversionRate": 0.98}
    hub.ok("POST", f"/settings/currencies/{V}/exchange-rates", rate, token=token)
    assert [hub.call("GET", path, token=token).status_code for path in paths] == [200, 200]
    assert hub.ok("GET", f"/account-info/{V}/details", token=token)["additionalCurrencies"] == ["NOK"]


@pytest.mark.parametrize("value", [0, -1, "11", 1.1234567, None])
def test_an_exchange_rate_is_a_positive_number_of_six_decimals(value: Any) -> None:
    body = {"fromCurrencyCode": "NOK", "conversionRate": value}
    assert Hub().call("POST", f"/settings/currencies/{V}/exchange-rates", body).status_code == 400


def test_exchange_rates_are_listed_read_and_changed() -> None:
    hub = Hub()
    path = f"/settings/currencies/{V}/exchange-rates"
    rate = hub.ok("GET", path)["results"][0]
    assert hub.ok("GET", f"{path}/{rate['id']}") == rate
    assert hub.ok("PATCH", f"{path}/{rate['id']}", {"conversionRate": 11.5})["conversionRate"] == 11.5
    hub.ok("POST", path, {"fromCurrencyCode": "EUR", "conversionRate": 11.9})
    current = hub.ok("GET", f"{path}/current")["results"]
    assert [entry["conversionRate"] for entry in current] == [11.9]


def test_stages_say_in_text_whether_they_are_closed() -> None:
    hub = Hub()
    body = {"label": "P", "displayOrder": 1, "stages": [stage("Ny", 0, "0.5"), stage("Vunnen", 1, "1.0")]}
    made = hub.ok("POST", PIPELINES, body)
    assert [entry["metadata"]["isClosed"] for entry in made["stages"]] == ["false", "true"]
    assert made["id"].isdigit()


@pytest.mark.parametrize("probability", ["1.5", "x", ""])
def test_a_deal_stage_needs_a_probability(probability: str) -> None:
    body = {"label": "P", "displayOrder": 1, "stages": [stage("Ny", 0, probability)]}
    assert Hub().call("POST", PIPELINES, body).status_code == 400


def test_given_ids_are_kept_and_taken_ones_refused() -> None:
    hub = Hub()
    body = {"label": "P", "displayOrder": 1, "pipelineId": "p", "stages": [stage("Ny", 0, "0.5", stageId="s")]}
    made = hub.ok("POST", PIPELINES, body)
    assert (made["id"], made["stages"][0]["id"]) == ("p", "s")
    assert hub.call("POST", PIPELINES, {**body, "label": "Q"}).status_code == 409
    assert hub.call("POST", f"{PIPELINES}/p/stages", stage("X", 1, "0.6", stageId="s")).status_code == 409


def test_a_pipeline_has_a_hundred_stages_at_most() -> None:
    hub = Hub()
    stages = [stage(str(n), n, "0.5") for n in range(101)]
    body = {"label": "P", "displayOrder": 1, "stages": stages}
    assert hub.call("POST", PIPELINES, body).status_code == 400
    made = hub.ok("POST", PIPELINES, {**body, "stages": stages[:100]})
    assert hub.call("POST", f"{PIPELINES}/{made['id']}/stages", stages[100]).status_code == 400


def test_a_stage_patch_must_repeat_the_metadata() -> None:
    hub = Hub()
    path = f"{PIPELINES}/default/stages/contractsent"
    assert hub.call("PATCH", path, {"label": "X"}).status_code == 400
    assert hub.ok("PATCH", path, {"label": "X", "metadata": {"probability": "0.95"}})["label"] == "X"


def test_a_stage_in_use_stays_and_a_pipeline_only_when_asked_to_look() -> None:
    hub = Hub()
    body = {"label": "P", "displayOrder": 1, "pipelineId": "p", "stages": [stage("Ny", 0, "0.5", stageId="s")]}
    hub.ok("POST", PIPELINES, body)
    hub.create("deals", dealname="D", pipeline="p", dealstage="s")
    refused = hub.call("DELETE", f"{PIPELINES}/p/stages/s")
    assert (refused.status_code, refused.get_json()["subCategory"]) == (400, "PipelineError.STAGE_ID_IN_USE")
    replacing = {"label": "P", "displayOrder": 1, "stages": [stage("Annan", 0, "0.5", stageId="t")]}
    assert hub.call("PUT", f"{PIPELINES}/p?validateReferencesBeforeDelete=true", replacing).status_code == 400
    assert hub.call("DELETE", f"{PIPELINES}/p").status_code == 204
    assert hub.call("DELETE", f"{PIPELINES}/default").status_code == 400


def test_only_deals_have_pipelines() -> None:
    hub = Hub()
    assert hub.ok("GET", f"/crm/pipelines/{V}/companies")["results"] == []
    assert hub.call("POST", f"/crm/pipelines/{V}/companies", {"label": "P"}).status_code == 400


def test_archived_owners_have_lost_their_user() -> None:
    hub = Hub()
    gone = hub.ok("GET", f"/crm/owners/{V}?archived=true")["results"]
    assert [(owner["userId"], owner["userIdIncludingInactive"]) for owner in gone] == [(None, 9274998)]
    email = "erik.lindberg@demobolaget.example"
    assert [owner["id"] for owner in hub.ok("GET", f"/crm/owners/{V}?email={email}")["results"]] == ["41629780"]
    assert hub.call("GET", f"/crm/owners/{V}/1").status_code == 404


def test_owners_are_paged() -> None:
    first = Hub().ok("GET", f"/crm/owners/{V}?limit=1")
    assert (len(first["results"]), first["paging"]["next"]["after"]) == (1, "1")


def test_tax_rates_are_what_line_items_refer_to() -> None:
    hub = Hub()
    rate = hub.ok("GET", f"/tax-rates/{V}/tax-rates")["results"][0]
    assert hub.ok("GET", f"/tax-rates/{V}/tax-rates/{rate['id']}") == rate
    line = hub.create("line_items", price="100", quantity="1", hs_tax_rate_group_id=rate["id"])
    read = hub.get("line_items", line, "?properties=hs_tax_amount,hs_post_tax_amount")["properties"]
    assert (read["hs_tax_amount"], read["hs_post_tax_amount"]) == ("25", "125")


def test_there_are_no_validation_rules_on_single_properties() -> None:
    assert Hub().ok("GET", f"/crm/property-validations/{V}/0-2") == {"results": []}


def test_currencies_can_be_listed_and_the_company_currency_changed() -> None:
    hub = Hub()
    path = f"/settings/currencies/{V}"
    assert {"currencyCode": "SEK", "currencyName": "Swedish Krona"} in hub.ok("GET", f"{path}/codes")["results"]
    assert hub.ok("PUT", f"{path}/company-currency", {"currencyCode": "EUR"})["id"] == "EUR"
    assert hub.ok("GET", f"/account-info/{V}/details")["additionalCurrencies"] == ["SEK"]
    assert hub.call("PUT", f"{path}/company-currency", {"currencyCode": "XXX"}).status_code == 400
    assert hub.ok("GET", f"{path}/central-fx-rates/information") == {"centralExchangeRatesEnabled": False}


def test_exchange_rates_have_batches() -> None:
    hub = Hub()
    path = f"/settings/currencies/{V}/exchange-rates"
    rates = [{"fromCurrencyCode": code, "conversionRate": 1.5} for code in ("NOK", "DKK")]
    made = hub.ok("POST", f"{path}/batch/create", {"inputs": rates})["results"]
    ids = [{"id": rate["id"]} for rate in made]
    changed = hub.ok("POST", f"{path}/batch/update", {"inputs": [{**ids[0], "conversionRate": 2}]})["results"]
    read = hub.ok("POST", f"{path}/batch/read", {"inputs": ids})["results"]
    assert (changed[0]["conversionRate"], len(read)) == (2, 2)
    hub.ok("POST", f"{path}/update-visibility", {"fromCurrencyCode": "NOK", "visibleInUI": False})
    assert hub.ok("GET", f"{path}/{ids[0]['id']}")["visibleInUI"] is False


def test_a_recurring_line_item_counts_one_period_and_multiplies_out_its_term() -> None:
    hub = Hub()
    values = {"price": "100", "quantity": "1", "recurringbillingfrequency": "monthly"}
    line = hub.create("line_items", **values, hs_recurring_billing_period="P24M")
    read = hub.get("line_items", line, "?properties=amount,hs_mrr,hs_arr,hs_acv,hs_tcv")["properties"]
    found = [read[name] for name in ("amount", "hs_mrr", "hs_arr", "hs_acv", "hs_tcv")]
    assert found == ["100", "100", "1200", "1200", "2400"]


def test_a_stage_is_read_and_its_pipeline_replaced() -> None:
    hub = Hub()
    assert hub.ok("GET", f"{PIPELINES}/default/stages/closedwon")["metadata"]["probability"] == "1.0"
    assert len(hub.ok("GET", f"{PIPELINES}/default/stages")["results"]) == 7
    body = {"label": "Sales Pipeline", "displayOrder": 0, "stages": [stage("Ny", 0, "0.5", stageId="ny")]}
    assert [entry["id"] for entry in hub.ok("PUT", f"{PIPELINES}/default", body)["stages"]] == ["ny"]
    assert hub.call("GET", f"{PIPELINES}/default/stages/closedwon").status_code == 404
    assert hub.call("GET", f"{PIPELINES}/nosuch").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", PROPERTIES),
        ("PUT", f"{PROPERTIES}/name"),
        ("POST", f"/account-info/{V}/details"),
        ("POST", f"/crm/owners/{V}"),
        ("DELETE", f"/tax-rates/{V}/tax-rates"),
        ("PUT", f"/crm/objects/{V}/companies"),
        ("PUT", f"{PROPERTIES}/groups"),
    ],
)
def test_a_known_path_with_another_method_is_405(method: str, path: str) -> None:
    assert Hub().call(method, path, {} if method != "DELETE" else None).status_code == 405
