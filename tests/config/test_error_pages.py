"""Pages that say no lead on: in the reader's language, with the menu, and without a word about foreign rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from integrations.models import Membership
from tests import factories as make

pytestmark = pytest.mark.django_db


def signed_in(user: Any, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def test_a_page_that_is_not_there_says_what_to_do_and_keeps_the_menu() -> None:
    client = signed_in(make.make_superuser())
    for address in ("/admin/sync/change/999999/change/", "/admin/nothing-here/", "/admin/record/999999/"):
        answer = client.get(address)
        page = answer.content.decode()
        assert answer.status_code == 404
        assert "What to do:" in page
        assert "/admin/review/" in page, "the menu leads on"
        assert "999999" not in page.replace(address, "")


def test_what_a_role_does_not_include_says_who_can_help() -> None:
    organization = make.make_organization()
    make.make_change(flow=make.make_flow(make.make_integration(organization)))
    client = signed_in(make.make_user(organization=organization, role=Membership.Role.VIEWER))
    answer = client.get(f"/admin/integrations/integration/connect/{organization.pk}/")
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "Your role in this organization does not include" in page
    assert "/admin/review/" in page


def test_a_form_of_another_session_says_that_nothing_was_changed() -> None:
    client = signed_in(make.make_superuser(), enforce_csrf_checks=True)
    flow = make.make_flow()
    answer = client.post(f"/admin/sync/flow/{flow.pk}/pause/")
    assert answer.status_code == 403
    assert "Nothing was changed." in answer.content.decode()
    flow.refresh_from_db()
    assert flow.enabled


def test_machines_get_the_short_answer_and_cost_no_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        answer = Client().get("/webhooks/nobody")
    assert answer.status_code == 404
    assert "lb-page" not in answer.content.decode()


def test_a_stranger_sees_neither_menu_nor_rows() -> None:
    answer = Client().get("/connect/fortnox/nothing")
    assert answer.status_code == 404
    assert "/admin/review/" not in answer.content.decode()
