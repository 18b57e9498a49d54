"""Outbound messages of the Salesforce emulator: what starts them, what they say, and how long they are repeated."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from sandbox.salesforce.outbound_formula import FormulaError, Scope, parse
from sandbox.salesforce.outbound_soap import Notification, acknowledged, envelope

from .app_stand_in import AppStandIn, Reply
from .salesforce_orgs import NAMESPACE, Orgs, V, manifest, object_file, permission_set, text_field

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
OUT = "{http://soap.sforce.com/2005/09/outbound}"
SF = "{urn:sobject.enterprise.soap.sforce.com}"


def ack(text: str = "true") -> Reply:
    body = (
        f'<soapenv:Envelope xmlns:soapenv="{SOAP}"><soapenv:Body><notificationsResponse '
        f'xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>{text}</Ack></notificationsResponse></soapenv:Body>'
        "</soapenv:Envelope>"
    )
    return Reply(body.encode(), headers={"Content-Type": "text/xml"})


CONDITION = (
    "AND(NOT({!$Permission.Own_Writes}), OR(ISNEW(), ISCHANGED({!$Record.StageName})), "
    'ISPICKVAL({!$Record.StageName}, "Closed Won"))'
)
PERMISSION = f"<CustomPermission {NAMESPACE}><label>Own</label><isLicensed>false</isLicensed></CustomPermission>"
FIELDS = ("AccountId", "IsWon", "Secret__c", "StageName", "SystemModstamp")


def files(endpoint: str, *, status: str = "Active", condition: str = CONDITION) -> dict[str, str]:
    listed = "".join(f"<fields>{name}</fields>" for name in FIELDS)
    escaped = condition.replace('"', "&quot;")
    return {
        "package.xml": manifest(
            CustomField=["Opportunity.Secret__c"],
            CustomPermission=["Own_Writes"],
            Flow=["Notify"],
            PermissionSet=["Writer"],
            WorkflowOutboundMessage=["Opportunity.Changed"],
        ),
        "objects/Opportunity.object": object_file(text_field("Secret__c")),
        "customPermissions/Own_Writes.customPermission": PERMISSION,
        "permissionsets/Writer.permissionset": permission_set(
            "Writer", more="<customPermissions><enabled>true</enabled><name>Own_Writes</name></customPermissions>"
        ),
        "workflows/Opportunity.workflow": (
            f"<Workflow {NAMESPACE}><outboundMessages><fullName>Changed</fullName><apiVersion>67.0</apiVersion>"
            f"<endpointUrl>{endpoint}</endpointUrl>{listed}<includeSessionId>false</includeSessionId>"
            "<integrationUser>integration@nordkraft.example</integrationUser><name>Changed</name>"
            "</outboundMessages></Workflow>"
        ),
        "flows/Notify.flow": (
            f"<Flow {NAMESPACE}><actionCalls><name>Send</name><actionName>Opportunity.Changed</actionName>"
            f"<actionType>outboundMessage</actionType></actionCalls><label>Notify</label><start><filterFormula>{escaped}"
            "</filterFormula><object>Opportunity</object><recordTriggerType>CreateAndUpdate</recordTriggerType>"
            f"<triggerType>RecordAfterSave</triggerType></start><status>{status}</status></Flow>"
        ),
    }


@pytest.fixture
def app() -> Iterator[AppStandIn]:
    with AppStandIn() as running:
        running.replies = [ack()]
        yield running


@pytest.fixture
def orgs(app: AppStandIn) -> Orgs:
    made = Orgs(accounts=8)
    configure(made, gather_seconds=0.01, retry_seconds=0.02, longest_seconds=0.05)
    return made


def configure(orgs: Orgs, **settings: Any) -> dict[str, Any]:
    body = {"system": "salesforce", **settings}
    answer = orgs.client.post("/control/webhooks", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def wait(orgs: Orgs, until: Callable[[dict[str, Any]], bool] = lambda status: status["pending"] == 0) -> dict[str, Any]:
    for _ in range(400):
        status = orgs.emulator.send_webhooks({})
        if until(status):
            return status
        time.sleep(0.01)
    raise AssertionError(status)


def win(orgs: Orgs, number: int = 0, **fields: Any) -> str:
    """A salesperson wins an opportunity that is open."""
    rows = [row for row in orgs.main.org.rows["Opportunity"].values() if not row.values["IsClosed"]]
    fields = fields or {"StageName": "Closed Won"}
    orgs.emulator.edit_record(orgs.main.org.id, "Opportunity", rows[number].id, fields)
    return rows[number].id


def test_a_deployed_flow_sends_what_the_record_is_now_without_a_session(orgs: Orgs, app: AppStandIn) -> None:
    assert orgs.deploy(files(f"{app.url}/hooks/abc/"))["success"]
    record_id = win(orgs)
    assert wait(orgs)["delivered"] == 1
    (asked,) = app.asked
    assert (asked.method, asked.target) == ("POST", "/hooks/abc/")
    assert asked.headers["Content-Type"] == "text/xml; charset=UTF-8"
    told = fromstring(asked.body)[0][0]
    assert told.tag == f"{OUT}notifications"
    assert told.findtext(f"{OUT}OrganizationId") == orgs.main.org.id
    session = told.find(f"{OUT}SessionId")
    assert session.get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true" and session.text is None
    assert re.fullmatch(
        r"http://localhost/salesforce/my/nordkraft/services/Soap/c/67.0/00D\w{12}", told.findtext(f"{OUT}EnterpriseUrl")
    )
    notification = told.find(f"{OUT}Notification")
    assert notification.findtext(f"{OUT}Id").startswith("04l")
    shown = {child.tag.removeprefix(SF): child.text for child in notification.find(f"{OUT}sObject")}
    assert (shown["Id"], shown["IsWon"], shown["StageName"]) == (record_id, "true", "Closed Won")
    assert shown["SystemModstamp"].endswith(".000Z")
    assert "Secret__c" not in shown  # the integration user may not see it


def test_a_change_that_does_not_meet_the_condition_sends_nothing(orgs: Orgs, app: AppStandIn) -> None:
    orgs.deploy(files(f"{app.url}/"))
    win(orgs, NextStep="Ring")
    win(orgs, StageName="Qualification")
    record_id = win(orgs)
    orgs.emulator.edit_record(orgs.main.org.id, "Opportunity", record_id, {"NextStep": "Fakturera"})
    assert wait(orgs)["notifications"] == 1


def test_writes_of_a_user_with_the_permission_send_nothing(orgs: Orgs, app: AppStandIn) -> None:
    orgs.deploy(files(f"{app.url}/"))
    permission = orgs.query("SELECT Id FROM PermissionSet WHERE Name = 'Writer'", token=orgs.admin)[0]["Id"]
    assignment = {"AssigneeId": orgs.main.integration, "PermissionSetId": permission}
    orgs.ok("POST", f"{V}/sobjects/PermissionSetAssignment", assignment, token=orgs.admin)
    ids = [row.id for row in orgs.main.org.rows["Opportunity"].values() if not row.values["IsClosed"]]
    orgs.ok("PATCH", f"{V}/sobjects/Opportunity/{ids[0]}", {"StageName": "Closed Won"})
    orgs.settings(silent_users=["admin@nordkraft.example"])
    orgs.ok("PATCH", f"{V}/sobjects/Opportunity/{ids[1]}", {"StageName": "Closed Won"}, token=orgs.admin)
    assert "notifications" not in wait(orgs)


def test_a_draft_flow_sends_nothing_and_a_wrong_condition_is_not_deployed(orgs: Orgs, app: AppStandIn) -> None:
    assert orgs.deploy(files(f"{app.url}/", status="Draft"))["success"]
    win(orgs)
    assert "notifications" not in wait(orgs)
    for wrong in ("AND(", "FOO(1)", "{!$Record.Nothing__c} = 1"):
        assert orgs.deploy(files(f"{app.url}/", condition=wrong))["status"] == "Failed"


@pytest.mark.parametrize("refusal", [ack("false"), Reply(b"<ok/>"), Reply(status=500), Reply(drop=True)])
def test_anything_but_an_acknowledgement_is_repeated_with_the_same_id(
    orgs: Orgs, app: AppStandIn, refusal: Reply
) -> None:
    orgs.deploy(files(f"{app.url}/"))
    app.replies = [refusal, refusal, ack()]
    win(orgs)
    status = wait(orgs)
    assert (status["delivered"], status["failed"], len(app.asked)) == (1, 2, 3)
    ids = {re.search(rb"<Id>(04l\w+)</Id>", asked.body)[1] for asked in app.asked}
    assert len(ids) == 1


def test_a_repetition_shows_the_newest_state_and_ends_some_day(orgs: Orgs, app: AppStandIn) -> None:
    orgs.deploy(files(f"{app.url}/"))
    app.replies = [Reply(status=503)]
    record_id = win(orgs)
    wait(orgs, lambda status: status.get("failed", 0) > 0)
    orgs.emulator.edit_record(orgs.main.org.id, "Opportunity", record_id, {"StageName": "Closed Lost"})
    wait(orgs, lambda status: b"Closed Lost" in app.asked[-1].body)
    configure(orgs, drop_seconds=0.0)
    assert wait(orgs)["dead"] == 1


def test_many_records_of_an_object_share_messages_of_at_most_a_hundred(orgs: Orgs, app: AppStandIn) -> None:
    configure(orgs, target_url=f"{app.url}/all/", watch={"Account": ["Name"]}, gather_seconds=0.3)
    records = [{"attributes": {"type": "Account"}, "Name": f"Konto {n} & Söner"} for n in range(150)]
    orgs.ok("POST", f"{V}/composite/sobjects", {"records": records})
    assert wait(orgs)["delivered"] == 150
    sizes = [asked.body.count(b"<Notification>") for asked in app.asked]
    assert sum(sizes) == 150 and max(sizes) <= 100 and len(sizes) < 10


def test_duplicates_come_on_request_and_endpoints_elsewhere_are_never_called(orgs: Orgs, app: AppStandIn) -> None:
    configure(orgs, duplicate=1.0)
    orgs.deploy(files("https://elsewhere.example/hooks/"))
    win(orgs)
    assert wait(orgs, lambda status: status.get("not_local", 0) > 0)["notifications"] == 1
    configure(orgs, target_url=f"{app.url}/")
    wait(orgs, lambda status: len(app.asked) >= 2)
    ids = {re.search(rb"<Id>(04l\w+)</Id>", asked.body)[1] for asked in app.asked}
    assert len(ids) == 1


def test_a_callout_is_tried_once(orgs: Orgs, app: AppStandIn) -> None:
    configure(orgs, callout_url=f"{app.url}/flow/", callout_headers={"X-Secret": "s3"})
    app.replies = [Reply(status=500)]
    record_id = win(orgs)
    assert wait(orgs)["callouts_failed"] == 1
    (asked,) = app.asked
    assert asked.headers["X-Secret"] == "s3"
    told = asked.json
    assert (told["org_id"], told["record_id"], told["event"]) == (orgs.main.org.id, record_id, "closed_won")
    assert told["system_modstamp"].endswith(".000Z")


def test_any_text_makes_well_formed_xml() -> None:
    told = Notification("04l", (("Id", "006"), ("Name", "A & <b> \u0007 å 🎉"), ("NextStep", None)))
    body = envelope("00D", "04k", "http://localhost/a?b&c", "67.0", "Opportunity", [told])
    record = fromstring(body).find(f".//{OUT}sObject")
    assert [child.text for child in record] == ["006", "A & <b>  å 🎉"]


def test_only_an_envelope_that_says_true_is_an_acknowledgement() -> None:
    assert acknowledged(ack().body)
    for body in (ack("false").body, b"", b"true", ack().body.replace(b"outbound", b"inbound"), ack().body[:-5]):
        assert not acknowledged(body)
    assert not acknowledged(b'<!DOCTYPE x [<!ENTITY a "true">]>' + ack("&a;").body)


@pytest.mark.parametrize(
    ("formula", "holds"),
    [
        ('{!$Record.A} = "x" && NOT(ISBLANK({!$Record.A}))', True),
        ("ISBLANK({!$Record.B}) || FALSE", True),
        ('PRIORVALUE({!$Record.A}) = "w"', True),
        ("ISCHANGED({!$Record.C})", False),
        ("{!$Record.C} > 4 && {!$Record.C} <= 5", True),
        ("!ISNEW() && {!$Permission.Yes}", True),
        ('{!$Record__Prior.A} <> "w"', False),
    ],
)
def test_conditions_are_understood(formula: str, holds: bool) -> None:
    scope = Scope({"A": "w", "C": 5}, {"A": "x", "B": None, "C": 5}, lambda name: name == "Yes")
    assert parse(formula)(scope) is holds


@pytest.mark.parametrize("formula", ["", "AND(", "FOO()", "NOT(1, 2)", "ISCHANGED(1)", "A", '"x', "1 1", "ISNEW() §"])
def test_formulas_that_are_none_are_refused(formula: str) -> None:
    with pytest.raises(FormulaError):
        parse(formula)
