"""The record at the card, found inside the caller's account: its flows, its links, its latest changes.

One query, whatever the number of integrations, of the columns that the card needs; the page loads the rest. The
invariant: every look-up starts from the signed account, so that another account's record with the same id does not
exist here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _

from integrations.cards import CardCaller, Facts, facts, merged
from integrations.columns import Columns, fetch, key_of
from integrations.models import ConnectedAccount, Integration
from mappings import presets
from sync import interactive
from sync.engine.reroute import NO_ROUTE
from sync.engine.routing import MOVED
from sync.models import Change, EntityLink, Flow, RoutePin, Side
from sync.states import OPEN, State
from sync.values import load_all

NONE, LOOKING, READY, BLOCKED = "none", "looking", "ready", "blocked"
WORKING, VERIFYING, REVIEW, DONE, LOCKED, HELD = "working", "verifying", "review", "done", "locked", "held"
_MOVING = (State.RETRYING, State.QUEUED, State.SENDING, State.UNKNOWN)


@dataclass
class Place:
    """One integration that the record may go to: its flow, and what there is of the record."""

    flow: Flow
    link: EntityLink | None = None
    change: Change | None = None
    pinned: bool = False

    @property
    def integration(self) -> Integration:
        """The pair of accounts."""
        return self.flow.integration

    @property
    def company(self) -> str:
        """The company in the ledger."""
        ledger = self.integration.ledger_account
        return ledger.name or str(ledger)

    @property
    def system(self) -> str:
        """What people call the ledger."""
        return str(self.integration.ledger_account.get_system_display())

    @property
    def url(self) -> str:
        """Where the counterpart is seen in the ledger; "" when that is not known, or no web address."""
        known = self.link.ledger_url if self.link else ""
        return known if known.startswith(("https://", "http://")) else ""

    @property
    def connected(self) -> bool:
        """Whether both sides can be spoken to."""
        pair = (self.integration.crm_account, self.integration.ledger_account)
        return all(account.status == account.Status.CONNECTED for account in pair)

    @property
    def on(self) -> bool:
        """Whether the toggle allows it, in an integration that may write (RB31, RB32)."""
        return self.flow.enabled and self.integration.mode == Integration.Mode.LIVE

    @property
    def toggle(self) -> str:
        """What the settings call the switch of this flow."""
        pair = (self.integration.crm_account.system, self.integration.ledger_account.system)
        preset = presets.preset_of(*pair, self.flow.slug)
        return _((preset.flow.get("toggle_label") if preset else "") or self.flow.name)

    @property
    def facts(self) -> Facts:
        """What both sides are known to hold, in neutral words."""
        if self.link is None:
            return Facts()
        ledger, crm = self.integration.ledger_account, self.integration.crm_account
        return merged(
            facts(ledger.system, self.link.ledger_object, load_all(self.link.agreed_ledger)),
            facts(crm.system, self.link.crm_object, load_all(self.link.agreed_crm)),
        )

    def complete(self) -> None:
        """Load what the page shows beyond the card, in one query."""
        if self.change is not None:
            self.change = Change.objects.get(pk=self.change.pk)
            self.change.flow, self.change.integration = self.flow, self.integration

    @property
    def undecided(self) -> bool:
        """Whether nobody knows yet that the record belongs to this company: no rule took it, or none was tried."""
        if self.link is not None or self.pinned:
            return False
        return self.change is not None and self.change.error_code == NO_ROUTE

    @cached_property
    def awaited(self) -> Change | None:
        """The newest change of the record that this one waits for, such as its customer; None when it waits for none,
        or nothing was planned for that one."""
        slug, _colon, source_id = self.change.waits_for.partition(":") if self.change is not None else ("", "", "")
        if self.change is None or not source_id:
            return None
        rows = Change.objects.filter(
            integration_id=self.change.integration_id, flow__slug=slug, source_id=source_id
        ).exclude(state__in=[State.SUPERSEDED, State.DISMISSED])
        return rows.order_by("-pk").first()

    @property
    def coming(self) -> bool:
        """Whether what the record waits for is on its way, because somebody pressed for it."""
        return self.phase == BLOCKED and self.awaited is not None and self.awaited.state in _MOVING

    @property
    def left_out(self) -> Mapping[str, str] | None:
        """Why a plan left the record out, such as the flow's filter or a person's word; None when it did not."""
        if self.link is not None or self.change is None or self.change.state != State.SKIPPED:
            return None
        return self.change.reason or None

    @property
    def cancelled(self) -> bool:
        """Whether the document was cancelled in the ledger and stands for nothing: a new one may take its place."""
        return self.link is not None and self.facts.status == "cancelled" and self.phase in (DONE, LOCKED)

    @property
    def phase(self) -> str:
        """Where the record stands, from what is stored."""
        return phase_of(self.link, self.change)


def phase_of(link: EntityLink | None, change: Change | None) -> str:
    """Where a record stands: one of the words above. As the engine says it, except that a choice between existing
    records is something the person at the card can make: a condition, not a failure."""
    phase = interactive.phase_of(change, link)
    if phase == REVIEW and link is None and change is not None and change.candidates and not change.sent_at:
        return BLOCKED
    return phase


_FLOW = Columns(
    Flow, "f",
    ("integration_id", "slug", "name", "enabled", "follow_up", "source_side", "source_object", "target_side",
     "target_object"),
)  # fmt: skip
_PAIR = Columns(Integration, "i", ("organization_id", "name", "mode", "crm_account_id", "ledger_account_id"))
_LEDGER = Columns(ConnectedAccount, "l", ("organization_id", "system", "remote_id", "name", "status"))
_LINK = Columns(
    EntityLink, "k",
    ("integration_id", "crm_object", "crm_id", "ledger_object", "ledger_id", "title", "agreed_crm", "agreed_ledger",
     "ledger_url", "former", "frozen_reason", "synced_at"),
)  # fmt: skip
_CHANGE = Columns(
    Change, "c",
    ("integration_id", "flow_id", "action", "state", "replan", "checks", "candidates", "problems", "reason",
     "error_code", "error_message", "sent_at", "updated_at", "waits_for"),
)  # fmt: skip
_PIN = Columns(RoutePin, "p", ("integration_id",))
_PARTS: tuple[Columns[Any], ...] = (_FLOW, _PAIR, _LEDGER, _LINK, _CHANGE, _PIN)
# Indexes: integrations by account, flows by integration, links by (integration, object, id), changes by (flow, source).
_SQL = f"""
SELECT {", ".join(part.select for part in _PARTS)}
FROM {_FLOW.table}
JOIN {_PAIR.table} ON i.id = f.integration_id
JOIN {_LEDGER.table} ON l.id = i.ledger_account_id
LEFT JOIN {_LINK.table}
  ON k.integration_id = i.id AND k.crm_object = %s AND k.crm_id = %s AND k.ledger_object = f.target_object
LEFT JOIN {_CHANGE.table} ON c.id = (
  SELECT MAX(n.id) FROM "{Change._meta.db_table}" n
  WHERE n.flow_id = f.id AND n.source_id = %s AND n.state NOT IN (%s, %s)
)
LEFT JOIN {_PIN.table}
  ON p.account_id = i.crm_account_id AND p.object_name = %s AND p.record_id = %s AND p.integration_id = i.id
WHERE i.crm_account_id = %s AND f.source_side = %s AND f.source_object = %s AND f.takes <> %s
ORDER BY i.id, f.position, f.id
"""  # noqa: S608  (made of the models' own names)


def places(caller: CardCaller) -> list[Place]:
    """Where the caller's record may go, or has gone: one per integration of the account, in a stable order."""
    params = [
        caller.object, caller.record_id, caller.record_id, State.SUPERSEDED, State.DISMISSED,
        caller.object, caller.record_id, key_of(caller.account), Side.CRM, caller.object, Flow.Takes.RETURNED,
    ]  # fmt: skip
    by_integration: dict[int, Place] = {}
    for row in fetch(_SQL, params):
        parts: list[Any] = []
        start = 0
        for part in _PARTS:
            parts.append(part.read(row[start : start + len(part)]))
            start += len(part)
        flow, pair, ledger, link, change, pin = parts
        pair.crm_account, pair.ledger_account = caller.account, ledger
        flow.integration = pair
        if change is not None:
            change.flow, change.integration = flow, pair
        if link is not None and link.frozen_reason.startswith(MOVED):
            link = None  # history: the record belongs to another company now
        by_integration.setdefault(pair.pk, Place(flow, link, change, pin is not None))
    return list(by_integration.values())


def chosen(found: Sequence[Place], wanted: object = None) -> Place | None:
    """The place that is meant: the only one, else where the record is linked, else where somebody decided that it goes,
    else where it was planned last. When nothing is known yet, the place that tries the routing rules.

    None when the record is linked in several places and the person must choose, or when what was asked for (`wanted`,
    an integration's id) is not there. What was asked for counts among the places that have the record; a person does
    not choose where it goes: the rules do.
    """
    asked = next((place for place in found if str(place.flow.integration_id) == str(wanted)), None)
    if not found or (wanted not in (None, "") and asked is None):
        return None
    taken = [place for place in found if place.link is not None]
    if len(found) == 1 or len(taken) > 1:
        return found[0] if len(found) == 1 else asked if asked in taken else None
    pinned = [place for place in found if place.pinned]
    planned = sorted((place for place in found if place.change is not None), key=_newest, reverse=True)
    return next(iter([*taken, *pinned, *planned, *(place for place in found if place.on), *found]))


def _newest(place: Place) -> tuple[bool, int]:
    """What is still open counts more than what is over; then the newest."""
    change = place.change
    return (change is not None and change.state in OPEN, change.pk if change is not None else 0)


def unknown(found: Sequence[Place], place: Place) -> bool:
    """Whether it is not known yet to which of several companies the record goes."""
    fresh = len(found) > 1 and place.link is None and not place.pinned and place.change is None
    return fresh or place.undecided
