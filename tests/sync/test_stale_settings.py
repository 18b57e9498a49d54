"""A page of settings that was opened before somebody else saved: refused, and put together for a second look."""

from __future__ import annotations

import pytest
from django.urls import reverse

from integrations.models import Integration
from sync.models import Flow
from tests import factories as make
from tests.settings_form import opened
from tests.sync.test_admin_actions import RIGHTS, client_of, member_of, tool

pytestmark = pytest.mark.django_db

SETTINGS = {
    "enabled": "on", "every_minutes": 30, "approval": "first_run", "may_create": "on", "may_update": "on",
    "takes": "all", "filter_expression": "", "brake_amount": "",
}  # fmt: skip


def test_a_settings_page_opened_before_a_pause_does_not_switch_the_flow_on_again():
    flow = make.make_flow(enabled=True, every_minutes=30)
    client, url = member_of(flow), reverse("admin:sync_flow_change", args=[flow.pk])
    stale = SETTINGS | opened(client, url) | {"every_minutes": 15}
    client.post(tool(flow, "pause"))
    refused = client.post(url, stale)
    form = refused.context["adminform"].form
    assert "after you opened this page" in str(form.non_field_errors())
    assert Flow.objects.values_list("enabled", "every_minutes").get() == (False, 30)
    # The page shows the pause, and keeps what was typed: saved again, both stand.
    assert (form["enabled"].value(), str(form["every_minutes"].value()), list(form.errors)) == (
        False,
        "15",
        ["__all__"],
    )
    again = {name: value for name, value in stale.items() if name != "enabled"}
    assert client.post(url, again | {"opened_with": form.opened_with}).status_code == 302
    assert Flow.objects.values_list("enabled", "every_minutes").get() == (False, 15)


def test_a_setting_that_two_people_changed_says_by_its_field_what_is_stored():
    flow = make.make_flow(enabled=True, every_minutes=30)
    client, url = member_of(flow), reverse("admin:sync_flow_change", args=[flow.pk])
    stale = SETTINGS | opened(client, url) | {"every_minutes": 15, "approval": "always"}
    Flow.objects.filter(pk=flow.pk).update(every_minutes=60, approval="automatic")
    errors = client.post(url, stale).context["adminform"].form.errors
    assert "Stored is: 60" in str(errors["every_minutes"])
    assert "Stored is: Automatic" in str(errors["approval"])


def test_settings_that_do_not_say_what_they_were_opened_with_are_not_saved():
    flow = make.make_flow(enabled=False)
    client, url = member_of(flow), reverse("admin:sync_flow_change", args=[flow.pk])
    for stamp in ({}, {"opened_with": ""}, {"opened_with": "[]"}, {"opened_with": "{damaged"}):
        assert client.post(url, SETTINGS | stamp).status_code == 200
    assert not Flow.objects.get().enabled


def test_an_interval_of_a_pass_that_the_page_did_not_change_is_not_put_back():
    flow = make.make_flow(enabled=True)
    item = make.make_pass(flow, every_minutes=60)
    client = member_of(flow, RIGHTS + " sync.change_flowpass")
    url = reverse("admin:sync_flow_change", args=[flow.pk])
    stale = SETTINGS | opened(client, url) | {
        "passes-TOTAL_FORMS": 1, "passes-INITIAL_FORMS": 1, "passes-0-id": item.pk, "passes-0-flow": flow.pk,
        "passes-0-every_minutes": 60, "initial-passes-0-every_minutes": 60,
    }  # fmt: skip
    assert 'name="initial-passes-0-every_minutes"' in client.get(url).content.decode()
    type(item).objects.update(every_minutes=1440)
    assert client.post(url, stale).status_code == 302
    item.refresh_from_db()
    assert item.every_minutes == 1440


def test_a_settings_page_opened_before_an_integration_was_taken_from_live_does_not_put_it_back():
    pair = make.make_integration(mode=Integration.Mode.LIVE)
    rights = "integrations.view_integration integrations.change_integration"
    client = client_of(make.make_user(organization=pair.organization, permissions=rights))
    url = reverse("admin:integrations_integration_change", args=[pair.pk])
    stale = opened(client, url) | {
        "name": "Renamed", "mode": "live", "time_zone": "Europe/Stockholm", "brake_records": pair.brake_records,
        "brake_percent": pair.brake_percent,
    }  # fmt: skip
    Integration.objects.filter(pk=pair.pk).update(mode=Integration.Mode.OFF)
    form = client.post(url, stale).context["adminform"].form
    assert "after you opened this page" in str(form.non_field_errors())
    assert (form["mode"].value(), form["name"].value()) == ("off", "Renamed")
    assert Integration.objects.values_list("mode", "name").get() == ("off", pair.name)
    assert client.post(url, stale | {"mode": "off", "opened_with": form.opened_with}).status_code == 302
    assert Integration.objects.values_list("mode", "name").get() == ("off", "Renamed")


def test_what_the_engine_stores_in_the_row_meanwhile_refuses_nothing():
    pair = make.make_integration(mode=Integration.Mode.LIVE)
    rights = "integrations.view_integration integrations.change_integration"
    client = client_of(make.make_user(organization=pair.organization, permissions=rights))
    url = reverse("admin:integrations_integration_change", args=[pair.pk])
    given = opened(client, url) | {
        "name": "Renamed", "mode": "live", "time_zone": "Europe/Stockholm", "brake_records": 50, "brake_percent": 5,
    }  # fmt: skip
    Integration.objects.filter(pk=pair.pk).update(setup={"pipeline": "1"})
    assert client.post(url, given).status_code == 302
