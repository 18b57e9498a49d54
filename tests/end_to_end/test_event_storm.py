"""Thousands of events, each up to five times, shuffled, late, one call in a hundred forged, workers killed after the
acknowledgement: the final state is that of the source, nothing forged has any effect, every event counts once (R-20).

Two tiny systems in memory stand behind the flow, the webhook is the real one. `EVENT_STORM=20000` is the whole size;
the suite takes half of it.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.hubspot.signature import sign
from integrations.inbox_models import RefusedCall
from integrations.models import InboundEvent
from mappings.models import MappingSet
from sync import inbox
from sync.engine import deliver
from sync.engine.run import work
from sync.models import Change, Flow, Hint
from sync.states import State
from tests.integrations.clients import set_vendor
from tests.tiny import TinyConnector
from tests.tiny_world import TinyWorld

EVENTS = int(os.environ.get("EVENT_STORM", "10000"))
RECORDS, PER_BATCH, BATCHES_PER_ROUND = 500, 100, 25
SECRET, PUBLIC = "storm-secret", "https://bridge.example"
DAY_MS = 86_400_000
GHOSTS = range(900_000, 900_100)


class Killed(BaseException):
    """The process is gone at this line."""


@pytest.fixture
def storm(tiny: Callable[..., TinyWorld], monkeypatch: pytest.MonkeyPatch, settings: Any) -> tuple[TinyWorld, Flow]:
    """A flow from companies of the portal to customers of a ledger whose writes may be repeated."""
    settings.PUBLIC_URL = PUBLIC
    set_vendor(settings, "hubspot", client_secret=SECRET)
    there = tiny(page_size=500)
    there.ledger.unique["customer"] = "key"
    there.ledger_connector = TinyConnector(there.ledger)
    monkeypatch.setattr("sync.inbox.connector_for", there._connector)
    monkeypatch.setattr("sync.inbox.ring", lambda: None)
    fields = [(name, f"company.{name}", {}) for name in ("name", "city", "number")]
    flow = there.add_flow("companies", fields=fields, source="company", target="customer")
    sides = {"source_side": "crm", "target_side": "ledger"}
    MappingSet.objects.filter(slug="companies").update(**sides)
    Flow.objects.exclude(pk=flow.pk).delete()
    Flow.objects.update(prepared_at=timezone.now(), approval="automatic", **sides)
    there.integration.brake_records = 1_000_000
    there.integration.save()
    return there, Flow.objects.get(pk=flow.pk)


def timeline(chance: random.Random, portal: int) -> list[tuple[float, int, dict[str, Any] | None]]:
    """Edits (no event) and deliveries, in the order in which they happen: (time, record, raw event)."""
    moments: list[tuple[float, int, dict[str, Any] | None]] = []
    now = int(time.time() * 1000)
    for number in range(EVENTS):
        record = chance.randrange(1, RECORDS + 1)
        raw = {
            "eventId": number, "subscriptionId": 1, "portalId": portal, "appId": 77, "attemptNumber": 0,
            "occurredAt": now - chance.randrange(DAY_MS), "subscriptionType": "object.propertyChange",
            "objectId": record, "objectTypeId": "0-2", "propertyName": "name", "changeSource": "CRM_UI",
        }  # fmt: skip
        moments.append((number, record, None))
        for copy in range(chance.randint(1, 5)):
            late = chance.random() * (EVENTS if chance.random() < 0.05 else 3_000)
            moments.append((number + 0.5 + late, record, raw | {"attemptNumber": copy}))
    return sorted(moments, key=lambda moment: moment[0])


def post(client: Client, batch: list[dict[str, Any]], secret: str) -> int:
    body = json.dumps(batch).encode()
    stamp = str(int(time.time() * 1000))
    headers = {
        "X-HubSpot-Request-Timestamp": stamp,
        "X-HubSpot-Signature-v3": sign("POST", f"{PUBLIC}/webhooks/hubspot", body, stamp, secret),
    }
    return client.post("/webhooks/hubspot", body, content_type="application/json", headers=headers).status_code


class Workers:
    """The workers: at times they are killed, after the acknowledgement and before anything is done, in the middle of a
    plan that is being stored, or between a write and its confirmation."""

    def __init__(self, flow: Flow, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.flow, self.chance, self.patch = flow, chance, monkeypatch
        self.kills: Counter[str] = Counter()

    def round(self) -> None:
        """One drain; one in four ends badly."""
        doom = self.chance.choice(["", "", "", "", "", "", "", "", "", "at once", "in the plan", "after the write"])
        if doom == "at once":
            self.kills[doom] += 1
            return
        with self.patch.context() as patch:
            if doom:
                self._doom(patch, doom)
            try:
                inbox.distribute()
                work(self.flow)
            except Killed:
                self.kills[doom] += 1

    def _doom(self, patch: pytest.MonkeyPatch, doom: str) -> None:
        plan_ids, confirm = inbox.plan_ids, deliver.confirm

        def dies_storing(*args: Any, then: Any, **more: Any) -> Any:
            def die(gone: set[str]) -> None:
                then(gone)
                raise Killed

            return plan_ids(*args, then=die, **more)

        def dies_confirming(*args: Any, **more: Any) -> Any:
            if self.chance.random() < 0.5:
                raise Killed
            return confirm(*args, **more)

        if doom == "in the plan":
            patch.setattr(inbox, "plan_ids", dies_storing)
        else:
            patch.setattr(deliver, "confirm", dies_confirming)

    def finish(self) -> None:
        """Nobody is killed any more, and time passes."""
        for _round in range(20):
            past = timezone.now() - timedelta(minutes=1)
            Change.objects.filter(state__in=[State.UNKNOWN, State.SENDING]).update(settle_until=past)
            Change.objects.filter(state__in=[State.RETRYING, State.QUEUED]).update(due_at=past)
            inbox.distribute()
            work(self.flow)


def test_the_final_state_is_that_of_the_source_whatever_the_events_went_through(
    storm: tuple[TinyWorld, Flow], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, flow = storm
    chance = random.Random(20)
    began = time.monotonic()
    workers = Workers(flow, chance, monkeypatch)
    batch: list[dict[str, Any]] = []
    delivered = batches = forged = 0
    edits: Counter[int] = Counter()
    moments = timeline(chance, int(there.integration.crm_account.remote_id))
    for _time, record, raw in [*moments, (0, 0, {})]:
        if raw is None:
            edits[record] += 1
            city = f"Ort {edits[record]}"
            there.crm.put("company", {"number": str(record), "name": f"Bolag {record}", "city": city}, str(record))
            continue
        if raw:
            batch.append(raw)
        if len(batch) < PER_BATCH and raw:
            continue
        chance.shuffle(batch)
        assert post(client, batch, SECRET) == 204
        delivered, batches = delivered + len(batch), batches + 1
        if chance.random() < 0.01:
            forged += 1
            fake = [event | {"objectId": ghost} for event, ghost in zip(batch, GHOSTS, strict=False)]
            assert post(client, fake, "guessed") == 401
        batch = []
        if batches % BATCHES_PER_ROUND == 0:
            workers.round()
    workers.finish()

    source = {key: row["city"] for key, row in there.crm.rows("company").items()}
    target = {str(row["number"]): row["city"] for row in there.ledger.rows("customer").values()}
    assert target == source and len(there.ledger.rows("customer")) == len(edits)
    assert InboundEvent.objects.count() == EVENTS
    assert not InboundEvent.objects.filter(processed_at=None).exists() and not Hint.objects.exists()
    assert not InboundEvent.objects.filter(record_id__in=[str(ghost) for ghost in GHOSTS]).exists()
    assert sum(RefusedCall.objects.values_list("count", flat=True)) == forged > 0
    open_ones = Change.objects.exclude(state__in=[State.APPLIED, State.SUPERSEDED, State.SKIPPED])
    assert not open_ones.exists()
    assert workers.kills or EVENTS < 10_000
    seconds = time.monotonic() - began
    said = f"{EVENTS} events, {delivered} deliveries, {forged} forged calls, kills {dict(workers.kills)}"
    print(f"\n{said}, {seconds:.0f} s")
