"""Record pages of the Salesforce emulator: what they post into the card's frame, and what their buttons do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.core.faults import STATUSES
from sandbox.salesforce.canvas import sign
from sandbox.salesforce.table import Row

from .salesforce_orgs import NAMESPACE, Orgs, V, manifest, object_file

CARD = "http://localhost:8000/canvas/4f/"


@pytest.fixture
def orgs() -> Orgs:
    made = Orgs(accounts=8)
    made.settings(canvas_url="{app_url}/canvas/4f/")
    return made


def row_of(orgs: Orgs, name: str, number: int = 0) -> Row:
    return list(orgs.main.org.rows[name].values())[number]


def page(orgs: Orgs, row: Row, action: str = "view", **query: str) -> str:
    listed = "&".join(f"{name}={value}" for name, value in query.items())
    return f"/salesforce/ui/{orgs.main.org.id}/lightning/r/{row.object}/{row.id}/{action}?{listed}"


def posted(orgs: Orgs, row: Row, **query: str) -> tuple[str, str]:
    """(address, signed request) that the page of a record posts."""
    text = orgs.client.get(page(orgs, row, **query)).text
    address = re.search(r"<form id='canvas' method='post' target='card' action='([^']*)'", text)
    signed = re.search(r"name='signed_request' value='([^']*)'", text)
    assert address and signed, text
    return unescape(address[1]), unescape(signed[1])


def opened(orgs: Orgs, signed: str) -> dict[str, Any]:
    """What a verified request holds."""
    signature, _, envelope = signed.partition(".")
    secret = orgs.main.app.client_secret.encode()
    assert hmac.compare_digest(
        base64.b64decode(signature), hmac.new(secret, envelope.encode(), hashlib.sha256).digest()
    )
    return dict(json.loads(base64.b64decode(envelope)))


@pytest.mark.parametrize("name", ["Account", "Opportunity", "Order", "Service_Order__c"])
def test_a_page_posts_a_signed_request_about_its_record(orgs: Orgs, name: str) -> None:
    row = row_of(orgs, name)
    address, signed = posted(orgs, row, locale="sv")
    assert address == CARD
    told = opened(orgs, signed)
    context = told["context"]
    assert (told["algorithm"], told["issuedAt"], told["userId"]) == ("HMACSHA256", None, orgs.main.sellers[0])
    assert context["environment"]["record"]["Id"] == row.id
    assert context["environment"]["record"]["attributes"]["type"] == name
    assert context["environment"]["displayLocation"] == "Visualforce"
    assert context["organization"]["organizationId"] == orgs.main.org.id
    assert context["user"]["language"] == "sv"
    assert context["links"]["restUrl"] == "/services/data/v67.0/"
    assert told["client"]["instanceUrl"] == "http://localhost/salesforce/my/nordkraft"


def test_the_token_inside_is_the_persons_own(orgs: Orgs) -> None:
    row = row_of(orgs, "Account")
    orgs.settings(hidden_records={"anna.aberg@nordkraft.example": [row_of(orgs, "Account", 1).id]})
    token = opened(orgs, posted(orgs, row)[1])["client"]["oauthToken"]
    assert orgs.ok("GET", "/services/oauth2/userinfo", token=token)["user_id"] == orgs.main.sellers[0]
    assert orgs.call("GET", f"{V}/sobjects/Account/{row.id}", token=token).status_code == 200
    hidden = row_of(orgs, "Account", 1)
    assert orgs.call("GET", f"{V}/sobjects/Account/{hidden.id}", token=token).status_code == 404
    assert hidden.id not in {entry["Id"] for entry in orgs.query("SELECT Id FROM Account", token=token)}
    assert hidden.id in {entry["Id"] for entry in orgs.query("SELECT Id FROM Account")}
    wanted = {"ids": [row.id, hidden.id], "fields": ["Id"]}
    retrieved = orgs.ok("POST", f"{V}/composite/sobjects/Account", wanted, token=token)
    assert [entry and entry["Id"] for entry in retrieved] == [row.id, None]
    assert orgs.client.get(page(orgs, hidden)).status_code == 404


def test_elsewhere_the_record_comes_as_a_parameter_and_people_can_be_changed(orgs: Orgs) -> None:
    orgs.settings(canvas_location="None", canvas_parameters={"extra": "1"})
    row = row_of(orgs, "Opportunity")
    told = opened(orgs, posted(orgs, row, user=orgs.main.admin)[1])
    environment = told["context"]["environment"]
    assert environment["record"] == {}
    assert environment["parameters"] == {"recordId": row.id, "extra": "1"}
    assert told["context"]["user"]["userName"] == "admin@nordkraft.example"


def test_a_deployed_page_names_the_fields_of_the_record(orgs: Orgs) -> None:
    markup = '<apex:page standardController="Account"><apex:canvasApp entityFields="Id,Phone"/></apex:page>'
    files = {
        "package.xml": manifest(ApexPage=["Card"]),
        "pages/Card.page": markup,
        "pages/Card.page-meta.xml": f"<ApexPage {NAMESPACE}><label>Card</label></ApexPage>",
    }
    assert orgs.deploy(files)["success"]
    record = opened(orgs, posted(orgs, row_of(orgs, "Account"))[1])["context"]["environment"]["record"]
    assert set(record) == {"attributes", "Id", "Phone"}


def test_somebody_who_has_not_allowed_the_app_opens_it_with_get_first(orgs: Orgs) -> None:
    orgs.settings(self_authorize=True)
    row = row_of(orgs, "Account")
    text = orgs.client.get(page(orgs, row)).text
    source = re.search(r"<iframe name='card' id='card' title='Card' src='([^']*)'", text)
    assert source and "signed_request" not in text
    assert parse_qs(urlsplit(unescape(source[1])).query) == {
        "_sfdc_canvas_auth": ["user_approval_required"],
        "loginUrl": ["http://localhost/salesforce/my/nordkraft"],
    }
    orgs.connect(user=orgs.main.sellers[0])
    assert posted(orgs, row)[0] == CARD


def test_without_a_canvas_app_the_page_says_so(orgs: Orgs) -> None:
    orgs.settings(canvas_url="")
    assert "No canvas app" in orgs.client.get(page(orgs, row_of(orgs, "Account"))).text


def test_the_buttons_do_what_a_person_does(orgs: Orgs) -> None:
    deal = row_of(orgs, "Opportunity")
    assert orgs.client.post(page(orgs, deal, "won")).status_code == 303
    assert (deal.values["IsWon"], deal.values["LastModifiedById"]) == (True, orgs.main.sellers[0])
    assert orgs.client.post(page(orgs, deal, "edit"), data={"Name": "Nytt namn"}).status_code == 303
    assert deal.values["Name"] == "Nytt namn"
    refused = orgs.client.post(page(orgs, deal, "edit"), data={"Name": ""})
    assert (refused.status_code, deal.values["Name"]) == (400, "Nytt namn")
    master, loser = row_of(orgs, "Account"), row_of(orgs, "Account", 1)
    assert orgs.client.post(page(orgs, master, "merge"), data={"other": loser.id}).status_code == 303
    assert (loser.deleted, loser.values["MasterRecordId"]) == (True, master.id)
    assert orgs.client.post(page(orgs, deal, "delete")).status_code == 303
    assert deal.deleted and orgs.client.get(page(orgs, deal)).status_code == 404
    deeds = orgs.world.truth.since(0, object="Opportunity", action="update")
    assert deeds and all(deed["request"] is None for deed in deeds)


def test_a_deployed_quick_action_is_a_button(orgs: Orgs) -> None:
    field = (
        "<fields><fullName>Sync__c</fullName><label>Sync</label><type>Picklist</type><valueSet><restricted>true"
        "</restricted><valueSetDefinition><value><fullName>Pending</fullName><label>Pending</label></value>"
        "</valueSetDefinition></valueSet></fields>"
    )
    action = (
        f"<QuickAction {NAMESPACE}><fieldOverrides><field>Sync__c</field><literalValue>Pending</literalValue>"
        "</fieldOverrides><label>Send</label><type>Update</type></QuickAction>"
    )
    files = {
        "package.xml": manifest(CustomField=["Opportunity.Sync__c"], QuickAction=["Opportunity.Send"]),
        "objects/Opportunity.object": object_file(field),
        "quickActions/Opportunity.Send.quickAction": action,
    }
    assert orgs.deploy(files)["success"]
    orgs.settings(field_security=False)
    deal = row_of(orgs, "Opportunity")
    assert "/Send?" in orgs.client.get(page(orgs, deal)).text
    assert orgs.client.post(page(orgs, deal, "Send")).status_code == 303
    assert deal.values["Sync__c"] == "Pending"


def test_the_start_page_and_the_list_of_the_org_lead_to_records(orgs: Orgs) -> None:
    assert f"/salesforce/ui/{orgs.main.org.id}/" in orgs.client.get("/").text
    listed = orgs.client.get(f"/salesforce/ui/{orgs.main.org.id}/").text
    assert row_of(orgs, "Account").id in listed and "Demonstration" in listed
    for missing in ("nobody/", f"{orgs.main.org.id}/lightning/r/User/{orgs.main.admin}/view", "static/../host.py"):
        assert orgs.client.get(f"/salesforce/ui/{missing}").status_code == 404
    assert orgs.client.get("/salesforce/ui/static/host.js").status_code == 200


def test_an_envelope_is_signed_as_it_is_sent() -> None:
    signature, _, envelope = sign("secret", {"a": "ö"}).partition(".")
    assert json.loads(base64.b64decode(envelope)) == {"a": "ö"}
    assert base64.b64encode(hmac.new(b"secret", envelope.encode(), hashlib.sha256).digest()).decode() == signature


# -- the control interface's other doors


def test_edits_that_commit_late_keep_their_early_stamp(orgs: Orgs) -> None:
    orgs.settings(late_commit_seconds=300)
    row = row_of(orgs, "Account")
    before = orgs.main.org.now_ms()
    path = f"/control/records/salesforce/{orgs.main.org.id}/Account/{row.id}"
    assert orgs.client.post(path, json={"fields": {"Name": "Sent AB"}}).status_code == 200
    orgs.world.clock.advance(200)
    assert orgs.ok("GET", f"{V}/sobjects/Account/{row.id}")["Name"] != "Sent AB"
    orgs.world.clock.advance(101)
    assert orgs.ok("GET", f"{V}/sobjects/Account/{row.id}")["Name"] == "Sent AB"
    assert row.stamp // 1000 - before // 1000 <= 2


def test_records_are_shown_raw_and_edited_by_a_person(orgs: Orgs) -> None:
    made = orgs.ok("POST", f"{V}/sobjects/Account", {"Name": "Nytt AB"})["id"]
    path = f"/control/state/salesforce/{orgs.main.org.id}/Account"
    raw = next(entry for entry in orgs.client.get(path).get_json()["records"] if entry["id"] == made)
    assert raw["created_by_request"] is not None and raw["created_at"] <= raw["updated_at"]
    assert orgs.client.delete(f"/control/records/salesforce/{orgs.main.org.id}/Account/{made}").status_code == 200
    assert orgs.client.get(path.replace("Account", "Nothing")).status_code == 404
    assert orgs.call("GET", f"{V}/sobjects/Account/{made}").get_json()[0]["errorCode"] == "ENTITY_IS_DELETED"


def test_the_customers_rules_and_locks_are_switched_while_running(orgs: Orgs) -> None:
    row = row_of(orgs, "Account")
    path = f"{V}/sobjects/Account/{row.id}"
    orgs.settings(lock_rows={row.id[:15]: 2})
    codes = [orgs.call("PATCH", path, {"Phone": "08-1"}) for _ in range(3)]
    assert [answer.status_code for answer in codes] == [400, 400, 204]
    assert codes[0].get_json()[0]["errorCode"] == "UNABLE_TO_LOCK_ROW"
    conditions = [{"field": "Phone", "operator": "blank"}]
    orgs.settings(validation=[{"object": "Account", "conditions": conditions, "message": "Telefon saknas"}])
    refused = orgs.call("PATCH", path, {"Phone": None}).get_json()[0]
    assert (refused["errorCode"], refused["message"]) == ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Telefon saknas")
    orgs.settings(hidden_fields=["Account.Region__c"])
    assert orgs.call("GET", f"{V}/query/?q=SELECT+Region__c+FROM+Account").status_code == 400
    orgs.settings(hidden_fields=[], validation=[])
    assert orgs.call("GET", f"{V}/query/?q=SELECT+Region__c+FROM+Account").status_code == 200


@pytest.mark.parametrize("kind", sorted(STATUSES))
def test_injected_statuses_are_worded_by_salesforce(orgs: Orgs, kind: str) -> None:
    orgs.world.faults.load({kind: 1.0}, match={"path_contains": "/limits"})
    answer = orgs.call("GET", f"{V}/limits")
    expected = {"status_423": 400, "status_477": 477}.get(kind, STATUSES[kind])
    assert answer.status_code == expected
    if answer.headers["Content-Type"].startswith("application/json"):
        assert set(answer.get_json()[0]) >= {"message", "errorCode"}
    else:
        assert "<html>" in answer.text
