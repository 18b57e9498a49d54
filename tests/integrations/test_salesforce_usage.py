"""The daily allowance of calls: read from every answer, kept with the account, and left to people when it runs out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import responses
from django.utils import timezone

from integrations.errors import RateLimited
from integrations.http import Api
from integrations.models import ConnectedAccount
from integrations.salesforce import usage
from integrations.salesforce.client import Salesforce
from tests.integrations.clients import set_vendor
from tests.integrations.salesforce_canned import BASE, org

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[list[float]]:
    """The pauses that were made, without making them; the short-term rate makes none."""
    set_vendor(settings, "salesforce", rate=(0, 1.0))
    waited: list[float] = []
    monkeypatch.setattr(usage.time, "sleep", waited.append)
    usage.clear()
    with responses.mock:
        yield waited
    usage.clear()


def told(header: str, **more: Any) -> None:
    responses.add("GET", re.compile(f"{BASE}/limits"), json={}, headers={"Sforce-Limit-Info": header}, **more)


def used(account: ConnectedAccount, share: float, *, ago: timedelta = timedelta(0)) -> None:
    account.usage = {"used": round(share * 1000), "max": 1000, "at": (timezone.now() - ago).isoformat()}


@pytest.mark.parametrize(
    ("header", "numbers"),
    [
        ("api-usage=1158/115000", (1158, 115000)),
        ("api-usage=1158/115000; per-app-api-usage=17/250(appName=X)", (1158, 115000)),
        ("per-app-api-usage=17/250(appName=X)", None),
        ("api-usage=1/0", None),
        ("api-usage=99999999999999999999/1", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_header_is_read_or_passed_over(header: str, numbers: tuple[int, int] | None) -> None:
    found = usage.read(header, timezone.now())
    assert (found and (found.used, found.max)) == numbers


def test_every_answer_updates_what_is_known_and_the_account_keeps_it() -> None:
    account = org()
    for header in ("api-usage=10/1000", "api-usage=11/1000"):
        told(header)
    client = Salesforce(Api(account))
    client.limits()
    stored = ConnectedAccount.objects.get(pk=account.pk).usage
    assert (stored["used"], stored["max"]) == (10, 1000)
    client.limits()
    known = usage.known(account)
    assert known is not None
    assert known.used == 11
    # Not every answer is a write: the next within the minute is only remembered.
    assert ConnectedAccount.objects.get(pk=account.pk).usage["used"] == 10


def test_crossing_a_threshold_is_stored_at_once() -> None:
    account = org()
    for header in ("api-usage=10/1000", "api-usage=950/1000"):
        told(header)
    client = Salesforce(Api(account))
    client.limits()
    client.limits()
    assert ConnectedAccount.objects.get(pk=account.pk).usage["used"] == 950


def test_background_work_is_slowed_more_and_more_from_80_percent(pauses: list[float]) -> None:
    account = org()
    for share in (0.5, 0.799, 0.80, 0.85, 0.90, 0.949):
        used(account, share)
        usage.hold(account, "bulk")
    assert pauses == pytest.approx([0.0, 2 / 3, 4 / 3, 2.0 * 149 / 150])


def test_background_work_waits_from_95_percent_and_people_do_not(pauses: list[float]) -> None:
    account = org()
    used(account, 0.95)
    with pytest.raises(RateLimited) as caught:
        Salesforce(Api(account, lane="bulk")).limits()
    assert caught.value.code == "daily_limit"
    assert 60 <= (caught.value.retry_after or 0) <= 900
    assert not responses.calls
    told("api-usage=951/1000")
    Salesforce(Api(account, lane="interactive")).limits()
    assert len(responses.calls) == 1
    assert pauses == []


def test_an_old_number_stops_nothing_so_that_one_call_asks_again() -> None:
    account = org()
    used(account, 0.99, ago=timedelta(minutes=16))
    told("api-usage=500/1000")
    Salesforce(Api(account)).limits()
    usage.hold(account, "bulk")


def test_a_refusal_for_the_allowance_stops_background_work_without_a_header() -> None:
    account = org()
    body = [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]
    responses.add("GET", re.compile(f"{BASE}/limits"), status=403, json=body)
    with pytest.raises(RateLimited) as caught:
        Salesforce(Api(account)).limits()
    assert caught.value.retry_after == 900
    with pytest.raises(RateLimited) as again:
        Salesforce(Api(account)).limits()
    assert again.value.code == "daily_limit"
    assert len(responses.calls) == 1


@pytest.mark.parametrize("kept", [{}, {"used": "x", "max": 1, "at": "2026"}, {"used": 1, "max": 0, "at": "2026-01-01"}])
def test_what_was_stored_otherwise_is_no_reason_to_stop(kept: dict[str, Any]) -> None:
    account = org(usage=kept)
    assert usage.known(account) is None
    usage.hold(account, "bulk")
