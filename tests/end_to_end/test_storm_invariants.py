"""The checker of a storm can fail: each invariant, violated on purpose, is seen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from sync.models import Flow
from sync.states import Action
from tests.end_to_end.storm.invariants import duplicates, violations
from tests.factories import make_change, make_flow, make_link

pytestmark = pytest.mark.django_db
NAME = "lb1-a-d1-1-abcd"


def deed(key: str = "1", *, marker: str = NAME, action: str = "create", **more: Any) -> dict[str, Any]:
    values = {"Net": "100", "CustomerNumber": "7"}
    return {
        "number": 1, "request": 1, "system": "fortnox", "account": "1", "object": "invoices", "action": action,
        "key": key, "marker": marker, "at": "", "values": values, **more,
    }  # fmt: skip


@pytest.fixture
def flow() -> Flow:
    """One deal that was billed, as it should be."""
    flow = make_flow(
        slug="storm", source_side="crm", source_object="deal", target_side="ledger", target_object="invoice"
    )
    make_change(
        flow=flow, action=Action.CREATE, state="applied", source_id="5", target_id="1", remote_reference=NAME,
        amount=Decimal(100), sent_at=timezone.now(), payload={"fields": {"CustomerNumber": "7"}},
    )  # fmt: skip
    make_link(
        flow.integration, crm_object="deal", crm_id="5", ledger_object="invoice", ledger_id="1",
        agreed_ledger={"CustomerNumber": "7"},
    )  # fmt: skip
    return flow


RECORDS = [{"DocumentNumber": "1", "CustomerNumber": "7"}]


def violated(flow: Flow, *deeds: dict[str, Any], wanted: str = "5", records: Any = RECORDS) -> set[str]:
    return set(violations(flow, [wanted], deeds, records))


def test_a_world_in_order_violates_nothing(flow: Flow) -> None:
    assert violated(flow, deed()) == set()


def test_a_second_live_document_is_seen_and_a_cancelled_one_does_not_count(flow: Flow) -> None:
    assert violated(flow, deed(), deed("2")) == {"INV1"}
    assert duplicates([deed(), deed("2"), deed("3")]) == 2
    assert violated(flow, deed(), deed("2"), deed("2", action="cancel")) == set()


def test_a_missing_document_a_wrong_amount_and_a_wrong_customer_are_seen(flow: Flow) -> None:
    assert violated(flow) == {"INV2"}
    assert violated(flow, deed(values={"Net": "99", "CustomerNumber": "7"})) == {"INV2"}
    assert violated(flow, deed(values={"Net": "100", "CustomerNumber": "8"})) == {"INV2"}


def test_a_lost_wish_and_one_that_never_ends_are_seen(flow: Flow) -> None:
    assert violated(flow, deed(), wanted="6") == {"INV3"}
    make_change(flow=flow, action=Action.CREATE, state="unknown", source_id="8")
    assert violated(flow, deed()) == {"INV3"}


def test_a_write_that_our_table_does_not_know_is_seen(flow: Flow) -> None:
    assert violated(flow, deed(), deed("2", marker="lb1-b-d2-1-abcd")) == {"INV4"}
    assert violated(flow, deed(), deed("2", marker="")) == {"INV4"}


def test_a_wrong_number_and_a_mirror_that_differs_are_seen(flow: Flow) -> None:
    assert violated(flow, deed(), records=[{"DocumentNumber": "1", "CustomerNumber": "8"}]) == {"INV5"}
    flow.integration.links.update(ledger_id="2")
    assert violated(flow, deed()) == {"INV5"}


def test_a_refresh_token_that_is_presented_twice_is_seen(flow: Flow) -> None:
    token = deed("ab12", marker="", action="accepted", object="token", request=None)
    assert violated(flow, deed(), token) == set()
    assert violated(flow, deed(), token, token) == {"INV6"}
