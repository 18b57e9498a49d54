"""Picking a counterpart by hand: a search on both sides, then two records that a person says are the same.

The invariant: one remote call per search and none without one; whatever is typed is data to the vendor's search; what
is picked goes through `sync.matching` like every other decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.connector import Record
from integrations.errors import SyncError
from mappings.likeness import Pair, compare, kind_of
from sync import counterparts, matching
from sync.admin import show
from sync.admin.discreet import discreet
from sync.admin.matching import RIGHT, MatchPages, run_of, tell
from sync.admin.plan_views import company
from sync.engine import links
from sync.matching import Kind, Pick
from sync.models import Change, SyncRun
from sync.values import load
from sync.values import show as shown

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite


class PickPages:
    """See the module's docstring."""

    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def pick(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Both sides: the record that was chosen or a search for it, and a search for its counterpart."""
        run = run_of(request, pk, RIGHT)
        asked = {name: request.GET.get(name, "").replace("\x00", "").strip()[:300] for name in
                 ("source", "title", "side", "field", "text")}  # fmt: skip
        change = _planned(run, asked["source"])
        found, problem = _search(run, asked) if asked["text"] and asked["side"] in ("source", "target") else ([], "")
        sides = {side: _side(run, side, asked, found if asked["side"] == side else [], change)
                 for side in ("source", "target")}  # fmt: skip
        context = self.site.each_context(request) | {
            "title": _("Pick by hand"),
            "run": run,
            "run_url": show.page_url(run),
            "match_url": reverse("admin:match", args=[run.pk]),
            "company": company(run),
            "asked": asked,
            "chosen": (change.source_title if change else "") or asked["title"] or asked["source"],
            "change": change,
            "facts": _facts(run, change),
            "source": sides["source"],
            "target": sides["target"],
            "problem": problem,
        }
        return TemplateResponse(request, "sync/match_pick.html", context)

    def link(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The two are the same, says the person."""
        run = run_of(request, pk, RIGHT)
        names = ("source", "title", "target", "target_title", "score")
        given = {name: request.POST.get(name, "").replace("\x00", "").strip()[:300] for name in names}
        back = reverse("admin:match", args=[run.pk])
        if not given["source"] or not given["target"] or max(len(given["source"]), len(given["target"])) > 100:
            messages.error(request, _("Choose a record on both sides."))
            return HttpResponseRedirect(back)
        change = matching.unplanned(run.flow, MatchPages._plan(run), given["source"], given["title"])
        score = min(int(given["score"]), 100) if given["score"].isascii() and given["score"].isdecimal() else None
        pick = Pick(change, Kind.LINK, given["target"], given["target_title"], score)
        outcome = matching.decide(run.flow, [pick], request.user)
        tell(request, outcome)
        if outcome.refused:
            chosen = urlencode({"source": given["source"], "title": given["title"]})
            return HttpResponseRedirect(f"{reverse('admin:match_pick', args=[run.pk])}?{chosen}")
        return HttpResponseRedirect(back)


def _planned(run: SyncRun, source_id: str) -> Change | None:
    found: Change | None = (
        Change.objects.open().filter(flow=run.flow_id, source_id=source_id).first() if source_id else None
    )
    return found


def _search(run: SyncRun, asked: dict[str, str]) -> tuple[list[Record], str]:
    try:
        return counterparts.search(run.flow, asked["side"], asked["field"], asked["text"]), ""
    except ValueError as error:
        return [], str(error)
    except SyncError as error:
        account, _name = counterparts.account_of(run.flow, asked["side"])
        words = {"system": account.get_system_display(), "what": error.message}
        return [], _("%(system)s could not be searched: %(what)s") % words


def _side(run: SyncRun, side: str, asked: dict[str, str], found: list[Record], change: Change | None) -> dict[str, Any]:
    account, _name = counterparts.account_of(run.flow, side)
    fields = counterparts.fields_of(run.flow, side)
    searched = asked["side"] == side and bool(asked["text"])
    owners = (links.by_target if side == "target" else links.by_source)(run.flow, [row.id for row in found])
    labels = {row.name: row.label for row in fields}
    rows: list[dict[str, Any]] = []
    for record in found:
        owner = owners.get(record.id)
        compared = _likeness(change, record) if side == "target" and change is not None else None
        rows.append(
            {
                "id": record.id,
                "title": record.title or record.id,
                "link": show.outside(record.url, record.title or record.id),
                "facts": [
                    (labels[name], discreet(shown(record.fields.get(name)), name))
                    for name in labels
                    if record.fields.get(name)
                ],
                "taken": (owner.title or _("another record")) if owner else "",
                "score": compared,
            }
        )
    rows.sort(key=lambda row: -(row["score"] or 0))
    return {
        "side": side,
        "system": account.get_system_display(),
        "mark": account.system,
        "fields": fields,
        "field": asked["field"] if asked["side"] == side else "",
        "text": asked["text"] if asked["side"] == side else "",
        "searched": searched,
        "rows": rows,
    }


def _likeness(change: Change, record: Record) -> int:
    """How alike the chosen record, as it would be written, and a found one are."""
    ours = {row["field"]: shown(load(row.get("after"))) for row in change.diff}
    for candidate in change.candidates:
        ours |= {part["field"]: part["ours"] for part in candidate.get("parts", ())}
    ours.setdefault("name", change.source_title)
    pairs = (Pair(name, kind_of(name), text, shown(record.fields.get(name))) for name, text in ours.items())
    return compare(pairs).score


def _facts(run: SyncRun, change: Change | None) -> list[tuple[str, str]]:
    """What is known of the chosen record without asking for it: what would be written, or what was compared."""
    if change is None:
        return []
    labels = show.labels_of(run.integration.account(run.flow.target_side).schemas, run.flow.target_object)
    ours = {row["field"]: show.text(row.get("after"), row["field"]) for row in change.diff}
    for candidate in change.candidates:
        ours |= {part["field"]: discreet(part["ours"], part["field"]) for part in candidate.get("parts", ())}
    return [(labels.get(name) or name, text) for name, text in sorted(ours.items()) if text][:12]
