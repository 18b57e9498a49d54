"""A flow's settings on its page: each as what it is, refused when it cannot work, and counted at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from sync.flows import install, setting_values
from sync.models import Flow
from tests import factories as make
from tests.settings_form import opened

pytestmark = pytest.mark.django_db
RIGHTS = "sync.view_flow sync.change_flow"


@pytest.fixture
def flow() -> Flow:
    integration = make.make_integration()
    return next(flow for flow in install(integration) if flow.slug == "deals-to-invoices")


@pytest.fixture
def client(flow: Flow) -> Client:
    client = Client()
    client.force_login(make.make_user(organization=flow.integration.organization, permissions=RIGHTS))
    return client


def form(flow: Flow, client: Client, **given: Any) -> dict[str, Any]:
    """What the page posts, with some values changed."""
    stamp = opened(client, reverse("admin:sync_flow_change", args=[flow.pk]))
    values = {f"setting_{name}": value for name, value in setting_values(flow).items() if value is not False}
    base = {
        "every_minutes": 30, "approval": flow.approval, "may_create": "on", "may_update": "on", "takes": flow.takes,
        "max_creates_per_hour": 200, "filter_expression": "",
        "passes-TOTAL_FORMS": 0, "passes-INITIAL_FORMS": 0,
    }  # fmt: skip
    return base | values | stamp | given


def test_each_setting_is_shown_as_what_it_is(flow: Flow, client: Client) -> None:
    page = client.get(reverse("admin:sync_flow_change", args=[flow.pk])).content.decode()
    assert '<select name="setting_document_mode"' in page
    assert 'type="checkbox" name="setting_vat_included"' in page
    assert 'name="setting_tolerance" value="1.00"' in page


def test_settings_are_saved_with_their_types(flow: Flow, client: Client) -> None:
    given = form(flow, client, setting_document_mode="booked", setting_tolerance="0.50", setting_vat_included="on")
    answer = client.post(reverse("admin:sync_flow_change", args=[flow.pk]), given)
    assert answer.status_code == 302, answer.context["errors"]
    flow.refresh_from_db()
    values = setting_values(flow)
    assert (values["document_mode"], str(values["tolerance"]), values["vat_included"]) == ("booked", "0.50", True)


def test_a_pattern_that_cannot_work_is_refused_with_the_reason(flow: Flow, client: Client) -> None:
    answer = client.post(
        reverse("admin:sync_flow_change", args=[flow.pk]), form(flow, client, setting_sku_pattern="[0-9")
    )
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["setting_sku_pattern"]
    flow.refresh_from_db()
    assert flow.settings["sku_pattern"] != "[0-9"


def test_what_a_check_stopped_is_planned_again_under_the_new_settings(flow: Flow, client: Client) -> None:
    run = make.make_run(flow)
    stopped = make.make_change(run, action="blocked", state="review", error_class="data", error_code="sku_allowed")
    client.post(reverse("admin:sync_flow_change", args=[flow.pk]), form(flow, client, setting_missing_article="create"))
    stopped.refresh_from_db()
    assert (stopped.state, stopped.replan) == ("retrying", True)


def test_without_the_right_to_change_nothing_is_offered_or_saved(flow: Flow) -> None:
    reader = Client()
    reader.force_login(make.make_user(organization=flow.integration.organization, permissions="sync.view_flow"))
    url = reverse("admin:sync_flow_change", args=[flow.pk])
    assert "setting_document_mode" not in reader.get(url).content.decode()
    assert reader.post(url, {"setting_document_mode": "booked"}).status_code == 403
