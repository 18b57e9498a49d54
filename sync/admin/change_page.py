"""What the page of one change shows: cause, remedy, who can do it, candidates, difference, timeline, exchange.

The invariant: a constant number of queries, and every text that came from a vendor is escaped by the template or by
`show`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from integrations.errors import ErrorClass
from integrations.models import ConnectedAccount
from mappings.models.mapping_set import Side
from sync.admin import log_words, show
from sync.admin.discreet import discreet, hidden
from sync.admin.looks import being_read, looked_at
from sync.cards import words
from sync.engine.conflicts import rule_name
from sync.engine.reroute import NO_ROUTE
from sync.models import Change, EntityLink, SyncLogEntry
from sync.repair import BOTH_CHANGED
from sync.states import Action, State
from sync.texts import in_this_language

TIMELINE = 100


def change_context(change: Change) -> dict[str, Any]:
    """Everything the template shows about `change`, which comes with flow, run, integration and both accounts."""
    source = change.integration.account(change.flow.source_side)
    target = change.integration.account(change.flow.target_side)
    labels = show.labels_of(target.schemas, change.flow.target_object)
    link = _link(change)
    return {
        "change": change,
        "status": show.change_status(change),
        "action": show.action(change),
        "source": source,
        "target": target,
        "lead": _lead(change, source, target),
        "checks": _checks(change, labels),
        "who": _who(change, source, target),
        "amount": show.amount(change.amount, change.currency),
        "match_rule": str(rule_name(change.match_rule)),
        "difference": show.differences(change, labels, fold=False),
        "kept": _kept(change, labels),
        "choices": [
            {
                "field": row["field"],
                "label": labels.get(row["field"], row["field"]),
                "source": show.text(row["after"], row["field"]),
                "target": show.text(row["before"], row["field"]),
                "apart": hidden(row["before"], row["after"], row["field"]),
            }
            for row in change.diff
        ],
        "candidates": [_candidate(row) for row in change.candidates],
        "timeline": _timeline(change),
        "payload": show.as_json(change.payload),
        "source_link": show.outside(change.source_url, change.source_title or change.source_id),
        "target_link": show.outside(change.target_url, change.target_title or change.target_id),
        "link": link,
        "link_url": reverse("admin:record", args=[link.pk]) if link else "",
        "run_url": show.page_url(change.run) if change.run else "",
        "flow_url": show.page_url(change.flow),
        "waits": _waits(change),
        "log_url": show.rows_url(SyncLogEntry, change=change.pk),
        "planned": show.when(change.created_at),
        "moved": show.when(change.updated_at),
        "due": show.when(change.due_at),
        "approved": show.when(change.approved_at),
        "error_name": ErrorClass(change.error_class).label if change.error_class else "",
    }


def _kept(change: Change, labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Why each field changes. That a field of a new record is new says nothing."""
    if change.action == Action.CREATE:
        return []
    return [(labels.get(row["field"], row["field"]), _(row["reason"])) for row in change.diff if row.get("reason")]


def _link(change: Change) -> EntityLink | None:
    """The binding of the source record, if it has one."""
    flow = change.flow
    from_crm = flow.source_side == Side.CRM
    crm, ledger = (
        (flow.source_object, flow.target_object) if from_crm else (flow.target_object, flow.source_object)
    )  # fmt: skip
    links = EntityLink.objects.filter(integration=change.integration, crm_object=crm, ledger_object=ledger)
    return links.filter(**{"crm_id" if from_crm else "ledger_id": change.source_id}).first()


def _waits(change: Change) -> SafeString | str:
    """The record that this one waits for, as a link to what is planned for it; else what is stored."""
    slug, _colon, key = change.waits_for.partition(":")
    rows = Change.objects.filter(integration=change.integration, flow__slug=slug, source_id=key)
    found = rows.select_related("flow").order_by("-pk").first() if key else None
    if found is None:
        return key or change.waits_for
    return format_html('<a href="{}">{}</a> · {}', show.page_url(found), found.source_title or key, found.flow.title)


def _lead(change: Change, source: ConnectedAccount, target: ConnectedAccount) -> str:
    """One sentence: where it stands and what happens next."""
    record, place = change.source_title or change.source_id, f"{target.get_system_display()} ({target.name})"
    sentences = {
        State.PLANNED: _("Planned. It goes out when the plan is complete and nothing holds it."),
        State.HELD: _("Waits for approval. Nothing is written to %(place)s before somebody approves it."),
        State.QUEUED: _("Approved. It is written to %(place)s as soon as a worker is free."),
        State.SENDING: _("Being written to %(place)s right now."),
        State.UNKNOWN: _("It was sent, but no answer came. We look in %(place)s whether it is there before we go on."),
        State.RETRYING: _("It did not go through. It is tried again by itself."),
        State.REVIEW: _("Nothing was written to %(place)s for %(record)s. A person must decide."),
        State.APPLIED: _("Written to %(place)s."),
        State.SKIPPED: _("Left out on purpose. Nothing was written."),
        State.DISMISSED: _("Closed by a person. Nothing was written."),
        State.SUPERSEDED: _("Replaced by a newer plan. Nothing was written."),
    }
    if change.state == State.RETRYING and change.decision == "approve":
        sentence = _("Approved. The record is read once more, and written to %(place)s if it is still as you saw it.")
        return sentence % {"place": place}
    if being_read(change):
        return _("Its record is being read. The plan stands here in a moment; nothing is written.")
    if looked_at(change):
        sentence = _(
            "Planned to be looked at. Nothing is written to %(place)s before somebody who may approve presses."
        )
        return sentence % {"place": place}
    return sentences[State(change.state)] % {"place": place, "record": record}


def _checks(change: Change, labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Every failed check; an error from a vendor counts as one. A check that only says yes or no shows no value."""
    rows = []
    for row in change.problems:
        field, value, about = row.get("field", ""), row.get("value", ""), [_about(row)]
        value = words.discreet(value, about) if isinstance(value, str) else value
        rows.append(
            {
                "message": words.discreet(in_this_language(row.get("message", {})), about),
                "remedy": in_this_language(row.get("remedy", {})),
                "field": labels.get(field) or field,
                "value": value if field or str(value).lower() not in ("true", "false") else "",
                "code": row.get("code", ""),
            }
        )
    if rows or not (change.error_message or change.error_code):
        return rows
    return [
        {
            "message": change.error_text,
            "remedy": "",
            "field": labels.get(change.error_field) or change.error_field,
            "value": change.error_value,
            "code": change.error_code,
        }
    ]


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    """A problem as the check that it came from, which says whether it is about an organisation number."""
    return {"code": row.get("code", ""), "actual": row.get("value", "")}


def _who(change: Change, source: ConnectedAccount, target: ConnectedAccount) -> str:
    """Who can put it right."""
    if change.state not in (State.REVIEW, State.RETRYING):
        return ""
    places = {"source": source.get_system_display(), "target": target.get_system_display()}
    if change.error_code == BOTH_CHANGED:
        return _("Somebody who knows both systems, by choosing the values below.")
    if change.error_code == NO_ROUTE:
        return _("A consultant: send this record to a company here, or add a rule and press Retry.")
    people = {
        ErrorClass.DATA: _("Somebody who may edit the record in %(source)s. Then press Retry."),
        ErrorClass.CONFIGURATION: _(
            "A consultant, in the mapping here or in the settings of %(target)s. Then press Retry."
        ),
        ErrorClass.PERMISSION: _("An administrator of %(target)s. Then press Retry."),
        ErrorClass.AUTHENTICATION: _("Somebody who can sign in to the connected account. It then continues by itself."),
        ErrorClass.CONFLICT: _(
            "Somebody who knows both systems: use a candidate, create a new record, or mend the data and retry."
        ),
        ErrorClass.MISSING: _("Somebody who knows whether the record should exist in %(target)s."),
        ErrorClass.DEPENDENCY: _("Nobody needs to do anything here: it continues when the other record is there."),
        ErrorClass.TOO_LARGE: _("A consultant: the record does not fit into one request."),
        ErrorClass.BUG: _("Our support, with the code below."),
    }
    text = people.get(ErrorClass(change.error_class)) if change.error_class else None
    return (text or _("Nobody: it is tried again by itself.")) % places


def _candidate(row: dict[str, Any]) -> dict[str, Any]:
    title = row.get("title") or row.get("id", "")
    return {
        "id": row.get("id", ""),
        "title": show.outside(str(row.get("url") or ""), title),
        "fields": [(name, discreet(value, name)) for name, value in sorted(row.get("fields", {}).items())],
    }


def _timeline(change: Change) -> list[dict[str, Any]]:
    """What happened to it, newest first."""
    entries = SyncLogEntry.objects.filter(change=change).select_related("user").order_by("-pk")[:TIMELINE]
    return [
        {
            "at": show.when(entry.at),
            "event": event_name(entry.event),
            "message": log_words.said(entry.message, change),
            "user": entry.user,
            "exchange": show.as_json(entry.exchange),
        }
        for entry in entries
    ]


def event_name(event: str) -> str:
    """`queued→sending` in the reader's words; other events as they are."""
    before, arrow, after = event.partition("→")
    if not arrow:
        return event
    names = dict(State.choices)
    return " → ".join(str(names.get(name, name)) for name in (before, after) if name)
