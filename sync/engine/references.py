"""The remote reference of a create: how it is made, and which records carry one already that no row here knows.

The invariant: a reference is derived from the source record, its generation, the flow and the target account, and from
nothing else; so a restored database gives a record the reference that its document carries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from integrations.connector import Record
from sync.engine import links
from sync.engine.context import FlowContext
from sync.models import Change

LANE = "interactive"


def reference(ctx: FlowContext, change: Change) -> str:
    """The remote reference of a create: derived from the source record and generation, never random, so that a
    restored database finds it again. `[a-z0-9-]`, at most 50 characters: `_` and `%` would be wildcards in a search.

    The target account is in its check characters: one source record may be wanted in two ledgers."""
    prefix = links.reference_prefix(ctx.source_account.remote_id)
    body = f"{prefix}{ctx.flow.source_object[0]}{links.base36(change.source_id)}-{change.generation}"
    check = hashlib.sha256(f"{body}|{ctx.flow.slug}|{ctx.target_account.remote_id}".encode()).hexdigest()[:4]
    return f"{body}-{check}"[:50]


def carried(ctx: FlowContext, ids: Sequence[str], generations: Mapping[str, int]) -> dict[str, Record]:
    """The target records that carry the reference of one of these source records although no row here sent it: the
    database was restored from before the create. By source id. Raises `SyncError` when the target cannot be searched.

    Only at a card, where a person waits to press, and for targets that search a reference in one call: a bulk scan
    would pay a call per record. What we know to have sent is searched for before it is sent again.
    """
    name = ctx.flow.target_object
    if not ids or ctx.lane != LANE or name not in ctx.target.found_by_marker:
        return {}
    wanted = {reference(ctx, Change(source_id=key, generation=generations.get(key, 1))): key for key in ids}
    sent = Change.objects.filter(flow=ctx.flow, source_id__in=ids, remote_reference__in=list(wanted))
    known = set(sent.filter(sent_at__isnull=False).values_list("remote_reference", flat=True))
    missing = sorted(wanted.keys() - known)
    if not missing:
        return {}
    marker = ctx.target.markers[name]
    hits = ctx.target.find(name, marker, missing, lambda value: [value], lambda text: text, frozenset())
    return {wanted[value]: records[0] for value, records in hits.items() if records}
