"""What the socket announces: every committed write as an event with an opaque offset, kept for 14 days.

Documented: topics, types and the fields of an event; offsets are opaque strings per topic; events older than 14 days
are gone. Decision: an offset replays from its own event on, because delivery is at least once anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandbox.core.truth import Deed

from . import times

if TYPE_CHECKING:
    from sandbox.core.world import World

RETENTION = 14 * 86_400.0
TOPICS = ("customers", "articles", "invoices")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Documented types. Payments are announced under "invoices".
_TYPES = {
    ("customers", "create"): "customer-created-v1",
    ("customers", "update"): "customer-updated-v2",
    ("customers", "delete"): "customer-deleted-v1",
    ("articles", "create"): "article-created-v1",
    ("articles", "update"): "article-updated-v1",
    ("articles", "delete"): "article-deleted-v1",
    ("invoices", "create"): "invoice-created-v1",
    ("invoices", "update"): "invoice-updated-v1",
    ("invoices", "bookkeep"): "invoice-bookkeep-v1",
    ("invoices", "cancel"): "invoice-cancelled-v1",
    ("invoicepayments", "bookkeep"): "invoicepayment-bookkeep-v1",
    ("invoicepayments", "delete"): "invoicepayment-deleted-v1",
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event of a topic."""

    topic: str
    offset: str
    type: str
    tenant: str
    entity: str
    at: float

    def to_json(self) -> dict[str, Any]:
        """As it goes over the wire."""
        return {
            "topic": self.topic,
            "offset": self.offset,
            "type": self.type,
            "tenantId": int(self.tenant),
            "entityId": self.entity,
            "timestamp": datetime.fromtimestamp(self.at, times.STOCKHOLM).isoformat(timespec="milliseconds"),
        }


class SocketLog:
    """The events of every topic, in order. All callers hold the world's lock."""

    def __init__(self, world: World) -> None:
        world.declare(
            socket_open=True,  # False: connections are dropped, new ones refused
            socket_duplicates=0.0,  # how likely an event is sent twice
            socket_garbage=0.0,  # how likely something that is no event comes before one
            socket_drop_after=0,  # a connection breaks after so many events; 0: never
        )
        self.world = world
        self._topics: dict[str, list[Announcement]] = {topic: [] for topic in TOPICS}
        self._places: dict[tuple[str, str], int] = {}
        world.truth.listeners.append(self.hear)

    def hear(self, deed: Deed) -> None:
        """A committed write is announced, whoever did it."""
        if deed.system != "fortnox":
            return
        kind = _TYPES.get((deed.object, deed.action))
        if kind is None and deed.object == "invoices":
            kind = "invoice-updated-v1"  # credited, sent: the invoice has changed
        if kind is not None:
            self.add("invoices" if deed.object == "invoicepayments" else deed.object, kind, deed.account, deed.key)

    def add(self, topic: str, kind: str, tenant: str, entity: str) -> Announcement:
        """Append an event to its topic."""
        place = len(self._topics[topic])
        offset = _opaque(place, topic)
        event = Announcement(topic, offset, kind, tenant, entity, self.world.clock.time())
        self._topics[topic].append(event)
        self._places[topic, offset] = place
        return event

    def end(self, topic: str) -> int:
        """Where a listener without an offset begins: only new events arrive."""
        return len(self._topics[topic])

    def place(self, topic: str, offset: str) -> int:
        """Where a listener with an offset begins; the earliest event there is when the offset is too old or unknown."""
        events, oldest = self._topics[topic], self.world.clock.time() - RETENTION
        earliest = next((n for n, event in enumerate(events) if event.at >= oldest), len(events))
        return max(self._places.get((topic, offset), 0), earliest)

    def since(self, topic: str, place: int) -> Iterator[Announcement]:
        """The events from a place on."""
        yield from self._topics[topic][place:]


def _opaque(place: int, topic: str) -> str:
    """Unique within the topic, and not to be compared."""
    number, text = (place * 7_919 + 104_729 * (TOPICS.index(topic) + 1)) % 916_132_831, ""
    for _digit in range(5):
        number, rest = divmod(number, 62)
        text += _ALPHABET[rest]
    return text
