"""The search index: what a search sees, which is what the records were ``lag`` seconds ago.

While a change is not yet indexed, the record's earlier form is kept and shown instead. With a lag of zero
nothing is copied and searches read the records themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .store import Record, Store


@dataclass(slots=True)
class _Change:
    due: float
    record_id: int
    form: Record | None


class SearchIndex:
    """Searchable forms of one store's records."""

    def __init__(self, store: Store, lag: Callable[[], float], now: Callable[[], float]) -> None:
        self._store = store
        self._lag = lag
        self._now = now
        self._shown: dict[int, Record | None] = {}  # only for records with changes under way
        self._queue: deque[_Change] = deque()
        self._waiting: dict[int, int] = {}

    def before(self, record_id: int) -> None:
        """Called before a record changes or appears: its present form stays visible for now."""
        if self._lag() > 0 and record_id not in self._shown:
            self._shown[record_id] = _form(self._store.records.get(record_id))
            self._waiting[record_id] = 0

    def after(self, record_id: int) -> None:
        """Called after the change: its new form becomes visible when the lag has passed."""
        if record_id in self._shown:
            form = _form(self._store.records.get(record_id))
            self._queue.append(_Change(self._now() + self._lag(), record_id, form))
            self._waiting[record_id] += 1

    def visible(self) -> Iterable[Record]:
        """The records as a search sees them now, in id order as far as it matters for paging."""
        self._catch_up()
        if not self._shown:
            return [record for record in self._store.records.values() if record.archived is None]
        shown = self._shown
        found: list[Record] = []
        for record_id, record in self._store.records.items():
            form = shown.get(record_id, record)
            if form is not None and form.archived is None:
                found.append(form)
        return found

    def _catch_up(self) -> None:
        now = self._now()
        while self._queue and self._queue[0].due <= now:
            change = self._queue.popleft()
            self._waiting[change.record_id] -= 1
            if self._waiting[change.record_id]:
                self._shown[change.record_id] = change.form
            else:
                del self._shown[change.record_id], self._waiting[change.record_id]


def _form(record: Record | None) -> Record | None:
    """A copy of what can be searched; None for what is absent or archived."""
    if record is None or record.archived is not None:
        return None
    copy = Record(record.id, dict(record.values), record.created, record.source, None)
    copy.updated = record.updated
    copy.merged = record.merged
    return copy
