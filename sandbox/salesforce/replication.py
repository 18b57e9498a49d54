"""``/sobjects/X/updated/`` and ``/sobjects/X/deleted/``: which records changed or vanished in a span of time.

Salesforce REST guide, Get Updated and Get Deleted: seconds are ignored, the span may begin 30 days ago (15 for deleted
records) and must begin before it ends; the next call begins at ``latestDateCovered``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import times
from .call import Answer, Call
from .errors import SfError
from .held import PerOrg
from .schema import ObjectDef

if TYPE_CHECKING:
    from .org import Org

MINUTE_MS, DAY_MS = 60_000, 24 * 3_600_000
UPDATED_DAYS, DELETED_DAYS = 30, 15
MOST_IDS = 600_000


@dataclass(slots=True)
class _Purge:
    """Deletions before this moment have been forgotten, so nobody can ask for them."""

    moment: int = 0


_PURGES: PerOrg[_Purge] = PerOrg(_Purge)


def route(call: Call) -> Answer:
    """Answer one of the two calls; 400 INVALID_REPLICATION_DATE for a span that is not allowed."""
    call.allow("GET")
    definition = call.org.object(call.parts[1], call.user_id)
    if not definition.replicateable:
        raise SfError(400, "INVALID_TYPE", f"entity type {definition.name} does not support replication")
    if call.parts[2] == "updated":
        return Answer(200, updated(call.org, definition, *_span(call, UPDATED_DAYS)))
    return Answer(200, deleted(call.org, definition, *_span(call, DELETED_DAYS)))


def updated(org: Org, definition: ObjectDef, start: int, end: int) -> dict[str, object]:
    """Ids of the live records whose SystemModstamp lies in the span, oldest change first."""
    rows = org.rows[definition.name].values()
    found = sorted((row.stamp, row.id) for row in rows if not row.deleted and start <= row.stamp < end)
    _check_number(len(found))
    return {"ids": [record_id for _, record_id in found], "latestDateCovered": _covered(org, end)}


def deleted(org: Org, definition: ObjectDef, start: int, end: int) -> dict[str, object]:
    """The records deleted in the span, those that skipped the recycle bin included."""
    table = org.table(definition.name)
    rows = [row for row in table.rows.values() if row.deleted] + list(table.purged.values())
    earliest = _earliest(org)
    found = sorted((row.stamp, row.id) for row in rows if max(start, earliest) <= row.stamp < end)
    _check_number(len(found))
    return {
        "deletedRecords": [{"id": record_id, "deletedDate": times.wire(moment)} for moment, record_id in found],
        "earliestDateAvailable": times.wire(earliest),
        "latestDateCovered": _covered(org, end),
    }


def purge_before(org: Org, moment: int) -> None:
    """Deletions before a moment are forgotten: ``earliestDateAvailable`` moves there, and who asks for more must read
    everything again."""
    _PURGES.of(org).moment = moment
    for table in org.tables.values():
        for record_id in [key for key, row in table.purged.items() if row.stamp < moment]:
            del table.purged[record_id]
        for row in [row for row in table.rows.values() if row.deleted and row.stamp < moment]:
            table.drop(row)


def _earliest(org: Org) -> int:
    return max(_PURGES.of(org).moment, org.now_ms() - DELETED_DAYS * DAY_MS) // MINUTE_MS * MINUTE_MS


def _covered(org: Org, end: int) -> str:
    """Up to where the answer is complete: the end of the span, or now, whichever is earlier."""
    return times.wire(min(end, org.now_ms() // MINUTE_MS * MINUTE_MS))


def _span(call: Call, days: int) -> tuple[int, int]:
    start, end = (_moment(call, name) for name in ("start", "end"))
    if start >= end:
        raise _invalid("endDate before startDate")
    if start < (call.org.now_ms() // MINUTE_MS - days * 24 * 60) * MINUTE_MS:
        raise _invalid(f"startDate cannot be more than {days} days ago")
    return start, end


def _moment(call: Call, name: str) -> int:
    text = call.query.get(name)
    if not text:
        raise SfError(400, "MISSING_ARGUMENT", f"The {name} parameter is required")
    found = times.to_ms(text)
    if found is None:
        raise _invalid(f"{name} must be a dateTime, found {text}")
    return found // MINUTE_MS * MINUTE_MS


def _invalid(text: str) -> SfError:
    return SfError(400, "INVALID_REPLICATION_DATE", text)


def _check_number(found: int) -> None:
    if found > MOST_IDS:
        raise SfError(400, "EXCEEDED_ID_LIMIT", f"more than {MOST_IDS} ids; ask for a shorter span")
