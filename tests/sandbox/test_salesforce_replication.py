"""getUpdated and getDeleted: spans, their limits, and what has been forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.salesforce import dml
from sandbox.salesforce.errors import SfError
from sandbox.salesforce.replication import purge_before
from sandbox.salesforce.times import to_ms

from .hubspot_world import assert_same_shape
from .salesforce_desk import Desk

PAYLOADS = Path(__file__).parent / "payloads" / "salesforce"


def ask(desk: Desk, which: str, start: str, end: str, name: str = "Account") -> dict[str, Any]:
    body = desk.call("GET", f"/sobjects/{name}/{which}/", query={"start": start, "end": end}).body
    assert isinstance(body, dict)
    return body


def refused(desk: Desk, which: str, **query: str) -> SfError:
    with pytest.raises(SfError) as caught:
        desk.call("GET", f"/sobjects/Account/{which}", query=query)
    return caught.value


def test_updated_lists_what_was_stamped_in_the_span_oldest_first() -> None:
    desk = Desk()
    second = desk.put("Account", Name="2", at="2026-11-21T08:30:00Z")
    first = desk.put("Account", Name="1", at="2026-11-21T08:00:00Z")
    desk.put("Account", Name="too early", at="2026-11-21T07:59:59Z")
    desk.put("Account", Name="too late", at="2026-11-21T08:59:00Z")
    desk.bin(desk.put("Account", Name="gone", at="2026-11-21T08:10:00Z"))
    answer = ask(desk, "updated", "2026-11-21T08:00:59Z", "2026-11-21T09:59:31+01:00")
    assert answer == {"ids": [first, second], "latestDateCovered": "2026-11-21T08:59:00.000+0000"}
    known = json.loads((PAYLOADS / "get_updated.json").read_text())
    assert_same_shape(known, answer)


def test_an_end_in_the_future_is_covered_up_to_now_only() -> None:
    desk = Desk()
    desk.clock.moment += 30
    late = desk.put("Account", Name="x")
    answer = ask(desk, "updated", "2026-11-21T09:00:00Z", "2026-12-01T00:00:00Z")
    assert answer == {"ids": [late], "latestDateCovered": "2026-11-21T10:00:00.000+0000"}
    desk.clock.moment += 60
    again = ask(desk, "updated", answer["latestDateCovered"], "2026-11-21T10:01:00Z")
    assert again["ids"] == [late]  # rather twice than never


def test_deleted_lists_what_went_into_the_bin_and_what_skipped_it() -> None:
    desk = Desk()
    account = dml.insert(desk.org, desk.user, "Account", {"Name": "x"})
    dml.delete(desk.org, desk.user, "Account", account.id)
    answer = ask(desk, "deleted", "2026-11-21T09:00:00Z", "2026-11-21T10:01:00Z")
    assert answer == {
        "deletedRecords": [{"id": account.id, "deletedDate": "2026-11-21T10:00:00.000+0000"}],
        "earliestDateAvailable": "2026-11-06T10:00:00.000+0000",
        "latestDateCovered": "2026-11-21T10:00:00.000+0000",
    }
    assert list(answer) == list(json.loads((PAYLOADS / "get_deleted.json").read_text()))
    line = desk.put("OpportunityLineItem", OpportunityId=desk.put("Opportunity", Name="o"))
    dml.delete(desk.org, desk.user, "OpportunityLineItem", line)
    gone = ask(desk, "deleted", "2026-11-21T09:00:00Z", "2026-11-21T10:01:00Z", "OpportunityLineItem")
    assert [entry["id"] for entry in gone["deletedRecords"]] == [line]
    assert desk.soql("SELECT COUNT() FROM OpportunityLineItem", "queryAll")["totalSize"] == 0


def test_purged_deletions_are_told_by_the_earliest_date() -> None:
    desk = Desk()
    account = dml.insert(desk.org, desk.user, "Account", {"Name": "x"})
    dml.delete(desk.org, desk.user, "Account", account.id)
    desk.clock.moment += 3600
    boundary = to_ms("2026-11-21T10:30:00Z")
    assert boundary is not None
    purge_before(desk.org, boundary)
    answer = ask(desk, "deleted", "2026-11-21T09:00:00Z", "2026-11-21T11:00:00Z")
    assert answer["deletedRecords"] == []
    assert answer["earliestDateAvailable"] == "2026-11-21T10:30:00.000+0000"
    assert desk.soql("SELECT COUNT() FROM Account", "queryAll")["totalSize"] == 0


@pytest.mark.parametrize(
    ("which", "start", "end", "words"),
    [
        ("updated", "2026-11-21T09:00:00Z", "2026-11-21T08:00:00Z", "endDate before startDate"),
        ("updated", "2026-11-21T09:00:10Z", "2026-11-21T09:00:50Z", "endDate before startDate"),
        ("updated", "2026-10-22T09:59:00Z", "2026-11-21T09:00:00Z", "30 days"),
        ("deleted", "2026-11-06T09:59:00Z", "2026-11-21T09:00:00Z", "15 days"),
        ("updated", "yesterday", "2026-11-21T09:00:00Z", "must be a dateTime"),
        ("deleted", "2026-11-20T09:00:00 01:00", "2026-11-21T09:00:00Z", "must be a dateTime"),
    ],
)
def test_spans_that_are_not_allowed(which: str, start: str, end: str, words: str) -> None:
    error = refused(Desk(), which, start=start, end=end)
    assert (error.status, error.code) == (400, "INVALID_REPLICATION_DATE")
    assert words in error.message


def test_the_longest_spans_that_are_allowed() -> None:
    desk = Desk()
    assert ask(desk, "updated", "2026-10-22T10:00:00Z", "2026-11-21T09:00:00Z")["ids"] == []
    assert ask(desk, "deleted", "2026-11-06T10:00:00Z", "2026-11-21T09:00:00Z")["deletedRecords"] == []


def test_both_ends_are_needed_and_the_object_must_exist() -> None:
    desk = Desk()
    assert refused(desk, "updated", start="2026-11-21T09:00:00Z").code == "MISSING_ARGUMENT"
    with pytest.raises(SfError) as caught:
        ask(desk, "updated", "2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z", "Nothing__c")
    assert (caught.value.status, caught.value.code) == (404, "NOT_FOUND")
