"""The readiness board of a Salesforce org that lacks something: each line says what, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from requests import PreparedRequest

from integrations.connector import ReadinessLine
from integrations.salesforce import described, usage
from tests.integrations.clients import connector, set_vendor
from tests.integrations.salesforce_canned import API, BASE, ORG, describes, field, org

pytestmark = pytest.mark.django_db
USER = "005Fx00000PpQqRIAV"
USED = {"Sforce-Limit-Info": "api-usage=100/1000"}


class Answers:
    """What the org answers to queries, by the object that they are about."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {
            "Organization": [{"Id": ORG, "Name": "Nordkraft", "IsSandbox": False}],
            "CurrencyType": [{"IsoCode": "SEK"}, {"IsoCode": "EUR"}],
            "ObjectPermissions": [],
            "PermissionSetAssignment": [],
        }
        self.refused: set[str] = set()
        self.headers = USED
        self.versions = ["66.0", "67.0", "68.0"]

    def query(self, request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        text = parse_qs(urlsplit(str(request.url)).query)["q"][0]
        about = text.partition(" FROM ")[2].split()[0]
        if about in self.refused:
            return (
                400,
                self.headers,
                json.dumps([{"errorCode": "INVALID_TYPE", "message": f"{about} is not supported."}]),
            )
        rows = self.rows[about]
        return 200, self.headers, json.dumps({"totalSize": len(rows), "done": True, "records": rows})

    def listed(self, _request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        return (
            200,
            self.headers,
            json.dumps([{"version": version, "url": "x", "label": "y"} for version in self.versions]),
        )


@pytest.fixture
def answers(settings: Any) -> Iterator[Answers]:
    set_vendor(settings, "salesforce", rate=(0, 1.0))
    described.clear_cache()
    usage.clear()
    answers = Answers()
    with responses.mock:
        responses.add_callback("GET", f"{BASE}/query/", callback=answers.query)
        responses.add_callback("GET", f"{API}/services/data/", callback=answers.listed)
        for name in (
            "Contact",
            "Product2",
            "Opportunity",
            "PricebookEntry",
            "Fortnox_Invoice__c",
            "Order",
            "Pricebook2",
        ):
            describes(name)
        yield answers
    usage.clear()


def board(answers: Answers, *account_fields: Any, **details: Any) -> dict[str, ReadinessLine]:
    """The lines by code, for an org whose accounts have these fields besides the usual ones."""
    describes("Account", *account_fields)
    given = {"currency": "SEK", "user_id": USER, "is_sandbox": False, **details}
    return {line.code: line for line in connector(org(details=given)).check()}


def test_a_version_that_the_org_does_not_speak_is_an_error_with_those_it_does(answers: Answers) -> None:
    answers.versions = ["65.0", "66.0"]
    line = board(answers)["version"]
    assert (line.level, line.detail) == ("error", "The org does not offer v67.0.")
    assert "65.0, 66.0" in line.fix


@pytest.mark.parametrize(
    ("row", "level"),
    [
        ({"Id": ORG[:15], "Name": "x", "IsSandbox": False}, "ok"),
        ({"Id": ORG, "Name": "x", "IsSandbox": True}, "error"),
        ({"Id": "00DFx00000AbCdFMAV", "Name": "x", "IsSandbox": False}, "error"),
        ({"Id": None, "Name": "x", "IsSandbox": False}, "error"),
    ],
)
def test_another_org_or_a_refreshed_sandbox_is_refused(answers: Answers, row: dict[str, Any], level: str) -> None:
    answers.rows["Organization"] = [row]
    assert board(answers)["org"].level == level


def test_a_package_that_is_not_there_is_an_error(answers: Answers) -> None:
    lines = board(answers)
    assert (lines["package"].level, lines["permission_set"].level) == ("error", "error")
    assert "Account.Fortnox_Active__c (not visible)" in lines["package"].detail
    assert "Fortnox_Integration" in lines["permission_set"].detail


def test_where_all_records_cannot_be_seen_it_says_for_which_objects(answers: Answers) -> None:
    seen = [{"SobjectType": name} for name in ("Account", "Contact", "Fortnox_Invoice__c", "Opportunity")]
    answers.rows["ObjectPermissions"] = seen
    line = board(answers, orders=True)["sharing"]
    assert line.level == "warning"
    assert line.fix.endswith(": Order")
    assert board(answers)["sharing"].level == "ok"  # an org without orders has nothing to see there
    answers.rows["ObjectPermissions"] = [*seen, {"SobjectType": "Order"}]
    assert board(answers, orders=True)["sharing"].level == "ok"
    answers.refused.add("ObjectPermissions")
    refused = board(answers)["sharing"]
    assert "does not let its user ask" in refused.detail
    assert "Account, Contact, Fortnox_Invoice__c, Opportunity" in refused.fix
    assert "View Setup and Configuration" in refused.fix
    assert board(answers, user_id="")["sharing"].level == "warning"


def test_an_unknown_currency_is_a_warning_and_several_are_listed(answers: Answers) -> None:
    assert board(answers, currency="")["currencies"].level == "warning"
    assert board(answers)["currencies"].detail == "SEK"


def test_an_org_that_switched_several_currencies_on_is_noticed(answers: Answers) -> None:
    line = board(answers, field("CurrencyIsoCode", type="picklist"), multi_currency=False)["currencies"]
    assert (line.level, bool(line.fix)) == ("warning", True)


def test_the_currencies_of_an_org_with_several_are_listed(answers: Answers) -> None:
    line = board(answers, field("CurrencyIsoCode", type="picklist"), multi_currency=True)["currencies"]
    assert (line.level, line.detail) == ("ok", "EUR, SEK")


@pytest.mark.parametrize(("used", "level"), [(799, "ok"), (800, "warning"), (950, "error")])
def test_the_daily_allowance_is_shown(answers: Answers, used: int, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage.time, "sleep", lambda seconds: None)
    answers.headers = {"Sforce-Limit-Info": f"api-usage={used}/1000"}
    line = board(answers)["usage"]
    assert line.level == level
    assert line.detail.startswith(f"{used} of 1000")


def test_a_dead_connection_ends_the_questions(answers: Answers) -> None:
    responses.reset()
    body = [{"message": "This session is not valid for use with the REST API", "errorCode": "INVALID_SESSION_ID"}]
    responses.add("GET", f"{API}/services/data/", status=401, json=body)
    describes("Account")
    lines = connector(org()).check()
    assert [(line.code, line.level) for line in lines] == [("token", "error"), ("usage", "warning")]
