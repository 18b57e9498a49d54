"""What an account's own objects look like, for people who make a flow from one of them: an optional capability.

A connector that reads objects which customers made offers it; see `connectors.discovery_for`. The invariant: every
name that leaves here was read from the remote just now and is a plain identifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from integrations.connector import Connector

if TYPE_CHECKING:
    from integrations.models import CustomSource


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object that may be read: its name at the remote and what people there call it."""

    name: str
    label: str
    own: bool
    """Made by the customer, not by the vendor."""


@dataclass(frozen=True, slots=True)
class FoundLines:
    """One child relationship, whose records may be the lines of the object."""

    relationship: str
    object: str
    label: str


@dataclass(frozen=True, slots=True)
class FoundReference:
    """One field that points at another record. `to` is our name of what it points at ("account"), "" for others."""

    field: str
    label: str
    to: str


@dataclass(frozen=True, slots=True)
class FoundShape:
    """An object with what hangs on it. `name` is the name that expressions would use for it."""

    object: str
    label: str
    name: str
    lines: Sequence[FoundLines]
    references: Sequence[FoundReference]


class Discovery(Protocol):
    """Asks an account what there is. Every method may raise `SyncError`."""

    taken: frozenset[str]
    """Names that expressions use for objects which every account has."""
    read_anyway: frozenset[str]
    """The remote names of those objects, in small letters: they are no objects of a customer's own."""

    def objects(self) -> list[FoundObject]:
        """Every object that may be read, the customer's own first, by label."""

    def shape(self, remote: str) -> FoundShape:
        """One object. Raises `Misconfigured` when it is not there."""

    def reader(self, source: CustomSource) -> Connector:
        """A connector that reads `source`, which need not be stored."""

    def newest(self, remote: str, limit: int = 10) -> list[tuple[str, str]]:
        """(id, title) of the records that were changed last."""
