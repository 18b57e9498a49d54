"""Opening and healing: once per cause, cheap, and never a reason for the work to fail."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from sync.models import Notice
from sync.notices import heal, tell
from sync.watchdog import banner
from tests import factories as make

pytestmark = pytest.mark.django_db


def test_one_cause_is_one_open_notice_and_telling_again_costs_one_statement(
    django_assert_num_queries: Any,
) -> None:
    flow = make.make_flow()
    organization = flow.integration.organization
    words = {"flow": flow.name, "count": "3"}
    first = tell("failures_waiting", organization, integration=flow.integration, key="f1", params=words, obj=flow)
    assert first is not None and first.url == f"/admin/sync/flow/{flow.pk}/change/"
    with django_assert_num_queries(3):  # the statement, inside a savepoint
        assert tell("failures_waiting", organization, key="f1", params=words, obj=flow) == first
    again = tell("failures_waiting", organization, key="f1", params=words | {"count": "4"}, obj=flow)
    assert again == first and again is not None and again.params["count"] == "4"
    assert Notice.objects.count() == 1
    with django_assert_num_queries(3):
        assert not heal("failures_waiting", "f2")
    assert heal("failures_waiting", "f1") and not heal("failures_waiting", "f1")


def test_telling_never_breaks_the_transaction_it_happens_in() -> None:
    with transaction.atomic():
        assert tell("no_such_kind", make.make_organization(), key="x") is None
        assert tell("run_failed", None, key="x", url_name="no-such-page") is None
        assert tell("run_failed", None, key="x" * 500) is not None
    assert Notice.objects.get().key == "x" * 120


def test_the_banner_shows_each_person_the_own_organizations_in_one_query(django_assert_num_queries: Any) -> None:
    mine, other = make.make_organization(), make.make_organization()
    for organization in (mine, mine, other):
        tell("connection_dead", organization, key=str(Notice.objects.count()), params={"account": "A", "reason": "b"})
    tell("failures_waiting", mine, key="f")
    user = make.make_user(organization=mine)
    with django_assert_num_queries(1):
        alarms = banner(user)
        assert banner(user) == alarms
    assert [(alarm.tone, alarm.n) for alarm in alarms] == [("failed", 2)]
    assert banner(make.make_user()) == []
    heal("connection_dead", "0")
    heal("connection_dead", "1")
    assert banner(type(user).objects.get(pk=user.pk)) == []
