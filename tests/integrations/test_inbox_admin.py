"""Support sees refused calls and the listener's pulse; nobody edits them, and no company is named."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from integrations import inbox
from integrations.inbox_models import ListenerPulse, RefusedCall
from tests.factories import make_user

PAGES = {RefusedCall: "refusedcall", ListenerPulse: "listenerpulse"}


@pytest.fixture
def rows(db: None) -> None:
    inbox.count_refused("hubspot webhook", "203.0.113.7", "mismatch", 3)
    ListenerPulse.objects.create(system="fortnox", accounts=["424242"], connected=True)


@pytest.mark.parametrize("model", PAGES)
def test_whoever_may_view_them_sees_them_and_changes_nothing(
    rows: None, client: Client, model: type[RefusedCall] | type[ListenerPulse]
) -> None:
    name = PAGES[model]
    key = model.objects.get().pk
    listing = reverse(f"admin:integrations_{name}_changelist")
    detail = reverse(f"admin:integrations_{name}_change", args=[key])
    client.force_login(make_user())
    assert client.get(listing).status_code == 403
    client.force_login(make_user(permissions=f"integrations.view_{name}"))
    page = client.get(listing)
    assert page.status_code == 200 and ("203.0.113.7" in page.text) == (model is RefusedCall)
    shown = client.get(detail)
    assert shown.status_code == 200 and "424242" not in shown.text
    assert client.post(detail, {"detail": "x"}).status_code == 403
    assert client.get(reverse(f"admin:integrations_{name}_add")).status_code == 403
