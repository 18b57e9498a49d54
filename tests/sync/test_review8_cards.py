"""The card of a document that was cancelled in the ledger: it offers a new one, to people with that right."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

from sync.states import Action, State
from tests.factories import make_link, make_user
from tests.sync.cards_world import CardPage, Portal, planned, use_secret

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def portal(settings: Any) -> Portal:
    use_secret(settings)
    return Portal()


def invoiced(portal: Portal, status: str) -> None:
    """An invoice that was made, and what the ledger said of it last."""
    make_link(
        portal.integration, crm_object="deal", crm_id="501", ledger_object="invoice", ledger_id="9",
        agreed_ledger={"status": status},
    )  # fmt: skip
    planned(portal.deals, state=State.APPLIED, action=Action.CREATE, target_id="9")


def person(portal: Portal, permissions: str) -> CardPage:
    """The page of somebody with a login in the account's organization."""
    user = make_user("eko", organization=portal.crm.organization, permissions=permissions)
    user.email = portal.email
    user.save()
    return portal.open()


def offered(page: CardPage) -> dict[str, Any] | None:
    return next((action for action in page.state["actions"] if action["id"] == "credit_and_new"), None)


def test_a_cancelled_invoice_is_created_again_by_who_may(portal: Portal) -> None:
    invoiced(portal, "cancelled")
    page = person(portal, "sync.credit_change")
    button = offered(page)
    assert button is not None and button["label"] == "Create again" and not button["disabled"]
    assert "9 was cancelled" in button["confirm"] and "credited" not in button["confirm"]
    with patch("sync.interactive.credit_and_new") as done:
        assert page.post("credit_and_new").json()["outcome"]["status"] == "queued"
    done.assert_called_once()


def test_a_cancelled_invoice_is_not_created_again_by_who_may_not(portal: Portal) -> None:
    invoiced(portal, "cancelled")
    page = person(portal, "sync.view_change")
    assert offered(page) is None
    with patch("sync.interactive.credit_and_new") as done:
        assert page.post("credit_and_new").json()["outcome"]["status"] == "not_allowed"
    done.assert_not_called()


@pytest.mark.parametrize("status", ["unbooked", "booked", "credited"])
def test_an_invoice_that_stands_is_not_replaced(portal: Portal, status: str) -> None:
    invoiced(portal, status)
    page = person(portal, "sync.credit_change")
    assert offered(page) is None
    with patch("sync.interactive.credit_and_new") as done:
        assert page.post("credit_and_new").json()["outcome"]["status"] == "already"
    done.assert_not_called()
