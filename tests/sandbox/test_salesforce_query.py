"""GET /query and /queryAll: pages and their locators, deleted rows, indexes, speed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sandbox.salesforce import times
from sandbox.salesforce.errors import SfError
from sandbox.salesforce.soql import plan as soql_plan
from sandbox.salesforce.table import Row

from .salesforce_desk import Desk, V

EVERYTHING = "SELECT Id, Name FROM Account ORDER BY Name"
DAY = 24 * 3600


def filled(number: int) -> Desk:
    desk = Desk()
    for each in range(number):
        desk.put("Account", Name=f"{each:05}")
    return desk


def refusal(desk: Desk, path: str, **more: Any) -> SfError:
    with pytest.raises(SfError) as caught:
        desk.call("GET", path, **more)
    return caught.value


# -- pages


def test_a_result_of_two_thousand_fits_on_one_page() -> None:
    answer = filled(2000).soql(EVERYTHING)
    assert (answer["totalSize"], answer["done"], len(answer["records"])) == (2000, True, 2000)
    assert "nextRecordsUrl" not in answer


@pytest.mark.parametrize(
    ("header", "first"),
    [("batchSize=500", 500), ("batchSize = 200", 200), ("batchsize=1", 200), ("batchSize=9000", 2000), ("x", 2000)],
)
def test_the_page_size_asked_for_stays_within_what_is_allowed(header: str, first: int) -> None:
    desk = filled(2101)
    answer = desk.soql(EVERYTHING, Sforce_Query_Options=header)
    assert (len(answer["records"]), answer["done"]) == (first, False)
    assert answer["nextRecordsUrl"].endswith(f"-{first}")


def test_pages_cover_everything_once_in_order() -> None:
    desk = filled(1001)
    headers = {"Sforce-Query-Options": "batchSize=400"}
    answer = desk.soql(EVERYTHING, Sforce_Query_Options="batchSize=400")
    names = [record["Name"] for record in answer["records"]]
    urls = []
    while not answer["done"]:
        urls.append(answer["nextRecordsUrl"])
        answer = desk.call("GET", urls[-1], headers=headers).body
        names += [record["Name"] for record in answer["records"]]
        assert answer["totalSize"] == 1001
    assert names == [f"{each:05}" for each in range(1001)]
    assert [url.rpartition("-")[2] for url in urls] == ["400", "800"]
    assert all(url.startswith(f"{V}/query/0r8") for url in urls)
    again = desk.call("GET", urls[0], headers=headers).body
    assert again["records"][0]["Name"] == "00400"


def test_a_page_shows_what_its_records_hold_when_it_is_fetched() -> None:
    desk = filled(201)
    answer = desk.soql(EVERYTHING, Sforce_Query_Options="batchSize=200")
    last = next(row for row in desk.org.rows["Account"].values() if row.values["Name"] == "00200")
    desk.org.table("Account").change(last, {"Name": "AAA"})
    (record,) = desk.call("GET", answer["nextRecordsUrl"]).body["records"]
    assert (record["Id"], record["Name"]) == (last.id, "AAA")


def test_child_rows_count_towards_the_page() -> None:
    desk = Desk()
    for number in range(10):
        account = desk.put("Account", Name=str(number))
        for child in range(49):
            desk.put("Contact", LastName=str(child), Name=str(child), AccountId=account)
    text = "SELECT Name, (SELECT Name FROM Contacts) FROM Account ORDER BY Name"
    answer = desk.soql(text, Sforce_Query_Options="batchSize=200")
    assert [record["Name"] for record in answer["records"]] == ["0", "1", "2", "3"]
    assert answer["totalSize"] == 10
    assert answer["nextRecordsUrl"].endswith("-4")


def test_too_many_child_rows_have_a_locator_of_their_own() -> None:
    desk = Desk()
    account = desk.put("Account", Name="big")
    for child in range(450):
        desk.put("Contact", LastName=f"{child:03}", Name=f"{child:03}", AccountId=account)
    text = "SELECT Id, (SELECT Name FROM Contacts ORDER BY Name) FROM Account"
    inner = desk.soql(text, Sforce_Query_Options="batchSize=200")["records"][0]["Contacts"]
    assert (inner["totalSize"], inner["done"], len(inner["records"])) == (450, False, 200)
    second = desk.call("GET", inner["nextRecordsUrl"], headers={"Sforce-Query-Options": "batchSize=200"}).body
    third = desk.call("GET", second["nextRecordsUrl"], headers={"Sforce-Query-Options": "batchSize=200"}).body
    assert (second["records"][0]["Name"], third["records"][-1]["Name"], third["done"]) == ("200", "449", True)


# -- locators that are none


def test_a_locator_works_for_two_days_and_for_its_user_alone() -> None:
    desk = filled(201)
    url = desk.soql(EVERYTHING, Sforce_Query_Options="batchSize=200")["nextRecordsUrl"]
    assert refusal(desk, url, user=desk.other_user).code == "INVALID_QUERY_LOCATOR"
    desk.clock.moment += 2 * DAY - 60
    assert desk.call("GET", url).body["done"] is True
    desk.clock.moment += 120
    error = refusal(desk, url)
    assert (error.status, error.body()) == (
        400,
        [{"message": "invalid query locator", "errorCode": "INVALID_QUERY_LOCATOR"}],
    )


@pytest.mark.parametrize("locator", ["0r8Fx00000QqRrSIAV-2000", "nonsense", "{}-999999", "{}-x"])
def test_a_locator_nobody_was_given_is_refused(locator: str) -> None:
    desk = filled(201)
    known = desk.soql(EVERYTHING, Sforce_Query_Options="batchSize=200")["nextRecordsUrl"].rpartition("/")[2][:18]
    assert refusal(desk, f"/query/{locator.format(known)}").code == "INVALID_QUERY_LOCATOR"


def test_other_methods_and_paths() -> None:
    desk = Desk()
    with pytest.raises(SfError) as caught:
        desk.call("POST", "/query", {"q": EVERYTHING})
    assert (caught.value.status, caught.value.code) == (405, "METHOD_NOT_ALLOWED")
    assert refusal(desk, "/query").code == "MALFORMED_QUERY"
    assert refusal(desk, "/query/a/b").status == 404


# -- deleted rows


def test_only_queryall_finds_what_is_in_the_recycle_bin() -> None:
    desk = Desk()
    desk.number_field()
    winner = desk.put("Account", Name="winner")
    loser = desk.put("Account", Name="loser", MasterRecordId=winner, Fortnox_Customer_Number__c="1001")
    desk.put("Contact", Name="c", LastName="c", AccountId=loser)
    desk.bin(loser)
    assert desk.names(EVERYTHING) == ["winner"]
    assert desk.names(EVERYTHING, "queryAll") == ["loser", "winner"]
    condition = "WHERE Fortnox_Customer_Number__c = '1001'"
    assert desk.names(f"SELECT Name FROM Account {condition}") == []
    assert desk.names(f"SELECT Name FROM Account {condition}", "queryAll") == ["loser"]
    assert desk.soql("SELECT Id FROM Account WHERE IsDeleted = true")["totalSize"] == 0
    assert desk.soql("SELECT Account.Name FROM Contact")["records"][0]["Account"] is None
    assert desk.soql("SELECT Account.Name FROM Contact", "queryAll")["records"][0]["Account"]["Name"] == "loser"


def test_the_next_page_of_queryall_is_found_under_its_own_path() -> None:
    desk = filled(201)
    answer = desk.soql(EVERYTHING, "queryAll", Sforce_Query_Options="batchSize=200")
    assert answer["nextRecordsUrl"].startswith(f"{V}/queryAll/0r8")
    assert desk.call("GET", answer["nextRecordsUrl"]).body["done"] is True


# -- speed


def test_fifty_thousand_rows_by_their_stamp_take_no_time_worth_mentioning() -> None:
    desk = Desk()
    table = desk.org.table("Contact")
    for number in range(50_000):
        moment = 1_795_000_000_000 + number * 7919 % 50_000 * 1000
        record_id = f"003Fx{number:010}AAA"
        stamp = times.wire(moment)
        table.rows[record_id] = _row(record_id, {"Id": record_id, "SystemModstamp": stamp}, moment)
    text = (
        "SELECT Id, SystemModstamp FROM Contact WHERE SystemModstamp >= 2026-01-01T00:00:00Z "
        "AND SystemModstamp < 2027-01-01T00:00:00Z ORDER BY SystemModstamp, Id"
    )
    started = time.process_time()
    answer = desk.soql(text)
    first = time.process_time() - started
    next_page = desk.call("GET", answer["nextRecordsUrl"]).body
    assert answer["totalSize"] == 50_000
    assert answer["records"][-1]["SystemModstamp"] <= next_page["records"][0]["SystemModstamp"]
    assert first < 4.0  # about 0.2 s on an idle machine
    assert time.process_time() - started - first < 0.8


def _row(record_id: str, values: dict[str, Any], moment: int) -> Row:
    return Row("Contact", record_id, values, moment, None)


@pytest.mark.parametrize(
    "condition",
    [
        "Id IN ('{first}', '{second}')",
        "Fortnox_Customer_Number__c = '7'",
        "Fortnox_Customer_Number__c IN ('7', '8') AND Name != 'x'",
        "ParentId = '{first}'",
        "Id IN (SELECT AccountId FROM Contact)",
    ],
)
def test_an_indexed_field_spares_reading_every_row(condition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    desk.number_field()
    ids = [desk.put("Account", Name=f"n{each}", Fortnox_Customer_Number__c=str(each)) for each in range(300)]
    desk.put("Account", Name="child", ParentId=ids[0])
    desk.put("Contact", Name="c", LastName="c", AccountId=ids[1])
    seen: list[int] = []
    tested = soql_plan.Plan._tested

    def counting(self: soql_plan.Plan, rows: Any) -> Any:
        listed = list(rows)
        if self.scope.object.name == "Account":
            seen.append(len(listed))
        return tested(self, listed)

    monkeypatch.setattr(soql_plan.Plan, "_tested", counting)
    text = f"SELECT Id FROM Account WHERE {condition.format(first=ids[0], second=ids[1])}"
    assert desk.soql(text)["totalSize"] == seen[0] <= 2
    assert desk.soql(text.replace("WHERE ", "WHERE Name = 'x' OR (") + ")")["totalSize"] <= 2
    assert seen[1] == 301
