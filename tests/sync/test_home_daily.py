"""Counters per day: equal to the truth, the same when counted twice, in the integration's own day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.management import call_command

from sync import daily
from sync.models import DailyCount, SyncLogEntry
from tests import factories as make

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def stored() -> dict[tuple[str, date, str], int]:
    return {(row.flow.slug, row.day, row.outcome): row.n for row in DailyCount.objects.select_related("flow")}


def failed_at(change, event, at):
    entry = make.make_log(change, event)
    SyncLogEntry.objects.filter(pk=entry.pk).update(at=at)


def test_counters_equal_the_truth_and_counting_again_changes_nothing(django_assert_num_queries):
    flow = make.make_flow()
    here = make.make_flow(make.make_integration(time_zone="America/New_York"), slug="far")
    late = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)  # 00:30 on the 20th in Stockholm, 18:30 on the 19th in New York
    for owner in (flow, here):
        for action in ("create", "create", "update", "link", "act"):
            make.make_change(flow=owner, state="applied", action=action, finished_at=late)
    make.make_change(flow=flow, state="skipped", action="skip", finished_at=late)
    old = NOW - timedelta(days=29)
    make.make_change(flow=flow, state="applied", finished_at=old)
    make.make_change(flow=flow, state="applied", finished_at=NOW - timedelta(days=31))
    failing = make.make_change(flow=flow, state="review")
    failed_at(failing, "sending→retrying", NOW)
    failed_at(failing, "sending→retrying", NOW)
    failed_at(failing, "sending→review", NOW)
    failed_at(failing, "→review", NOW)
    failed_at(failing, "review→retrying", NOW)  # a person's retry is no failure
    make.make_run(flow, state="failed", finished_at=NOW)
    today, before = date(2026, 11, 20), date(2026, 11, 19)
    truth = {
        ("customers-to-companies", today, "created"): 2,
        ("customers-to-companies", today, "updated"): 1,
        ("customers-to-companies", today, "linked"): 1,
        ("customers-to-companies", today, "carried"): 1,
        ("customers-to-companies", old.date(), "updated"): 1,
        ("customers-to-companies", today, "retried"): 2,
        ("customers-to-companies", today, "review"): 2,
        ("customers-to-companies", today, "run"): 1,
        ("far", before, "created"): 2,
        ("far", before, "updated"): 1,
        ("far", before, "linked"): 1,
        ("far", before, "carried"): 1,
    }
    assert daily.count(NOW) == len(truth)
    assert stored() == truth
    with django_assert_num_queries(2 + 2 * (3 + 3)):  # per zone: three ranges; the counters in a savepoint
        assert daily.count(NOW) == 0
    make.make_change(flow=flow, state="applied", action="create", finished_at=NOW)
    assert daily.count(NOW) == 1
    assert stored()["customers-to-companies", today, "created"] == 3


def test_what_vanished_is_uncounted_what_was_missed_is_caught_up_and_old_days_stay():
    flow = make.make_flow()
    change = make.make_change(flow=flow, state="applied", action="create", finished_at=NOW)
    purged = make.make_change(flow=flow, state="applied", action="create", finished_at=NOW - timedelta(days=5))
    daily.count(NOW)
    purged.delete()
    change.delete()
    assert daily.count(NOW) == 1  # today is counted again, the day that is over is not
    assert [row.day for row in DailyCount.objects.all()] == [(NOW - timedelta(days=5)).date()]
    weekend = NOW + timedelta(days=3)
    make.make_change(flow=flow, state="applied", action="link", finished_at=NOW + timedelta(days=1))
    daily.count(weekend)
    assert DailyCount.objects.filter(outcome="linked", day=(NOW + timedelta(days=1)).date()).exists()


def test_what_commits_after_midnight_still_belongs_to_the_day_before():
    flow = make.make_flow(make.make_integration(time_zone="UTC"))
    make.make_change(flow=flow, state="applied", action="update", finished_at=NOW)
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    make.make_change(flow=flow, state="applied", action="link", finished_at=midnight + timedelta(seconds=5))
    daily.count(midnight + timedelta(minutes=1))
    make.make_change(flow=flow, state="applied", action="update", finished_at=midnight - timedelta(seconds=1))
    daily.count(midnight + timedelta(minutes=2))
    assert DailyCount.objects.get(outcome="updated").n == 2


def test_the_command_counts_as_many_days_as_it_is_told(capsys):
    flow = make.make_flow()
    make.make_change(flow=flow, state="applied", finished_at=datetime.now(UTC) - timedelta(days=40))
    call_command("recount")
    call_command("recount", "--days", "45")
    assert capsys.readouterr().out.splitlines() == ["0 counters changed.", "1 counters changed."]
