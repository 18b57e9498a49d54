"""The other direction of the demonstration: at a card, a deal becomes an invoice, and its number comes back."""

from __future__ import annotations

import time
from collections.abc import Callable

import requests

from config.demo.processes import Processes
from config.demo.story import failed_checks
from integrations.models import Integration
from sync import interactive
from sync.interactive import RecordState
from sync.models import Change, EntityLink, Flow
from sync.states import State

DEALS = "deals-to-invoices"
ACTOR = "anna.saljare@kund.example"
PATIENCE = 60

Say = Callable[[str], None]


def create_invoices(integration: Integration, processes: Processes, host: str, say: Say) -> None:
    """Look at every open deal as its card does, press on those that may become invoices, and say what came of it."""
    flow = Flow.objects.filter(integration=integration, slug=DEALS).first()
    if flow is None:
        return
    say("")
    say(f"{flow.name}, as pressed on the card of each deal")
    shown = 0
    for deal in _open_deals(integration, host):
        started = time.monotonic()
        interactive.look(flow, deal, actor=ACTOR)
        state = _wait(flow, deal, processes, {"ready", "blocked", "review", "locked"})
        title = state.change.source_title if state.change else deal
        if state.phase != "ready" or state.change is None:
            shown += 1
            if shown <= 6:
                _explain(title, state, say)
            continue
        pressed = time.monotonic()
        interactive.press(state.change.pk, actor=ACTOR, fingerprint=state.change.source_fingerprint)
        state = _wait(flow, deal, processes, {"done", "blocked", "review", "held"})
        if state.link is None:
            _explain(title, state, say)
            continue
        say(
            f"  invoice {state.link.ledger_id} for “{title}”: checked in {pressed - started:.1f} s, "
            f"made in {time.monotonic() - pressed:.1f} s"
        )
    if shown > 6:
        say(f"  … and {shown - 6} more that say what is missing")
    _wait_for_numbers(integration, processes)
    portal = integration.crm_account.remote_id
    made = EntityLink.objects.filter(integration=integration, crm_object="deal", origin="crm").first()
    if made is not None:
        say(f"  Its card, on a stand-in of the CRM's page: {host}/hubspot/ui/{portal}/record/0-3/{made.crm_id}")


def _open_deals(integration: Integration, host: str) -> list[str]:
    """Open deals of the portal's own pipeline that have no invoice, newest first: what a salesperson would open."""
    linked = set(EntityLink.objects.filter(integration=integration, crm_object="deal").values_list("crm_id", flat=True))
    path = f"{host}/control/state/hubspot/{integration.crm_account.remote_id}/deals"
    rows = requests.get(path, timeout=30).json()["records"]
    wanted = [row for row in rows if row["properties"].get("pipeline") == "default" and not row.get("archived")]
    ids = [str(row["id"]) for row in wanted if str(row["id"]) not in linked]
    return sorted(ids, key=int, reverse=True)[:12]


def _wait(flow: Flow, deal: str, processes: Processes, phases: set[str]) -> RecordState:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        processes.check()
        state = interactive.state_of(flow, deal)
        if state.phase in phases:
            return state
        time.sleep(0.05)
    raise RuntimeError(f"deal {deal} is still {state.phase} after {PATIENCE} s")


def _wait_for_numbers(integration: Integration, processes: Processes) -> None:
    """Until every number is back in the CRM."""
    deadline = time.monotonic() + PATIENCE
    moving = [State.QUEUED, State.SENDING, State.RETRYING, State.UNKNOWN]
    while time.monotonic() < deadline:
        processes.check()
        if not Change.objects.filter(integration=integration, lane=interactive.LANE, state__in=moving).exists():
            return
        time.sleep(0.2)


def _explain(title: str, state: RecordState, say: Say) -> None:
    change = state.change
    failed = failed_checks(change) if change else []
    if failed:
        say(f"  “{title}” waits: {len(failed)} of {len(change.checks) if change else 0} checks do not hold")
        for line in failed[:2]:
            say(f"        {line}")
    elif change is not None:
        say(f"  “{title}”: {change.error_message or change.reason_text}")
