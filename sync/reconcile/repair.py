"""What can be done about one difference: its change is tried again, or its document is brought over now."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from sync import queue
from sync import repair as changes
from sync.models import Change, EntityLink, Flow, Hint, ReconciliationLine
from sync.states import State

PERMISSIONS = {"retry": "sync.retry_change", "sync": "sync.run_flow"}
"""What each verb needs in the organization."""


def retry(line: ReconciliationLine, user: Any) -> int:
    """Try the change again that waits for a person; how many that were (0: it has moved on)."""
    return changes.retry(Change.objects.filter(pk=line.change_id), user) if line.change_id else 0


def can_retry(line: ReconciliationLine) -> bool:
    """Whether its change waits for a person or for its next attempt."""
    return line.change is not None and line.change.state in (State.REVIEW, State.RETRYING)


def sync_now(line: ReconciliationLine) -> int:
    """Ask the flows that bring this document over to look at it again; how many were asked."""
    if not line.ledger_id:
        return 0
    return bring_over(line.reconciliation.integration_id, line.ledger_object, line.ledger_id, line.crm_object)


def bring_over(integration_id: int, ledger_object: str, ledger_id: str, crm_object: str = "") -> int:
    """Ask the flows that bring a document over to look at it again, whatever they saw last; how many were asked.

    What they plan follows their own rules of approval."""
    flows = Flow.objects.startable().filter(
        integration_id=integration_id, source_side="ledger", source_object=ledger_object
    )
    if crm_object:
        flows = flows.filter(target_object=crm_object)
    with transaction.atomic():
        EntityLink.objects.filter(
            integration_id=integration_id, ledger_object=ledger_object, ledger_id=ledger_id
        ).update(ledger_fingerprint="", ledger_version="")
        asked = [Hint(flow=flow, source_id=ledger_id) for flow in flows]
        Hint.objects.bulk_create(asked, ignore_conflicts=True)
        transaction.on_commit(lambda: queue.kick(queue.BULK))
    return len(asked)
