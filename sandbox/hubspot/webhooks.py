"""The webhook sender: what changes in the portals, told to the app's one target URL, the way HubSpot does it.

Documented: JSON arrays of at most 100 events, of all portals; five seconds to answer; anything but 2xx is repeated up
to ten times; no order, duplicates happen; signature v3 beside v1. Switches make the unpleasant parts certain.
Nothing is sent until a target is set. Signatures use the real time of day: the receiver compares it with its own.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

import requests

from .kinds import KINDS
from .store import Source

if TYPE_CHECKING:
    from sandbox.core.world import World

    from .emulator import HubSpot

BATCH, ATTEMPTS, TIMEOUT = 100, 11, 5.0
_NAMES = {kind.type_id: kind.singular for kind in KINDS}
_DECODED = {"%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")"}
_DECODED |= {"%2A": "*", "%2C": ",", "%3B": ";"}

DEFAULTS: dict[str, Any] = {
    "target_url": "",
    "format": "generic",  # or "classic": company.creation instead of object.creation
    "gather_seconds": 0.1,  # how long events are gathered into one batch
    "concurrent": 4,
    "retry_seconds": 60.0,  # the pause before the first repetition; it doubles
    "duplicate": 0.0,  # how likely an event is sent again, in another batch
    "shuffle": False,
    "delay_seconds": 0.0,  # every event is late by up to so much
    "forge": 0.0,  # how likely a batch is followed by a forged one
}


def sign_v3(method: str, url: str, body: bytes, stamp: str, secret: str) -> str:
    """The third version of the signature."""
    pattern = re.compile("|".join(_DECODED), re.IGNORECASE)
    uri = pattern.sub(lambda match: _DECODED[match.group(0).upper()], url)
    source = method.encode() + uri.encode() + body + stamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), source, hashlib.sha256).digest()).decode()


class Sender:
    """Gathers, sends, repeats. One per world; it ends when the world is reset."""

    def __init__(self, world: World, owner: HubSpot, secret: str, app_id: int) -> None:
        self._world, self._owner, self._secret, self._app_id = world, owner, secret, app_id
        self._settings = dict(DEFAULTS)
        self._ids = count(3_181_526_809)
        self._order = count()
        self._due: list[tuple[float, int, dict[str, Any]]] = []
        self._counts: Counter[str] = Counter()
        self._under_way = 0
        self._dice = random.Random(world.seed)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change settings; ValueError for one there is not. The first target starts the thread."""
        unknown = set(settings) - set(DEFAULTS)
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}; known: {sorted(DEFAULTS)}")
        with self._changed:
            self._settings |= settings
            if self._settings["target_url"] and self._thread is None:
                self._listen_to_portals()
                self._thread = threading.Thread(target=self._run, daemon=True, name="webhooks")
                self._thread.start()
            self._changed.notify()

    def status(self) -> dict[str, Any]:
        """How many events and batches there were, and what is still to be sent."""
        with self._changed:
            return {**self._counts, "pending": len(self._due) + self._under_way, "settings": dict(self._settings)}

    # -- what happens in the portals

    def _listen_to_portals(self) -> None:
        for portal in self._owner.portals.values():
            portal.notify = self._hear(portal.id)
            portal.links.told = self._hear_links(portal.id)

    def _hear(self, portal_id: int) -> Any:
        def notify(what: str, type_id: str, source: Source, moment: int, rest: dict[str, Any]) -> None:
            self._add(portal_id, what, type_id, source, moment, rest)

        return notify

    def _hear_links(self, portal_id: int) -> Any:
        portal = self._owner.portals[portal_id]

        def told(one: str, from_id: int, other: str, to_id: int, removed: bool) -> None:
            rest = {
                "associationType": f"{_NAMES[one]}_to_{_NAMES[other]}".upper(),
                "fromObjectTypeId": one,
                "toObjectTypeId": other,
                "fromObjectId": from_id,
                "toObjectId": to_id,
                "associationRemoved": removed,
                "isPrimaryAssociation": False,
            }
            self._add(portal_id, "associationChange", one, portal.acting[0], portal.acting[1], rest)

        return told

    def _add(
        self, portal_id: int, what: str, type_id: str, source: Source, moment: int, rest: Mapping[str, Any]
    ) -> None:
        with self._changed:
            if not self._settings["target_url"]:
                return
            classic = self._settings["format"] == "classic"
            event: dict[str, Any] = {
                "eventId": next(self._ids),
                "subscriptionId": 4_122_001,
                "portalId": portal_id,
                "appId": self._app_id,
                "occurredAt": moment,
                "subscriptionType": f"{_NAMES[type_id] if classic else 'object'}.{what}",
                "attemptNumber": 0,
                "changeSource": source.type,
                "sourceId": source.id,
                **rest,
            }
            if not classic and what != "associationChange":
                event["objectTypeId"] = type_id
            self._counts["events"] += 1
            for copy in range(1 + (self._dice.random() < self._settings["duplicate"])):
                late = self._dice.random() * (self._settings["delay_seconds"] + copy)
                heappush(self._due, (time.monotonic() + late, next(self._order), event))
            self._changed.notify()

    # -- the thread

    def _alive(self) -> bool:
        return self._world.emulators.get("hubspot") is self._owner

    def _run(self) -> None:
        with ThreadPoolExecutor(10, thread_name_prefix="webhook") as pool:
            while self._alive():
                batch = self._next_batch()
                if batch:
                    pool.submit(self._deliver, batch)

    def _next_batch(self) -> list[dict[str, Any]]:
        """Events that are due, a moment after the first of them, so that others can join."""
        with self._changed:
            now = time.monotonic()
            free = self._under_way < self._settings["concurrent"] * BATCH
            if not self._due or self._due[0][0] > now or not free:
                self._changed.wait(min(0.2, max(0.01, self._due[0][0] - now)) if self._due else 0.2)
                return []
            gather = self._settings["gather_seconds"]
        time.sleep(gather)
        batch: list[dict[str, Any]] = []
        with self._changed:
            while self._due and self._due[0][0] <= time.monotonic() and len(batch) < BATCH:
                batch.append(heappop(self._due)[2])
            if self._settings["shuffle"]:
                self._dice.shuffle(batch)
            self._under_way += len(batch)
        return batch

    def _deliver(self, batch: list[dict[str, Any]]) -> None:
        accepted = self._post(batch, self._secret)
        with self._changed:
            self._under_way -= len(batch)
            self._counts["delivered" if accepted else "failed"] += len(batch)
            if not accepted:
                self._again(batch)
            forged = self._dice.random() < self._settings["forge"]
        if forged:
            ok = self._post([event | {"objectId": 666, "eventId": next(self._ids)} for event in batch], "guessed")
            with self._changed:
                self._counts["forged"] += 1
                self._counts["forged_accepted"] += ok

    def _again(self, batch: list[dict[str, Any]]) -> None:
        """Every event of a batch that was not accepted comes again, on its own time; ten times at most."""
        for event in batch:
            attempt = event["attemptNumber"] + 1
            if attempt >= ATTEMPTS:
                self._counts["dead"] += 1
                continue
            pause = self._settings["retry_seconds"] * 2 ** (attempt - 1) * self._dice.uniform(0.5, 1.5)
            heappush(self._due, (time.monotonic() + pause, next(self._order), event | {"attemptNumber": attempt}))

    def _post(self, batch: list[dict[str, Any]], secret: str) -> bool:
        """One request; True for a 2xx within five seconds."""
        url = self._settings["target_url"]
        body = json.dumps(batch, separators=(",", ":"), ensure_ascii=False).encode()
        stamp = str(int(time.time() * 1000))
        headers = {
            "Content-Type": "application/json",
            "X-HubSpot-Request-Timestamp": stamp,
            "X-HubSpot-Signature-v3": sign_v3("POST", url, body, stamp, secret),
            "X-HubSpot-Signature": hashlib.sha256(secret.encode() + body).hexdigest(),
            "X-HubSpot-Signature-Version": "v1",
        }
        with self._changed:
            self._counts["requests"] += 1
        with contextlib.suppress(requests.RequestException):
            answer = requests.post(url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False)
            return 200 <= answer.status_code < 300
        return False
