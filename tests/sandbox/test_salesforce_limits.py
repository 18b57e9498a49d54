"""The daily allowance of calls, and the list of limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from werkzeug.test import Client

from sandbox.app import create_app
from sandbox.core.world import Sizes, World
from sandbox.salesforce import limits
from sandbox.salesforce.emulator import Salesforce
from sandbox.salesforce.errors import SfError
from sandbox.salesforce.table import Row

from .hubspot_world import assert_same_shape
from .salesforce_desk import Desk, V

KNOWN = Path(__file__).parent / "payloads" / "salesforce" / "limits.json"
HOUR = 3600


def test_limits_have_the_known_names_and_count_the_last_day() -> None:
    desk = Desk()
    limits.configure(desk.org, used=1158)
    assert desk.call("GET", "/limits").body["DailyApiRequests"] == {"Max": 115000, "Remaining": 113842}
    assert_same_shape(json.loads(KNOWN.read_text()), desk.call("GET", "/limits").body)
    assert limits.header_value(desk.org) == "api-usage=1158/115000"
    desk.clock.moment += 12 * HOUR
    limits.count_call(desk.org)
    assert limits.header_value(desk.org) == "api-usage=1159/115000"
    desk.clock.moment += 12 * HOUR
    assert limits.header_value(desk.org) == "api-usage=1/115000"


def test_an_org_that_has_used_its_calls_up_is_refused_until_some_are_a_day_old() -> None:
    desk = Desk()
    limits.configure(desk.org, used=9, most=10)
    limits.count_call(desk.org)
    with pytest.raises(SfError) as caught:
        limits.count_call(desk.org)
    assert (caught.value.status, caught.value.body()) == (
        403,
        [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}],
    )
    assert limits.header_value(desk.org) == "api-usage=10/10"
    desk.clock.moment += 24 * HOUR
    limits.count_call(desk.org)
    with pytest.raises(ValueError, match="negative"):
        limits.configure(desk.org, used=-1)


def test_over_http_every_page_counts_as_one_call() -> None:
    world = World({"salesforce": Salesforce}, sizes=Sizes(empty=True))
    emulator = world.emulators["salesforce"]
    assert isinstance(emulator, Salesforce)
    org_id, token = emulator.token(None)
    org = emulator.tenant(org_id).org
    table = org.table("Contact")
    for number in range(201):
        record_id = f"003Fx{number:010}AAA"
        table.add(Row("Contact", record_id, {"Id": record_id, "LastName": "x"}, 0, None))
    client = Client(create_app(world))
    headers = {"Authorization": f"Bearer {token}", "Sforce-Query-Options": "batchSize=200"}
    base = f"/salesforce/my/{org.my_domain}"
    first = client.get(f"{base}{V}/query/?q=SELECT+Id+FROM+Contact", headers=headers)
    assert first.status_code == 200, first.get_data(as_text=True)
    second = client.get(base + first.get_json()["nextRecordsUrl"], headers=headers)
    assert (first.headers["Sforce-Limit-Info"], second.headers["Sforce-Limit-Info"]) == (
        "api-usage=1/115000",
        "api-usage=2/115000",
    )
    assert len(first.get_json()["records"]) + len(second.get_json()["records"]) == 201
    refused = client.get(f"{base}{V}/query?q=SELECT+Id+FROM+Nothing__c", headers=headers)
    assert (refused.status_code, refused.get_json()[0]["errorCode"]) == (400, "INVALID_TYPE")
    assert refused.headers["Sforce-Limit-Info"] == "api-usage=3/115000"
