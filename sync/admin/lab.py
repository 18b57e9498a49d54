"""The mapping lab: a draft tried on real records, before and after side by side (I-07, Q-10).

The page asks for one group of records after the other (see `sync.lab.trial`): a request is never long, nothing is
stored, leaving the page ends it. Without script each group has its own press. Nothing here writes.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.errors import SyncError
from mappings import golden
from mappings.expressions import ExpressionError
from mappings.samples import provider
from sync.admin import lab_files, lab_frame, lab_golden, lab_publish, lab_versions, show
from sync.lab import trial

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.urls import URLPattern

    from mappings.models import MappingSet

SIZES = (20, 50, 100, trial.MOST)


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)
    return [
        path("lab/<int:pk>/", site.admin_view(pages.open), name="lab"),
        path("lab/<int:pk>/try/", site.admin_view(require_POST(pages.run)), name="lab_try"),
        *lab_golden.urls(site),
        *lab_publish.urls(site),
        *lab_versions.urls(site),
        *lab_files.urls(site),
    ]


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def open(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What can be tried; asks no remote."""
        row = lab_frame.mapping_set(request, pk)
        return self._page(request, row, {})

    def run(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The next group of records. Reads them from their source; writes nothing."""
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, "sync.run_flow", row)
        try:
            return self._page(request, row, self._tried(request, row))
        except ExpressionError as error:
            text = _("This version cannot run yet: %(why)s. Mend it in the editor.") % {"why": error}
        except SyncError as error:
            text = _("The records could not be read: %(why)s. Try again in a moment.") % {"why": error.message}
        return self._page(request, row, {"error": text})

    def _tried(self, request: HttpRequest, row: MappingSet) -> dict[str, Any]:
        given = request.POST
        ids = _ids(given.get("todo", ""))
        counts = _counts(given.get("counts", ""))
        if not ids:
            counts = Counter()
            one = given.get("record", "").replace("\x00", "").strip()[:100]
            n = min(lab_frame.whole(given.get("n", "")) or SIZES[0], trial.MOST)
            source = provider()
            ids = [one] if one else [ref.id for ref in source.recent(row, n, ask=True)] if source else []
        if not ids:
            return {"nothing": True}
        now, later = ids[: trial.GROUP], ids[trial.GROUP :]
        stand = trial.bench(row)
        tried = trial.run(stand, now, matching=True)
        counts += trial.count(tried)
        everything = given.get("all") == "1"
        done = sum(counts.values())
        return {
            "ran": True,
            "rows": [_shown(one, everything) for one in tried],
            "counts": [
                (_words(name), show.number(counts[name]), _TONES[name] if counts[name] else "off")
                for name in trial.VERDICTS
            ],
            "done": show.number(done),
            "total": show.number(done + len(later)),
            "todo": json.dumps(later) if later else "",
            "carry": json.dumps(counts),
            "filter_problem": str(stand.filter) if isinstance(stand.filter, ExpressionError) else "",
            "base": stand.base,
            "same_version": stand.base is not None and stand.base.pk == row.pk,
            "everything": everything,
        }

    def _page(self, request: HttpRequest, row: MappingSet, context: dict[str, Any]) -> HttpResponse:
        may = request.user.has_perm("sync.run_flow", row)
        start = {"sizes": SIZES, "chosen": request.POST.get("n", str(SIZES[0])), "may_run": may}
        start |= {"record": request.POST.get("record", ""), "base": context.get("base") or trial.base_of(row)}
        return lab_frame.page(request, self.site, row, "try", "lab", start | context)


_TONES = {
    trial.SAME: "off", trial.DIFFERS: "held", trial.FAILS: "failed", trial.WORKS: "ok", trial.FAILING: "failed",
    trial.UNREADABLE: "off", trial.NOT_TAKEN: "off",
}  # fmt: skip


def _words(verdict: str) -> str:
    return {
        trial.SAME: _("Unchanged"), trial.DIFFERS: _("Differ"), trial.FAILS: _("Now fail"),
        trial.WORKS: _("Now work"), trial.FAILING: _("Fail as before"), trial.UNREADABLE: _("Not readable"),
        trial.NOT_TAKEN: _("Not taken"),
    }[verdict]  # fmt: skip


def _word(verdict: str) -> str:
    """The same, of one record."""
    return {
        trial.SAME: _("unchanged"), trial.DIFFERS: _("differs"), trial.FAILS: _("now fails"),
        trial.WORKS: _("now works"), trial.FAILING: _("fails as before"), trial.UNREADABLE: _("not readable"),
        trial.NOT_TAKEN: _("not taken"),
    }[verdict]  # fmt: skip


def _ids(text: str) -> list[str]:
    """The records that are still to be tried, as the page sent them back; anybody may have written them."""
    try:
        data = json.loads(text) if len(text) < 50_000 else []
    except (ValueError, RecursionError):
        return []
    return [one[:100] for one in data if isinstance(one, str)][: trial.MOST] if isinstance(data, list) else []


def _counts(text: str) -> Counter[str]:
    try:
        data = json.loads(text) if len(text) < 1_000 else {}
    except (ValueError, RecursionError):
        return Counter()
    pairs = data.items() if isinstance(data, dict) else ()
    known = {name: n for name, n in pairs if name in trial.VERDICTS and isinstance(n, int) and 0 <= n <= trial.MOST}
    return Counter(known)


def _shown(tried: trial.Tried, everything: bool) -> dict[str, Any]:
    rows = [row for row in tried.fields if everything or row.differs]
    return {
        "title": tried.title,
        "outside": show.outside(tried.url, _("Open it at its source")) if tried.url else "",
        "id": tried.id,
        "status": show.status(_TONES[tried.verdict], _word(tried.verdict)),
        "fields": [
            {
                "name": row.name.removeprefix(golden.UNIQUE).removeprefix(golden.LINK), "label": row.label,
                "line": row.line, "before": lab_frame.value(row.before), "after": lab_frame.value(row.after),
                "now": lab_frame.value(row.now) if row.known else "", "differs": row.differs,
            }
            for row in rows
        ],
        "hidden": len(tried.fields) - len(rows),
        "problems": tried.problems,
        "healed": tried.before_problems if tried.verdict == trial.WORKS else (),
        "left_out": tried.left_out,
        "not_taken": tried.not_taken,
        "counterpart": tried.counterpart,
        "left_out_before": tried.left_out_before,
        "error": tried.error,
        "may_pin": tried.sample is not None and tried.verdict not in (trial.UNREADABLE,),
    }  # fmt: skip
