"""Many records by one ingest job: matched back by key, in order, whatever became of some of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st

from integrations import errors as e
from integrations.connector import Write
from integrations.http import Api
from integrations.salesforce import bulk
from integrations.salesforce.bulk import Bulk, table
from integrations.salesforce.client import Salesforce
from tests.integrations.clients import connected, set_vendor
from tests.integrations.salesforce_packaged import Org, calls
from tests.sandbox_process import SandboxProcess

KEY = "Fortnox_Key__c"
ORG = "https://nordkraft.my.salesforce.com"
INGEST = f"{ORG}/services/data/v67.0/jobs/ingest"
JOB = "750Fx00000HhIiJIAV"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("batches", "jobs"):
        monkeypatch.setattr(f"integrations.salesforce.{module}.time.sleep", lambda seconds: None)


@pytest.fixture
def org(salesforce_sandbox: SandboxProcess, settings: Any) -> Org:
    settings.SALESFORCE_BULK_FROM = 3
    found = Org(salesforce_sandbox, settings)
    found.objects.own("account")
    return found


def account(number: str, **fields: Any) -> Write:
    return Write(number, fields={"Name": f"Kund {number} AB", **fields}, unique=(KEY, f"b:{number}"))


# --- Over real HTTP -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_many_accounts_are_one_job_and_one_look_back(org: Org) -> None:
    with calls() as seen:
        outcomes = org.upsert("account", *(account(f"many{n}", Phone=f"08-{n}") for n in range(300)))
    assert seen.pop("ingest.job") >= 1
    assert dict(seen) == {
        "ingest.job_create": 1, "ingest.upload": 1, "ingest.job_uploadcomplete": 1, "ingest.successfulResults": 1,
        "Account.retrieve": 1,
    }  # fmt: skip
    assert [outcome.key for outcome in outcomes] == [f"many{n}" for n in range(300)]
    assert all(outcome.error is None and outcome.created for outcome in outcomes)
    assert outcomes[250].returned == {"Name": "Kund many250 AB", "Phone": "08-250"}


@pytest.mark.django_db
def test_a_job_leaves_alone_what_is_not_given_and_empties_what_is_given_as_empty(org: Org) -> None:
    org.upsert("account", *(account(f"e{n}", Phone="08-1", Website="https://a.se") for n in range(3)))
    given = [
        account("e0", Phone=None),
        account("e1", BillingCity='Åre, Jämtland\n"Duved"'),
        account("e2", Website="#N/A"),
    ]
    outcomes = org.upsert("account", *given)
    assert [(outcome.error, outcome.created) for outcome in outcomes] == [(None, False)] * 3
    stored = [org.record("Account", outcome.id) for outcome in outcomes]
    assert [(row["Phone"], row["Website"]) for row in stored] == [
        (None, "https://a.se"), ("08-1", "https://a.se"), ("08-1", "#N/A"),
    ]  # fmt: skip
    assert stored[1]["BillingCity"].replace("\r\n", "\n") == 'Åre, Jämtland\n"Duved"'


@pytest.mark.django_db
def test_updates_by_id_go_by_job_too(org: Org) -> None:
    keys = [outcome.id for outcome in org.upsert("account", *(account(f"u{n}") for n in range(4)))]
    with calls() as seen:
        outcomes = org.upsert("account", *(Write(k, id=k, fields={"AnnualRevenue": Decimal("1.5")}) for k in keys))
    assert [(outcome.id, outcome.created, outcome.error) for outcome in outcomes] == [(k, False, None) for k in keys]
    assert seen["ingest.job_create"] == 1
    assert {outcome.returned["AnnualRevenue"] for outcome in outcomes} <= {Decimal(2), Decimal("1.5")}


@pytest.mark.django_db
def test_rows_that_a_rule_refuses_fail_alone_with_the_customers_words(org: Org) -> None:
    conditions = [{"field": "Name", "operator": "matches", "value": "Kund r1 .*"}]
    org.set(
        validation=[{"object": "Account", "message": "Nej: inte så, tack", "field": "Name", "conditions": conditions}]
    )
    outcomes = org.upsert("account", *(account(f"r{n}") for n in range(4)))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, True]
    error = outcomes[1].error
    assert isinstance(error, e.InvalidData)
    assert (error.code, error.field, error.message) == (
        "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Name", "Nej: inte så, tack",
    )  # fmt: skip


@pytest.mark.django_db
def test_a_row_that_met_a_lock_is_tried_again_after_the_job(org: Org) -> None:
    first = org.upsert("account", *(account(f"l{n}") for n in range(3)))
    org.set(lock_rows={first[1].id: 1})
    outcomes = org.upsert("account", *(account(f"l{n}", Phone="1") for n in range(3)))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert org.record("Account", first[1].id)["Phone"] == "1"


@pytest.mark.django_db
def test_a_rule_that_only_warns_of_duplicates_does_not_stop_rows_of_a_job(org: Org) -> None:
    org.make("Account", Name="Kund d1 AB")
    org.set(duplicates=[{"object": "Account", "fields": ["Name"], "action": "alert"}])
    with calls() as seen:
        outcomes = org.upsert("account", *(account(f"d{n}") for n in range(4)))
    assert [(outcome.error, outcome.created) for outcome in outcomes] == [(None, True)] * 4
    assert (seen["ingest.job_create"], seen["Account.upsert_many"]) == (1, 1)


@pytest.mark.django_db
def test_a_rule_that_blocks_duplicates_names_the_record_that_is_there_also_after_a_job(org: Org) -> None:
    there = org.make("Account", Name="Kund s1 AB")
    org.set(duplicates=[{"object": "Account", "fields": ["Name"], "action": "block"}])
    outcomes = org.upsert("account", *(account(f"s{n}") for n in range(4)))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True, True]
    error = outcomes[1].error
    assert isinstance(error, e.Conflict) and error.context["matches"] == [there]


@pytest.mark.django_db
def test_two_rows_of_one_key_are_written_one_after_the_other(org: Org) -> None:
    outcomes = org.upsert(
        "account", account("t0"), account("twin", Phone="1"), account("t1"), account("TWIN", Phone="2")
    )
    assert [outcome.error for outcome in outcomes] == [None] * 4
    assert outcomes[1].id == outcomes[3].id
    assert org.record("Account", outcomes[1].id)["Phone"] == "2"


# --- Jobs that end otherwise ----------------------------------------------------------------------------------


def _job(state: Mapping[str, Any], *, good: str = "", bad: str = "") -> list[str]:
    """A job that ends in `state`; the states that it was asked to take."""
    told: list[str] = []
    responses.post(INGEST, json={"id": JOB, "state": "Open"})
    responses.put(f"{INGEST}/{JOB}/batches", status=201)

    def change(request: Any) -> tuple[int, dict[str, str], str]:
        told.append(json.loads(request.body)["state"])
        return 200, {}, json.dumps({"id": JOB, "state": told[-1]})

    responses.add_callback(responses.PATCH, f"{INGEST}/{JOB}", callback=change)
    responses.get(f"{INGEST}/{JOB}", json={"id": JOB, **state})
    responses.get(f"{INGEST}/{JOB}/successfulResults/", body=f'"sf__Id","sf__Created",{KEY}\n{good}')
    responses.get(f"{INGEST}/{JOB}/failedResults/", body=f'"sf__Id","sf__Error",{KEY}\n{bad}')
    return told


def _written(settings: Any, count: int = 3) -> list[Any]:
    set_vendor(settings, "salesforce", rate=(0, 1.0))
    client = Salesforce(Api(connected("salesforce", api_url=ORG)))
    return Bulk(client).write("Account", "upsert", [{KEY: f"K:{n}", "Name": "A"} for n in range(count)], KEY)


@pytest.mark.django_db
@responses.activate
def test_results_in_any_order_and_case_find_their_rows(settings: Any) -> None:
    good = '"001Fx00000AbCdFIAV","true","k:2"\n"001Fx00000AbCdEIAV","false","K:0"\n'
    bad = '"","REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --","K:1"\n'
    _job({"state": "JobComplete", "numberRecordsProcessed": 3, "numberRecordsFailed": 1}, good=good, bad=bad)
    first, second, third = _written(settings)
    assert (first["id"], first["created"], third["id"], third["created"]) == (
        "001Fx00000AbCdEIAV", False, "001Fx00000AbCdFIAV", True,
    )  # fmt: skip
    assert (type(second), second.field) == (e.InvalidData, "Name")


@pytest.mark.django_db
@responses.activate
def test_a_job_that_gave_up_keeps_what_it_did_and_the_rest_may_be_sent_again(settings: Any) -> None:
    good = '"001Fx00000AbCdEIAV","true","K:0"\n'
    _job({"state": "Failed", "errorMessage": "InternalServerError : retry later"}, good=good)
    first, *rest = _written(settings)
    assert first["created"] is True
    assert {(type(answer), answer.code) for answer in rest} == {(e.Transient, "job_failed")}


@pytest.mark.django_db
@responses.activate
def test_a_job_refused_for_a_column_names_the_field(settings: Any) -> None:
    _job({"state": "Failed", "errorMessage": "InvalidBatch : Field name not found : Nope__c"})
    assert {(type(a), a.code, a.field) for a in _written(settings)} == {(e.Misconfigured, "INVALID_FIELD", "Nope__c")}


@pytest.mark.django_db
@responses.activate
def test_a_job_that_takes_too_long_is_ended_before_its_rows_are_sent_again(settings: Any) -> None:
    told = _job({"state": "InProgress"}, good='"001Fx00000AbCdEIAV","true","K:0"\n')
    first, *rest = _written(settings)
    assert told == ["UploadComplete", "Aborted"]
    assert first["id"] == "001Fx00000AbCdEIAV"
    assert {(type(answer), answer.code) for answer in rest} == {(e.Transient, "job_slow")}


@pytest.mark.django_db
@responses.activate
def test_a_job_whose_upload_is_refused_is_ended(settings: Any) -> None:
    told = _job({"state": "Open"})
    body = [{"errorCode": "API_DISABLED_FOR_ORG", "message": "no"}]
    responses.replace(responses.PUT, f"{INGEST}/{JOB}/batches", status=403, json=body)
    with pytest.raises(e.PermissionMissing):
        _written(settings)
    assert told == ["Aborted"]


@pytest.mark.django_db
@responses.activate
def test_a_result_that_cannot_be_read_is_no_result(settings: Any) -> None:
    _job({"state": "JobComplete", "numberRecordsFailed": 0}, good='"001Fx00000AbCdEIAV","true"\n')
    with pytest.raises(e.TooLarge):
        _written(settings)


# --- CSV ------------------------------------------------------------------------------------------------------


def test_every_kind_of_value_has_its_cell() -> None:
    rows: list[dict[str, Any]] = [
        {"id": "001", "A": None, "B": True, "C": 1.5e-05, "D": 7},
        {"id": "002", "A": 'x,"y"\nz', "E": False},
    ]
    assert table(rows, [0, 1]) == 'Id,A,B,C,D,E\n001,#N/A,true,0.000015,7,\n002,"x,""y""\nz",,,,false\n'


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1, max_size=20)
_ROWS = st.lists(st.dictionaries(st.sampled_from("ABC"), _TEXTS, min_size=1), min_size=1, max_size=5)


@given(_ROWS)
def test_what_is_written_as_csv_is_what_is_read(rows: list[dict[str, str]]) -> None:
    numbered = [{"id": str(n), **row} for n, row in enumerate(rows)]
    read = list(csv.DictReader(io.StringIO(table(numbered, range(len(rows))), newline="")))
    assert [{k: v for k, v in row.items() if v and k != "Id"} for row in read] == rows


def test_a_job_is_neither_too_long_nor_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "JOB_ROWS", 3)
    monkeypatch.setattr(bulk, "JOB_BYTES", 60)
    records = [{"A": "x" * 10}] * 4 + [{"A": "x" * 50}] * 2
    assert list(bulk._parts(records, range(6))) == [[0, 1, 2], [3], [4], [5]]


def test_collections_are_used_below_the_threshold(settings: Any) -> None:
    assert not bulk.worth_a_job(bulk.BULK_FROM - 1)
    assert bulk.worth_a_job(bulk.BULK_FROM)
    settings.SALESFORCE_BULK_FROM = 10
    assert bulk.worth_a_job(10)
