"""Callouts of flows and Apex: the secret in the header, strict JSON, stored before the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from integrations.inbound_secret import secret_of
from integrations.inbox_models import RefusedCall
from integrations.models import ConnectedAccount, InboundEvent
from integrations.salesforce import callout
from integrations.salesforce.events import callout_url
from integrations.salesforce.ids import to18
from tests.factories import make_account

ORG = "00DFx0000004Sx1MAE"
RECORD = "006Fx00000QrStUIAV"
Post = Callable[..., Any]


def body(**fields: Any) -> dict[str, Any]:
    """A body as our guide tells administrators to post it; a field of None is left out."""
    raw = {
        "org_id": ORG,
        "object": "Opportunity",
        "record_id": RECORD,
        "event": "closed_won",
        "system_modstamp": "2026-11-20T14:05:12.000Z",
    } | fields
    return {name: value for name, value in raw.items() if value is not None}


def record(number: int) -> str:
    """An opportunity's id."""
    return to18(f"006Fx{number:010d}")


@pytest.fixture
def account(db: None) -> ConnectedAccount:
    """A connected org."""
    return make_account(system="salesforce", remote_id=ORG)


@pytest.fixture
def post(account: ConnectedAccount) -> Post:
    """Post as a flow does."""
    right = secret_of(account)

    def deliver(data: Any, *, secret: str | None = right, **extra: Any) -> Any:
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        headers = {} if secret is None else {"X-Ledgerbridge-Secret": secret}
        address = f"/webhooks/salesforce/{account.pk}/callout"
        client = Client(enforce_csrf_checks=True)
        return client.post(address, raw, content_type="application/json", headers=headers, **extra)

    return deliver


def stored() -> set[tuple[str, str]]:
    """(object, record id) of every stored event."""
    return set(InboundEvent.objects.values_list("object", "record_id"))


def test_a_callout_is_stored_and_then_answered(post: Post, account: ConnectedAccount) -> None:
    assert callout_url(account).endswith(f"/webhooks/salesforce/{account.pk}/callout")
    answer = post(body())
    assert (answer.status_code, answer.json()) == (200, {"received": 1})
    event = InboundEvent.objects.get()
    assert (event.account_id, event.object, event.record_id, event.kind) == (
        account.pk, "opportunity", RECORD, "closed_won",
    )  # fmt: skip
    assert event.occurred_at is not None and event.occurred_at.isoformat() == "2026-11-20T14:05:12+00:00"


def test_several_records_and_several_parts(post: Post) -> None:
    parts = [body(record_id=None, record_ids=[record(n) for n in range(150)]), body(object="Account", event=None)]
    assert post(parts).json() == {"received": 151}
    assert len(stored()) == 151 and ("account", RECORD) in stored()


def test_an_object_that_no_flow_reads_is_taken_and_forgotten(post: Post) -> None:
    assert post(body(object="Case")).json() == {"received": 0}
    assert not stored()


def test_a_record_that_still_waits_is_not_stored_again_and_one_that_was_read_is(post: Post) -> None:
    for _again in range(3):
        assert post(body()).status_code == 200
    post(body(record_id=None, record_ids=[RECORD, RECORD[:15]]))
    assert InboundEvent.objects.count() == 1
    InboundEvent.objects.update(processed_at=timezone.now())
    post(body())  # within the same second, but after the record was read
    assert InboundEvent.objects.count() == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_json"),
        (b"\xff{}", "not_json"),
        (b"[" * 100_000, "not_json"),
        ([], "not_an_object"),
        (7, "not_an_object"),
        ([body(), 1], "not_an_object"),
        (body(org_id=to18("00DFx0000009999")), "wrong_org"),
        (body(org_id=None), "wrong_org"),
        (body(org_id=[ORG]), "wrong_org"),
        ([body(), body(org_id="00D")], "wrong_org"),
        (body(record_id=6), "malformed"),
        (body(record_id=f"{RECORD}'"), "malformed"),
        (body(record_id=None), "malformed"),
        (body(record_ids=[RECORD]), "malformed"),
        (body(record_id=None, record_ids=[]), "malformed"),
        (body(record_id=None, record_ids=RECORD), "malformed"),
        (body(record_id=None, record_ids=[RECORD, None]), "malformed"),
        (body(object=None), "malformed"),
        (body(object={"a": 1}), "malformed"),
        (body(object="Opp ortunity"), "malformed"),
        (body(event=3), "malformed"),
        (body(event="x" * 51), "malformed"),
        (body(system_modstamp="yesterday"), "malformed"),
        (body(system_modstamp="2026-11-20T14:05:12"), "malformed"),
        (body(system_modstamp=1), "malformed"),
        (body(record_id=None, record_ids=[record(n) for n in range(201)]), "too_many_records"),
    ],
)
def test_what_is_no_call_of_the_org_is_refused_without_a_word(post: Post, data: Any, reason: str) -> None:
    answer = post(data)
    assert answer.status_code in (400, 403) and answer.content == b""
    assert not stored()
    assert dict(RefusedCall.objects.values_list("reason", "count")) == {reason: 1}


def test_a_wrong_secret_or_none_is_refused_before_the_body_is_read(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callout, "parse", lambda data: pytest.fail("it was read"))
    for secret in ("", None, "x" * 43, "å"):
        assert post(body(), secret=secret).status_code == 403
    assert not stored()


def test_too_large_is_refused(post: Post) -> None:
    assert post(b" " * 1_000_001).status_code == 413


def test_what_could_not_be_stored_is_not_received(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> int:
        raise OperationalError("database is locked")

    monkeypatch.setattr(callout.inbox, "store", broken)
    answer = post(body())
    assert (answer.status_code, answer.content) == (503, b"")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just(ORG) | st.just(RECORD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(body())), inner, max_size=5),
    max_leaves=8,
)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(_JSON, _JSON.map(lambda value: body(record_id=value)), _JSON.map(lambda v: body(event=v))))
def test_whatever_comes_is_stored_or_refused(post: Post, data: Any) -> None:
    InboundEvent.objects.all().delete()
    answer = post(data)
    assert answer.status_code in (200, 400, 403)
    assert answer.status_code == 200 or not stored()
