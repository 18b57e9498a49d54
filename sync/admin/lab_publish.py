"""Publishing a draft: what differs, which golden samples it breaks, how many linked records it changes, and what then.

Counting reads linked records group by group, as in the lab; the answer is exact when all were read, and says so when
not. The invariants: a draft that somebody changed after this page was shown is not published; what is re-synced is
planned and held, never sent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations.errors import SyncError
from integrations.models import Integration
from mappings import bundle, golden
from mappings.expressions import ExpressionError
from mappings.models import MappingSet, Resync, check_mapping, publish
from sync.admin import lab_frame, show
from sync.lab import impact, trial
from sync.lab.samples import linked
from sync.models import Change, SyncRun
from sync.states import State

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.urls import URLPattern

FUTURE, ALL, CANARY = "future", "all", "canary"


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)

    def post(view: Any) -> Any:
        return site.admin_view(require_POST(view))

    return [
        path("lab/<int:pk>/publish/", site.admin_view(pages.look), name="lab_publish"),
        path("lab/<int:pk>/publish/count/", post(pages.count), name="lab_count"),
        path("lab/<int:pk>/publish/now/", post(pages.publish), name="lab_publish_now"),
        path("lab/<int:pk>/resync/<int:order>/go-on/", post(pages.go_on), name="lab_go_on"),
        path("lab/<int:pk>/resync/<int:order>/stop/", post(pages.stop), name="lab_stop"),
    ]


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def look(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What publishing means for this draft; asks no remote."""
        return self._page(request, lab_frame.mapping_set(request, pk), {})

    def count(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Read the next group of linked records, and add to the count. Writes nothing."""
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, lab_frame.PUBLISH, row)
        differ = _numbers(request.POST.get("differ", ""))
        looked, failing = (lab_frame.whole(request.POST.get(name, ""), 10**6) for name in ("looked", "failing"))
        seen = {"revision": request.POST.get("revision", "")[:10], "maps": request.POST.get("maps", "")[:64]}
        now = {"revision": str(row.revision), "maps": bundle.maps_stamp(row)}
        if any(seen[name] and seen[name] != now[name] for name in now):
            # What the page shows beside the count is kept by the browser, and so is what publishing is asked with.
            text = _(
                "The draft or one of its value maps was edited after you opened this page. Open it again to count."
            )
            return self._page(request, row, seen | {"error": text, "counted": True, "stale": True})
        context: dict[str, Any] = {}
        try:
            found = impact.count_group(trial.bench(row), lab_frame.whole(request.POST.get("after", "")))
            differ, looked = list(dict.fromkeys([*differ, *found.differ])), looked + found.looked
            context = {"after": found.after, "failing": failing + found.failing}
            if not found.after:
                context["exact"] = True
        except ExpressionError as error:
            context = {"error": _("This version cannot run yet: %(why)s. Mend it in the editor.") % {"why": error}}
        except SyncError as error:
            text = _("Counting stopped: %(why)s. Try again in a moment.")
            context = {"error": text % {"why": error.message}, "failing": failing}
        context |= {"counted": True, "looked": looked, "n_differ": len(differ), "differ": json.dumps(differ)}
        return self._page(request, row, context)

    def publish(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Publish, and order what was chosen for records that are there."""
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, lab_frame.PUBLISH, row)
        choice = request.POST.get("then", "")
        if choice not in (FUTURE, ALL, CANARY):
            messages.error(request, _("Choose what happens to records that are linked already."))
            return lab_frame.back("lab_publish", row)
        ids = impact.source_ids(row, _numbers(request.POST.get("differ", ""))) if choice != FUTURE else []
        if choice != FUTURE and not ids:
            messages.error(request, _("Nothing was published: count first how many records would differ."))
            return lab_frame.back("lab_publish", row)
        try:
            with transaction.atomic():
                note = " ".join(request.POST.get("note", "").replace("\x00", "").split())[:300]
                if note:
                    MappingSet.objects.drafts().filter(pk=row.pk).update(note=note)
                revision = lab_frame.whole(request.POST.get("revision", ""), 10**9)
                maps = request.POST.get("maps", "")[:64]
                done = publish(row, request.user, revision=revision, maps=maps)  # type: ignore[arg-type]
                first = impact.CANARY if choice == CANARY else 0
                asked = impact.order(done, ids, request.user, first=first) if ids else None
                impact.log(done, "mapping published", f"{choice}, {len(ids)} records to follow", request.user)
        except (ValidationError, ExpressionError, ValueError) as error:
            messages.error(request, _("Nothing was published."))
            lab_frame.say_errors(request, error)
            return lab_frame.back("lab_publish", row)
        messages.success(request, _("Version %(n)d is in force.") % {"n": done.version})
        if asked is not None:
            text = ngettext(
                "%(n)s record is planned now, and waits for approval.",
                "%(n)s records are planned now, and wait for approval.",
                asked.until,
            )
            messages.success(request, text % {"n": show.number(asked.until)})
        return lab_frame.back("lab_versions", done)

    def go_on(self, request: HttpRequest, pk: int, order: int) -> HttpResponse:
        """The first few were looked at: plan the rest."""
        row, asked = self._order(request, pk, order)
        if impact.go_on(asked, request.user):
            messages.success(request, _("The other records are planned now, and wait for approval."))
        return lab_frame.back("lab_versions", row)

    def stop(self, request: HttpRequest, pk: int, order: int) -> HttpResponse:
        """Plan no more."""
        row, asked = self._order(request, pk, order)
        if impact.stop(asked, request.user):
            messages.success(
                request, _("No more records are planned. What is planned already still waits for approval.")
            )
        return lab_frame.back("lab_versions", row)

    def _order(self, request: HttpRequest, pk: int, order: int) -> tuple[MappingSet, Resync]:
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, lab_frame.PUBLISH, row)
        asked = Resync.objects.for_user(request.user).filter(pk=order, mapping_set__slug=row.slug).first()
        if asked is None or asked.mapping_set.integration_id != row.integration_id:
            raise Http404
        return row, asked

    def _page(self, request: HttpRequest, row: MappingSet, context: dict[str, Any]) -> HttpResponse:
        base = trial.base_of(row)
        found = impact.differences(row, base) if row.editable else []
        total = linked(row).count() if row.editable else 0
        writes = base is None or impact.writes_differ(found)
        if row.editable and not context and (not total or not writes):
            context = {"counted": True, "exact": True, "looked": 0, "n_differ": 0, "differ": "[]", "none": True}
        frame = {
            "base": base, "sections": lab_frame.sections(found), "n_edits": len(found), "writes": writes,
            "linked": total, "linked_text": show.number(total), "problems": _problems(row) if row.editable else [],
            "revision": row.revision, "maps": bundle.maps_stamp(row) if row.editable else "",
            "canary": impact.CANARY, "flow": impact.flow_in_words(row), "waiting": _waiting(row) if row.editable else 0,
            "observing": row.integration.mode != Integration.Mode.LIVE,
            "offer": 0 < context.get("n_differ", 0) <= impact.MOST_ORDERED,
            "too_many": context.get("n_differ", 0) > impact.MOST_ORDERED,
        }  # fmt: skip
        return lab_frame.page(request, self.site, row, "publish", "lab_publish", frame | context)


def _problems(row: MappingSet) -> list[str]:
    """Everything that publishing would refuse, in the words in which it would."""
    try:
        check_mapping(row)
        golden.check(row)
    except ValidationError as error:
        return list(error.messages)
    return []


def _waiting(row: MappingSet) -> int:
    """Changes that an earlier version planned and that have not gone out: they are planned again."""
    open_ = Change.objects.filter(
        flow__integration_id=row.integration_id, flow__slug=row.slug, state__in=[State.HELD, State.QUEUED]
    )
    return open_.count()


def _numbers(text: str) -> list[int]:
    """Ids of links that the page sent back; anybody may have written them, so the mapping's own are looked up."""
    try:
        data = json.loads(text) if len(text) < 100_000 else []
    except (ValueError, RecursionError):
        return []
    whole = (
        [n for n in data if isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**62]
        if isinstance(data, list)
        else []
    )
    return whole[: impact.MOST_ORDERED + 1]


def orders(row: MappingSet) -> list[dict[str, Any]]:
    """The re-syncs of a mapping, newest first, with what became of what they planned. Three queries."""
    rows = Resync.objects.filter(mapping_set__integration_id=row.integration_id, mapping_set__slug=row.slug)
    found = list(rows.select_related("mapping_set", "created_by").defer("source_ids")[:10])
    numbers = [number for one in found for number in one.runs]
    runs = {run.pk: run for run in SyncRun.objects.filter(pk__in=numbers).select_related("flow")}
    flow = impact.flow_in_words(row) if found else None
    off = flow is None or not flow.enabled
    return [_order_row(one, [runs[n] for n in one.runs if n in runs], off) for one in found]


def _order_row(asked: Resync, runs: list[SyncRun], off: bool) -> dict[str, Any]:
    canary = asked.until < asked.total
    if asked.stopped_at:
        status = show.status("off", _("Stopped"))
    elif asked.planned < asked.until and off:
        status = show.status("held", _("Waits: the flow is off"))
    elif asked.planned < asked.until:
        status = show.status("running", _("Planning"))
    elif canary:
        status = show.status("held", _("The first %(n)d are planned") % {"n": asked.until})
    else:
        status = show.status("ok", _("Planned"))
    return {
        "order": asked, "status": status, "version": asked.mapping_set.version, "when": show.when(asked.created_at),
        "planned": show.number(asked.planned), "total": show.number(asked.total),
        "runs": [(show.page_url(run), run.pk, show.run_status(run)) for run in runs],
        "moving": not asked.stopped_at and not off and asked.planned < asked.until,
        "rest": show.number(asked.total - asked.until),
        "may_go_on": canary and not asked.stopped_at and asked.planned >= asked.until,
        "may_stop": not asked.stopped_at and asked.planned < asked.total,
        "error": asked.error if not asked.stopped_at else "",
    }  # fmt: skip
