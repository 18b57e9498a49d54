"""Deployments to the Salesforce emulator: what they bring, what refuses them, and who sees the result."""

from __future__ import annotations

import io
import zipfile

import pytest

from integrations.salesforce.deploy_files import build_zip

from .salesforce_orgs import Orgs, V, manifest, object_file, permission_set, text_field

KEY = "<externalId>true</externalId><unique>true</unique>"
FIELD = "Account.Fortnox_Key__c"
ACCOUNT = object_file(text_field("Fortnox_Key__c", more=KEY))
PACKAGE = {"package.xml": manifest(CustomField=[FIELD]), "objects/Account.object": ACCOUNT}
INVOICE = object_file(
    text_field("Fortnox_Number__c"),
    rest="<label>Invoice</label><pluralLabel>Invoices</pluralLabel><deploymentStatus>Deployed</deploymentStatus>"
    "<sharingModel>Read</sharingModel><nameField><label>Number</label><type>Text</type></nameField>",
)
LOOKUP = (
    "<fields><fullName>Invoice__c</fullName><label>Invoice</label><type>Lookup</type>"
    "<referenceTo>Fortnox_Invoice__c</referenceTo><relationshipName>Opportunities</relationshipName></fields>"
)


@pytest.fixture
def orgs() -> Orgs:
    return Orgs(accounts=2)


def test_a_field_is_there_for_nobody_until_an_assigned_permission_set_grants_it(orgs: Orgs) -> None:
    assert orgs.deploy(PACKAGE)["status"] == "Succeeded"
    fields = {f["name"] for f in orgs.ok("GET", f"{V}/sobjects/Account/describe", token=orgs.admin)["fields"]}
    assert "Fortnox_Key__c" not in fields
    unseen = orgs.call("GET", f"{V}/query/?q=SELECT+Fortnox_Key__c+FROM+Account")
    assert unseen.get_json()[0]["errorCode"] == "INVALID_FIELD"
    granted = {
        "package.xml": manifest(PermissionSet=["Fortnox"]),
        "permissionsets/Fortnox.permissionset": permission_set("Fortnox", FIELD),
    }
    assert orgs.deploy(granted)["success"]
    assert orgs.call("GET", f"{V}/query/?q=SELECT+Fortnox_Key__c+FROM+Account").status_code == 400
    permission = orgs.query("SELECT Id FROM PermissionSet WHERE Name = 'Fortnox'", token=orgs.admin)[0]["Id"]
    assignment = {"AssigneeId": orgs.main.integration, "PermissionSetId": permission}
    assert orgs.call("POST", f"{V}/sobjects/PermissionSetAssignment", assignment, token=orgs.admin).status_code == 201
    assert all(row["Fortnox_Key__c"] is None for row in orgs.query("SELECT Fortnox_Key__c FROM Account"))


def test_the_states_follow_one_another_and_details_are_told_at_the_end(orgs: Orgs) -> None:
    begun = orgs.begin_deploy(PACKAGE).get_json()
    assert (begun["id"][:3], begun["deployResult"]["status"]) == ("0Af", "Pending")
    path = f"{V}/metadata/deployRequest/{begun['id']}"
    answers = [orgs.ok("GET", f"{path}?includeDetails=true", token=orgs.admin) for _ in range(3)]
    results = [answer["deployResult"] for answer in answers]
    assert [(r["status"], r["done"]) for r in results] == [
        ("InProgress", False),
        ("Succeeded", True),
        ("Succeeded", True),
    ]
    assert answers[0]["url"].startswith(f"http://localhost/salesforce/my/nordkraft{path}")
    assert [s["fullName"] for s in results[1]["details"]["componentSuccesses"]] == [FIELD]
    assert "details" not in orgs.ok("GET", path, token=orgs.admin)["deployResult"]


def test_objects_and_lookups_arrive_together(orgs: Orgs) -> None:
    files = {
        "package.xml": manifest(CustomObject=["Fortnox_Invoice__c"], CustomField=["Opportunity.Invoice__c"]),
        "objects/Fortnox_Invoice__c.object": INVOICE,
        "objects/Opportunity.object": object_file(LOOKUP),
    }
    result = orgs.deploy(files)
    assert (result["status"], result["numberComponentsDeployed"]) == ("Succeeded", 3)
    assert orgs.ok("GET", f"{V}/sobjects/Fortnox_Invoice__c/describe")["custom"] is True
    assert orgs.deploy(files)["details"]["componentSuccesses"][0]["created"] is False


def test_one_broken_reference_takes_everything_back(orgs: Orgs) -> None:
    files = {
        "package.xml": manifest(CustomField=["Opportunity.Invoice__c", FIELD]),
        "objects/Opportunity.object": object_file(LOOKUP),
        "objects/Account.object": ACCOUNT,
    }
    result = orgs.deploy(files)
    failure = result["details"]["componentFailures"][0]
    assert (result["status"], result["success"], result["numberComponentErrors"]) == ("Failed", False, 1)
    assert failure["problem"] == "In field: referenceTo - no CustomObject named Fortnox_Invoice__c found"
    assert (failure["componentType"], failure["fileName"]) == ("CustomField", "objects/Opportunity.object")
    assert orgs.main.org.object("Account").field("Fortnox_Key__c") is None
    assert orgs.deploy(files, rollbackOnError=False)["status"] == "SucceededPartial"
    assert orgs.main.org.object("Account").field("Fortnox_Key__c") is not None


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"package.xml": manifest(ApexClass=["X"]), "classes/X.cls": ""}, "Unknown type name 'ApexClass'"),
        ({"package.xml": manifest(CustomField=[FIELD])}, "was not found in zipped directory"),
        ({"objects/Account.object": ACCOUNT}, "No package.xml found"),
        ({**PACKAGE, "objects/Account.object": "<CustomObject"}, "Error parsing file"),
        (
            {**PACKAGE, "objects/Account.object": object_file(text_field("Fortnox_Key__c", length=None))},
            "Must specify 'length'",
        ),
        (
            {**PACKAGE, "objects/Account.object": object_file(text_field("Fortnox_Key__c", length=300))},
            "must be between 1 and 255",
        ),
        (
            {
                "package.xml": manifest(PermissionSet=["P"]),
                "permissionsets/P.permissionset": permission_set("P", "Account.Nothing__c"),
            },
            "no CustomField named Account.Nothing__c found",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(orgs: Orgs, files: dict[str, str], problem: str) -> None:
    result = orgs.deploy(files)
    assert result["status"] == "Failed"
    assert any(problem in failure["problem"] for failure in result["details"]["componentFailures"])


def test_orders_cannot_be_extended_where_they_are_off(orgs: Orgs) -> None:
    orgs.settings(orders_enabled=False)
    files = {
        "package.xml": manifest(CustomField=["Order.Fortnox_Key__c"]),
        "objects/Order.object": object_file(text_field("Fortnox_Key__c")),
    }
    assert orgs.deploy(files)["status"] == "Failed"
    orgs.settings(orders_enabled=True)
    assert orgs.deploy(files)["status"] == "Succeeded"


def test_a_check_changes_nothing_and_a_deployment_can_be_cancelled(orgs: Orgs) -> None:
    assert orgs.deploy(PACKAGE, checkOnly=True)["status"] == "Succeeded"
    assert orgs.main.org.object("Account").field("Fortnox_Key__c") is None
    path = f"{V}/metadata/deployRequest/{orgs.begin_deploy(PACKAGE).get_json()['id']}"
    cancelled = orgs.call("PATCH", path, {"deployResult": {"status": "Canceling"}}, token=orgs.admin)
    assert (cancelled.status_code, cancelled.get_json()["deployResult"]["status"]) == (202, "Canceling")
    assert orgs.ok("GET", path, token=orgs.admin)["deployResult"]["status"] == "Canceled"
    assert orgs.main.org.object("Account").field("Fortnox_Key__c") is None


def test_the_integration_user_may_not_deploy_unless_allowed(orgs: Orgs) -> None:
    refused = orgs.begin_deploy(PACKAGE, token=orgs.token)
    assert (refused.status_code, refused.get_json()[0]["errorCode"]) == (403, "INSUFFICIENT_ACCESS")
    orgs.settings(user_may_deploy=True)
    assert orgs.deploy(PACKAGE, token=orgs.token)["success"]


def test_a_new_definition_keeps_what_is_stored(orgs: Orgs) -> None:
    orgs.deploy(PACKAGE)
    row = next(iter(orgs.main.org.rows["Account"].values()))
    orgs.main.org.table("Account").change(row, {"Fortnox_Key__c": "f1:1"})
    longer = {**PACKAGE, "objects/Account.object": object_file(text_field("Fortnox_Key__c", length=80, more=KEY))}
    assert orgs.deploy(longer)["success"]
    assert orgs.main.org.table("Account").holders("Fortnox_Key__c", "F1:1") == [row.id]
    number = text_field("Fortnox_Key__c").replace("<type>Text", "<precision>9</precision><scale>0</scale><type>Number")
    assert orgs.deploy({**PACKAGE, "objects/Account.object": object_file(number)})["status"] == "Failed"


def test_the_tooling_interface_makes_one_field_and_finds_it(orgs: Orgs) -> None:
    metadata = {"label": "Fortnox Key", "type": "Text", "length": 64, "externalId": True, "unique": True}
    body = {"FullName": FIELD, "Metadata": metadata}
    path = f"{V}/tooling/sobjects/CustomField"
    assert orgs.call("POST", path, body).status_code == 403
    made = orgs.call("POST", path, body, token=orgs.admin)
    assert made.status_code == 201
    assert set(made.get_json()) == {"id", "success", "errors", "warnings", "infos"}
    again = orgs.call("POST", path, body, token=orgs.admin).get_json()[0]
    assert (again["errorCode"], again["fields"]) == ("DUPLICATE_DEVELOPER_NAME", ["DeveloperName"])
    soql = "SELECT+Id,DeveloperName+FROM+CustomField+WHERE+TableEnumOrId='Account'+AND+DeveloperName='Fortnox_Key'"
    found = orgs.ok("GET", f"{V}/tooling/query/?q={soql}", token=orgs.admin)["records"]
    assert [entry["Id"] for entry in found] == [made.get_json()["id"]]


def test_the_products_own_package_is_accepted(orgs: Orgs) -> None:
    archive = build_zip(
        ["base", "orders"],
        endpoint="http://localhost:8000/hooks/salesforce/abc/",
        site="http://localhost:8000",
        username="integration@nordkraft.example",
    )
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    for _ in range(2):  # again over itself
        result = orgs.deploy(files)
        assert (result["status"], result["details"]["componentFailures"]) == ("Succeeded", [])
    orgs.settings(orders_enabled=False)
    assert orgs.deploy(files)["status"] == "Failed"
