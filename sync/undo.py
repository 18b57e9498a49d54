"""Undo for a single record (Q-09): the former values of one change, planned as a change that waits for approval.

Nothing is written here: somebody approves it, and the record is read again first (`sync.engine.undoing`). The
invariants: a document of the ledger is never undone, and neither is a create; of values that moved on since, none is
touched; there is one open change per record, so an undo never hides another wish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mappings.merge import same
from mappings.models import MappingSet
from sync.engine import links
from sync.erasure_texts import TOMBSTONE
from sync.models import Change, EntityLink, SyncLogEntry
from sync.states import OPEN, Action, State
from sync.texts import in_every_language, say
from sync.values import load


@dataclass(frozen=True, slots=True)
class Undo:
    """What undoing one change would do: `rows` (before is now, after is what comes back), `left` why others stay, or
    `refused` why nothing can be undone."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    refused: str = ""


def look(change: Change, link: EntityLink, *, open_change: Change | None) -> Undo:
    """What undoing `change` would do, from our own tables: no query beyond the mapping of the change, no remote call.

    `open_change` is what is planned for the record now, if anything is.
    """
    if refused := _refused(change, link, open_change):
        return Undo(refused=refused)
    now: Mapping[str, Any] = getattr(link, f"agreed_{change.flow.target_side}")
    rows, left = [], []
    for row in change.diff:
        name = row["field"]
        if name not in now or not same(load(now[name]), load(row.get("after"))):
            left.append((name, _("written again since")))
        elif TOMBSTONE in str(row.get("before")):
            left.append((name, _("its former value was erased")))
        elif not same(load(row.get("before")), load(row.get("after"))):
            rows.append({"field": name, "before": now[name], "after": row.get("before"), "reason": ""})
    if not rows:
        return Undo(left=left, refused=_("Everything that it wrote has been written again since, or was erased."))
    return Undo(rows, left)


def _refused(change: Change, link: EntityLink, open_change: Change | None) -> str:
    if change.state != State.APPLIED:
        return _("Only what was written can be put back.")
    if change.action == Action.CREATE:
        return _("It created the record. Nothing is ever deleted by us: archive or delete it there, if it must go.")
    if change.action == Action.ACT or (change.mapping_set is not None and change.mapping_set.promise_expression):
        return _("It wrote a document of the ledger, which is evidence. Credit it and create it anew instead.")
    if not change.diff:
        return _("It changed no value of the record itself: lines and associations are not put back.")
    if link.frozen_reason:
        return _("The link is frozen: nothing is written to this record.")
    if change.payload.get("undo"):
        return _("It is an undo itself. Undo an earlier change, or let the source write its value again.")
    if open_change is not None:
        return _("Another change of this record is “%(state)s”. Approve or dismiss that one first.") % {
            "state": open_change.get_state_display()
        }
    return ""


def open_change_of(change: Change) -> Change | None:
    """What is planned for the record of `change` now: one query."""
    return Change.objects.filter(
        flow_id=change.flow_id, source_id=change.source_id, state__in=[str(state) for state in OPEN]
    ).first()


def propose(change: Change, user: Any) -> Change:
    """Plan the write-back of what `change` replaced, held until somebody approves it. Raises `ValueError` with the
    reason when it cannot be done."""
    flow = change.flow
    refused = _("The record is planned in this moment. Look again.")
    try:
        with transaction.atomic():
            link = links.by_source(flow, [change.source_id]).get(change.source_id)
            if link is None:
                raise ValueError(_("The two records are not linked any more."))
            found = look(change, link, open_change=open_change_of(change))
            if found.refused:
                raise ValueError(found.refused)
            undo = Change.objects.create(**_values(change, link, found))
            SyncLogEntry.objects.create(
                integration_id=undo.integration_id, change=undo, user=user, event="undo planned",
                message=f"{user} asked to put back what change {change.pk} replaced",
            )  # fmt: skip
    except IntegrityError:
        raise ValueError(refused) from None
    except MappingSet.DoesNotExist:
        raise ValueError(_("The flow has no published mapping.")) from None
    return undo


def _values(change: Change, link: EntityLink, found: Undo) -> dict[str, Any]:
    flow = change.flow
    wishes = {row["field"]: {"value": row["after"], "seen": row["before"]} for row in found.rows}
    why = gettext_lazy("Puts back what change {number} replaced. It stays so until the source changes these values.")
    return {
        "integration_id": change.integration_id,
        "flow": flow,
        "mapping_set": flow.mapping_set(),
        "action": Action.UPDATE,
        "state": State.HELD,
        "source_id": change.source_id,
        "source_title": link.title or change.source_title,
        "source_url": change.source_url,
        "target_id": links.target_id(flow, link),
        "target_title": change.target_title,
        "target_url": change.target_url,
        "diff": found.rows,
        "payload": {"fields": {row["field"]: row["after"] for row in found.rows}, "undo": wishes, "of": change.pk},
        "reason": in_every_language(say(why, number=change.pk)),
        "source_fingerprint": links.fingerprint(flow, link),
    }
