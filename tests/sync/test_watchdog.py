"""The watchdog looks from outside, the survey from inside; health checks for supervisors."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from integrations.fields import DecryptionError
from integrations.inbox_models import ListenerPulse, RefusedCall
from integrations.models import ConnectedAccount, Integration
from sync import queue, watchdog
from sync.models import Change, Flow, Notice, NoticeDelivery, SyncLogEntry, SyncRun, WorkerHeartbeat
from sync.notices.survey import survey
from tests import factories as make

pytestmark = pytest.mark.django_db


def ago(minutes: float) -> Any:
    return timezone.now() - timedelta(minutes=minutes)


def alive() -> None:
    for name in queue.QUEUES:
        WorkerHeartbeat.objects.update_or_create(queue=name, defaults={"at": timezone.now()})


def kinds(**filters: Any) -> list[str]:
    return sorted(Notice.objects.open().filter(**filters).values_list("kind", flat=True))


def stuck(flow: Flow | None = None, **fields: Any) -> SyncRun:
    values = {"state": "delivering", "due_at": ago(40), "heartbeat_at": ago(40)}
    return make.make_run(flow, **(values | fields))


def once() -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("watchdog", "--once", stdout=out, stderr=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_a_stuck_run_is_an_alarm_is_set_going_by_hand_once_and_heals() -> None:
    alive()
    run = stuck()
    organization = run.integration.organization
    support = make.make_user(organization=organization, role="support")
    viewer = make.make_user(organization=organization, role="viewer")
    foreign = make.make_user(organization=make.make_organization(), role="owner")
    code, said = once()
    assert code == 1 and f"#{run.pk}" in said
    notice = Notice.objects.get(kind="run_stuck")
    assert notice.organization == organization
    address = f"/admin/notices/{notice.pk}/again/"
    for user, status in ((viewer, 403), (foreign, 404)):
        client = Client()
        client.force_login(user)
        assert client.post(address, {"confirmed": "1"}).status_code == status
    client = Client()
    client.force_login(support)
    assert client.get(address).status_code == 405
    assert b"counts as an attempt" in client.post(address).content, "it asks once"
    run.refresh_from_db()
    assert run.failures == 0
    for _press in range(2):
        assert client.post(address, {"confirmed": "1"}).status_code == 302
    run.refresh_from_db()
    assert run.failures == 1 and run.due_at > ago(1), "pressing twice is one attempt"
    assert SyncLogEntry.objects.get(run=run).user == support
    assert OrmQ.objects.count() == 1
    assert once()[0] == 0 and kinds() == []


def test_a_run_that_waits_for_good_reason_is_not_stuck() -> None:
    alive()
    stuck(due_at=timezone.now() + timedelta(minutes=5))
    stuck(stopped_at=timezone.now())
    stuck(make.make_flow(enabled=False))
    account = make.make_account(status="needs_reconnect")
    stuck(make.make_flow(make.make_integration(account.organization, ledger=account)))
    assert once() == (0, "")


def test_with_no_workers_the_watchdog_tells_people_itself_and_of_the_cause_only() -> None:
    run = stuck()
    Flow.objects.update(last_success_at=ago(600))
    owner = make.make_user(organization=run.integration.organization, role="owner")
    master = make.make_superuser()
    for user in (owner, master):
        user.email = f"{user.username}@example.test"
        user.save()
    assert once()[0] == 1
    assert kinds(organization=None) == ["workers_missing"]
    for name in queue.QUEUES:
        WorkerHeartbeat.objects.create(queue=name, at=ago(10))
    once()
    assert kinds() == ["workers_silent", "workers_silent"], "what follows from it is not told"
    assert mail.outbox == [], "it may heal within a minute"
    NoticeDelivery.objects.update(due_at=ago(0))
    once()
    assert sorted(message.to[0] for message in mail.outbox) == sorted([owner.email, master.email])
    assert "2 things need you" in mail.outbox[0].subject and "manage.py worker" in mail.outbox[0].body
    alive()
    once()
    assert "workers_silent" not in kinds() and "run_stuck" in kinds()


def test_everything_that_stands_still_is_found_and_heals(django_assert_num_queries: Any) -> None:
    alive()
    flow = make.make_flow(last_success_at=ago(200), every_minutes=30, next_run_at=ago(100))
    make.make_change(flow=flow, state="unknown", settle_until=ago(60), source_title="Deal 9")
    Schedule.objects.create(name=queue.TICK, func="sync.tasks.tick", next_run=ago(10))
    OrmQ.objects.create(key="bulk", payload="x", lock=ago(30))
    ListenerPulse.objects.create(system="fortnox", at=ago(10), connected=True, connected_at=ago(10))
    told = Notice.objects.create(kind="connection_dead", level="immediate", key="x", organization=None)
    NoticeDelivery.objects.create(
        notice=told, channel="email", phase="opened", dedupe="x", attempts=3, created_at=ago(90), error="Timeout"
    )
    everything = [
        "cursor_old", "listener_silent", "outbox_stuck", "outcome_unknown_old", "queue_stuck", "scheduler_silent",
    ]  # fmt: skip
    with django_assert_num_queries(8):
        assert sorted(found.kind for found in watchdog.look(timezone.now())) == everything
    for _n in range(5):
        more = make.make_flow(last_success_at=ago(200), every_minutes=30)
        make.make_change(flow=more, state="sending", settle_until=ago(60))
    with django_assert_num_queries(8):
        assert len(list(watchdog.look(timezone.now()))) == 16
    watchdog.watch()
    Flow.objects.update(last_success_at=timezone.now())
    Change.objects.update(settle_until=timezone.now())
    for model in (Schedule, OrmQ, ListenerPulse, NoticeDelivery):
        model.objects.all().delete()
    watchdog.watch()
    assert kinds() == ["connection_dead"]


def test_when_the_database_is_away_the_operators_hear_of_it_once_an_hour(settings: Any) -> None:
    settings.ALARM_EMAILS = ["ops@example.test"]
    with mock.patch("sync.watchdog.watch", side_effect=DatabaseError("gone")):
        code, said = once()
    assert code == 2 and "could not look" in said
    assert [message.to for message in mail.outbox] == [["ops@example.test"]]


def test_the_survey_opens_and_heals_what_is_wrong_with_constant_queries(django_assert_num_queries: Any) -> None:
    def trouble() -> Flow:
        organization = make.make_organization()
        dead = make.make_account(organization, "hubspot", status="needs_reconnect", status_reason="revoked")
        dying = make.make_account(organization, refresh_expires_at=timezone.now() + timedelta(days=2))
        flow = make.make_flow(make.make_integration(organization, crm=dead, ledger=dying))
        paused = make.make_account(organization, paused_until=timezone.now() + timedelta(minutes=3))
        other = make.make_flow(make.make_integration(organization, ledger=paused), slug="other")
        held = make.make_run(
            flow, state="held", hold_reason={"en": "80 changes are too many.", "sv": "80 är för många."}
        )
        SyncLogEntry.objects.create(integration=flow.integration, run=held, event="brake")
        make.make_change(held, updated_at=ago(3000))
        make.make_change(flow=flow, state="review", error_code="totals_net")
        make.make_change(flow=flow, state="review", error_class="conflict")
        make.make_change(flow=flow, state="review")
        make.make_run(other, state="failed", error_class="configuration", error_code="2001302")
        return flow

    flow = trouble()
    RefusedCall.objects.create(kind="k", source="s", reason="mismatch", day=timezone.localdate(), count=12)
    everything = [
        "account_paused", "approval_waiting", "calls_refused", "conflicts_waiting", "connection_dead",
        "connection_dying", "failures_waiting", "guard_brake", "guard_totals", "run_failed",
    ]  # fmt: skip
    assert survey() == (10, 0)
    assert kinds() == everything
    with django_assert_num_queries(8):
        assert survey() == (0, 0), "nothing changed, so nothing is written"
    for _n in range(4):
        trouble()
    assert survey() == (36, 0)
    with django_assert_num_queries(8):
        survey()
    assert Notice.objects.get(kind="guard_brake", organization=flow.integration.organization).params["reason_sv"]
    make.make_change(flow=flow, state="review")
    survey()
    assert Notice.objects.get(kind="failures_waiting", key=str(flow.pk)).params["count"] == "2"
    Integration.objects.update(mode="off")
    RefusedCall.objects.all().delete()
    assert survey()[1] == 46 and kinds() == []
    ConnectedAccount.objects.update(status="disconnected")
    Integration.objects.update(mode="live")
    survey()
    assert "connection_dead" not in kinds(), "who disconnects by hand knows"


def test_the_tick_survives_whatever_fails_in_telling() -> None:
    from sync.tasks import tick

    with mock.patch("sync.notices.survey.find", side_effect=RuntimeError):
        assert tick() == 0


def test_health_is_answered_without_a_login() -> None:
    client = Client()
    assert client.get("/livez").content == b"ok"
    assert (client.get("/readyz").status_code, client.get("/readyz").content) == (200, b"ok")
    with mock.patch("config.health.encrypt", side_effect=DecryptionError):
        assert (client.get("/readyz").status_code, client.get("/readyz").content) == (503, b"keys")
    with mock.patch("config.health.connection.cursor", side_effect=DatabaseError):
        assert client.get("/readyz").content == b"database"
    assert client.get("/healthz/worker/bulk").status_code == 404
    WorkerHeartbeat.objects.create(queue="bulk", at=ago(10))
    assert client.get("/healthz/worker/bulk").status_code == 503
    WorkerHeartbeat.objects.update(at=timezone.now())
    assert client.get("/healthz/worker/bulk").status_code == 200
    assert client.post("/readyz").status_code == 405
