"""Search for anything a caller may read out, over all of the person's organizations.

The invariant: what is shown belongs to the person's organizations; every group says what matched, and a cut group leads
to the list of the rest. Nothing is written, and no remote is called.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sync import finding, finding_search
from sync.admin import show
from sync.admin.discreet import discreet
from sync.cards.words import organisation
from sync.finding_search import EXACT, PART, Found, Heard, Hit, Match
from sync.models import Change, EntityLink, SearchKey, SyncRun

WAYS = {
    **dict(SearchKey.Kind.choices),
    "id": gettext_lazy("id"),
}
_RANKS = {EXACT: "", finding_search.PREFIX: gettext_lazy("begins so"), PART: gettext_lazy("contains it")}


def urls(site: AdminSite) -> list[URLPattern]:
    """The address of the search."""
    return [path("search/", site.admin_view(_Page(site).page), name="search")]


class _Page:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def page(self, request: HttpRequest) -> HttpResponse:
        """The groups that were found; without a text, what one may search for."""
        if not request.user.has_perm("sync.view_change"):
            raise PermissionDenied
        typed = request.GET.get("q", "").replace("\x00", "").strip()[: finding_search.LONGEST]
        found = finding_search.search(request.user, typed)
        context = self.site.each_context(request) | {
            "title": _("Search"),
            "q": typed,
            "found": found,
            "groups": _groups(found, typed),
            "too_short": bool(typed) and not found.anything and len(typed) < finding.SHORTEST,
        }
        return TemplateResponse(request, "admin/sync/search.html", context)


def _groups(found: Found, typed: str) -> list[dict[str, Any]]:
    """The groups that have something, with the list of the rest where one was cut."""
    term = {"q": typed}
    groups = [
        ("records", _("Records"), [_record(hit) for hit in found.records], show.rows_url(EntityLink, **term)),
        ("failures", _("Need a person"), [_change(row) for row in found.failures],
         show.rows_url(Change, state="review", **term)),
        ("changes", _("Changes"), [_change(row) for row in found.changes], show.rows_url(Change, **term)),
        ("runs", _("Runs"), [_run(row) for row in found.runs], show.rows_url(SyncRun, **term)),
        ("events", _("Events heard"), [_event(row) for row in found.events], ""),
    ]  # fmt: skip
    return [
        {"key": key, "name": name, "rows": rows, "more_url": url if key in found.more else "", "cut": key in found.more}
        for key, name, rows, url in groups
        if rows
    ]


def _matched(match: Match) -> str:
    """What matched, in words; a personal number is masked."""
    value = organisation(match.value) if match.kind == SearchKey.Kind.ORGANIZATION else str(discreet(match.value))
    said = f"{WAYS.get(match.kind, match.kind)}: {value}"
    return f"{said} ({_RANKS[match.rank]})" if match.rank != EXACT else said


def _record(hit: Hit) -> dict[str, Any]:
    link, change = hit.link, hit.change
    if link is not None:
        return {
            "title": link.title or link.ledger_id,
            "url": reverse("admin:record", args=[link.pk]),
            "where": link.integration.name,
            "matched": _matched(hit.match),
            "details": format_html(
                "{} ↔ {}",
                show.outside(link.crm_url, f"{link.crm_object} {link.crm_id}"),
                show.outside(link.ledger_url, f"{link.ledger_object} {link.ledger_id}"),
            ),
            "state": show.status("held", _("Frozen")) if link.frozen_reason else show.status("ok", _("Synced")),
            "button": _("Open the record"),
        }
    row = _change(change) if change is not None else {}
    return row | {"matched": _matched(hit.match), "button": _("Open its last change")}


def _change(change: Change) -> dict[str, Any]:
    return {
        "title": change.source_title or change.source_id,
        "url": show.page_url(change),
        "where": change.integration.name,
        "matched": _("change %(number)s") % {"number": change.pk},
        "details": format_html("{} · {} · {}", change.flow.title, change.get_action_display(), _source(change)),
        "state": show.change_status(change),
        "button": _("Open the change"),
        "when": show.when(change.created_at),
    }


def _source(change: Change) -> SafeString:
    return show.outside(change.source_url, f"{change.flow.source_object} {change.source_id}")


def _run(run: SyncRun) -> dict[str, Any]:
    return {
        "title": _("Run %(number)s") % {"number": run.pk},
        "url": show.page_url(run),
        "where": run.integration.name,
        "matched": str(run.correlation_id),
        "details": format_html("{} · {}", run.flow.title, run.get_trigger_display()),
        "state": show.run_status(run),
        "button": _("Open the run"),
        "when": show.when(run.started_at),
    }


def _event(event: Heard) -> dict[str, Any]:
    return {
        "title": f"{event.kind} {event.object} {event.record_id}",
        "url": "",
        "where": event.where,
        "matched": _("record id"),
        "details": "",
        "state": show.status("held", _("Waiting")) if event.waits else show.status("ok", _("Dealt with")),
        "button": "",
        "when": show.when(event.at),
    }
