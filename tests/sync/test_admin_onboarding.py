"""From a connected integration to its flows, in the admin."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from integrations.connect import next_steps
from mappings.models import MappingSet
from sync.models import Flow, SyncLogEntry
from tests.factories import make_flow, make_integration, make_superuser, make_user


@pytest.fixture
def staff(client: Client, db: None) -> Client:
    client.force_login(make_superuser())
    return client


def test_adding_flows_sets_up_every_preset_switched_off(staff: Client) -> None:
    integration = make_integration()
    url = reverse("admin:sync_flow_choose", args=[integration.pk])
    assert b"Customers to companies" in staff.get(url).content
    assert Flow.objects.count() == 0
    response = staff.post(url, {"match_order": "default"})
    assert response.status_code == 302
    assert list(Flow.objects.values_list("slug", flat=True).order_by("position")) == [
        "customers-to-companies",
        "articles-to-products",
        "invoices-to-deals",
        "companies-to-customers",
        "customer-numbers-to-companies",
        "deals-to-invoices",
        "invoice-status-to-deals",
    ]
    assert not Flow.objects.filter(enabled=True).exists()
    # What a person asks for one by one needs no first plan; everything else waits for its approval.
    asked = Flow.objects.exclude(approval="automatic")
    assert all(flow.first_run_pending for flow in asked) and asked.count() == 3


def test_the_match_order_is_the_one_that_was_chosen(staff: Client) -> None:
    integration = make_integration()
    staff.post(reverse("admin:sync_flow_choose", args=[integration.pk]), {"match_order": "previous_app"})
    customers = MappingSet.objects.published(integration, "customers-to-companies")
    assert [rule.target_field for rule in customers.match_rules.all()] == ["name", "fortnox_id", "domain"]


def test_adding_again_changes_nothing(staff: Client) -> None:
    integration = make_integration()
    url = reverse("admin:sync_flow_choose", args=[integration.pk])
    staff.post(url, {"match_order": "default"})
    staff.post(url, {"match_order": "previous_app"})
    assert Flow.objects.count() == 7 and MappingSet.objects.count() == 7


def test_a_stranger_finds_no_such_integration(client: Client, db: None) -> None:
    integration = make_integration()
    client.force_login(make_user(permissions="sync.add_flow", organization=make_integration().organization))
    url = reverse("admin:sync_flow_choose", args=[integration.pk])
    assert client.get(url).status_code == client.post(url).status_code == 404
    assert Flow.objects.count() == 0


def test_a_member_without_the_right_may_not_add_flows(client: Client, db: None) -> None:
    integration = make_integration()
    client.force_login(make_user(organization=integration.organization, role="viewer"))
    assert client.post(reverse("admin:sync_flow_choose", args=[integration.pk])).status_code == 403


def test_what_next_leads_from_choosing_to_approving(db: None) -> None:
    integration = make_integration()
    assert [str(step.title) for step in next_steps(integration)] == ["Choose flows"]
    flow = make_flow(integration, enabled=False, first_run_approved_at=None)
    assert [step.state for step in next_steps(integration)] == ["done", "next"]
    Flow.objects.filter(pk=flow.pk).update(enabled=True)
    assert "approve" in str(next_steps(integration)[1].detail)


def test_set_up_again_lets_the_next_run_look_at_the_target(staff: Client) -> None:
    flow = make_flow(prepared_at="2026-01-01T00:00Z")
    response = staff.post(reverse("admin:sync_flow_set_up", args=[flow.pk]))
    assert response.status_code == 302
    flow.refresh_from_db()
    assert flow.prepared_at is None and flow.run_requested == "plan"
    assert SyncLogEntry.objects.filter(event="set-up requested").exists()
    assert staff.get(reverse("admin:sync_flow_set_up", args=[flow.pk])).status_code == 405
