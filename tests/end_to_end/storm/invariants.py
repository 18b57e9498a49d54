"""INV1 to INV6, from the sandbox's truth journal on one side and our tables on the other (trust A9).

Each check returns the violations as text, empty when it holds; `violations` runs them all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sync.models import Change, EntityLink, Flow
from sync.states import Action, State
from sync.values import load_all

Deed = Mapping[str, Any]


def live(deeds: Iterable[Deed]) -> dict[str, list[str]]:
    """The live documents by marker: created, and neither deleted nor cancelled."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    gone = {deed["key"] for deed in deeds if deed["action"] in ("delete", "cancel")}
    for deed in deeds:
        if deed["action"] == "create" and deed["key"] not in gone:
            found[deed["marker"]].append(deed["key"])
    return dict(found)


def duplicates(deeds: Sequence[Deed]) -> int:
    """How many documents there are beyond the first of each marker."""
    return sum(len(keys) - 1 for marker, keys in live(deeds).items() if marker)


def inv1(deeds: Sequence[Deed]) -> list[str]:
    """At most one live remote document per marker."""
    return [f"{marker}: {keys}" for marker, keys in live(deeds).items() if marker and len(keys) > 1]


def inv2(deeds: Sequence[Deed], applied: Sequence[Change]) -> list[str]:
    """Every applied change has its document, the one it names, with its customer and its amount."""
    by_key = {deed["key"]: deed for deed in deeds if deed["action"] == "create"}
    wrong = []
    for change in applied:
        deed = by_key.get(change.target_id)
        if deed is None or deed["marker"] != change.remote_reference:
            wrong.append(f"{change.source_id}: {change.target_id} is not its document")
        elif Decimal(deed["values"]["Net"]) != change.amount:
            wrong.append(f"{change.source_id}: {deed['values']['Net']} instead of {change.amount}")
        elif deed["values"]["CustomerNumber"] != change.payload["fields"]["CustomerNumber"]:
            wrong.append(f"{change.source_id}: customer {deed['values']['CustomerNumber']}")
    return wrong


def inv3(wanted: Iterable[str], changes: Sequence[Change]) -> list[str]:
    """Every accepted wish ends applied or with a person, once."""
    ended = Counter(change.source_id for change in changes if change.state in (State.APPLIED, State.REVIEW))
    moving = [c for c in changes if c.state not in (State.APPLIED, State.REVIEW, State.SUPERSEDED)]
    found = [f"{source_id}: ended {ended[source_id]} times" for source_id in wanted if ended[source_id] != 1]
    return found + [f"{change.source_id}: {change.state}" for change in moving]


def inv4(deeds: Sequence[Deed], changes: Sequence[Change]) -> list[str]:
    """No remote write that our table does not know: each carries the reference of a change that was sent."""
    known = {change.remote_reference for change in changes if change.sent_at is not None}
    return [f"{deed['key']}: {deed['marker'] or 'no marker'}" for deed in deeds if deed["marker"] not in known]


def inv5(flow: Flow, records: Iterable[Mapping[str, Any]], applied: Sequence[Change]) -> list[str]:
    """The final remote state is the final local mirror: each applied record is linked to its document, no document to
    two records, and what the link remembers is what the document holds."""
    remote = {str(record["DocumentNumber"]): record for record in records}
    links = {link.crm_id: link for link in EntityLink.objects.filter(integration_id=flow.integration_id)}
    wrong = []
    for change in applied:
        link = links.get(change.source_id)
        if link is None or link.ledger_id != change.target_id:
            wrong.append(f"{change.source_id}: linked to {link.ledger_id if link else 'nothing'}")
            continue
        held = remote.get(link.ledger_id, {})
        different = [n for n, v in load_all(link.agreed_ledger).items() if str(held.get(n)) != str(v)]
        if different or not link.agreed_ledger:
            wrong.append(f"{change.source_id}: {different or 'nothing'} agreed")
    if len(links) != len(applied):
        wrong.append(f"{len(links)} links for {len(applied)} applied changes")
    return wrong


def inv6(deeds: Sequence[Deed]) -> list[str]:
    """No refresh token is presented twice."""
    seen = Counter(deed["key"] for deed in deeds if deed["object"] == "token")
    return [f"{digest}: {count} times" for digest, count in seen.items() if count > 1]


def violations(
    flow: Flow, wanted: Iterable[str], deeds: Sequence[Deed], records: Iterable[Mapping[str, Any]]
) -> dict[str, list[str]]:
    """All six, by name; only those that are violated. `deeds` are the truth journal of the flow's ledger, `records`
    its invoices as they are now."""
    changes = list(Change.objects.filter(flow=flow, action=Action.CREATE))
    applied = [change for change in changes if change.state == State.APPLIED]
    ours = [deed for deed in deeds if deed["object"] == "invoices" and deed["request"] is not None]
    found = {
        "INV1": inv1(ours),
        "INV2": inv2(ours, applied),
        "INV3": inv3(wanted, changes),
        "INV4": inv4(ours, changes),
        "INV5": inv5(flow, records, applied),
        "INV6": inv6(deeds),
    }
    return {name: wrong for name, wrong in found.items() if wrong}
