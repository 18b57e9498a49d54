"""How a record's values and its timeline look: labels of both sides, cells, and one row per point in time.

The invariant: vendor text reaches the page through `show` or the template's escaping only, and a personal number
(a sole trader's organisation number) is masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from integrations.event_words import event_word
from mappings import presets
from mappings.models.mapping_set import Side
from sync.admin import log_words, show
from sync.admin.change_page import event_name
from sync.history import SIDES, Known, Pair, Story
from sync.history_lanes import EVENT, MOVE, NOTE, PAUSE, PLAN, US, Item
from sync.models import Change, EntityLink
from sync.states import Action, State


@dataclass(frozen=True, slots=True)
class Names:
    """What both sides call themselves and their fields."""

    systems: Mapping[str, str]
    marks: Mapping[str, str]
    labels: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, link: EntityLink) -> Names:
        """From the accounts of the link's integration, with their schemas."""
        pair = link.integration
        accounts = {side: pair.account(side) for side in SIDES}
        return cls(
            {side: str(account.get_system_display()) for side, account in accounts.items()},
            {side: account.system for side, account in accounts.items()},
            {
                side: show.labels_of(account.schemas, getattr(link, f"{side}_object"))
                for side, account in accounts.items()
            },
        )

    def label(self, side: str, name: str) -> str:
        """What people call a field."""
        return self.labels[side].get(name) or name

    def text(self, stored: Any) -> str:
        """A stored value in a sentence."""
        return show.text(stored) or show.EMPTY

    def side(self, link: EntityLink, side: str) -> dict[str, Any]:
        """One side in the head of the page."""
        url, name = getattr(link, f"{side}_url"), presets.shown_object(getattr(link, f"{side}_object"))
        return {
            "system": self.systems[side], "mark": self.marks[side], "object": name,
            "record": show.outside(url, f"{name} {getattr(link, f'{side}_id')}"),
        }  # fmt: skip

    @property
    def lanes(self) -> list[tuple[str, str]]:
        """The three lanes, in the order of the columns."""
        return [(SIDES[0], self.systems[SIDES[0]]), (US, "Ledgerbridge"), (SIDES[1], self.systems[SIDES[1]])]


# --- values -------------------------------------------------------------------------------------------------------


def current_rows(story: Story, pairs: Sequence[Pair], names: Names, moment: datetime | None) -> list[dict[str, Any]]:
    """The rows of the values table; a row that nothing is known of on either side is left out."""
    rows = []
    for pair in pairs:
        cells = {side: story.at(side, name, moment) for side, name in pair.fields.items()}
        if not any(cell.known for cell in cells.values()):
            continue
        last = max((cell.write for cell in cells.values() if cell.write), key=lambda write: write.at, default=None)
        side, name = next(iter(pair.fields.items()))
        rule = pair.rules[0] if pair.rules else None
        rows.append(
            {
                "label": (rule.label if rule else "") or names.label(side, name),
                "cells": [_cell(story, cells.get(each), names, moment, pair) for each in SIDES],
                "since": show.when(last.at, _("not by us")) if last else show.when(None, _("not by us")),
                "elsewhere": last is not None and last.elsewhere,
            }
        )
    return rows


def _cell(story: Story, known: Known | None, names: Names, moment: datetime | None, pair: Pair) -> dict[str, Any]:
    if known is None:
        return {"side": "", "value": "", "url": "", "title": ""}
    more = {"at": moment.isoformat()} if moment else {}
    address = reverse("admin:record_value", args=[story.link.pk])
    reads = ", ".join(rule.expression for rule in pair.rules if rule.mapping_set.target_side == known.side)
    return {
        "side": names.systems[known.side],
        "known": known.known,
        "value": _brief(names.text(known.value)) if known.known else "",
        "url": f"{address}?{urlencode({'side': known.side, 'field': known.field, **more})}",
        "field": names.label(known.side, known.field),
        "title": f"{known.field} ← {reads}" if reads else known.field,
    }


def _brief(text: str) -> str:
    """A value inside a link: cut, because the page behind it shows all of it."""
    return text if len(text) <= show.LONG else f"{text[: show.LONG - 8].rstrip()}…"


# --- the timeline -------------------------------------------------------------------------------------------------


def differences(change: Change, names: Names) -> SafeString:
    """What a change writes."""
    labels = names.labels[change.flow.target_side]
    new = change.action == Action.CREATE
    parts = [show.difference(row, labels, new=new) for row in change.diff]
    body = format_html_join("", "{}", ((part,) for part in parts[:4]))
    if len(parts) <= 4:
        return body
    rest = format_html_join("", "{}", ((part,) for part in parts[4:]))
    more = _("and %(n)d more") % {"n": len(parts) - 4}
    return format_html("{}<details><summary>{}</summary>{}</details>", body, more, rest)


def timeline_row(
    link: EntityLink, item: Item, names: Names, changes: Mapping[int, Change], *, may_undo: bool
) -> dict[str, Any]:
    """One point in time: its lane, headline, details and where it leads."""
    local = timezone.localtime(item.at)
    row: dict[str, Any] = {
        "at": show.when(item.at), "clock": f"{local:%H:%M:%S}", "lane": item.lane, "who": item.user, "text": item.text,
        "url": reverse("admin:sync_change_change", args=[item.change_id]) if item.change_id else "",
        "change": item.change_id, "kind": item.kind,
    }  # fmt: skip
    if item.stream == EVENT:
        row |= {"head": _("Event heard: %(kind)s") % {"kind": event_word(item.event)}, "tone": "off",
                "text": _("not dealt with yet") if item.text else ""}  # fmt: skip
    elif item.stream == PLAN:
        row |= _plan(item.row, names)
    elif item.stream == NOTE:
        row |= {"head": _("Note"), "tone": "off"}
    elif item.stream == MOVE:
        row |= {"head": _("Moved to %(company)s") % {"company": item.event}, "tone": "off"}
    elif item.stream == PAUSE:
        row |= {"head": _("Field paused: %(field)s") % {"field": item.row.field}, "tone": "held"}
    else:
        row |= _line(link, item, names, changes, may_undo=may_undo)
    row["lane_name"] = dict(names.lanes)[row["lane"]]
    return row


def _plan(change: Change, names: Names) -> dict[str, Any]:
    """A plan: what it decided and why, who asked, which run read the record, under which mapping."""
    run = change.run
    found = {
        "head": _("Planned: %(action)s") % {"action": change.get_action_display()},
        "tone": "running" if change.state in (State.PLANNED, State.QUEUED, State.SENDING) else "off",
        "text": change.reason_text,
        "status": show.change_status(change),
        "who": change.actor,
        "asked": _("asked for at the card") if change.actor else "",
        "read_by": _("run %(run)s (%(kind)s)") % {"run": run.pk, "kind": run.get_trigger_display()} if run else "",
        "run_url": show.page_url(run) if run else "",
        "flow": change.flow.title,
        "mapping": change.mapping_set,
        "mapping_url": show.page_url(change.mapping_set) if change.mapping_set else "",
    }  # fmt: skip
    if change.state != State.APPLIED and change.diff:
        found["diff"] = differences(change, names)
    if change.remote_reference and change.action == Action.CREATE:
        found["certificate_url"] = reverse("admin:sync_change_certificate", args=[change.pk])
    return found


def _line(
    link: EntityLink, item: Item, names: Names, changes: Mapping[int, Change], *, may_undo: bool
) -> dict[str, Any]:
    """A line of the log; a write stands in the lane of the side that was written."""
    change = changes.get(item.change_id or 0)
    if item.kind == "writes":
        side = change.flow.target_side if change else str(Side.LEDGER)
        found: dict[str, Any] = {
            "lane": side if change else US,
            "head": _("Written: %(action)s") % {"action": change.get_action_display()} if change else _("Written"),
            "tone": "ok", "text": "",
        }  # fmt: skip
        if change is not None:
            found["diff"] = differences(change, names)
            if may_undo and change.action in (Action.UPDATE, Action.LINK) and change.diff:
                found["undo_url"] = reverse("admin:record_undo", args=[link.pk, change.pk])
        return found
    tone = {"errors": "failed", "people": "running"}.get(item.kind, "off")
    return {"head": event_name(item.event), "tone": tone, "text": log_words.said(item.text, change)}
