"""State that belongs to an org without being part of its data: cursors, jobs, counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from .org import Org

T = TypeVar("T")


class PerOrg(Generic[T]):
    """One ``T`` per org, made when it is first asked for, gone with the org."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make

    def of(self, org: Org) -> T:
        """What this org has."""
        if self not in org.held:
            org.held[self] = self._make()
        return cast(T, org.held[self])
