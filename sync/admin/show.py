"""How values look: statuses, moments, counts, money, differences. Everything is escaped here, once.

The invariant: vendor text reaches a page only through `format_html`, and a status is always a dot and a word.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext as _

from integrations.models import Integration
from sync.admin.discreet import discreet_json, hidden
from sync.models import Change, SyncRun
from sync.states import Action, State
from sync.values import load, show

TONES: Mapping[str, str] = {
    State.PLANNED: "running",
    State.HELD: "held",
    State.QUEUED: "running",
    State.SENDING: "running",
    State.UNKNOWN: "held",
    State.RETRYING: "held",
    State.REVIEW: "failed",
    State.APPLIED: "ok",
    State.SKIPPED: "off",
    State.DISMISSED: "off",
    State.SUPERSEDED: "off",
}
RUN_TONES: Mapping[str, str] = {
    SyncRun.State.PLANNING: "running",
    SyncRun.State.HELD: "held",
    SyncRun.State.DELIVERING: "running",
    SyncRun.State.DONE: "ok",
    SyncRun.State.FAILED: "failed",
    SyncRun.State.CANCELLED: "off",
}
EMPTY = "∅"
LONG = 72
FOLD_AFTER = 4


def status(tone: str, word: object) -> SafeString:
    """A coloured dot and a word."""
    return format_html('<span class="lb-status lb-status--{}">{}</span>', tone, word)


def change_status(change: Change) -> SafeString:
    """Where a change is in its life."""
    return status(TONES[change.state], change.get_state_display())


def run_status(run: SyncRun) -> SafeString:
    """How a run stands; one that a person stopped says so."""
    if run.stopped_at is not None:
        return status("held", _("Stopped"))
    return status(RUN_TONES[run.state], run.get_state_display())


def action(change: Change) -> SafeString:
    """What the plan decided, as a quiet tag."""
    return format_html('<span class="lb-tag lb-tag--{}">{}</span>', change.action, change.get_action_display())


def when(moment: datetime | None, empty: str = "–") -> SafeString:
    """A moment as people say it, with the exact time and zone on hover."""
    if moment is None:
        return format_html('<span class="lb-quiet">{}</span>', empty)
    local = timezone.localtime(moment)
    exact = f"{local:%Y-%m-%d %H:%M:%S %Z}"
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, _said(local))


def said(moment: datetime) -> str:
    """A moment as people say it, for a sentence."""
    return _said(timezone.localtime(moment))


def _said(local: datetime) -> str:
    days = (local.date() - timezone.localdate()).days
    clock = f"{local:%H:%M}"
    if days == 0:
        return _("today %(time)s") % {"time": clock}
    if days == -1:
        return _("yesterday %(time)s") % {"time": clock}
    if days == 1:
        return _("tomorrow %(time)s") % {"time": clock}
    return date_format(local, "MONTH_DAY_FORMAT" if local.year == timezone.localdate().year else "DATE_FORMAT")


def duration(span: timedelta) -> str:
    """A span in its largest useful unit, on one line."""
    seconds = max(int(span.total_seconds()), 0)
    if seconds < 60:
        text = _("%(n)d s") % {"n": seconds}
    elif seconds < 3600:
        text = _("%(n)d min") % {"n": seconds // 60}
    elif seconds < 172800:
        text = _("%(n)d h %(m)d min") % {"n": seconds // 3600, "m": seconds % 3600 // 60}
    else:
        text = ngettext("%(n)d day", "%(n)d days", seconds // 86400) % {"n": seconds // 86400}
    return text.replace(" ", "\u00a0")


def took(run: SyncRun) -> str:
    """How long a run worked, or has been working; waiting for approval is not work."""
    waiting = run.planned_at if run.state == SyncRun.State.HELD else None
    return duration((run.finished_at or waiting or timezone.now()) - run.started_at)


def number(value: int) -> str:
    """A whole number with the reader's grouping."""
    return number_format(value, use_l10n=True, force_grouping=True)


def amount(value: Decimal | None, currency: str) -> str:
    """Money with its currency: `1 234,50 kr` in Swedish, `1,234.50 SEK` in English."""
    if value is None:
        return ""
    swedish = (get_language() or "").startswith("sv")
    unit = "kr" if swedish and currency == "SEK" else currency
    return f"{number_format(value, decimal_pos=2, force_grouping=True)} {unit}".strip()


def whose(integration: Integration) -> SafeString:
    """An integration and its organization, which is left out when the name says it already."""
    organization = str(integration.organization)
    if organization in integration.name:
        return format_html("{}", integration.name)
    return format_html('{}<br><span class="lb-quiet lb-nowrap">{}</span>', integration.name, organization)


def link(url: str, text: object) -> SafeString:
    """A link inside the admin."""
    return format_html('<a href="{}">{}</a>', url, text)


def count(n: int, url: str, tone: str = "") -> SafeString:
    """A count that leads to exactly those rows; nothing to see is a quiet zero."""
    if not n:
        return mark_safe('<span class="lb-quiet lb-num">0</span>')
    return format_html('<a class="lb-count lb-count--{}" href="{}">{}</a>', tone or "plain", url, number(n))


def rows_url(model: type[Model], **filters: object) -> str:
    """The list of `model`, filtered."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode(filters)}" if filters else address


def page_url(row: Model) -> str:
    """A row's own page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def outside(url: str, text: object) -> SafeString:
    """A link to a record at the vendor; anything that is not http(s) stays text."""
    if urlsplit(url).scheme not in ("http", "https"):
        return format_html("{}", text)
    return format_html('<a class="lb-outside" href="{}" rel="noopener noreferrer" target="_blank">{}</a>', url, text)


# --- differences ----------------------------------------------------------------------------------------------


def value(data: Any, field: str = "") -> SafeString:
    """One stored value as a person reads it: blank as ∅, long text folded, a personal number masked."""
    said = text(data, field)
    if not said:
        return format_html('<span class="lb-blank" title="{}">{}</span>', _("empty"), EMPTY)
    if len(said) <= LONG:
        return format_html("{}", said)
    return format_html("<details><summary>{}…</summary>{}</details>", said[: LONG - 24].rstrip(), said)


def pair(before: Any, after: Any, field: str = "") -> tuple[SafeString, SafeString]:
    """Two stored values beside each other; the second says so when they only look the same."""
    shown = value(after, field)
    if note := hidden(before, after, field):
        shown = format_html('{} <span class="lb-quiet">({})</span>', shown, note)
    return value(before, field), shown


def text(data: Any, field: str = "") -> str:
    """One stored value as plain text, a personal number masked; "" for nothing."""
    if isinstance(data, dict) and "$" not in data:
        return json.dumps(discreet_json(data), ensure_ascii=False)
    return _text(discreet_json(load(data), field))


def _text(typed: Any) -> str:
    if isinstance(typed, bool):
        return gettext("Yes") if typed else gettext("No")
    if isinstance(typed, list):
        return ", ".join(_text(item) for item in typed)
    if isinstance(typed, datetime) and timezone.is_aware(typed):
        return show(timezone.localtime(typed))
    if isinstance(typed, Decimal):
        return number_format(show(typed), use_l10n=True, force_grouping=True)
    return show(typed)


def difference(row: Mapping[str, Any], labels: Mapping[str, str], *, new: bool) -> SafeString:
    """`City: Lund → Malmö`; for a new record only what it gets."""
    name = str(row.get("field", ""))
    label = format_html('<span class="lb-field" title="{}">{}:</span>', name, labels.get(name) or name)
    if new:
        return format_html('<div class="lb-diff">{} <ins>{}</ins></div>', label, value(row.get("after"), name))
    return format_html(
        '<div class="lb-diff">{} <del>{}</del> <span class="lb-arrow">→</span> <ins>{}</ins></div>',
        label, *pair(row.get("before"), row.get("after"), name),
    )  # fmt: skip


def differences(change: Change, labels: Mapping[str, str], *, fold: bool = True) -> SafeString:
    """All differences of a change; in a list the fifth and later ones are folded."""
    new = change.action == Action.CREATE
    rows = [difference(row, labels, new=new) for row in change.diff]
    if not fold or len(rows) <= FOLD_AFTER + 1:
        return _join(rows)
    more = _("and %(n)d more") % {"n": len(rows) - FOLD_AFTER}
    return format_html(
        "{}<details><summary>{}</summary>{}</details>", _join(rows[:FOLD_AFTER]), more, _join(rows[FOLD_AFTER:])
    )


def _join(rows: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((row,) for row in rows))


def values(stored: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> SafeString:
    """A mapping of stored values as a list of name and value."""
    labels = labels or {}
    rows = [(name, labels.get(name) or name, value(data, name)) for name, data in sorted(stored.items())]
    if not rows:
        return format_html('<span class="lb-quiet">{}</span>', _("Nothing yet."))
    body = format_html_join("", '<dt title="{}">{}</dt><dd>{}</dd>', rows)
    return format_html('<dl class="lb-kv">{}</dl>', body)


def as_json(stored: Any) -> str:
    """Stored JSON, readable, personal numbers masked; the template escapes it."""
    return json.dumps(discreet_json(stored), ensure_ascii=False, indent=2, sort_keys=True) if stored else ""


def labels_of(schemas: Mapping[str, Any], object_name: str) -> dict[str, str]:
    """Field labels of a remote object as its account described them."""
    fields = schemas.get(object_name, {}).get("schema", {}).get("fields", {})
    return {name: row.get("label", "") for name, row in fields.items()}


def planned_counts(counts: Mapping[str, int], order: Sequence[Action] = tuple(Action)) -> str:
    """What a run planned, in words: `12 create · 3 link`."""
    return " · ".join(
        f"{number(counts[name])} {Action(name).label.lower()}" for name in map(str, order) if counts.get(name)
    )


def by_uuid(rows: QuerySet[Any], lookup: str, term: str) -> tuple[QuerySet[Any], bool] | None:
    """For search boxes: the rows whose `lookup` is the id that was typed; None when it is no such id."""
    try:
        return rows.filter(**{lookup: uuid.UUID(term.strip())}), False
    except ValueError:
        return None
