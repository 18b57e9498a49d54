"""The home page: what it costs, what its filters and numbers say, and what it answers when it looks again."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.models import Organization, ReadinessReport
from sync import daily
from sync.admin import charts
from sync.models import Change, WorkerHeartbeat
from tests import factories as make

pytestmark = pytest.mark.django_db
HOME = "/admin/"


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def make_pair(organization: Organization | None = None, **fields: Any) -> Any:
    """An integration with two flows, a held plan, failures and counters; its first flow."""
    pair = make.make_integration(organization, **fields)
    ReadinessReport.objects.create(integration=pair, checked_at=timezone.now(), errors=1)
    flow, other = make.make_flow(pair), make.make_flow(pair, "invoices-to-deals")
    run = make.make_run(flow, state="held")
    make.make_change(run)
    make.make_run(other, state="planning")
    for error in ("data", "data", "permission"):
        make.make_log(make.make_change(flow=flow, state="review", error_class=error), "sending→review")
    make.make_change(flow=flow, state="applied", action="create", finished_at=timezone.now())
    make.make_change(flow=flow, state="applied", action="update", finished_at=timezone.now() - timedelta(days=3))
    daily.add_calls(flow, 40)
    daily.add_calls(flow, 2)
    daily.add_calls(other, 100)
    return flow


def queries(client: Client, url: str = HOME) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def test_at_most_twelve_queries_for_one_integration_and_for_many() -> None:
    WorkerHeartbeat.objects.create(queue="bulk")
    organization = make.make_organization()
    make_pair(organization)
    daily.count()
    everybody = [signed_in(make.make_superuser()), signed_in(make.make_user(organization=organization))]
    few = [queries(client) for client in everybody]
    for _number in range(15):
        make_pair(organization)
    daily.count()
    assert [queries(client) for client in everybody] == few
    assert max(few) <= 12, few


def test_filters_show_one_organization_or_integration_and_foreign_ones_are_not_found() -> None:
    own, foreign = make.make_organization("Own AB"), make.make_organization("Foreign AB")
    first, second = make_pair(own, name="First pair").integration, make_pair(own, name="Second pair").integration
    other = make_pair(foreign, name="Foreign pair").integration
    client = signed_in(make.make_user(organization=own))
    both = client.get(HOME).content.decode()
    assert "First pair" in both and "Second pair" in both and "Foreign" not in both
    one = client.get(HOME, {"integration": second.pk}).content.decode()
    assert "Second pair" in one and "First pair" not in one and 'aria-current="true"' in one
    assert "First pair" in client.get(HOME, {"organization": own.pk}).content.decode()
    for query in (
        {"integration": other.pk},
        {"organization": foreign.pk},
        {"integration": "x"},
        {"integration": "9" * 30},
    ):
        assert client.get(HOME, query).status_code == 404, query
    empty = make.make_organization("Empty AB")
    boss = signed_in(make.make_superuser())
    assert boss.get(HOME, {"organization": empty.pk}).status_code == 200
    assert f"?integration={first.pk}" in both


def test_numbers_are_the_truth_and_lead_to_exactly_those_rows() -> None:
    flow = make_pair()
    daily.count()
    client = signed_in(make.make_superuser())
    answer = client.get(HOME)
    records, errors = answer.context["charts"]
    assert [sum(day.numbers[n] for day in records.days) for n in range(4)] == [1, 1, 0, 0]
    assert [sum(day.numbers[n] for day in errors.days) for n in range(3)] == [3, 0, 0]
    assert len(records.days) == daily.WINDOW and records.days[-1].numbers == (1, 0, 0, 0)
    assert [day.numbers for day in records.rows] == [(1, 0, 0, 0), (0, 1, 0, 0)]
    (row,) = answer.context["rows"]
    assert row.calls == 142
    for failure in row.failures():
        listed = client.get(failure["url"])
        assert str(listed.context["cl"].result_count) == failure["n"], failure
    assert [failure["n"] for failure in row.failures()] == ["2", "1"]
    assert "The readiness board shows 1 problem" in answer.content.decode()
    assert flow.name in answer.content.decode()


def test_bars_stand_on_the_zero_line_and_reach_their_share_of_the_top() -> None:
    today = timezone.localdate()
    chart = charts.records([(today, "created", 30), (today, "updated", 10), (today, "linked", 10)], today, 30)
    assert chart.top == "50"
    bars = chart.days[-1].bars
    assert [float(bar.height) for bar in bars] == [72.0, 24.0, 24.0]
    assert float(bars[0].y) + float(bars[0].height) == charts.HEIGHT and float(bars[-1].y) == 0
    assert not charts.errors([], today, 30).any


def test_looking_again_costs_no_bytes_while_nothing_changed_and_only_the_part_when_it_did() -> None:
    flow = make_pair()
    client = signed_in(make.make_superuser())
    page = client.get(HOME).content.decode()
    sign = re.search(r'name="lb-live" content="([0-9a-f]{32})"', page)
    assert sign is not None
    quiet = client.get(HOME, headers={"X-Live": sign[1]})
    assert (quiet.status_code, quiet.content, quiet["X-Live"]) == (204, b"", sign[1])
    make.make_change(flow=flow, state="review", error_class="conflict")
    news = client.get(HOME, headers={"X-Live": sign[1]})
    assert news.status_code == 200 and news["X-Live"] != sign[1]
    assert news.content.startswith(b'<div hx-swap-oob="true" id="home-live"') and b"<html" not in news.content
    assert client.get(HOME, headers={"X-Live": news["X-Live"]}).status_code == 204
    for url in (reverse("admin:sync_flow_change", args=[flow.pk]), reverse("admin:path")):
        signed = re.search(r'name="lb-live" content="([^"]*)"', client.get(url).content.decode())
        assert signed is not None
        assert client.get(url, headers={"X-Live": signed[1]}).status_code in (200, 204)
    assert Client().get(HOME, headers={"X-Live": sign[1]}).status_code == 302


def test_the_navigation_shows_only_what_the_person_may_open() -> None:
    organization = make.make_organization()
    make.make_integration(organization)
    viewer = signed_in(make.make_user(organization=organization, role="viewer"))
    shown = viewer.get(HOME).context["navigation"]
    names = {item.name for menu in shown.menus for item in menu.items}
    assert {"Home", "Review", "Flows", "Changes", "Integrations"} <= names and "Users" not in names
    for menu in shown.menus:
        for item in menu.items:
            assert viewer.get(item.url).status_code == 200, item.url
    nobody = signed_in(make.make_user())
    assert nobody.get(HOME).context["navigation"].search == ""
    assert Change.objects.count() == 0
