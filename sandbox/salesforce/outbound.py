"""The sender of outbound messages and of flows' HTTP callouts.

Salesforce: a message is repeated with growing pauses until it is acknowledged or a day old; order is not kept and
duplicates happen; it shows the record as it is when it is sent. A callout is tried once. Messages go to the endpoint
they were deployed with, as long as that is on this computer, or to the target that the control interface sets."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from .app import LOCAL_HOSTS
from .org import Event
from .outbound_rules import Message, started
from .outbound_soap import Notification, acknowledged, envelope
from .tenant import Tenant, my_domain

if TYPE_CHECKING:
    from sandbox.core.world import World

    from .emulator import Salesforce

BATCH, TIMEOUT = 100, 10.0
DEFAULTS: dict[str, Any] = {
    "target_url": "",  # instead of every message's own endpoint
    "watch": {},  # messages besides the deployed ones: {object: [fields]}, at every create and update
    "callout_url": "",  # where flows post JSON, at every create and update of the objects below
    "callout_objects": ["Opportunity"],
    "callout_headers": {},
    "gather_seconds": 0.1,  # how long records are gathered into one message
    "concurrent": 4,
    "retry_seconds": 15.0,  # the pause before the first repetition; it doubles
    "longest_seconds": 7200.0,  # and grows no longer than this
    "drop_seconds": 86_400.0,  # then it is given up
    "duplicate": 0.0,  # how likely a notification is sent again, in another message
    "shuffle": False,
    "delay_seconds": 0.0,  # every notification is late by up to so much
}


@dataclass(frozen=True, slots=True)
class Pending:
    """A notification that has not been acknowledged."""

    tenant: Tenant
    message: Message
    id: str
    record_id: str
    born: float
    attempt: int = 0

    @property
    def envelope(self) -> tuple[str, str]:
        """Notifications with the same one may share a message."""
        return self.tenant.org.id, self.message.name


class Sender:
    """Gathers, sends, repeats. One per world; it ends when the world is reset."""

    def __init__(self, world: World, owner: Salesforce) -> None:
        self._world, self._owner = world, owner
        self._settings = dict(DEFAULTS)
        self._order = count()
        self._due: list[tuple[float, int, Pending]] = []
        self._actions: dict[tuple[str, str], str] = {}
        self._counts: Counter[str] = Counter()
        self._under_way = 0
        self._dice = random.Random(world.seed)
        self._changed = threading.Condition()
        self._pool: ThreadPoolExecutor | None = None

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change settings; ValueError for one there is not."""
        unknown = set(settings) - set(DEFAULTS)
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}; known: {sorted(DEFAULTS)}")
        with self._changed:
            self._settings |= settings
            self._changed.notify()

    def status(self) -> dict[str, Any]:
        """How many notifications and messages there were, and what is still to be sent."""
        with self._changed:
            return {**self._counts, "pending": len(self._due) + self._under_way, "settings": dict(self._settings)}

    # -- what happens in the orgs

    def hear(self, tenant: Tenant, event: Event) -> None:
        """A record changed: queue what that sends. Called under the world's lock."""
        if event.action not in ("create", "update") or _silent(tenant, event.user):
            return
        for message in (*started(tenant.org, event), *self._watched(event.object)):
            self._queue(tenant, message, event.id)
        if self._settings["callout_url"] and event.object in self._settings["callout_objects"]:
            self._callout(tenant, event)

    def _watched(self, object_name: str) -> list[Message]:
        fields = self._settings["watch"].get(object_name)
        if fields is None:
            return []
        names = tuple(dict.fromkeys(["Id", *fields]))
        return [Message(f"{object_name}.Watched", object_name, "", names, "")]

    def _queue(self, tenant: Tenant, message: Message, record_id: str) -> None:
        with self._changed:
            pending = Pending(tenant, message, tenant.org.ids.new("04l"), record_id, time.monotonic())
            if pending.envelope not in self._actions:
                self._actions[pending.envelope] = tenant.org.ids.new("04k")
            self._counts["notifications"] += 1
            for copy in range(1 + (self._dice.random() < self._settings["duplicate"])):
                late = self._dice.random() * (self._settings["delay_seconds"] + copy)
                heappush(self._due, (time.monotonic() + late, next(self._order), pending))
            self._start()
            self._changed.notify()

    def _start(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(10, thread_name_prefix="outbound")
            threading.Thread(target=self._run, args=(self._pool,), daemon=True, name="outbound").start()
        return self._pool

    # -- the thread

    def _alive(self) -> bool:
        return self._world.emulators.get("salesforce") is self._owner

    def _run(self, pool: ThreadPoolExecutor) -> None:
        with pool:
            while self._alive():
                for batch in self._next_batches():
                    pool.submit(self._deliver, batch)

    def _next_batches(self) -> list[list[Pending]]:
        """What is due, a moment after the first of it, one list per message to send."""
        with self._changed:
            now = time.monotonic()
            free = self._under_way < self._settings["concurrent"] * BATCH
            if not self._due or self._due[0][0] > now or not free:
                self._changed.wait(min(0.2, max(0.01, self._due[0][0] - now)) if self._due else 0.2)
                return []
            gather = self._settings["gather_seconds"]
        time.sleep(gather)
        groups: dict[tuple[str, str], list[Pending]] = {}
        with self._changed:
            due: list[Pending] = []
            while self._due and self._due[0][0] <= time.monotonic():
                due.append(heappop(self._due)[2])
            if self._settings["shuffle"]:
                self._dice.shuffle(due)
            for entry in due:
                group = groups.setdefault(entry.envelope, [])
                twice = any(other.id == entry.id for other in group)
                if len(group) < BATCH and not twice:
                    group.append(entry)
                else:
                    heappush(self._due, (time.monotonic(), next(self._order), entry))
            self._under_way += sum(len(group) for group in groups.values())
        return list(groups.values())

    def _deliver(self, batch: list[Pending]) -> None:
        accepted, sent = False, 0
        try:
            url, body, sent = self._content(batch)
            accepted = not sent or self._post(url, body)
        finally:
            with self._changed:
                self._under_way -= len(batch)
                self._counts["delivered" if accepted else "failed"] += sent or (0 if accepted else len(batch))
                self._counts["gone"] += len(batch) - sent if accepted else 0
                if not accepted:
                    self._again(batch)

    def _content(self, batch: list[Pending]) -> tuple[str, bytes, int]:
        """(address, body, how many records are in it) from the records as they are now."""
        tenant, message = batch[0].tenant, batch[0].message
        with self._world.lock:
            told = [Notification(entry.id, values) for entry in batch if (values := _values(entry))]
        url = self._settings["target_url"] or message.endpoint
        base = my_domain(self._owner.root, tenant)
        action = self._actions[batch[0].envelope]
        return url, envelope(tenant.org.id, action, base, message.version, message.object, told), len(told)

    def _again(self, batch: list[Pending]) -> None:
        """Every notification of a message that was not acknowledged comes again, on its own time, for a day."""
        for entry in batch:
            pause = min(self._settings["longest_seconds"], self._settings["retry_seconds"] * 2**entry.attempt)
            later = time.monotonic() + pause * self._dice.uniform(0.8, 1.2)
            if later - entry.born >= self._settings["drop_seconds"]:
                self._counts["dead"] += 1
                continue
            heappush(self._due, (later, next(self._order), replace(entry, attempt=min(entry.attempt + 1, 30))))

    def _post(self, url: str, body: bytes) -> bool:
        """One message; True when it was acknowledged."""
        with self._changed:
            self._counts["requests"] += 1
            if not _allowed(url, self._settings["target_url"]):
                self._counts["not_local"] += 1
                return False
        headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""', "User-Agent": "Salesforce-OM"}
        with contextlib.suppress(requests.RequestException):
            answer = requests.post(url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False)
            return answer.status_code == 200 and acknowledged(answer.content)
        return False

    # -- callouts

    def _callout(self, tenant: Tenant, event: Event) -> None:
        won = event.new.get("IsWon") and not event.old.get("IsWon")
        body = {
            "org_id": tenant.org.id,
            "object": event.object,
            "record_id": event.id,
            "event": "closed_won" if won else f"{event.action}d",
            "system_modstamp": str(event.new.get("SystemModstamp", "")).replace("+0000", "Z"),
        }
        with self._changed:
            pool = self._start()
            self._under_way += 1
        pool.submit(self._call_out, body)

    def _call_out(self, body: dict[str, Any]) -> None:
        ok = False
        with contextlib.suppress(requests.RequestException):
            answer = requests.post(
                self._settings["callout_url"], json=body, headers=self._settings["callout_headers"], timeout=TIMEOUT
            )
            ok = answer.ok
        with self._changed:
            self._under_way -= 1
            self._counts["callouts" if ok else "callouts_failed"] += 1


def _values(entry: Pending) -> tuple[tuple[str, Any], ...]:
    """The record's fields of the message, as its integration user sees them now; empty when it is gone."""
    org = entry.tenant.org
    row = org.row(entry.record_id)
    if row is None:
        return ()
    user = entry.tenant.by_username(entry.message.user)
    visible = org.visible_fields(org.object(row.object), user.id if user else entry.tenant.integration)
    found = (visible.get(name.lower()) for name in entry.message.fields)
    return tuple((field.name, row.values.get(field.name)) for field in found if field is not None)


def _silent(tenant: Tenant, user_id: str | None) -> bool:
    """Whether a user's profile does not send outbound messages."""
    if user_id is None or not tenant.app.policies.silent_users:
        return False
    return tenant.user(user_id).values.get("Username") in tenant.app.policies.silent_users


def _allowed(url: str, target: str) -> bool:
    """Nothing leaves this computer unless somebody named the target."""
    return bool(url) and (url == target or urlsplit(url).hostname in LOCAL_HOSTS)
