"""SOQL: what each part of the language selects, in which order, and what is refused in which words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox.salesforce.schema import Choice, FieldDef

from .salesforce_desk import Desk


@pytest.fixture(scope="module")
def desk() -> Desk:
    """Three accounts with their contacts and opportunities."""
    desk = Desk()
    desk.number_field()
    owner = desk.user
    nord = desk.put(
        "Account",
        at="2026-11-01T08:00:00Z",
        Name="Nordkraft Fastigheter AB",
        BillingCity="Göteborg",
        Fortnox_Customer_Number__c="1001",
        OwnerId=owner,
        NumberOfEmployees=40,
        Region__c="South",
    )
    neil = desk.put("Account", at="2026-11-20T23:30:00Z", Name='O\'Neil & "Co" \\ 100%', BillingCity="göteborg")
    desk.put("Account", at="2026-11-21T09:00:00Z", Name="under_score", ParentId=nord)
    desk.put("Contact", Name="Ada", LastName="Ada", AccountId=nord)
    desk.put("Contact", Name="Bo", LastName="Bo", AccountId=nord)
    opportunities: list[tuple[str, str | None, str | None, str, str]] = [
        ("A", nord, "100.50", "2026-11-21", "Closed Won"),
        ("B", nord, "20", "2026-11-20", "Prospecting"),
        ("C", neil, None, "2026-10-31", "Prospecting"),
        ("D", None, "7", "2025-12-31", "Closed Won"),
    ]
    for name, account, amount, day, stage in opportunities:
        desk.put(
            "Opportunity",
            Name=name,
            AccountId=account,
            Amount=None if amount is None else Decimal(amount),
            CloseDate=day,
            StageName=stage,
            IsWon=stage == "Closed Won",
        )
    return desk


def found(desk: Desk, condition: str, source: str = "Opportunity") -> str:
    return "".join(sorted(desk.names(f"SELECT Name FROM {source} WHERE {condition}")))


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("Amount = 20", "B"),
        ("Amount != 20", "ACD"),
        ("Amount <> 20.00", "ACD"),
        ("Amount > 20", "A"),
        ("Amount >= 20", "AB"),
        ("Amount < 20", "D"),
        ("Amount <= 20", "BD"),
        ("Amount = null", "C"),
        ("Amount != NULL", "ABD"),
        ("Amount < null", ""),
        ("IsWon = TRUE", "AD"),
        ("IsWon != true", "BC"),
        ("name = 'a'", "A"),
        ("Name > 'b'", "CD"),
        ("StageName IN ('closed won', 'nothing')", "AD"),
        ("StageName NOT IN ('Closed Won')", "BC"),
        ("AccountId NOT IN ('001000000000000AAA')", "ABCD"),
        ("Amount IN (7, 20, null)", "BCD"),
        ("CloseDate = 2026-11-20", "B"),
        ("CloseDate = TODAY", "A"),
        ("CloseDate = YESTERDAY", "B"),
        ("CloseDate = THIS_MONTH", "AB"),
        ("CloseDate = LAST_MONTH", "C"),
        ("CloseDate = LAST_YEAR", "D"),
        ("CloseDate = LAST_N_DAYS:1", "AB"),
        ("CloseDate = LAST_N_DAYS:30", "ABC"),
        ("CloseDate < LAST_N_DAYS:1", "CD"),
        ("CloseDate > THIS_YEAR", ""),
        ("CloseDate >= THIS_YEAR", "ABC"),
        ("CloseDate = LAST_N_MONTHS:1", "C"),
        ("CloseDate = N_DAYS_AGO:1", "B"),
        ("CloseDate != THIS_QUARTER", "D"),
        ("CloseDate = THIS_WEEK", "AB"),
        ("CALENDAR_YEAR(CloseDate) = 2025", "D"),
        ("NOT Amount > 20", "BCD"),
        ("(NOT Name = 'A') AND IsWon = true", "D"),
        ("(IsWon = true OR Amount = 20) AND CloseDate > 2026-01-01", "AB"),
        ("Account.Name = 'nordkraft fastigheter ab'", "AB"),
        ("Opportunity.Account.BillingCity = 'GÖTEBORG'", "ABC"),
        ("Account.Owner.Name LIKE 'fort%'", "AB"),
        ("Account.Name = null", "D"),
        ("Account.IsDeleted = false", "ABCD"),
        ("AccountId IN (SELECT Id FROM Account WHERE Fortnox_Customer_Number__c = '1001')", "AB"),
        ("AccountId NOT IN (SELECT AccountId FROM Contact)", "CD"),
        ("Name LIKE '_'", "ABCD"),
        ("SystemModstamp = 2026-11-21T10:00:00Z", "ABCD"),
        ("SystemModstamp >= 2026-11-21T11:00:00+01:00", "ABCD"),
        ("SystemModstamp > 2026-11-21T10:00:00.000Z", ""),
    ],
)
def test_a_condition_selects_these_opportunities(desk: Desk, condition: str, names: str) -> None:
    assert found(desk, condition) == names


@pytest.mark.parametrize(
    ("literal", "count"),
    [
        (r"= 'O\'Neil & \"Co\" \\ 100%'", 1),
        (r"LIKE 'o\'neil%'", 1),
        (r"LIKE '%100\%'", 1),
        (r"LIKE 'under\_score'", 1),
        (r"LIKE 'under\_scor_'", 1),
        (r"LIKE 'und\_r_score'", 0),
        (r"LIKE '%\\ 100_'", 1),
        (r"LIKE '%'", 3),
        (r"= ''", 0),
        (r"= 'line\nbreak\t\r\b\f'", 0),
    ],
)
def test_quoted_text_with_its_escapes(desk: Desk, literal: str, count: int) -> None:
    assert desk.soql(f"SELECT COUNT() FROM Account WHERE Name {literal}") == {
        "totalSize": count,
        "done": True,
        "records": [],
    }


def test_the_days_of_datetimes_are_those_of_the_users_time_zone(desk: Desk) -> None:
    assert sorted(desk.names("SELECT Name FROM Account WHERE SystemModstamp = TODAY")) == [
        'O\'Neil & "Co" \\ 100%',  # 23:30 UTC is past midnight in Stockholm
        "under_score",
    ]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("Name", "ABCD"),
        ("Name DESC", "DCBA"),
        ("Amount", "CDBA"),
        ("Amount ASC NULLS LAST", "DBAC"),
        ("Amount DESC", "CABD"),
        ("Amount DESC NULLS LAST", "ABDC"),
        ("StageName, Amount DESC", "ADCB"),
        ("Account.Name NULLS LAST, Name DESC", "BACD"),
        ("CloseDate LIMIT 2", "DC"),
        ("CloseDate LIMIT 2 OFFSET 1", "CB"),
        ("CloseDate OFFSET 3", "A"),
    ],
)
def test_the_order_of_records(desk: Desk, order: str, names: str) -> None:
    assert "".join(desk.names(f"SELECT Name FROM Opportunity ORDER BY {order}")) == names


def test_parents_are_nested_and_null_when_missing(desk: Desk) -> None:
    records = desk.soql("select name, account.owner.name, ACCOUNT.NAME from opportunity order by name")["records"]
    first, last = records[0], records[-1]
    assert list(first) == ["attributes", "Name", "Account"]
    assert first["Account"]["attributes"]["type"] == "Account"
    assert first["Account"]["Owner"]["Name"] == "Fortnox Integration"
    assert first["Account"]["Name"] == "Nordkraft Fastigheter AB"
    assert last["Account"] is None
    assert records[2]["Account"]["Owner"] is None


def test_child_rows_are_a_result_of_their_own_or_null(desk: Desk) -> None:
    answer = desk.soql(
        "SELECT Name, (SELECT Name, Account.Name FROM Contacts WHERE LastName != 'x' ORDER BY Name DESC LIMIT 1) "
        "FROM Account a WHERE a.BillingCity = 'Göteborg' ORDER BY a.Name"
    )
    assert answer["totalSize"] == 2
    nord, neil = answer["records"]
    assert neil["Contacts"] is None
    assert (nord["Contacts"]["totalSize"], nord["Contacts"]["done"]) == (1, True)
    (contact,) = nord["Contacts"]["records"]
    assert contact["Name"] == "Bo"
    assert contact["Account"]["Name"] == "Nordkraft Fastigheter AB"


def test_aggregates_with_and_without_groups(desk: Desk) -> None:
    total = desk.soql("SELECT COUNT(Id), COUNT(Amount), SUM(Amount) s, AVG(Amount), MIN(CloseDate) FROM Opportunity")
    assert total["records"] == [
        {
            "attributes": {"type": "AggregateResult"},
            "expr0": 4,
            "expr1": 3,
            "s": 127.5,
            "expr2": 42.5,
            "expr3": "2025-12-31",
        }
    ]
    grouped = desk.soql(
        "SELECT StageName stage, COUNT_DISTINCT(AccountId) FROM Opportunity GROUP BY StageName "
        "HAVING COUNT(Id) > 1 AND MAX(Amount) > 50 ORDER BY COUNT(Id) DESC LIMIT 5"
    )
    assert [(row["stage"], row["expr0"]) for row in grouped["records"]] == [("Closed Won", 1)]
    by_year = desk.soql(
        "SELECT CALENDAR_YEAR(CloseDate) y, COUNT(Id) n FROM Opportunity "
        "GROUP BY CALENDAR_YEAR(CloseDate) ORDER BY CALENDAR_YEAR(CloseDate)"
    )
    assert [(row["y"], row["n"]) for row in by_year["records"]] == [(2025, 1), (2026, 3)]
    by_account = desk.soql(
        "SELECT Account.Name, COUNT(Id) FROM Opportunity GROUP BY Account.Name ORDER BY Account.Name"
    )
    assert [(row["Name"], row["expr0"]) for row in by_account["records"]][:2] == [
        (None, 1),
        ("Nordkraft Fastigheter AB", 2),
    ]
    nothing = desk.soql("SELECT SUM(Amount), COUNT(Id) FROM Opportunity WHERE Name = 'Z'")["records"][0]
    assert (nothing["expr0"], nothing["expr1"]) == (None, 0)


def test_sets_of_fields(desk: Desk) -> None:
    everything = desk.soql("SELECT FIELDS(ALL) FROM Account ORDER BY Name LIMIT 1")["records"][0]
    assert {"Id", "Name", "BillingAddress", "Fortnox_Customer_Number__c", "SystemModstamp"} <= set(everything)
    custom = desk.soql("SELECT Id, FIELDS(CUSTOM) FROM Account LIMIT 1")["records"][0]
    assert {key for key in custom if not key.endswith("__c")} == {"attributes", "Id"}
    assert "Fortnox_Customer_Number__c" not in desk.soql("SELECT FIELDS(STANDARD) FROM Account")["records"][0]


def test_labels_and_multiple_choices() -> None:
    desk = Desk()
    choices = (Choice("A", "Första"), Choice("B"), Choice("C"))
    for name, kind in (("Kinds__c", "multipicklist"), ("Kind__c", "picklist")):
        desk.org.add_field("Account", FieldDef(name, name, kind, 255, choices=choices, custom=True), granted=True)
    desk.put("Account", Name="ab", Kinds__c="A;B", Kind__c="A")
    desk.put("Account", Name="c", Kinds__c="C")
    desk.put("Account", Name="none")
    assert desk.names("SELECT Name FROM Account WHERE Kinds__c INCLUDES ('a;b', 'x')") == ["ab"]
    assert desk.names("SELECT Name FROM Account WHERE Kinds__c INCLUDES ('A', 'C')") == ["ab", "c"]
    assert desk.names("SELECT Name FROM Account WHERE Kinds__c EXCLUDES ('A')") == ["c", "none"]
    assert desk.names("SELECT Name FROM Account WHERE Kinds__c = 'a;b'") == ["ab"]
    shown = desk.soql("SELECT toLabel(Kind__c), toLabel(Kinds__c) many FROM Account WHERE toLabel(Kind__c) = 'första'")
    assert [(row["Kind__c"], row["many"]) for row in shown["records"]] == [("Första", "A;B")]


def test_ids_compare_in_either_form(desk: Desk) -> None:
    record_id = desk.soql("SELECT Id FROM Account WHERE Name = 'under_score'")["records"][0]["Id"]
    for text in (record_id, record_id[:15]):
        assert desk.soql(f"SELECT COUNT() FROM Account WHERE Id = '{text}'")["totalSize"] == 1
    assert desk.soql(f"SELECT COUNT() FROM Account WHERE Id < '{record_id}'")["totalSize"] == 2


def test_a_field_hidden_by_security_does_not_exist() -> None:
    desk = Desk()
    desk.number_field(granted=False)
    for text in (
        "SELECT Fortnox_Customer_Number__c FROM Account",
        "SELECT Id FROM Account WHERE Fortnox_Customer_Number__c = '1'",
        "SELECT Id FROM Account ORDER BY Fortnox_Customer_Number__c",
        "SELECT Account.Fortnox_Customer_Number__c FROM Opportunity",
        "SELECT Id, (SELECT Fortnox_Customer_Number__c FROM ChildAccounts) FROM Account",
    ):
        error = desk.refusal(text)
        assert error.code == "INVALID_FIELD"
        assert "No such column 'Fortnox_Customer_Number__c' on entity 'Account'" in error.message
    desk.org.options.field_security = False
    desk.org.schema_changed()
    assert desk.soql("SELECT Fortnox_Customer_Number__c FROM Account")["done"] is True
