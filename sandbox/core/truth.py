"""The truth journal: every committed write, whatever became of its answer. Checkers compare the product with this.

The journal of requests says who asked; this one says what really happened: a document that was made although its
answer was lost, or made late, or made twice, is here. The invariant: a line is written in the same breath as the
write, under the world's lock.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .world import World

KEEP = 500_000


@dataclass(slots=True)
class Deed:
    """One committed write. ``request`` is the number of the request that did it (None: somebody in the vendor's own
    pages); ``action`` is create, update, delete, or the name of what was carried out, such as bookkeep."""

    number: int
    request: int | None
    system: str
    account: str
    object: str
    action: str
    key: str
    marker: str
    at: str
    values: dict[str, Any]


class Truth:
    """Deeds in the order in which they were committed; the oldest fall out after 500,000."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers = count(1)
        self._deeds: deque[Deed] = deque(maxlen=KEEP)
        self.listeners: list[Callable[[Deed], None]] = []  # told of every deed, in the same breath

    def add(
        self,
        system: str,
        account: str,
        object_name: str,
        action: str,
        key: str,
        *,
        request: int | None = None,
        marker: str = "",
        values: dict[str, Any] | None = None,
    ) -> None:
        """Note a committed write; the caller holds the world's lock. ``values`` are the few that checks compare."""
        at = self._world.clock.now().isoformat()
        deed = Deed(next(self._numbers), request, system, account, object_name, action, key, marker, at, values or {})
        self._deeds.append(deed)
        for listener in self.listeners:
            listener(deed)

    def token(self, system: str, account: str, secret: str, *, accepted: bool, request: int | None = None) -> None:
        """Note that a refresh token was presented: its hash, never itself."""
        digest = hashlib.sha256(secret.encode()).hexdigest()[:16]
        self.add(system, account, "token", "accepted" if accepted else "refused", digest, request=request)

    def since(self, number: int, **wanted: str) -> list[dict[str, Any]]:
        """Deeds with a higher number whose fields equal those wanted (empty ones match everything)."""
        chosen = {name: value for name, value in wanted.items() if value}
        return [
            asdict(deed)
            for deed in self._deeds.copy()
            if deed.number > number and all(getattr(deed, name) == value for name, value in chosen.items())
        ]
