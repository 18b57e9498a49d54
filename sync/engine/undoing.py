"""Putting one record's former values back (Q-09): what the planner does instead of its mapping when a person undoes.

The change was planned from stored values; before it goes out the record is planned again, and this is where that plan
is told what to write. The invariants: only the undone fields are written; a value that somebody changed since the
person saw it is not overwritten, the change goes to a person instead; after the write the mapping's own wish counts as
sent, so that nothing writes it again until the source itself changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from integrations.connector import Record
from integrations.errors import ErrorClass
from mappings.mapper import Problem
from mappings.merge import FieldDiff, Merged, same
from sync.texts import say
from sync.values import dump_all, load, show

if TYPE_CHECKING:
    from sync.engine.draft import Draft

MOVED = "undo_moved"


def put_back(draft: Draft, merged: Merged, target: Record | None) -> Merged:
    """What is written instead of `merged` where a person undoes; `merged` itself elsewhere.

    The wishes are by field: `{"value": what it shall be, "seen": what the person saw there}`, as stored.
    """
    wishes = draft.ctx.undo.get(draft.record.id)
    if wishes is None or target is None:
        return merged
    undone = Merged()
    for name, wish in wishes.items():
        now, value, seen = target.fields.get(name), load(wish["value"]), load(wish["seen"])
        if same(now, value):
            continue
        if not same(now, seen):
            draft.problems.append(_moved(name, show(now), show(seen)))
            continue
        undone.changes[name] = value
        undone.diffs.append(FieldDiff(name, now, value, str(_("put back by a person"))))
    return undone


def payload(draft: Draft) -> dict[str, Any]:
    """What the new change keeps of it: the wishes, and what the mapping wants now, which is to count as sent."""
    wishes = draft.ctx.undo.get(draft.record.id)
    if wishes is None:
        return {}
    return {"undo": dict(wishes), "wanted": dump_all({name: draft.mapped.fields.get(name) for name in wishes})}


def _moved(name: str, now: str, seen: str) -> Problem:
    return Problem(
        code=MOVED,
        rule=name,
        field=name,
        value=now,
        message=say(_("“{field}” is “{now}” by now, and was “{seen}” when putting back was asked for."),
                    field=name, now=now or "∅", seen=seen or "∅"),
        remedy=say(_("Look at the record again, and ask once more if the former value is still wanted.")),
        error_class=ErrorClass.CONFLICT,
    )  # fmt: skip
