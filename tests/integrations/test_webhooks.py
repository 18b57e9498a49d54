"""The HubSpot webhook: only what is signed is read, only what is committed is acknowledged, nothing is stored twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from integrations import inbox
from integrations.hubspot import webhooks
from integrations.hubspot.signature import sign
from integrations.inbox_models import RefusedCall
from integrations.models import ConnectedAccount, InboundEvent
from tests.factories import make_account
from tests.integrations.clients import set_vendor

SECRET, PUBLIC, PORTAL = "webhook-secret", "https://bridge.example", "145893001"
Post = Callable[..., Any]


def event(**fields: Any) -> dict[str, Any]:
    """One raw event, as HubSpot sends it; a field of None is left out."""
    raw: dict[str, Any] = {
        "eventId": 3181526810,
        "subscriptionId": 4122001,
        "portalId": int(PORTAL),
        "appId": 1234567,
        "occurredAt": 1795181022907,
        "subscriptionType": "object.propertyChange",
        "attemptNumber": 0,
        "objectId": 210458813,
        "objectTypeId": "0-2",
        "propertyName": "phone",
        "propertyValue": "+46 31 711 11 11",
        "changeSource": "CRM_UI",
        "sourceId": "userId:9274996",
        "isSensitive": False,
    } | fields
    return {name: value for name, value in raw.items() if value is not None}


@pytest.fixture
def account(db: None, settings: Any) -> ConnectedAccount:
    """A connected portal, and our own address and secret."""
    settings.PUBLIC_URL = PUBLIC
    set_vendor(settings, "hubspot", client_secret=SECRET)
    return make_account(system="hubspot", remote_id=PORTAL)


@pytest.fixture
def post(account: ConnectedAccount, client: Client) -> Post:
    """Deliver a body as HubSpot does: `post([event()])`, or `post(b"...")`; headers may be replaced."""

    def deliver(batch: Any, *, secret: str = SECRET, age: float = 0, **headers: str) -> Any:
        body = batch if isinstance(batch, bytes) else json.dumps(batch).encode()
        stamp = str(int((time.time() - age) * 1000))
        given = {
            "X-HubSpot-Request-Timestamp": stamp,
            "X-HubSpot-Signature-v3": sign("POST", f"{PUBLIC}/webhooks/hubspot", body, stamp, secret),
        } | headers
        return client.post("/webhooks/hubspot", body, content_type="application/json", headers=given)

    return deliver


@pytest.fixture
def rung() -> Iterator[list[int]]:
    """How many events were stored each time the bell was rung."""
    bells: list[int] = []

    def ring() -> None:
        bells.append(InboundEvent.objects.count())

    inbox.on_stored(ring)
    yield bells
    inbox._on_stored.remove(ring)


def refused() -> dict[str, int]:
    """What was counted, by reason."""
    return dict(RefusedCall.objects.values_list("reason", "count"))


def stored() -> set[tuple[str, str, str]]:
    """(object, record id, kind) of every stored event."""
    return set(InboundEvent.objects.values_list("object", "record_id", "kind"))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (event(), {("company", "210458813", "propertyChange")}),
        (event(subscriptionType="company.creation", objectTypeId=None), {("company", "210458813", "creation")}),
        (event(objectTypeId="0-3", objectId=5), {("deal", "5", "propertyChange")}),
        (event(objectTypeId="0-8", objectId=7), {("line_item", "7", "propertyChange")}),
        (event(subscriptionType="object.deletion"), {("company", "210458813", "deletion")}),
        (event(subscriptionType="object.restore"), {("company", "210458813", "restore")}),
        (
            event(subscriptionType="object.merge", primaryObjectId=210458813, mergedObjectIds=[2, 3]),
            {("company", key, "merge") for key in ("210458813", "2", "3")},
        ),
        (
            event(
                subscriptionType="deal.associationChange", objectId=None, objectTypeId=None,
                associationType="DEAL_TO_COMPANY", fromObjectId=11, toObjectId=12,
            ),
            {("deal", "11", "associationChange")},
        ),
        (
            event(
                subscriptionType="object.associationChange", objectId=None, objectTypeId=None, associationType="X",
                fromObjectTypeId="0-8", toObjectTypeId="0-3", fromObjectId=21, toObjectId=22,
            ),
            {("deal", "22", "associationChange")},
        ),
        (event(changeSource="INTEGRATION", sourceId="1234567"), set()),  # our own echo
        (event(changeSource="INTEGRATION", sourceId="7654321"), {("company", "210458813", "propertyChange")}),
    ],
)  # fmt: skip
def test_an_event_becomes_the_records_to_look_at(
    raw: dict[str, Any], expected: set[tuple[str, str, str]], post: Post
) -> None:
    answer = post([raw])
    assert answer.status_code == 204 and answer.content == b""
    assert stored() == expected
    assert not refused()


def test_the_same_event_is_stored_once_however_often_and_however_wrapped(post: Post) -> None:
    batch = [event(), event(attemptNumber=1), event(eventId=2), event(occurredAt=1795181022908)]
    assert post(batch).status_code == post(batch[::-1]).status_code == 204
    assert InboundEvent.objects.count() == 3


def test_two_organizations_with_one_portal_both_get_the_event(post: Post) -> None:
    make_account(system="hubspot", remote_id=PORTAL)
    post([event()])
    assert InboundEvent.objects.values("account").distinct().count() == 2


def test_unknown_portals_are_ignored_and_counted(post: Post) -> None:
    make_account(system="fortnox", remote_id="77")
    assert post([event(portalId=77), event(portalId=78), event()]).status_code == 204
    assert InboundEvent.objects.count() == 1
    assert refused() == {"unknown_portal": 2}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"secret": "other"}, "mismatch"),
        ({"age": 301}, "stale"),
        ({"age": -301}, "stale"),
        ({"X-HubSpot-Signature-v3": ""}, "no_signature"),
        ({"X-HubSpot-Request-Timestamp": ""}, "no_timestamp"),
    ],
)
def test_what_is_not_signed_gets_an_empty_401_and_is_counted(post: Post, bad: dict[str, Any], reason: str) -> None:
    answer = post([event()], **bad)
    assert (answer.status_code, answer.content) == (401, b"")
    assert not InboundEvent.objects.exists()
    row = RefusedCall.objects.get()
    assert (row.kind, row.reason, row.source, row.count) == ("hubspot webhook", reason, "127.0.0.1", 1)
    post([event()], **bad)
    assert refused() == {reason: 2}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a": 1}', "not_a_list"),
        (b"null", "not_a_list"),
        ([event()] * 101, "too_many_events"),
        (b'[1, "a", null, []]', "malformed_event"),
        ([event(objectId="1 OR 1=1")], "malformed_event"),
        ([event(objectId={"a": 1})], "malformed_event"),
        ([event(objectId=True)], "malformed_event"),
        ([event(portalId=-1)], "malformed_event"),
        ([event(occurredAt=10**19)], "malformed_event"),
        ([event(subscriptionType=["x"])], "malformed_event"),
        ([event(subscriptionType="object.merge", mergedObjectIds="12")], "malformed_event"),
    ],
)
def test_what_is_no_batch_is_refused_and_counted(post: Post, body: Any, reason: str) -> None:
    answer = post(body)
    assert (answer.status_code, answer.content) == (400, b"")
    assert not InboundEvent.objects.exists()
    assert set(refused()) == {reason}


def test_a_broken_event_does_not_keep_back_the_others(post: Post) -> None:
    odd = [event(objectTypeId="2-55"), event(subscriptionType="object.vanished"), event(objectId=None)]
    assert post([*odd, event()]).status_code == 204
    assert len(stored()) == 1
    assert refused() == {"unknown_object": 1, "unknown_kind": 1, "malformed_event": 1}


def test_more_than_a_megabyte_is_refused_before_it_is_read(post: Post) -> None:
    answer = post(b"[" + b" " * 1_000_000 + b"]")
    assert (answer.status_code, answer.content) == (413, b"")
    assert refused() == {"too_large": 1}


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch", "head", "options"])
def test_other_methods_are_not_allowed(client: Client, account: ConnectedAccount, method: str) -> None:
    assert getattr(client, method)(reverse("hubspot-webhook")).status_code == 405


def test_while_the_database_is_away_the_answer_is_503(
    post: Post, monkeypatch: pytest.MonkeyPatch, rung: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("the database is away")

    with monkeypatch.context() as patch, django_capture_on_commit_callbacks(execute=True):
        patch.setattr(InboundEvent.objects, "bulk_create", broken)
        assert post([event()]).status_code == 503
    assert not rung and not InboundEvent.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        assert post([event()]).status_code == 204
    assert rung == [1]


def test_a_bell_that_fails_does_not_lose_the_event(post: Post, django_capture_on_commit_callbacks: Any) -> None:
    def fails() -> None:
        raise RuntimeError("no bell")

    inbox.on_stored(fails)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            assert post([event()]).status_code == 204
    finally:
        inbox._on_stored.remove(fails)
    assert InboundEvent.objects.count() == 1


def test_sources_that_flood_us_share_one_row_in_the_end(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_SOURCES", 5)
    for number in range(20):
        inbox.count_refused("hubspot webhook", f"10.0.0.{number}", "mismatch")
    rows = dict(RefusedCall.objects.values_list("source", "count"))
    assert len(rows) == 6 and rows[inbox.OTHERS] == 15 and sum(rows.values()) == 20


def test_the_view_says_that_it_is_signed() -> None:
    assert webhooks.receive.signed_by == "hubspot"  # type: ignore[attr-defined]
    assert webhooks.receive.csrf_exempt  # type: ignore[attr-defined]


def test_the_source_behind_a_proxy_is_what_the_proxy_added(settings: Any, rf: Any) -> None:
    request = rf.post("/", headers={"X-Forwarded-For": "6.6.6.6, 81.2.3.4"})
    assert inbox.source_of(request) == "127.0.0.1"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert inbox.source_of(request) == "81.2.3.4"
