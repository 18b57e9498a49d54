"""What pages say instead of codes: empty lists, what a change waits for, checks, the groups of offered flows."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from integrations.errors import ErrorClass
from sync.states import State
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make.make_superuser())
    return client


def test_an_empty_list_says_what_will_be_there_and_a_search_that_finds_nothing_how_to_go_on(staff: Client) -> None:
    page = reverse("admin:integrations_customsource_changelist")
    assert "Invoices from an object of your own" in staff.get(page).content.decode()
    assert "Clear the filters and the search" in staff.get(f"{page}?q=zzz").content.decode()
    assert "No record yet." in staff.get(reverse("admin:sync_entitylink_changelist")).content.decode()


def test_what_a_change_waits_for_is_a_link_to_the_other_record(staff: Client) -> None:
    first = make.make_change(state=State.REVIEW, source_id="a1", source_title="Nordkraft AB")
    second = make.make_change(
        flow=first.flow, state=State.REVIEW, source_id="b2", waits_for=f"{first.flow.slug}:a1", error_code="x"
    )
    text = staff.get(reverse("admin:sync_change_change", args=[second.pk])).content.decode()
    assert f'<a href="{reverse("admin:sync_change_change", args=[first.pk])}">Nordkraft AB</a>' in text
    assert f"{first.flow.slug}:a1" not in text


def test_a_check_that_only_says_yes_or_no_shows_no_value(staff: Client) -> None:
    change = make.make_change(
        state=State.REVIEW, error_class=ErrorClass.DATA, error_code="no_number",
        problems=[{"code": "no_number", "message": {"en": "It has no number."}, "field": "", "value": "True"}],
    )  # fmt: skip
    text = staff.get(reverse("admin:sync_change_change", args=[change.pk])).content.decode()
    assert "It has no number." in text
    assert '<span class="lb-field">value:</span>' not in text


def test_offered_flows_stand_under_what_they_are_about(staff: Client) -> None:
    pair = make.make_integration(crm=make.make_account(system="salesforce"))
    groups = staff.get(reverse("admin:sync_flow_choose", args=[pair.pk])).context["groups"]
    assert [group["name"] for group in groups] == ["Customers", "Articles", "Invoices"]
    (invoices,) = [group for group in groups if group["name"] == "Invoices"]
    assert "Opportunities to invoices" in [offer["preset"].name for offer in invoices["offers"]]
