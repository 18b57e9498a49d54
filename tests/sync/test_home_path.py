"""The guided path: read from the database, resumed by anybody, and its last step."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Integration, ReadinessReport
from sync import guided
from sync.models import Flow, SyncLogEntry
from tests import factories as make

pytestmark = pytest.mark.django_db


def stage(integration: Integration) -> str:
    fresh = Integration.objects.select_related("organization", "crm_account", "ledger_account", "readiness_report").get(
        pk=integration.pk
    )
    current = guided.path_of(fresh).current
    return current.key if current else "finished"


def page_of(client: Client, name: str, *args: Any) -> str:
    answer = client.get(reverse(f"admin:{name}", args=args))
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_each_stage_follows_from_what_is_there_until_it_is_live(django_assert_max_num_queries: Any) -> None:
    pair = make.make_integration(mode="observe")
    assert stage(pair) == "readiness"
    report = ReadinessReport.objects.create(integration=pair, checked_at=timezone.now(), errors=1)
    assert stage(pair) == "readiness"
    ReadinessReport.objects.filter(pk=report.pk).update(errors=0, warnings=2)
    assert stage(pair) == "flows"
    flow = make.make_flow(pair, enabled=False, first_run_approved_at=None)
    assert stage(pair) == "flows"
    Flow.objects.update(enabled=True)
    assert stage(pair) == "plan"
    run = make.make_run(flow, state="held", seen=3)
    make.make_change(run, action="create")
    doubtful = make.make_change(run, action="conflict", state="review")
    assert stage(pair) == "match"
    doubtful.delete()
    assert stage(pair) == "approve"
    somebody = make.make_user(organization=pair.organization)  # the next day, another person
    client = signed_in(somebody)
    assert "Approve and go live" in page_of(client, "path_integration", pair.pk)
    url = reverse("admin:path_live", args=[pair.pk])
    assert "1 changes are written" in client.get(url).content.decode()
    assert client.post(url, {"run": run.pk}).status_code == 302
    pair.refresh_from_db()
    run.refresh_from_db()
    assert (pair.mode, run.state, run.approved_by) == ("live", "delivering", somebody)
    assert SyncLogEntry.objects.filter(event="live", user=somebody).count() == 1
    assert stage(pair) == "finished"
    parts = ("organization", "crm_account", "ledger_account", "readiness_report")
    fresh = Integration.objects.select_related(*parts).get()
    with django_assert_max_num_queries(4):
        guided.path_of(fresh)


def test_going_live_again_or_with_a_stale_plan_approves_nothing() -> None:
    pair = make.make_integration(mode="observe")
    flow = make.make_flow(pair, first_run_approved_at=None)
    run = make.make_run(flow, state="held")
    make.make_change(run)
    client = signed_in(make.make_user(organization=pair.organization))
    url = reverse("admin:path_live", args=[pair.pk])
    client.post(url, {"run": run.pk + 1})
    run.refresh_from_db()
    pair.refresh_from_db()
    assert (run.state, pair.mode) == ("held", "live")
    client.post(url)
    assert SyncLogEntry.objects.filter(event="live").count() == 1


def test_going_live_approves_only_the_plan_that_was_asked_about() -> None:
    pair = make.make_integration(mode="observe")
    run = make.make_run(make.make_flow(pair, first_run_approved_at=None), state="held")
    make.make_change(run)
    client = signed_in(make.make_user(organization=pair.organization))
    url = reverse("admin:path_live", args=[pair.pk])
    asked = {"run": run.pk, **dict(client.get(url).context["asked"])}
    make.make_change(run)
    assert "has changed since you were asked" in client.post(url, asked, follow=True).content.decode()
    run.refresh_from_db()
    pair.refresh_from_db()
    assert (run.state, pair.mode) == ("held", "observe")
    client.post(url, {"run": run.pk, **dict(client.get(url).context["asked"])})
    run.refresh_from_db()
    pair.refresh_from_db()
    assert (run.state, pair.mode) == ("delivering", "live")


def test_rights_are_asked_in_the_organization_of_the_integration() -> None:
    pair, other = make.make_integration(mode="observe"), make.make_integration(mode="observe")
    viewer = signed_in(make.make_user(organization=pair.organization, role="viewer"))
    accountant = signed_in(make.make_user(organization=pair.organization, role="accountant"))
    consultant = signed_in(make.make_user(organization=pair.organization))
    assert other.name not in page_of(consultant, "path")
    for client in (viewer, accountant, consultant):
        assert client.get(reverse("admin:path_integration", args=[other.pk])).status_code == 404
        assert client.post(reverse("admin:path_live", args=[other.pk])).status_code == 404
        assert pair.name in page_of(client, "path_integration", pair.pk)
    for client in (viewer, accountant):
        assert client.post(reverse("admin:path_live", args=[pair.pk])).status_code == 403
    readiness = reverse("admin:integrations_integration_readiness", args=[pair.pk])
    assert viewer.post(readiness).status_code == 403
    assert not ReadinessReport.objects.exists()


def test_the_stepper_stands_on_the_pages_of_the_path_while_it_is_not_finished() -> None:
    pair = make.make_integration(mode="observe")
    flow = make.make_flow(pair, first_run_approved_at=None)
    run = make.make_run(flow, state="held")
    make.make_change(run)
    client = signed_in(make.make_superuser())
    pages = [
        ("path", ()), ("integrations_connect", ()), ("integrations_integration_readiness", (pair.pk,)),
        ("sync_flow_choose", (pair.pk,)), ("sync_flow_change", (flow.pk,)),
        ("sync_syncrun_change", (run.pk,)), ("match", (run.pk,)), ("path_live", (pair.pk,)),
    ]  # fmt: skip
    for name, args in pages:
        assert 'class="lb-stepper"' in page_of(client, name, *args), name
    assert 'class="lb-stepper"' not in page_of(client, "sync_flow_changelist")
    Integration.objects.update(mode="live")
    Flow.objects.update(first_run_approved_at=timezone.now())
    for name, args in pages[2:7]:
        assert 'class="lb-stepper"' not in page_of(client, name, *args), name


def test_what_is_ticked_is_switched_on_and_plans_at_once() -> None:
    pair = make.make_integration(mode="observe")
    client = signed_in(make.make_user(organization=pair.organization))
    url = reverse("admin:sync_flow_choose", args=[pair.pk])
    answer = client.post(url, {"match_order": "default", "start": ["customers-to-companies"]})
    assert answer["Location"] == reverse("admin:path_integration", args=[pair.pk])
    assert list(Flow.objects.filter(enabled=True).values_list("slug", flat=True)) == ["customers-to-companies"]
    assert stage(pair) == "readiness"
    assert "On: " in page_of(client, "path_integration", pair.pk)
