"""A review of webhooks and inbox: crafted events, floods, accounts and records that hold up the others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from integrations import inbox as inbound
from integrations.errors import InvalidData, Misconfigured, Transient
from integrations.hubspot.signature import sign
from integrations.inbox import Event
from integrations.models import InboundEvent
from sync import inbox
from sync.engine.run import work
from sync.models import Flow, Hint
from tests.factories import make_account
from tests.sync.cards_world import SECRET, use_secret
from tests.tiny import TinyConnector
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db(transaction=True)
Tiny = Callable[..., TinyWorld]


# --- Webhooks --------------------------------------------------------------------------------------------------------


def post(events: Any) -> int:
    """A signed batch; the status of the answer."""
    raw, now = json.dumps(events).encode(), str(int(time.time() * 1000))
    signature = sign("POST", f"{django_settings.PUBLIC_URL}/webhooks/hubspot", raw, now, SECRET)
    headers = {"X-HubSpot-Signature-v3": signature, "X-HubSpot-Request-Timestamp": now}
    return Client().post("/webhooks/hubspot", raw, content_type="application/json", headers=headers).status_code


def event(**fields: Any) -> dict[str, Any]:
    """A change of a deal."""
    row = {"portalId": 62515, "eventId": 1, "occurredAt": 1_760_000_000_000, "objectId": 7, "appId": 1,
           "subscriptionType": "deal.propertyChange"}  # fmt: skip
    return row | fields


def association(**fields: Any) -> dict[str, Any]:
    """A company was added to a deal."""
    row = event(subscriptionType="deal.associationChange", associationType="DEAL_TO_COMPANY", fromObjectId=7,
                toObjectId=9)  # fmt: skip
    del row["objectId"]
    return row | fields


@pytest.fixture
def portal(settings: Any) -> Any:
    use_secret(settings)
    return make_account(system="hubspot", remote_id="62515")


@pytest.mark.parametrize("odd", ["\x00", "\ud800", {"a": [1] * 300}, "x" * 1000, [], 10**300, None], ids=repr)
def test_a_crafted_event_does_not_keep_back_the_rest_of_its_batch(portal: Any, odd: Any) -> None:
    assert post([association(objectId=odd), event(objectId=8)]) == 204
    assert "8" in set(InboundEvent.objects.values_list("record_id", flat=True))


def test_a_long_crafted_id_does_not_make_two_events_one(portal: Any) -> None:
    assert post([association(objectId="x" * 500), association(objectId="x" * 500, fromObjectId=8)]) == 204
    assert sorted(InboundEvent.objects.values_list("record_id", flat=True)) == ["7", "8"]


def test_one_event_does_not_become_a_hundred_thousand(portal: Any) -> None:
    merged = list(range(100_000, 200_000))
    post([event(subscriptionType="company.merge", mergedObjectIds=merged)])
    assert InboundEvent.objects.count() <= 1_000


@pytest.mark.parametrize("odd", ["\x00", "\ud800", [], {}, True, -1, 1.5, "1e3", "9" * 400, None, "٣"], ids=repr)
@pytest.mark.parametrize("name", ["portalId", "eventId", "occurredAt", "objectId", "subscriptionType"])
def test_odd_values_in_events_are_no_fault(portal: Any, name: str, odd: Any) -> None:
    assert post([event(**{name: odd}), event(objectId=8)]) == 204
    assert InboundEvent.objects.filter(record_id="8").count() == 1


# --- One account does not hold up another ----------------------------------------------------------------------------


@pytest.fixture
def world(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> TinyWorld:
    """The tiny ledger and register, past their first run; lines belong to customers."""
    there = tiny()
    monkeypatch.setattr("sync.inbox.connector_for", there._connector)
    Flow.objects.update(prepared_at=timezone.now())
    there.ledger_connector.owners = {"line": "customer"}
    return there


def tell(account: Any, *ids: str, name: str = "customer") -> None:
    """The account says that these records changed."""
    inbound.store(account.system, [Event(account.remote_id, f"{name}|{key}", name, key, "changed") for key in ids])


def test_events_that_wait_for_one_accounts_owners_do_not_stop_those_of_others(
    world: TinyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the account that cannot be asked comes first, by its key and by its name."""
    monkeypatch.setattr(inbox, "TAKEN_AT_ONCE", 5)
    second = make_account(system="fortnox", organization=world.integration.organization)
    first = world.integration.ledger_account
    broken, healthy = sorted((first, second), key=lambda account: account.pk.hex)
    for account, name in ((broken, "A"), (healthy, "B")):
        account.name = name
        account.save()
    world.integration.ledger_account = healthy
    world.integration.save()
    other = world.add_flow("lines", prepared_at=timezone.now())
    Flow.objects.filter(pk=other.pk).update(enabled=True)
    asked: list[str] = []

    def owners_of(self: TinyConnector, name: str, ids: Sequence[str]) -> dict[str, str]:
        asked.extend(ids)
        raise Transient("away", code="503")

    monkeypatch.setattr(TinyConnector, "owners_of", owners_of)
    monkeypatch.setattr(inbox, "readers", _everybody(inbox.readers, world.flow, broken))
    tell(broken, *(f"{n}" for n in range(100, 120)), name="line")
    tell(healthy, "3")
    inbox.distribute()
    assert asked, "the proof is about events that wait"
    assert Hint.objects.filter(source_id="3").exists()
    assert not InboundEvent.objects.filter(account=healthy, processed_at=None).exists()


def _everybody(readers: Any, flow: Flow, account: Any) -> Any:
    """Somebody reads the broken account, too."""

    def found(accounts: Sequence[Any], name: str = "") -> Any:
        return Flow.objects.filter(pk=flow.pk) if list(accounts) == [account.pk] else readers(accounts, name)

    return found


def test_a_fault_while_owners_are_asked_for_stops_nobody_else(
    world: TinyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def owners_of(self: TinyConnector, name: str, ids: Sequence[str]) -> dict[str, str]:
        raise KeyError("toObjectId")

    monkeypatch.setattr(TinyConnector, "owners_of", owners_of)
    account = world.integration.ledger_account
    tell(account, "12", name="line")
    world.crm_connector.owners = {"bit": "company"}
    tell(world.integration.crm_account, "5", name="bit")
    tell(account, "3")
    inbox.distribute()
    assert set(Hint.objects.values_list("source_id", flat=True)) == {"3"}
    assert set(InboundEvent.objects.filter(processed_at=None).values_list("object", flat=True)) <= {"line"}


# --- One record does not hold up the flow ----------------------------------------------------------------------------


def test_a_hint_whose_record_is_refused_does_not_stop_the_others(
    world: TinyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = TinyConnector.load

    def refusing(self: TinyConnector, name: str, ids: Sequence[str], fields: Any) -> Iterator[Any]:
        if "2" in ids:
            raise InvalidData("one of the ids is none", code="VALIDATION_ERROR")
        return load(self, name, ids, fields)

    monkeypatch.setattr(TinyConnector, "load", refusing)
    for number in (1, 2, 3):
        world.customer(number)
        Hint.objects.create(flow=world.flow, source_id=str(number))
    work(world.flow)
    assert set(world.companies()) == {"1", "3"}
    assert not Hint.objects.exists()


def test_what_stops_the_whole_flow_keeps_its_hints(world: TinyWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def broken(self: TinyConnector, name: str, ids: Sequence[str], fields: Any) -> Iterator[Any]:
        calls.append(len(ids))
        raise Misconfigured("a right is missing", code="scope")

    monkeypatch.setattr(TinyConnector, "load", broken)
    for number in (1, 2, 3):
        Hint.objects.create(flow=world.flow, source_id=str(number))
    work(world.flow)
    assert Hint.objects.count() == 3 and calls == [3]
