"""One record on all sides: its values, why each is what it is, how it was on a day, and its timeline (I-04).

Everything is read from our own tables; no page here calls a remote, and each costs a bounded number of queries. The
invariant: a record of another organization is not there (404), an own one needs the right to see links, and undoing
asks once and only plans.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from sync import erasure, history, history_lanes, undo
from sync.admin import record_why, show
from sync.admin.base import Question, ask, confirmed, light_accounts
from sync.admin.record_rows import Names, current_rows, timeline_row
from sync.engine import links
from sync.engine.routing import MOVED
from sync.history import SIDES, Story
from sync.models import Change, EntityLink, FieldPause

MAY_UNDO = "sync.edit_payload_change"
MAY_LIFT = "integrations.change_organization"
"""Letting an erased person be copied again is the owner's: only that role has this right."""


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)
    undone = site.admin_view(require_POST(pages.undo))
    lifted = site.admin_view(require_POST(pages.lift))
    return [
        path("record/<int:pk>/", site.admin_view(pages.record), name="record"),
        path("record/<int:pk>/value/", site.admin_view(pages.value), name="record_value"),
        path("record/of/<int:change_id>/", site.admin_view(pages.of_change), name="record_of"),
        path("record/<int:pk>/undo/<int:change_id>/", undone, name="record_undo"),
        path("record/<int:pk>/lift/", lifted, name="record_lift"),
    ]


def record_url(link: EntityLink, **more: object) -> str:
    """The address of a record's page."""
    address = reverse("admin:record", args=[link.pk])
    return f"{address}?{urlencode(more)}" if more else address


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def record(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Values (now, or as of a moment) and the timeline."""
        link = own_link(request, pk)
        recent = history.changes_of(link)
        story = Story.of(link, recent)
        pauses = history.pauses_of(link) if link.has_pauses else []  # type: ignore[attr-defined]  # annotated
        names = Names.of(link)
        moments = story.moments
        moment, wrong = _moment(request, moments)
        chosen = request.GET.get("kind", "")
        kind = chosen if chosen in history_lanes.KINDS else ""
        before = history_lanes.load_key(request.GET.get("before", ""))
        items, older = history_lanes.page(link, recent, pauses, kind=kind, before=before)
        may_undo = request.user.has_perm(MAY_UNDO, link)
        changes = {change.pk: change for change in [*recent, *story.writes]}
        rows = [timeline_row(link, item, names, changes, may_undo=may_undo) for item in items]
        at = moment.isoformat() if moment else ""
        context = self.site.each_context(request) | {
            "title": link.title or link.ledger_id,
            "link": link,
            "names": names,
            "state": _state(link),
            "erased": link.erased,
            "may_lift": bool(link.erased) and request.user.has_perm(MAY_LIFT, link),
            "sides": [names.side(link, side) for side in SIDES],
            "rows": current_rows(story, history.pairs(link, history.rules_of(link)), names, moment),
            "moment": moment,
            "moment_shown": show.when(moment) if moment else "",
            "moment_wrong": wrong,
            "at": at,
            "at_input": f"{timezone.localtime(moment or moments[-1]):%Y-%m-%dT%H:%M:%S}",
            "step": _step(moments, moment),
            "steps": len(moments) - 1,
            "moments": [f"{timezone.localtime(each):%Y-%m-%d %H:%M:%S}" for each in moments],
            "begins": show.when(story.begins),
            "too_early": moment is not None and moment < story.begins,
            "capped": story.cut,
            "pauses": [pause for pause in pauses if pause.resumed_at is None],
            "may_resume": request.user.has_perm("sync.resume_fieldpause", link),
            "items": rows,
            "kinds": [("", _("Everything")), *history_lanes.KINDS.items()],
            "kind": kind,
            "older": older,
            "newer": before is not None,
            "link_url": show.page_url(link),
            "ownership_url": reverse("admin:ownership", args=[link.integration_id]),
            "changes_url": f"{show.rows_url(Change, integration=link.integration_id)}&{urlencode({'q': link.crm_id})}",
            "fresh": len(story.writes) == 0,
        }
        return TemplateResponse(request, "admin/sync/record/page.html", context)

    def of_change(self, request: HttpRequest, change_id: int) -> HttpResponse:
        """The record of a change, for lists that know changes only; the change itself when it was never linked."""
        change = Change.objects.for_user(request.user).filter(pk=change_id).select_related("flow").first()
        if change is None:
            raise Http404
        link = links.by_source(change.flow, [change.source_id]).get(change.source_id)
        return HttpResponseRedirect(record_url(link) if link else show.page_url(change))

    def value(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Why one value is what it is."""
        link = own_link(request, pk)
        side, name = request.GET.get("side", ""), request.GET.get("field", "")
        if side not in SIDES or not name or len(name) > 100 or "\x00" in name:
            raise Http404
        story = Story.of(link, history.changes_of(link))
        moment, _wrong = _moment(request, story.moments)
        names = Names.of(link)
        known = story.at(side, name, moment)
        rules = history.rules_of(link)
        pauses = history.pauses_of(link) if link.has_pauses else []  # type: ignore[attr-defined]  # annotated
        in_mapping = any(name in (rule.target_field, *history.reads_of(rule)) for rule in rules)
        if not known.known and known.write is None and not in_mapping:
            raise Http404
        context = self.site.each_context(request) | {
            "title": _("Why “%(field)s” is so") % {"field": names.label(side, name)},
            "link": link,
            "record_url": record_url(link, at=moment.isoformat()) if moment else record_url(link),
            "why": record_why.why(story, known, rules, names, pauses),
        }
        return TemplateResponse(request, "admin/sync/record/value.html", context)

    def undo(self, request: HttpRequest, pk: int, change_id: int) -> HttpResponse:
        """Plan the write-back of what one change replaced, after asking; it waits for approval."""
        link = own_link(request, pk)
        if not request.user.has_perm(MAY_UNDO, link):
            raise PermissionDenied
        change = (
            Change.objects.for_user(request.user)
            .filter(history.of_link(link), pk=change_id)
            .select_related("flow", "mapping_set")
            .first()
        )
        if change is None:
            raise Http404
        found = undo.look(change, link, open_change=undo.open_change_of(change))
        if found.refused:
            messages.warning(request, _("Nothing was planned. %(why)s") % {"why": found.refused})
            return HttpResponseRedirect(record_url(link))
        if not confirmed(request):
            return ask(request, self.site, _question(link, change, found, Names.of(link)))
        try:
            planned = undo.propose(change, request.user)
        except ValueError as error:
            messages.warning(request, _("Nothing was planned. %(why)s") % {"why": error})
            return HttpResponseRedirect(record_url(link))
        messages.success(request, _("Planned. Nothing is written before somebody approves it on this page."))
        return HttpResponseRedirect(show.page_url(planned))

    def lift(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let an erased record be copied again, after asking for the reason."""
        link = own_link(request, pk)
        if not request.user.has_perm(MAY_LIFT, link):
            raise PermissionDenied
        reason = request.POST.get("reason", "").strip()
        if link.erased and not (confirmed(request) and reason):
            return ask(request, self.site, _lift_question(link, missing=confirmed(request)))
        if erasure.lift(link, request.user, reason):
            messages.success(request, _("The next run that meets the record reads it again."))
        return HttpResponseRedirect(record_url(link))


def own_link(request: HttpRequest, pk: int) -> EntityLink:
    """The person's link with both accounts; 404 for others, 403 without the right to see links."""
    accounts = ("integration__organization", "integration__crm_account", "integration__ledger_account")
    secrets = [name for name in light_accounts("integration") if not name.endswith("schemas")]
    rows = EntityLink.objects.for_user(request.user).filter(pk=pk)
    paused = Exists(FieldPause.objects.filter(link=OuterRef("pk")))
    link: EntityLink | None = rows.select_related(*accounts).defer(*secrets).annotate(has_pauses=paused).first()
    if link is None:
        raise Http404
    if not request.user.has_perm("sync.view_entitylink", link):
        raise PermissionDenied
    return link


def _moment(request: HttpRequest, moments: list[datetime]) -> tuple[datetime | None, bool]:
    """The moment that the page is asked for (None: now), by exact time or by the slider's step; and whether what was
    given is no moment at all."""
    given, step = request.GET.get("at", "").strip(), request.GET.get("step", "")
    if given:
        try:
            found = parse_datetime(given.replace(" ", "+") if "T" in given else given)
        except ValueError:
            found = None
        if found is None or not 1970 <= found.year <= 9000:
            return None, True
        return (found if timezone.is_aware(found) else timezone.make_aware(found)), False
    if step.isdecimal() and len(step) < 6 and int(step) < len(moments) - 1:
        return moments[int(step)], False
    return None, False


def _step(moments: list[datetime], moment: datetime | None) -> int:
    """Where the slider stands: at the last stop that is not after the moment."""
    if moment is None:
        return len(moments) - 1
    return max(sum(each <= moment for each in moments) - 1, 0)


def _state(link: EntityLink) -> Any:
    if not link.frozen_reason:
        return show.status("ok", _("Synced"))
    if link.erased:
        return show.status("off", _("The person was erased"))
    if link.frozen_reason.startswith(MOVED):
        company = link.frozen_reason.removeprefix(MOVED).strip()
        return show.status("off", _("Moved to %(company)s") % {"company": company})
    return show.status("held", _("Frozen: %(reason)s") % {"reason": link.frozen_reason})


def _lift_question(link: EntityLink, *, missing: bool) -> Question:
    return Question(
        title=_("Let this record be copied again?"),
        sentences=[
            _("The person of this record was erased: %(why)s.") % {"why": link.erased},
            _("From now on a run that meets the record reads it, and copies what the mapping asks for."),
        ],
        button=_("Let it be copied again"),
        cancel_url=record_url(link),
        reason=True,
        error=_("Give the reason.") if missing else "",
        danger=True,
    )


def _question(link: EntityLink, change: Change, found: undo.Undo, names: Names) -> Question:
    side = change.flow.target_side
    account = link.integration.account(side)
    rows = [
        _("%(field)s: %(now)s → %(back)s")
        % {
            "field": names.label(side, row["field"]),
            "now": names.text(row["before"]),
            "back": names.text(row["after"]),
        }
        for row in found.rows
    ]
    rows += [_("%(field)s stays: %(why)s") % {"field": names.label(side, name), "why": why} for name, why in found.left]
    rows += [
        _("Nothing is written now: the change waits for approval, and the record is read again first."),
        _("The value then stays until the source changes it. A newer plan of the same record replaces this one."),
    ]
    return Question(
        title=_("Put back the former values of %(record)s in %(place)s?")
        % {"record": link.title or link.ledger_id, "place": account.name or account.get_system_display()},
        sentences=rows,
        button=_("Plan putting them back"),
        cancel_url=record_url(link),
    )
