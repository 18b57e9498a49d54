"""Fortnox's socket as a conversation: its commands and answers, and what an event says.

Fortnox: text frames of JSON; add-tenants, add-topics, subscribe, in this order; events carry ids, not data, arrive at
least once and in order within a topic; offsets are opaque and per topic. The invariants: a message that cannot be read
only counts; what arrives while an answer is awaited is kept; a token is never logged.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection

from integrations.inbox import Event

logger = logging.getLogger(__name__)

TOPICS: Mapping[str, str] = {"customers": "customer", "articles": "article", "invoices": "invoice"}
PAYMENT = "invoicepayment"
ANSWER_SECONDS = 15.0
BATCH = 500


class Interrupted(Exception):
    """This connection is of no more use; the text says why, without anything secret."""


@dataclass(slots=True)
class Heard:
    """A batch of messages, read: the events and the last offset of each topic."""

    events: list[Event] = field(default_factory=list)
    offsets: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0


def read(message: str | bytes, heard: Heard) -> None:
    """Add one message to what was heard; one that cannot be read only counts. Never raises."""
    try:
        raw = json.loads(message)
        topic, offset, kind, entity = (_text(raw[name]) for name in ("topic", "offset", "type", "entityId"))
        tenant = _text(raw["tenantId"])
        name = PAYMENT if kind.startswith(PAYMENT) else TOPICS[topic]
    except (ValueError, KeyError, TypeError, RecursionError):
        heard.unreadable += 1
        return
    heard.offsets[topic] = offset
    key = f"{topic}|{offset}|{kind}|{entity}"
    heard.events.append(Event(tenant, key, name, entity, kind, _moment(raw.get("timestamp"))))


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError
    text = str(value)
    if not text or len(text) > 100 or not text.isprintable():
        raise ValueError
    return text


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


class Session:
    """One connection, from the handshake to its end."""

    def __init__(self, connection: ClientConnection, secret: str) -> None:
        self.connection = connection
        self._secret = secret
        self._waiting: list[str | bytes] = []
        self.tenants: dict[str, str] = {}
        """The token by which each tenant was added."""
        self.refused: dict[str, str] = {}
        """The token that was refused, or was another company's: tried again only when there is a newer one."""

    def ask(self, command: str, **body: Any) -> Mapping[str, Any]:
        """Send a command and wait for its answer; events that arrive in between are kept. Raises `Interrupted`."""
        self.connection.send(json.dumps({"command": command, **body}))
        deadline = time.monotonic() + ANSWER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.connection.recv(timeout=left)
            except TimeoutError:
                break
            try:
                answer = json.loads(message)
            except (ValueError, RecursionError):
                answer = None
            if isinstance(answer, dict) and answer.get("response") == command:
                return answer
            self._waiting.append(message)
        raise Interrupted(f"no answer to {command}")

    def add(self, wanted: Mapping[str, str]) -> set[str]:
        """Add tenants by their access tokens; those that are heard now. A token that is refused leaves the others."""
        left = dict(wanted)
        while left:
            bearers = {f"Bearer {token}": tenant for tenant, token in left.items()}
            answer = self.ask("add-tenants-v1", clientSecret=self._secret, accessTokens=list(bearers))
            if answer.get("result") == "ok":
                return self._added(answer, bearers, left)
            refused = answer.get("invalidTokens")
            bad = {str(token).removeprefix("Bearer ") for token in refused} if isinstance(refused, list) else set()
            still = {tenant: token for tenant, token in left.items() if token not in bad}
            self.refused |= {tenant: token for tenant, token in left.items() if token in bad}
            logger.warning("the socket refuses tenants %s", sorted(set(left) - set(still)))
            if len(still) == len(left):
                raise Interrupted("the tenants were refused")
            left = still
        return set()

    def _added(self, answer: Mapping[str, Any], bearers: Mapping[str, str], left: Mapping[str, str]) -> set[str]:
        """What the answer says; a token that turns out to be another company's is let go again (SEC-07)."""
        said = answer.get("tenantIds")
        said = said if isinstance(said, dict) else {}
        theirs = {str(token).removeprefix("Bearer "): str(tenant) for token, tenant in said.items()}
        heard = {tenant for tenant, token in left.items() if theirs.get(token, tenant) == tenant}
        self.tenants |= {tenant: left[tenant] for tenant in heard}
        if foreign := left.keys() - heard:
            logger.error("the tokens of tenants %s are of other companies", sorted(foreign))
            self.refused |= {tenant: left[tenant] for tenant in foreign}
            self.remove(sorted({theirs[left[tenant]] for tenant in foreign} - self.tenants.keys()))
        return heard

    def remove(self, gone: Sequence[str]) -> None:
        """Stop listening to these tenants."""
        if gone:
            self.ask("remove-tenants-v1", tenants=[int(tenant) for tenant in gone if tenant.isdecimal()])
        for tenant in gone:
            self.tenants.pop(tenant, None)

    def subscribe(self, offsets: Mapping[str, str]) -> set[str]:
        """Let the events flow; the topics that continue where we stopped."""
        resumed = {topic for topic in TOPICS if offsets.get(topic)}
        topics = [{"topic": t, "offset": offsets[t]} if t in resumed else {"topic": t} for t in TOPICS]
        answer = self.ask("add-topics-v1", topics=topics)
        if answer.get("result") != "ok" and resumed:
            logger.warning("the stored offsets are refused; listening from now on")
            resumed = set()
            answer = self.ask("add-topics-v1", topics=[{"topic": topic} for topic in TOPICS])
        if answer.get("result") != "ok" or self.ask("subscribe-v1").get("result") != "ok":
            raise Interrupted("the topics were refused")
        return resumed

    def hear(self, wait: float) -> Heard:
        """What has arrived, waiting up to `wait` seconds for the first message."""
        heard = Heard()
        for message in self._waiting:
            read(message, heard)
        wait = 0 if self._waiting else wait
        self._waiting = []
        # What cannot be read counts as well: a stream of it must not keep back what was heard before.
        while len(heard.events) + heard.unreadable < BATCH:
            try:
                read(self.connection.recv(timeout=wait), heard)
            except TimeoutError:
                break
            except WebSocketException:
                if not heard.events:
                    raise
                break  # what arrived before the end is stored first
            wait = 0
        return heard
