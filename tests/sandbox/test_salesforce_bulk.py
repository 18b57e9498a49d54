"""Bulk API 2.0: jobs through their states, CSV in and out, rows that fail, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.salesforce import bulk_ingest, bulk_jobs, dml
from sandbox.salesforce.errors import SfError
from sandbox.salesforce.options import Condition, ValidationRule

from .hubspot_world import assert_same_shape
from .salesforce_desk import Desk

PAYLOADS = Path(__file__).parent / "payloads" / "salesforce"
KEY = "Fortnox_Customer_Number__c"
CSV = {"Content-Type": "text/csv; charset=UTF-8"}


def payload(name: str) -> Any:
    return json.loads((PAYLOADS / f"{name}.json").read_text())


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.number_field()
    return desk


def create(desk: Desk, operation: str = "insert", object_name: str = "Account", **more: Any) -> str:
    body = {"operation": operation, "object": object_name, "contentType": "CSV", **more}
    return str(desk.call("POST", "/jobs/ingest", body).body["id"])


def upload(desk: Desk, job: str, text: str) -> None:
    assert desk.call("PUT", f"/jobs/ingest/{job}/batches", text.encode(), headers=CSV).status == 201
    assert desk.call("PATCH", f"/jobs/ingest/{job}", {"state": "UploadComplete"}).body["state"] == "UploadComplete"


def ended(desk: Desk, job: str, kind: str = "ingest") -> dict[str, Any]:
    """The job after its time has passed."""
    desk.clock.moment += 3
    body = desk.call("GET", f"/jobs/{kind}/{job}").body
    assert isinstance(body, dict)
    return body


def load(desk: Desk, text: str, operation: str = "insert", object_name: str = "Account", **more: Any) -> str:
    job = create(desk, operation, object_name, **more)
    upload(desk, job, text)
    state = ended(desk, job)
    assert state["state"] == "JobComplete", state
    return job


def result(desk: Desk, job: str, name: str) -> str:
    return str(desk.call("GET", f"/jobs/ingest/{job}/{name}/").body)


def refusal(desk: Desk, method: str, path: str, body: Any = None, **more: Any) -> SfError:
    with pytest.raises(SfError) as caught:
        desk.call(method, path, body, **more)
    return caught.value


# -- the life of a job


def test_the_known_job_from_beginning_to_end(desk: Desk) -> None:
    dml.insert(desk.org, desk.user, "Account", {"Name": "Old", KEY: "1001", "Phone": "+46 1"})
    body = {"object": "Account", "externalIdFieldName": KEY, "contentType": "CSV", "operation": "upsert"}
    created = desk.call("POST", "/jobs/ingest", {**body, "lineEnding": "LF", "columnDelimiter": "COMMA"})
    assert created.status == 200
    assert_same_shape(payload("ingest_create_response"), created.body)
    assert list(created.body)[:3] == ["id", "operation", "object"]
    job = created.body["id"]
    assert created.body["contentUrl"] == f"services/data/v67.0/jobs/ingest/{job}/batches"
    upload(desk, job, (PAYLOADS / "ingest_upload.csv").read_text())
    complete = ended(desk, job)
    assert_same_shape(payload("ingest_job_complete"), complete)
    assert (complete["numberRecordsProcessed"], complete["numberRecordsFailed"]) == (3, 1)
    known = (PAYLOADS / "ingest_successfulResults.csv").read_text().splitlines()
    shown = result(desk, job, "successfulResults").splitlines()
    assert [line.partition(",")[2] for line in shown] == [line.partition(",")[2] for line in known]
    assert result(desk, job, "failedResults") == (PAYLOADS / "ingest_failedResults.csv").read_text()
    assert result(desk, job, "unprocessedrecords") == f"{KEY},Name,BillingCity,Phone\n"
    rows = desk.soql(f"SELECT {KEY}, Name, BillingCity, Phone FROM Account ORDER BY {KEY}")["records"]
    assert [[row[KEY], row["Name"], row["BillingCity"], row["Phone"]] for row in rows] == [
        ["1001", "Nordkraft Fastigheter AB", "Göteborg", None],
        ["1002", "Fjällbyn, Åre AB", "Åre", "+46 647 000 00"],
    ]


def test_a_job_waits_then_works_then_is_complete(desk: Desk) -> None:
    job = create(desk)
    assert desk.call("GET", f"/jobs/ingest/{job}").body["state"] == "Open"
    upload(desk, job, "Name\nx\n")
    states = []
    for _ in range(3):
        states.append(desk.call("GET", f"/jobs/ingest/{job}").body["state"])
        desk.clock.moment += 1
    assert states == ["UploadComplete", "InProgress", "JobComplete"]
    assert desk.soql("SELECT COUNT() FROM Account")["totalSize"] == 1


def test_nothing_is_written_before_the_upload_is_closed(desk: Desk) -> None:
    job = create(desk)
    desk.call("PUT", f"/jobs/ingest/{job}/batches", b"Name\nx\n", headers=CSV)
    assert ended(desk, job)["state"] == "Open"
    assert desk.soql("SELECT COUNT() FROM Account")["totalSize"] == 0


def test_an_aborted_job_writes_nothing_and_can_be_deleted(desk: Desk) -> None:
    job = create(desk)
    upload(desk, job, "Name\nx\n")
    assert desk.call("PATCH", f"/jobs/ingest/{job}", {"state": "Aborted"}).body["state"] == "Aborted"
    assert ended(desk, job)["state"] == "Aborted"
    assert result(desk, job, "unprocessedrecords") == 'Name\n"x"\n'
    assert desk.soql("SELECT COUNT() FROM Account")["totalSize"] == 0
    assert refusal(desk, "PATCH", f"/jobs/ingest/{job}", {"state": "Aborted"}).code == "INVALIDJOBSTATE"
    assert desk.call("DELETE", f"/jobs/ingest/{job}").status == 204
    assert refusal(desk, "GET", f"/jobs/ingest/{job}").status == 404


def test_a_job_that_the_service_gives_up_keeps_the_rest_unprocessed(desk: Desk) -> None:
    bulk_jobs.jobs_of(desk.org).give_up_after = 2
    job = create(desk)
    upload(desk, job, "Name\na\nb\nc\n")
    state = ended(desk, job)
    assert (state["state"], state["numberRecordsProcessed"]) == ("Failed", 2)
    assert state["errorMessage"].startswith("InternalServerError")
    assert result(desk, job, "unprocessedrecords") == 'Name\n"c"\n'
    assert desk.names("SELECT Name FROM Account") == ["a", "b"]


def test_a_job_whose_object_vanishes_fails(desk: Desk) -> None:
    job = create(desk, object_name="Order")
    upload(desk, job, "Status\nDraft\n")
    desk.org.configure(orders_enabled=False)
    state = ended(desk, job)
    assert (state["state"], state["errorMessage"][:9]) == ("Failed", "NOT_FOUND")


def test_a_job_left_open_fails_after_a_day_and_an_ended_one_is_kept_for_a_week(desk: Desk) -> None:
    job = create(desk)
    desk.clock.moment += 24 * 3600
    failed = desk.call("GET", f"/jobs/ingest/{job}").body
    assert failed["state"] == "Failed" and "24 hours" in failed["errorMessage"]
    desk.clock.moment += 7 * 24 * 3600
    assert refusal(desk, "GET", f"/jobs/ingest/{job}").status == 404


def test_jobs_are_listed_by_kind(desk: Desk) -> None:
    jobs = [create(desk), create(desk)]
    desk.call("POST", "/jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"})
    listed = desk.call("GET", "/jobs/ingest").body
    assert [entry["id"] for entry in listed["records"]] == jobs
    assert (listed["done"], listed["nextRecordsUrl"]) == (True, None)
    assert len(desk.call("GET", "/jobs/query").body["records"]) == 1


# -- rows


def test_rows_of_every_operation(desk: Desk) -> None:
    job = load(desk, "Name,NumberOfEmployees,IsPersonAccount\n".replace(",IsPersonAccount", "") + "a,5\nb,\n")
    ids = [line.split(",")[0].strip('"') for line in result(desk, job, "successfulResults").splitlines()[1:]]
    assert all('"true"' in line for line in result(desk, job, "successfulResults").splitlines()[1:])
    job = load(desk, f"Id,Name,NumberOfEmployees\n{ids[0]},a2,\n{ids[1][:15]},b2,7\n,c,1\n", "update")
    assert result(desk, job, "failedResults").splitlines()[1].startswith('"","MISSING_ARGUMENT:Id not specified')
    found = desk.soql("SELECT Name, NumberOfEmployees FROM Account ORDER BY Name")["records"]
    assert [(row["Name"], row["NumberOfEmployees"]) for row in found] == [("a2", 5), ("b2", 7)]
    job = load(desk, f"Id\n{ids[0]}\n{ids[0]}\n", "delete")
    assert desk.names("SELECT Name FROM Account") == ["b2"]
    assert result(desk, job, "failedResults").splitlines()[1].startswith(f'"{ids[0]}","ENTITY_IS_DELETED:')


def test_a_lookup_is_set_by_the_parents_external_id(desk: Desk) -> None:
    account = dml.insert(desk.org, desk.user, "Account", {"Name": "Parent", KEY: "7"})
    job = load(desk, f"LastName,Account.{KEY}\nAda,7\nBo,nobody\nCy,\nDi,#N/A\n", object_name="Contact")
    failed = result(desk, job, "failedResults").splitlines()
    assert len(failed) == 2 and "INVALID_FIELD:Foreign key external ID: nobody not found" in failed[1]
    found = desk.soql("SELECT LastName, AccountId FROM Contact ORDER BY LastName")["records"]
    assert [(row["LastName"], row["AccountId"]) for row in found] == [("Ada", account.id), ("Cy", None), ("Di", None)]
    orders = load(desk, f"Account__r.{KEY}\n7\n", object_name="Service_Order__c")
    assert desk.call("GET", f"/jobs/ingest/{orders}").body["numberRecordsFailed"] == 0


def test_keys_repeated_in_a_chunk_fail_together_in_the_next_chunk_they_update(desk: Desk) -> None:
    rows = [f"{number},n{number}" for number in range(200)]
    rows[1] = "0,again"
    text = "\n".join([f"{KEY},Name", *rows, "5,later", ",none", ""])
    job = load(desk, text, "upsert", externalIdFieldName=KEY)
    failed = result(desk, job, "failedResults").splitlines()[1:]
    assert [line.split(",")[0:2] for line in failed] == [
        ['""', f'"DUPLICATE_VALUE:Duplicate external id specified: 0:{KEY} --"'],
        ['""', f'"DUPLICATE_VALUE:Duplicate external id specified: 0:{KEY} --"'],
        ['""', f'"MISSING_ARGUMENT:{KEY} not specified:{KEY} --"'],
    ]
    assert desk.names(f"SELECT Name FROM Account WHERE {KEY} = '5'") == ["later"]
    assert desk.soql("SELECT COUNT() FROM Account")["totalSize"] == 198


def test_the_customers_rules_stop_single_rows(desk: Desk) -> None:
    desk.org.rules.validation.append(
        ValidationRule("Account", (Condition("Phone", "blank"),), "Telefon saknas, tack", "Phone")
    )
    job = load(desk, 'Name,Phone\nx,1\n"y ""z""",\n')
    assert result(desk, job, "failedResults").splitlines()[1] == (
        '"","FIELD_CUSTOM_VALIDATION_EXCEPTION:Telefon saknas, tack:Phone --","y ""z""",""'
    )
    assert desk.names("SELECT Name FROM Account") == ["x"]


def test_a_value_of_the_wrong_type_fails_its_row(desk: Desk) -> None:
    job = load(desk, "Name,NumberOfEmployees\nx,many\n")
    assert "INVALID_TYPE_ON_FIELD_IN_RECORD:" in result(desk, job, "failedResults")


def test_other_delimiters_line_endings_and_line_breaks_in_cells(desk: Desk) -> None:
    text = 'Name;BillingStreet\r\n"a;b";"Storgatan 1\r\nc/o Ek"\r\n'
    job = load(desk, text, lineEnding="CRLF", columnDelimiter="SEMICOLON")
    (row,) = desk.soql("SELECT Name, BillingStreet FROM Account")["records"]
    assert (row["Name"], row["BillingStreet"]) == ("a;b", "Storgatan 1\r\nc/o Ek")
    assert result(desk, job, "successfulResults").startswith('"sf__Id";"sf__Created";Name;BillingStreet\r\n')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Name\r\nx\r\n", "LineEnding is invalid on user data. Current LineEnding setting is LF"),
        ("Name,Nonsense__c\nx,y\n", "Field name not found : Nonsense__c"),
        ("Name,Foo__r.Key__c\nx,y\n", "Field name not found : Foo__r.Key__c"),
        ("Name,name\nx,y\n", "Duplicate field name : name"),
        ("Name,Phone\nx\n", "row 1 has 1 columns instead of 2"),
        ("\ufeffName\nx\n", "Field name not found : \ufeffName"),
        ('Name\n"x\n', "Failed to parse CSV"),
        ("", "empty"),
    ],
)
def test_a_file_that_cannot_be_read_fails_the_job(desk: Desk, text: str, words: str) -> None:
    job = create(desk)
    upload(desk, job, text)
    state = ended(desk, job)
    assert state["state"] == "Failed"
    assert state["errorMessage"].startswith("InvalidBatch : ") and words in state["errorMessage"]
    assert desk.soql("SELECT COUNT() FROM Account")["totalSize"] == 0
    unprocessed = result(desk, job, "unprocessedrecords")
    assert ("x" in unprocessed) == ("Nonsense" in text or "Foo" in text or "name\n" in text)


def test_a_hidden_field_is_not_found(desk: Desk) -> None:
    desk.org.rules.load({"hidden_fields": ["Account.Phone"]})
    desk.org.schema_changed()
    job = create(desk)
    upload(desk, job, "Name,Phone\nx,1\n")
    assert "Field name not found : Phone" in ended(desk, job)["errorMessage"]


# -- refusals


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"operation": "destroy"}, "INVALIDJOB"),
        ({"operation": "hardDelete"}, "FEATURENOTENABLED"),
        ({"object": "Nothing__c"}, "INVALIDENTITY"),
        ({"operation": "upsert"}, "INVALIDJOB"),
        ({"operation": "upsert", "externalIdFieldName": "Phone"}, "INVALIDJOB"),
        ({"operation": "upsert", "externalIdFieldName": "Nonsense__c"}, "INVALIDJOB"),
        ({"contentType": "XML"}, "INVALIDJOB"),
        ({"lineEnding": "CR"}, "INVALIDJOB"),
        ({"columnDelimiter": ","}, "INVALIDJOB"),
    ],
)
def test_jobs_that_cannot_be_made(desk: Desk, body: dict[str, str], code: str) -> None:
    whole = {"operation": "insert", "object": "Account", "contentType": "CSV", **body}
    error = refusal(desk, "POST", "/jobs/ingest", whole)
    assert (error.status, error.code) == (400, code)


def test_uploads_that_are_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    job = create(desk)
    path = f"/jobs/ingest/{job}/batches"
    assert refusal(desk, "PUT", path, b"Name\n", headers={"Content-Type": "application/json"}).status == 415
    monkeypatch.setattr(bulk_ingest, "MOST_BYTES", 10)
    assert refusal(desk, "PUT", path, b"Name\n" + b"x" * 6, headers=CSV).status == 413
    desk.call("PUT", path, b"Name\nx\n", headers=CSV)
    assert refusal(desk, "PUT", path, b"Name\ny\n", headers=CSV).code == "INVALIDJOBSTATE"
    assert refusal(desk, "GET", f"/jobs/ingest/{job}/successfulResults").code == "INVALIDJOBSTATE"
    assert refusal(desk, "DELETE", f"/jobs/ingest/{job}").code == "INVALIDJOBSTATE"
    assert refusal(desk, "PATCH", f"/jobs/ingest/{job}", {"state": "JobComplete"}).code == "INVALIDJOBSTATE"
    assert refusal(desk, "GET", "/jobs/ingest/750Fx00000HhIiJIAV").status == 404
    assert refusal(desk, "GET", path).status == 405
    assert refusal(desk, "GET", f"/jobs/ingest/{job}/nothing").status == 404
