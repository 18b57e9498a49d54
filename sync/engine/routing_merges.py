"""Merged records and their companies: what becomes of decisions, and of documents in two companies.

When two CRM records become one, the one that remains keeps what was decided for it; where nothing was, it inherits.
Where both had a company, and not the same, nobody guesses: a record that no company has yet is held until a person says
which, one that a company has already stays there. The invariants: no decision is lost without a word in the log; a
record that is billed in one company is never sent to another one because of a merge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext_lazy as _

from integrations.connector import Gone
from sync.engine.context import FlowContext
from sync.engine.reroute import record_decided
from sync.engine.routing import MOVED, lock
from sync.models import EntityLink, RoutePin, Side, SyncLogEntry, SyncRun
from sync.texts import say


def follow_pins(ctx: FlowContext, run: SyncRun, gone: Sequence[Gone]) -> None:
    """Decisions about records that were merged away go to those that remain. Call inside the transaction that follows
    the merges, after their links. One query when nothing was decided about any of them."""
    into = {item.id: item.into for item in gone if item.into}
    if ctx.flow.source_side != Side.CRM or not into:
        return
    account, name = ctx.source_account, ctx.flow.source_object
    pins = RoutePin.objects.of(account.pk, name)
    if not pins.filter(record_id__in=list(into)).exists():
        return
    lock(account.pk)
    found = {pin.record_id: pin for pin in pins.filter(record_id__in=[*into, *into.values()])
             .select_related("account", "integration__ledger_account")}  # fmt: skip
    linked = _linked(ctx, list(into.values()))
    for gone_id, remains in into.items():
        lost = found.pop(gone_id, None)
        if lost is None:
            continue
        own = found.get(remains)
        if own is None and linked.get(remains, {lost.integration_id}) == {lost.integration_id}:
            lost.record_id = remains
            lost.save(update_fields=["record_id"])
            found[remains] = lost
            said = f"{lost.integration} was chosen for it: {remains} inherits that"
        else:
            said = _both(lost, own, remains in linked)
            lost.delete()
        SyncLogEntry.objects.create(
            integration_id=ctx.integration.pk, run=run, event="record gone",
            message=f"{name} {gone_id} was merged into {remains}. {said}"[:1000],
        )  # fmt: skip


def _both(lost: RoutePin, own: RoutePin | None, linked: bool) -> str:
    """The record that remains had a company, by decision or by link; what becomes of the other decision, in words."""
    if linked or own is None:
        return f"{lost.integration} had been chosen for the former; the latter stays in the company that has it"
    if own.rival_id is None and own.integration_id != lost.integration_id:
        own.rival = lost.integration
        own.save(update_fields=["rival"])
        return f"{lost.integration} had been chosen for the former, {own.integration} for the latter: held for a person"
    return f"{lost.integration} had been chosen for the former; what was chosen for the latter stays"


def _linked(ctx: FlowContext, ids: Sequence[str]) -> dict[str, set[int]]:
    """The companies that have records, by record."""
    found: dict[str, set[int]] = {}
    for link in _of_account(ctx, ids):
        found.setdefault(link.crm_id, set()).add(link.integration_id)
    return found


def documents_elsewhere(
    ctx: FlowContext, links: Sequence[EntityLink], gone: Mapping[str, Gone]
) -> dict[int, EntityLink]:
    """By the pk of a merged record's link to a document: the link of the record that remains to a document of the same
    kind in another company. No query where no record is merged, or has a document."""
    wanted: dict[int, tuple[str, str]] = {}
    for link in links if ctx.flow.source_side == Side.CRM else ():
        item = gone.get(link.crm_id)
        if item is not None and item.into and ctx.target.cancelled.get(link.ledger_object):
            wanted[link.pk] = (link.ledger_object, item.into)
    if not wanted:
        return {}
    rows = _of_account(ctx, [into for _name, into in wanted.values()])
    others = {(row.ledger_object, row.crm_id): row for row in rows if row.integration_id != ctx.integration.pk}
    return {pk: others[key] for pk, key in wanted.items() if key in others}


def _of_account(ctx: FlowContext, ids: Sequence[str]) -> list[EntityLink]:
    account = ctx.source_account
    rows = EntityLink.objects.filter(
        integration__crm_account=account, integration__organization_id=account.organization_id,
        crm_object=ctx.flow.source_object, crm_id__in=list(ids),
    )  # fmt: skip
    return list(rows.exclude(frozen_reason__startswith=MOVED).select_related("integration__ledger_account"))


def stay(ctx: FlowContext, ids: Sequence[str]) -> None:
    """Records that took over a link belong to its company now: what was chosen for them before that is not where they
    are gives way, and what is open for them anywhere is decided again. Call inside the transaction that moved the
    links."""
    if ctx.router is None or ctx.router.idle or not ids:
        return
    linked = _linked(ctx, ids)
    for pin in RoutePin.objects.of(ctx.source_account.pk, ctx.flow.source_object).filter(record_id__in=list(ids)):
        if pin.integration_id in linked.get(pin.record_id, ()):
            RoutePin.objects.filter(pk=pin.pk).exclude(rival=None).update(rival=None)
        else:
            SyncLogEntry.objects.create(
                integration_id=ctx.integration.pk, event="company chosen",
                message=f"{pin.object_name} {pin.record_id} took over a link and stays in {ctx.integration}; "
                f"{pin.integration} had been chosen for it",
            )  # fmt: skip
            pin.integration, pin.rival = ctx.integration, None
            pin.save(update_fields=["integration", "rival"])
    for key in ids:
        record_decided(ctx.source_account.pk, ctx.flow.source_object, key)


def two_companies(link: EntityLink, other: EntityLink, item: Gone) -> Any:
    """What a person is told about two documents of one record, in two companies."""
    return say(
        _("{gone} was merged into {into}, and both have a document: {first} in {company} and {second} in {other}. "
          "Only {second} is kept up to date from now on. If the customer is billed twice, credit {first}; then dismiss "
          "this."),
        gone=item.id, into=item.into, first=link.ledger_id, second=other.ledger_id,
        company=_company(link), other=_company(other),
    )  # fmt: skip


def _company(link: EntityLink) -> str:
    return link.integration.ledger_account.name or link.integration.name
