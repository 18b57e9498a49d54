"""Bulk API 2.0 queries: jobs, parts of results, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from sandbox.app import create_app
from sandbox.core.world import Sizes, World
from sandbox.salesforce import bulk_jobs
from sandbox.salesforce.call import Answer
from sandbox.salesforce.emulator import Salesforce
from sandbox.salesforce.errors import SfError

from .hubspot_world import assert_same_shape
from .salesforce_desk import Desk, V

PAYLOADS = Path(__file__).parent / "payloads" / "salesforce"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def ended(desk: Desk, job: str) -> dict[str, Any]:
    """The job after its time has passed."""
    desk.clock.moment += 3
    body = desk.call("GET", f"/jobs/query/{job}").body
    assert isinstance(body, dict)
    return body


def refusal(desk: Desk, method: str, path: str, body: Any = None, **more: Any) -> SfError:
    with pytest.raises(SfError) as caught:
        desk.call(method, path, body, **more)
    return caught.value


def query(desk: Desk, text: str, operation: str = "query", **more: str) -> str:
    return str(desk.call("POST", "/jobs/query", {"operation": operation, "query": text, **more}).body["id"])


def results(desk: Desk, job: str, **parameters: str) -> Answer:
    return desk.call("GET", f"/jobs/query/{job}/results", query=parameters)


def test_the_known_query_from_beginning_to_end(desk: Desk) -> None:
    desk.put("Account", Name="Nordkraft Fastigheter AB", at="2026-11-20T14:05:12Z")
    desk.bin(desk.put("Account", Name="Gammal AB", at="2026-11-19T09:00:01Z"))
    text = "SELECT Id, Name, SystemModstamp, IsDeleted FROM Account WHERE SystemModstamp >= 2026-11-01T00:00:00Z"
    job = query(desk, text, "queryAll")
    assert refusal(desk, "GET", f"/jobs/query/{job}/results").code == "INVALIDJOBSTATE"
    complete = ended(desk, job)
    assert_same_shape(json.loads((PAYLOADS / "query_job_complete.json").read_text()), complete)
    assert complete["numberRecordsProcessed"] == 2
    answer = results(desk, job)
    assert answer.headers == {
        "Content-Type": "text/csv;charset=UTF-8",
        "Sforce-NumberOfRecords": "2",
        "Sforce-Locator": "null",
    }
    known = (PAYLOADS / "query_results.csv").read_text().splitlines()
    shown = str(answer.body).splitlines()
    assert shown[0] == known[0]
    assert sorted(line.partition(",")[2] for line in shown[1:]) == sorted(line.partition(",")[2] for line in known[1:])


def test_parts_of_a_result_follow_their_locators(desk: Desk) -> None:
    account = desk.put("Account", Name="å")
    for number in range(5):
        parent = account if number % 2 else None
        desk.put("Contact", LastName=str(number), Name=f"c{number}", AccountId=parent)
    job = query(desk, "SELECT Name, Account.Name, Email FROM Contact ORDER BY Name", columnDelimiter="PIPE")
    ended(desk, job)
    lines: list[str] = []
    locator = ""
    numbers = []
    while locator != "null":
        answer = results(desk, job, maxRecords="2", **({"locator": locator} if locator else {}))
        head, *part = str(answer.body).splitlines()
        assert head == '"Name"|"Account.Name"|"Email"'
        lines += part
        numbers.append(answer.headers["Sforce-NumberOfRecords"])
        locator = answer.headers["Sforce-Locator"]
    assert lines == ['"c0"|""|""', '"c1"|"å"|""', '"c2"|""|""', '"c3"|"å"|""', '"c4"|""|""']
    assert numbers == ["2", "2", "1"]
    for wrong in ("x!", "MTAwMA==", "eHg="):
        assert refusal(desk, "GET", f"/jobs/query/{job}/results", query={"locator": wrong}).status == 400
    assert refusal(desk, "GET", f"/jobs/query/{job}/results", query={"maxRecords": "0"}).status == 400


def test_without_an_order_the_rows_come_in_none(desk: Desk) -> None:
    ids = [desk.put("Account", Name=str(number)) for number in range(50)]
    job = query(desk, "SELECT Id FROM Account")
    ended(desk, job)
    shown = [line.strip('"') for line in str(results(desk, job).body).splitlines()[1:]]
    assert shown != ids and sorted(shown) == ids


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT COUNT() FROM Account", "FEATURENOTENABLED"),
        ("SELECT COUNT(Id) FROM Account", "FEATURENOTENABLED"),
        ("SELECT Name FROM Account GROUP BY Name", "FEATURENOTENABLED"),
        ("SELECT Id FROM Account OFFSET 1", "FEATURENOTENABLED"),
        ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "FEATURENOTENABLED"),
        ("SELECT BillingAddress FROM Account", "FEATURENOTENABLED"),
        ("SELECT Nonsense FROM Account", "INVALID_FIELD"),
        ("SELECT", "MALFORMED_QUERY"),
        ("", "INVALIDJOB"),
    ],
)
def test_queries_that_are_refused(desk: Desk, text: str, code: str) -> None:
    error = refusal(desk, "POST", "/jobs/query", {"operation": "query", "query": text})
    assert (error.status, error.code) == (400, code)


def test_query_jobs_end_early_fail_late_and_are_counted(desk: Desk) -> None:
    desk.org.rules.load({"hidden_fields": []})
    first, second = query(desk, "SELECT Phone FROM Account"), query(desk, "SELECT Id FROM Account")
    assert desk.call("PATCH", f"/jobs/query/{second}", {"state": "Aborted"}).body["state"] == "Aborted"
    desk.org.rules.load({"hidden_fields": ["Account.Phone"]})
    desk.org.schema_changed()
    failed = ended(desk, first)
    assert failed["state"] == "Failed" and failed["errorMessage"].startswith("INVALID_FIELD : ")
    assert desk.call("DELETE", f"/jobs/query/{second}").status == 204
    assert desk.call("GET", "/limits").body["DailyBulkV2QueryJobs"]["Remaining"] == 9998
    assert refusal(desk, "POST", "/jobs/query", {"operation": "delete", "query": "x"}).code == "INVALIDJOB"


def test_how_long_jobs_take_can_be_arranged(desk: Desk) -> None:
    bulk_jobs.jobs_of(desk.org).seconds = 0
    job = query(desk, "SELECT Id FROM Account")
    assert desk.call("GET", f"/jobs/query/{job}").body["state"] == "JobComplete"


def test_over_http_rows_are_loaded_and_read_back_as_csv() -> None:
    world = World({"salesforce": Salesforce}, sizes=Sizes(empty=True))
    emulator = world.emulators["salesforce"]
    assert isinstance(emulator, Salesforce)
    org_id, token = emulator.token(None)
    client = Client(create_app(world))
    base = f"/salesforce/my/{emulator.tenant(org_id).org.my_domain}{V}/jobs"
    headers = {"Authorization": f"Bearer {token}"}
    job = client.post(f"{base}/ingest", json={"object": "Account", "operation": "insert"}, headers=headers).get_json()
    put = client.put(
        f"/salesforce/my/{emulator.tenant(org_id).org.my_domain}/{job['contentUrl']}",
        data='Name\n"Fjällbyn, Åre AB"\n'.encode(),
        headers={**headers, "Content-Type": "text/csv"},
    )
    assert (put.status_code, put.get_data()) == (201, b"")
    client.patch(f"{base}/ingest/{job['id']}", json={"state": "UploadComplete"}, headers=headers)
    world.clock.advance(3)
    client.get(f"{base}/query", headers=headers)  # any call lets time pass for the jobs
    loaded = client.get(f"{base}/ingest/{job['id']}", headers=headers).get_json()
    assert (loaded["state"], loaded["numberRecordsFailed"]) == ("JobComplete", 0)
    asked = client.post(
        f"{base}/query", json={"operation": "query", "query": "SELECT Name FROM Account"}, headers=headers
    ).get_json()
    world.clock.advance(3)
    answer = client.get(f"{base}/query/{asked['id']}/results?maxRecords=5", headers=headers)
    assert answer.get_data(as_text=True) == '"Name"\n"Fjällbyn, Åre AB"\n'
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert (answer.headers["Sforce-Locator"], answer.headers["Sforce-NumberOfRecords"]) == ("null", "1")
    assert answer.headers["Sforce-Limit-Info"] == "api-usage=7/115000"
