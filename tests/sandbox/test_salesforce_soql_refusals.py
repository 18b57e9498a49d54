"""SOQL that is refused: codes, words and the caret at the place."""

from __future__ import annotations

import pytest

from .salesforce_desk import Desk

DESK = Desk()
UNKNOWN = (
    "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. "
    "Please reference your WSDL or the describe call for the appropriate names."
)


def test_an_unknown_field_is_pointed_at() -> None:
    error = Desk().refusal("SELECT Id, CurrencyIsoCode FROM Account")
    assert (error.status, error.code) == (400, "INVALID_FIELD")
    assert error.message == (
        "\nSELECT Id, CurrencyIsoCode FROM Account\n           ^\nERROR at Row:1:Column:12\n"
        f"No such column 'CurrencyIsoCode' on entity 'Account'. {UNKNOWN}"
    )


def test_the_place_in_a_query_of_several_lines() -> None:
    error = Desk().refusal("SELECT Id\nFROM Account\nWHERE Nam = 'x'")
    assert error.message.startswith("\nWHERE Nam = 'x'\n      ^\nERROR at Row:3:Column:7\n")


def test_an_unknown_object_is_pointed_at() -> None:
    error = Desk().refusal("SELECT Id FROM CurrencyType")
    assert (error.status, error.code) == (400, "INVALID_TYPE")
    assert error.message.startswith(
        "\nSELECT Id FROM CurrencyType\n               ^\nERROR at Row:1:Column:16\n"
        "sObject type 'CurrencyType' is not supported."
    )
    assert Desk(multi_currency=True).soql("SELECT Id, CurrencyIsoCode FROM Account")["totalSize"] == 0


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("SELECT Id FORM Account", "MALFORMED_QUERY", "unexpected token: 'FORM'"),
        ("SELECT * FROM Account", "MALFORMED_QUERY", "unexpected token: '*'"),
        ("SELECT Id FROM", "MALFORMED_QUERY", "unexpected token: '<EOF>'"),
        ("", "MALFORMED_QUERY", "query string has to be specified"),
        ("DELETE FROM Account", "MALFORMED_QUERY", "unexpected token: 'DELETE'"),
        ("SELECT Id FROM Account, Contact", "MALFORMED_QUERY", "unexpected token: ','"),
        ("SELECT Id FROM Account JOIN Contact ON 1 = 1", "MALFORMED_QUERY", "unexpected token: 'Contact'"),
        ("SELECT Id FROM Account ALL ROWS", "MALFORMED_QUERY", "ALL ROWS not allowed"),
        ("SELECT Id FROM Account WHERE Name = 'x' AND Name = 'y' OR Name = 'z'", "MALFORMED_QUERY", "'OR'"),
        ("SELECT Id FROM Account WHERE Name = 'x", "MALFORMED_QUERY", "mismatched character '<EOF>'"),
        (r"SELECT Id FROM Account WHERE Name = 'a\q'", "MALFORMED_QUERY", "Illegal character sequence"),
        ('SELECT Id FROM Account WHERE Name = "x"', "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Account WHERE Name = x", "MALFORMED_QUERY", "unexpected token: 'x'"),
        ("SELECT Id FROM Account WHERE Name IS NULL", "MALFORMED_QUERY", "unexpected token: 'IS'"),
        ("SELECT Id FROM Account LIMIT ten", "MALFORMED_QUERY", "whole number"),
        ("SELECT Id FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000"),
        ("SELECT FIELDS(ALL) FROM Account", "MALFORMED_QUERY", "must have a LIMIT of at most 200"),
        ("SELECT FIELDS(CUSTOM) FROM Account LIMIT 201", "MALFORMED_QUERY", "must have a LIMIT of at most 200"),
        ("SELECT Id n FROM Account", "MALFORMED_QUERY", "only aggregate expressions use field aliasing"),
        ("SELECT Id, id FROM Account", "MALFORMED_QUERY", "duplicate field selected: Id"),
        ("SELECT Name FROM Account GROUP BY BillingCity", "MALFORMED_QUERY", "must be grouped or aggregated: Name"),
        ("SELECT Id, COUNT(Id) FROM Account", "MALFORMED_QUERY", "must be grouped or aggregated: Id"),
        ("SELECT COUNT(Id) FROM Account LIMIT 1", "MALFORMED_QUERY", "cannot also use LIMIT"),
        ("SELECT SUM(Name) FROM Account", "MALFORMED_QUERY", "does not support aggregate operator SUM"),
        ("SELECT COUNT(Id) FROM Account GROUP BY AnnualRevenue", "MALFORMED_QUERY", "can not be grouped"),
        ("SELECT COUNT(Id) FROM Account WHERE COUNT(Id) > 1", "MALFORMED_QUERY", "not allowed here"),
        ("SELECT Foo.Name FROM Account", "INVALID_FIELD", "Didn't understand relationship 'Foo' in field path"),
        ("SELECT (SELECT Id FROM Foos) FROM Account", "INVALID_TYPE", "Didn't understand relationship 'Foos' in FROM"),
        ("SELECT (SELECT COUNT(Id) FROM Contacts) FROM Account", "MALFORMED_QUERY", "cannot be grouped"),
        ("SELECT (SELECT (SELECT Id FROM Contacts) FROM Contacts) FROM Account", "MALFORMED_QUERY", "'('"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD", "can not be filtered in a query call"),
        ("SELECT Id FROM Account ORDER BY Description", "INVALID_FIELD", "can not be sorted in a query call"),
        ("SELECT Id FROM Account WHERE BillingAddress = 'x'", "INVALID_FIELD", "can not be filtered"),
        ("SELECT Id FROM Account WHERE Id = 'abc'", "INVALID_QUERY_FILTER_OPERATOR", "invalid ID field: abc"),
        ("SELECT Id FROM Account WHERE IsDeleted > true", "INVALID_QUERY_FILTER_OPERATOR", "invalid operator"),
        (
            "SELECT Id FROM Account WHERE NumberOfEmployees LIKE '1%'",
            "INVALID_QUERY_FILTER_OPERATOR",
            "invalid operator",
        ),
        ("SELECT Id FROM Account WHERE Name INCLUDES ('x')", "INVALID_QUERY_FILTER_OPERATOR", "invalid operator"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD", "must be of type string and should be enclosed"),
        ("SELECT Id FROM Account WHERE NumberOfEmployees = '5'", "INVALID_FIELD", "type double and should not be"),
        ("SELECT Id FROM Account WHERE IsDeleted = 'true'", "INVALID_FIELD", "type boolean and should not be"),
        ("SELECT Id FROM Account WHERE CreatedDate > '2026-01-01T00:00:00Z'", "INVALID_FIELD", "type dateTime"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2026-01-01", "INVALID_FIELD", "type dateTime"),
        ("SELECT Id FROM Opportunity WHERE CloseDate > 2026-01-01T00:00:00Z", "INVALID_FIELD", "must be of type date"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2026-01-01T00:00:00 01:00", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2026-01-01T00:00:00", "MALFORMED_QUERY", "unexpected token"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2026-13-01T00:00:00Z", "INVALID_FIELD", "type dateTime"),
        ("SELECT Id FROM Account WHERE CreatedDate = LAST_N_DAYS:99999999999", "MALFORMED_QUERY", "LAST_N_DAYS"),
        ("SELECT Id FROM Account WHERE Name IN (SELECT Id FROM Contact)", "MALFORMED_QUERY", "semi join"),
        ("SELECT Id FROM Account WHERE Id IN (SELECT Name FROM Contact)", "MALFORMED_QUERY", "semi join"),
        ("SELECT Id FROM Account WHERE Id IN (SELECT Id, AccountId FROM Contact)", "MALFORMED_QUERY", "exactly one"),
        ("SELECT CALENDAR_YEAR(Name) FROM Account GROUP BY CALENDAR_YEAR(Name)", "MALFORMED_QUERY", "does not support"),
        ("SELECT Id FROM Account WHERE " + "(" * 5000, "MALFORMED_QUERY", "too complicated"),
        ("SELECT Id FROM Account WHERE ()", "MALFORMED_QUERY", "unexpected token: ')'"),
        ("SELECT Id FROM Account WHERE Name = 'x' Id", "MALFORMED_QUERY", "unexpected token: 'Id'"),
        ("SELECT " + "Parent." * 6 + "Name FROM Account", "MALFORMED_QUERY", "5 levels"),
    ],
)
def test_what_is_refused(text: str, code: str, words: str) -> None:
    error = DESK.refusal(text)
    assert (error.status, error.code) == (400, code)
    assert words in error.message


def test_an_aggregate_query_has_no_second_page() -> None:
    desk = Desk()
    for number in range(2001):
        desk.put("Account", Name=f"n{number}")
    assert desk.refusal("SELECT Name, COUNT(Id) FROM Account GROUP BY Name").code == "EXCEEDED_ID_LIMIT"
    assert desk.soql("SELECT Name, COUNT(Id) FROM Account GROUP BY Name LIMIT 2000")["totalSize"] == 2000
