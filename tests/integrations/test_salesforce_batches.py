"""Collections with canned replies: what goes into which call, and answers that do not fit."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from integrations import errors as e
from integrations.connector import Write
from integrations.http import Api
from integrations.salesforce import batches
from integrations.salesforce.client import Salesforce
from integrations.salesforce.described import Described
from integrations.salesforce.read import Reader
from integrations.salesforce.schema import Objects
from integrations.salesforce.write import Intended, Writer
from tests.integrations.clients import connected, set_vendor

HOST = "https://nordkraft.my.salesforce.com"
COLLECTIONS = f"{HOST}/services/data/v67.0/composite/sobjects"
pytestmark = pytest.mark.django_db


def test_rows_of_one_account_stand_together_in_one_call() -> None:
    parents = [f"P{n % 7}" for n in range(390)]
    records = [{"AccountId": parent, "n": n} for n, parent in enumerate(parents)]
    chunks = list(batches._chunks(records, range(390)))
    assert sorted(index for chunk in chunks for index in chunk) == list(range(390))
    assert [len(chunk) <= 200 for chunk in chunks] == [True] * len(chunks)
    for parent in set(parents):
        assert len([chunk for chunk in chunks if any(parents[index] == parent for index in chunk)]) == 1


@pytest.mark.parametrize("count,calls_needed", [(0, 0), (1, 1), (200, 1), (201, 2), (450, 3)])
@pytest.mark.parametrize("parent", ["", "one"])
def test_calls_are_full(count: int, calls_needed: int, parent: str) -> None:
    records = [{"AccountId": parent}] * count
    assert len(list(batches._chunks(records, range(count)))) == calls_needed


def test_keys_twice_in_one_write_go_one_after_the_other() -> None:
    records = [{"K": "a"}, {"K": "b"}, {"K": "A"}, {"K": "a"}, {}]
    assert list(batches.waves(records, "K")) == [[0, 1, 4], [2], [3]]


def _canned(settings: Any, answer: Any, *, status: int = 200) -> batches.Batches:
    set_vendor(settings, "salesforce", rate=(0, 1.0))
    for method in (responses.POST, responses.PATCH):
        responses.add(method, COLLECTIONS, json=answer, status=status)
    return batches.Batches(Salesforce(Api(connected("salesforce", api_url=HOST))))


@responses.activate
@pytest.mark.parametrize("answer", [[], {}, [{"success": True, "id": "001"}] * 3, ["odd", "odd"]])
@pytest.mark.parametrize("action,expected", [("update", e.TooLarge), ("create", e.OutcomeUnknown)])
def test_an_answer_that_does_not_match_says_nothing_of_any_row(
    settings: Any, answer: Any, action: str, expected: type[e.SyncError]
) -> None:
    found = _canned(settings, answer).write("Account", action, [{"id": "1", "Name": "A"}, {"id": "2", "Name": "B"}])
    assert [type(one) for one in found] == [expected, expected]


@responses.activate
@pytest.mark.parametrize("row", [{}, {"success": False}, {"success": True}, {"success": True, "id": 7}])
def test_a_row_without_success_is_an_error(settings: Any, row: dict[str, Any]) -> None:
    (found,) = _canned(settings, [row]).write("Account", "update", [{"id": "001", "Name": "A"}])
    assert isinstance(found, e.InvalidData)


@responses.activate
def test_a_call_that_met_a_lock_as_a_whole_is_tried_again(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.salesforce.batches.time.sleep", lambda seconds: None)
    locked = [{"errorCode": "UNABLE_TO_LOCK_ROW", "message": "unable to obtain exclusive access"}]
    (found,) = _canned(settings, locked, status=400).write("Account", "update", [{"id": "001", "Name": "A"}])
    assert isinstance(found, e.Transient)
    assert len(responses.calls) == 1 + len(batches.LOCK_WAITS)


@responses.activate
def test_a_server_fault_is_not_cut_in_halves(settings: Any) -> None:
    found = _canned(settings, None, status=503).write("Account", "update", [{"id": str(n)} for n in range(4)])
    assert {type(one) for one in found} == {e.Transient}
    assert len(responses.calls) == 1


@responses.activate
@pytest.mark.parametrize(
    "status,body,expected",
    [
        (400, [{"errorCode": "UNABLE_TO_LOCK_ROW", "message": "locked"}], e.Transient),
        (500, [{"errorCode": "UNKNOWN_EXCEPTION", "message": "?"}], e.OutcomeUnknown),
        (201, {"success": True}, e.OutcomeUnknown),
        (201, {"id": "nonsense", "success": True}, e.OutcomeUnknown),
        (400, [{"errorCode": "STRING_TOO_LONG", "message": "x"}], e.InvalidData),
    ],
)
def test_only_a_create_that_certainly_did_nothing_may_be_repeated(
    settings: Any, status: int, body: Any, expected: type[e.SyncError]
) -> None:
    set_vendor(settings, "salesforce", rate=(0, 1.0))
    responses.post(f"{HOST}/services/data/v67.0/sobjects/Account", json=body, status=status)
    client = Salesforce(Api(connected("salesforce", api_url=HOST)))
    writer = Writer(client, Objects(client), Reader(client, Objects(client)))
    with pytest.raises(expected):
        writer._created(Described("Account", "Account", {}, {}), Intended(Write("c"), "create", {"Name": "A"}))
    assert len(responses.calls) == 1
