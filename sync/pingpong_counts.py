"""Counters per field and day, kept by the engine page by page: what the ownership page shows of the last 30 days.

The invariant: one statement per page, however many records it has; the rows are in one order, so that two processes
that count the same fields wait for each other and never for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.utils import timezone

from sync.models import Change, FieldCount, Flow

if TYPE_CHECKING:
    from sync.engine.context import FlowContext

BOTH_CHANGED = "both_changed"


def planned(ctx: FlowContext, changes: Iterable[Change]) -> None:
    """Add what a stored page refused (blanks) and asks people about (conflicts), and forget the former."""
    blanks, ctx.refused_blanks = ctx.refused_blanks, Counter()
    conflicts = Counter(row["field"] for change in changes if change.error_code == BOTH_CHANGED for row in change.diff)
    _count(ctx.flow, {}, blanks, conflicts)


def written(flow: Flow, changes: Iterable[Change]) -> None:
    """Add what these changes wrote. Call in the transaction that makes them applied."""
    _count(flow, Counter(row["field"] for change in changes for row in change.diff), {}, {})


def _count(flow: Flow, writes: Mapping[str, int], blanks: Mapping[str, int], conflicts: Mapping[str, int]) -> None:
    names = sorted({*writes, *blanks, *conflicts})  # in one order: no two processes wait for each other
    if not names:
        return
    quote = connection.ops.quote_name
    table, today = quote(FieldCount._meta.db_table), timezone.now().date()
    statement = (
        f"INSERT INTO {table} (integration_id, flow_id, field, day, writes, blanks, conflicts) "  # noqa: S608  (our own names)
        "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (flow_id, field, day) DO UPDATE SET "
        f"writes = {table}.writes + excluded.writes, blanks = {table}.blanks + excluded.blanks, "
        f"conflicts = {table}.conflicts + excluded.conflicts"
    )
    rows: list[tuple[Any, ...]] = [
        (
            flow.integration_id,
            flow.pk,
            name[:100],
            today,
            *(counts.get(name, 0) for counts in (writes, blanks, conflicts)),
        )
        for name in names
    ]
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)
