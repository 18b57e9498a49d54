"""Two people saved the same draft: what of both can be put together, and what a person must decide.

Pure: rows as a form carries them (texts) in, rows out. The invariant: nothing that either of them changed is lost
without being asked about; a row that only one of them touched is that one's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Values = Mapping[str, str]
Note = Literal["", "theirs", "added", "both"]

PLACE = "position"
"""Where a row stands is compared by itself: a row that was only moved says what it said before."""


@dataclass(frozen=True, slots=True)
class Posted:
    """One row of the form: the id of its stored row ("" for a new one), its texts, and whether it is to go."""

    id: str
    values: Values
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """One row of the result. `note`: taken over from the other person ("theirs", "added"), or to be decided ("both");
    `theirs` is then what they saved, None when they removed the row."""

    id: str
    values: Values
    removed: bool = False
    note: Note = ""
    theirs: Values | None = None


def same(one: Values | None, other: Values | None) -> bool:
    """Whether two rows say the same, whatever their place."""
    if one is None or other is None:
        return one is other
    return not different(one, other)


def different(one: Values, other: Values) -> list[str]:
    """The names of the fields that differ; line ends and outer blanks do not count."""
    return [name for name in {**one, **other} if name != PLACE and _plain(one, name) != _plain(other, name)]


def moved(one: Values, other: Values) -> bool:
    """Whether two rows stand in different places; one that a form left open is in the other's."""
    here, there = _plain(one, PLACE), _plain(other, PLACE)
    return here != there and "" not in (here, there)


def _plain(values: Values, name: str) -> str:
    return values.get(name, "").replace("\r\n", "\n").strip()


def merge(
    base: Mapping[str, Values],
    mine: Sequence[Posted],
    theirs: Mapping[str, Values],
    key: Callable[[Values], object] | None = None,
    *,
    ordered: bool = False,
) -> list[Merged]:
    """`base` is what the form was opened with, `theirs` what is stored now, both by id. Two rows that both of them
    added and that have the same `key` are one row to be decided. A row that only they moved goes where they moved it;
    for one that both moved a person decides when the rows are `ordered` (their order is part of what they say), else
    the one who saves last."""
    result = []
    met: set[str] = set()
    new = {key(values): id_ for id_, values in theirs.items() if id_ not in base} if key else {}
    for row in mine:
        id_ = row.id or (new.get(key(row.values), "") if key and not row.removed else "")
        met.add(id_)
        result.append(_placed(_one(row, id_, base.get(id_), theirs.get(id_)), row, base, theirs, ordered=ordered))
    result += [Merged(id_, values, note="added") for id_, values in theirs.items() if id_ not in met]
    # A row that they removed and nobody else changed is simply gone.
    return [row for row in result if not (row.removed and row.id not in theirs)]


def _one(row: Posted, id_: str, base: Values | None, theirs: Values | None) -> Merged:
    mine = None if row.removed else row.values
    if not id_ or same(mine, theirs) or (base is not None and same(base, theirs)):
        if mine is None and theirs is None:
            return Merged(id_, row.values, removed=True)
        return Merged(id_ if theirs is not None else "", row.values, row.removed)
    if base is not None and same(base, mine):
        if theirs is None:
            return Merged(id_, row.values, removed=True)
        return Merged(id_, theirs, note="theirs", theirs=base)
    return Merged(id_ if theirs is not None else "", row.values, row.removed, note="both", theirs=theirs)


def _placed(
    row: Merged, mine: Posted, base: Mapping[str, Values], theirs: Mapping[str, Values], *, ordered: bool
) -> Merged:
    """The row in its place."""
    now = theirs.get(row.id)
    if now is None or row.removed or PLACE not in mine.values:
        return row
    was = base.get(row.id)
    if was is not None and not moved(mine.values, was):
        told: Note = "theirs" if ordered and not row.note and moved(now, was) and same(mine.values, was) else row.note
        return replace(row, values={**row.values, PLACE: now.get(PLACE, "")}, note=told)
    values = {**row.values, PLACE: mine.values[PLACE]}
    if ordered and moved(values, now) and (was is None or moved(now, was)):
        return replace(row, values=values, note="both", theirs=now)
    return replace(row, values=values)
