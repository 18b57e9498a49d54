"""What a person decides about the companies of records: one record's company, and moving a linked one.

The invariant: a company that is chosen reads the same CRM account and belongs to the same organization; each decision
is one transaction that stores who and why, and whatever was open under the old one is planned again before it goes out.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.cards import facts
from integrations.connector import Record
from integrations.connectors import connector_for
from integrations.errors import Missing
from integrations.models import ConnectedAccount, Integration
from mappings.models import RoutingRule
from sync.engine import reroute
from sync.engine.context import SCHEMA_MAX_AGE, schema_of
from sync.engine.routing import MOVED, companies, lock
from sync.models import Change, EntityLink, Flow, RouteMove, RoutePin, Side, SyncLogEntry
from sync.states import REPLACEABLE, Action, State, move

STATUS = "status"
"""The derived field by which a ledger says how a document stands, where it has one."""
OVER = ("cancelled", "credited")


def register() -> None:
    """Whoever saves or deletes a rule, the open changes follow; called once, when the room starts."""
    post_save.connect(_rule_changed, sender=RoutingRule, dispatch_uid="routing_rule_saved")
    post_delete.connect(_rule_changed, sender=RoutingRule, dispatch_uid="routing_rule_deleted")
    post_save.connect(_pin_changed, sender=RoutePin, dispatch_uid="route_pin_saved")
    post_delete.connect(_pin_changed, sender=RoutePin, dispatch_uid="route_pin_deleted")


def _rule_changed(instance: RoutingRule, **_more: Any) -> None:
    reroute.rules_changed(instance.account_id, instance.object_name)


def _pin_changed(instance: RoutePin, **_more: Any) -> None:
    reroute.record_decided(instance.account_id, instance.object_name, instance.record_id)


# --- choosing -------------------------------------------------------------------------------------------------------


def choices(change: Change) -> list[Integration]:
    """The companies that a held record may be sent to; empty when the change does not wait for that."""
    if change.state != State.REVIEW or change.error_code != reroute.NO_ROUTE or change.flow.source_side != Side.CRM:
        return []
    return companies(change.integration.crm_account, change.flow.source_object)


def choose(change: Change, integration_id: str, user: Any, reason: str = "") -> Integration:
    """A person decided to which company the record of `change` goes; it is planned there now.

    Raises `ValueError` when the company is none of those that may take it.
    """
    found = next((each for each in choices(change) if str(each.pk) == integration_id), None)
    if found is None:
        raise ValueError(_("This company may not take the record."))
    reason = reason.replace("\x00", "").strip()
    pin(change.integration.crm_account, change.flow.source_object, change.source_id, found, user, reason)
    return found


@transaction.atomic
def pin(
    account: ConnectedAccount, object_name: str, record_id: str, to: Integration, user: Any, reason: str
) -> RoutePin:
    """Store that this record goes to `to`. Raises `ValidationError` for a company of another account."""
    lock(account.pk)
    found = RoutePin.objects.filter(account=account, object_name=object_name, record_id=record_id).first()
    row = found or RoutePin(account=account, object_name=object_name, record_id=record_id)
    row.integration, row.reason, row.by, row.at = to, reason[:500], user, timezone.now()
    row.rival = None
    row.save()
    SyncLogEntry.objects.create(
        integration=to, user=user, event="company chosen",
        message=f"{object_name} {record_id} goes to {to}, by {user}: {reason}"[:2000],
    )  # fmt: skip
    return row


# --- moving ---------------------------------------------------------------------------------------------------------


def destinations(link: EntityLink) -> list[Integration]:
    """The other companies that the record of `link` could be moved to."""
    found = companies(link.integration.crm_account, link.crm_object)
    return [each for each in found if each.pk != link.integration_id]


def why_not_move(link: EntityLink) -> str:
    """Why the record cannot be moved now; "" when it can. Asks the ledger about documents: one call for each.

    Raises `SyncError` when the ledger cannot be asked.
    """
    if link.frozen_reason.startswith(MOVED):
        return _("It was moved to another company already.")
    if any(each.erased for each in _links(link)):
        return _("Its person was erased here: nothing is copied from it, to any company, before an owner lifts that.")
    if _under_way(link):
        return _("Something is being sent for this record. Wait until it is done.")
    if RoutePin.objects.filter(
        account=link.integration.crm_account, object_name=link.crm_object, record_id=link.crm_id
    ).exclude(integration=link.integration).exists():  # fmt: skip
        return _("Another company was chosen for this record already.")
    for each in _links(link):
        if _document_stands(each):
            return _(
                "%(object)s %(number)s exists in %(company)s and is neither cancelled nor credited. With another one "
                "in the other company the customer would be billed twice: cancel or credit it first."
            ) % {
                "object": each.ledger_object.capitalize(), "number": each.ledger_id,
                "company": each.integration.ledger_account.name,
            }  # fmt: skip
    return ""


def _links(link: EntityLink) -> list[EntityLink]:
    """All links of the record in its company: it moves as a whole."""
    rows = EntityLink.objects.filter(
        integration_id=link.integration_id, crm_object=link.crm_object, crm_id=link.crm_id
    ).exclude(frozen_reason__startswith=MOVED)
    return list(rows.select_related("integration__ledger_account").order_by("pk"))


def _open(link: EntityLink) -> Any:
    """The open changes of both records of the link, in its company."""
    pairs = Change.objects.open().filter(integration_id=link.integration_id)
    crm = pairs.filter(flow__source_side=Side.CRM, flow__source_object=link.crm_object, source_id=link.crm_id)
    ledger = pairs.filter(
        flow__source_side=Side.LEDGER, flow__source_object=link.ledger_object, source_id=link.ledger_id,
        flow__target_object=link.crm_object,
    )  # fmt: skip
    return crm | ledger


def _under_way(link: EntityLink) -> bool:
    rows = [row for each in _links(link) for row in _open(each).values_list("state", "action")]
    return any(state not in REPLACEABLE or action == Action.ACT for state, action in rows)


def _document_stands(link: EntityLink) -> bool:
    """Whether the counterpart is a document that still counts: not a record of a register, not gone, not cancelled and
    not credited."""
    connector = connector_for(link.integration.ledger_account, lane="interactive")
    name = link.ledger_object
    cancelled = connector.cancelled.get(name, "")
    if not cancelled:
        return False
    account = link.integration.ledger_account
    schema = schema_of(connector, account, name, SCHEMA_MAX_AGE)
    fields = {cancelled, *({STATUS} & schema.fields.keys())}
    for loaded in connector.load(name, [link.ledger_id], {name: frozenset(fields)}):
        if isinstance(loaded, Record):
            over = facts(account.system, name, loaded.fields).status in OVER
            return not (over or loaded.fields.get(cancelled))
        if not isinstance(loaded[1], Missing):
            raise loaded[1]
    return False


def move_record(link: EntityLink, to: Integration, user: Any, reason: str) -> RouteMove:
    """Move the record of `link` to the company `to`: from now on it is looked at there, and in its old company only its
    history remains. What was open there is superseded.

    Raises `ValueError` without a reason, for a company that cannot take it, and when `why_not_move` says so;
    `SyncError` when the ledger cannot be asked.
    """
    reason = reason.replace("\x00", "").strip()[:500]
    if not reason:
        raise ValueError(_("Give the reason."))
    if to.pk not in {each.pk for each in destinations(link)}:
        raise ValueError(_("This company may not take the record."))
    if refused := why_not_move(link):
        raise ValueError(refused)
    with transaction.atomic():
        account = link.integration.crm_account
        lock(account.pk)
        if _under_way(link):
            raise ValueError(_("Something is being sent for this record. Wait until it is done."))
        row = RouteMove.objects.create(
            integration=link.integration, moved_to=to, crm_object=link.crm_object, crm_id=link.crm_id,
            title=link.title, before={"links": [_snapshot(each) for each in _links(link)]}, reason=reason, by=user,
        )  # fmt: skip
        slugs = _leave(link, to, user)
        _come_back(link, to)
        pin(account, link.crm_object, link.crm_id, to, user, reason)
        for integration in (link.integration, to):
            SyncLogEntry.objects.create(
                integration=integration, user=user, event="moved",
                message=f"{link} moved from {link.integration} to {to} by {user}: {reason}"[:2000],
            )  # fmt: skip
        _plan_there(link, to, slugs)
    return row


def _leave(link: EntityLink, to: Integration, user: Any) -> set[str]:
    """Freeze the links and supersede what is open; returns the kinds of flows that wrote the record."""
    targets = set()
    for each in _links(link):
        move(_open(each), State.SUPERSEDED, message=f"the record was moved to {to}", user=user)
        each.frozen_reason = f"{MOVED} {to.ledger_account.name or to}"[:300]
        each.save(update_fields=["frozen_reason"])
        targets.add(each.ledger_object)
    flows = Flow.objects.filter(
        integration=link.integration, source_side=Side.CRM, source_object=link.crm_object, target_object__in=targets
    )
    return set(flows.values_list("slug", flat=True))


def _come_back(link: EntityLink, to: Integration) -> None:
    """A record that once was in the company it moves to: its counterpart in a register counts again; a document that
    was cancelled before it left does not."""
    for old in EntityLink.objects.filter(
        integration=to, crm_object=link.crm_object, crm_id=link.crm_id, frozen_reason__startswith=MOVED
    ).select_related("integration__ledger_account"):
        if connector_for(old.integration.ledger_account, lane="interactive").cancelled.get(old.ledger_object):
            old.delete()
        else:
            old.frozen_reason, old.crm_fingerprint, old.crm_version = "", "", ""
            old.save(update_fields=["frozen_reason", "crm_fingerprint", "crm_version"])


def _plan_there(link: EntityLink, to: Integration, slugs: set[str]) -> None:
    """Have the record planned in its new company by the same kinds of flows, under their policies; those that only work
    when asked wait for a press."""
    flows = Flow.objects.filter(integration=to, slug__in=slugs, source_side=Side.CRM, source_object=link.crm_object)
    for flow in flows.exclude(takes=Flow.Takes.RETURNED):
        reroute.ask(to.pk, flow.pk, link.crm_id, look=flow.takes not in reroute.REREAD)


def _snapshot(link: EntityLink) -> dict[str, Any]:
    names = [
        "crm_object", "crm_id", "ledger_object", "ledger_id", "title", "agreed_crm", "agreed_ledger", "line_ids",
        "crm_url", "ledger_url", "origin", "former", "linked_by",
    ]  # fmt: skip
    kept = {name: getattr(link, name) for name in names}
    moments = {name: getattr(link, name) for name in ("created_at", "synced_at")}
    return kept | {name: moment.isoformat() if moment else None for name, moment in moments.items()}


__all__ = ["choices", "choose", "destinations", "move_record", "pin", "register", "why_not_move"]
