"""Records that point at each other: what could not be pointed at when it was written is pointed at when it is there.

A credit note and the document that it credits, a document's own record and the record that it was made from: whichever
is written first lacks the association. The invariant: whoever creates the missing one has the others planned again.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from mappings.models import MappingSet, compile_mapping
from sync.engine import links
from sync.engine.context import FlowContext
from sync.engine.follow_up import look_again
from sync.models import Change, Flow


def pointing_at(flow: Flow) -> list[Flow]:
    """The flows of the same source object whose records point at records that this flow writes; itself may be one."""
    alike = Flow.objects.filter(
        integration_id=flow.integration_id, source_side=flow.source_side, source_object=flow.source_object, enabled=True
    )
    return [other for other in alike if _points(other, flow)]


def _points(other: Flow, flow: Flow) -> bool:
    try:
        rules = compile_mapping(other.mapping_set()).links
    except MappingSet.DoesNotExist:
        return False
    return any(rule.related == flow.slug and not rule.target_field for rule in rules)


def look_again_at_kin(ctx: FlowContext, made: Sequence[Change]) -> None:
    """Have the records that point at those just made planned again; no query where nothing points here."""
    for flow in ctx.pointing_here if made else ():
        own = flow.pk == ctx.flow.pk
        keys = {key for change in made for key in change.payload.get("kin", ())} if own else {c.source_id for c in made}
        linked = links.by_source(flow, keys) if keys else {}
        look_again(flow, sorted(linked), _("What it points at is there now."))
