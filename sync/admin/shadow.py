"""What an observing integration would have done, beside what is really there (I-11).

The invariant: nothing is ever written; the page calls no remote, the workers read; a report belongs to the person's
organizations only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations.models import Integration
from integrations.sheets import download
from sync import shadow
from sync.admin import health, show
from sync.admin.base import light_accounts
from sync.admin.health import Progress
from sync.admin.reconciliation import own_integration
from sync.admin.reconciliation_show import STATES, money
from sync.failures import failure_of, systems_of
from sync.models import ShadowLine, ShadowReport
from sync.reconcile.amounts import plain
from sync.values import load
from sync.values import show as said

PAGE = 100
LONGEST = timedelta(days=400)
FORTNIGHT = timedelta(days=14)
TONES = {
    ShadowLine.Verdict.IDENTICAL: "ok",
    ShadowLine.Verdict.DIFFERS: "failed",
    ShadowLine.Verdict.ONLY_OURS: "held",
    ShadowLine.Verdict.ONLY_THEIRS: "held",
    ShadowLine.Verdict.SEVERAL: "held",
    ShadowLine.Verdict.BLOCKED: "failed",
}


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)
    return [
        path("shadow/", site.admin_view(pages.overview), name="shadow_list"),
        path("shadow/<int:pk>/", site.admin_view(pages.page), name="shadow"),
        path("shadow/<int:pk>/start/", site.admin_view(require_POST(pages.start)), name="shadow_start"),
        path("shadow/<int:pk>/csv/", site.admin_view(pages.csv), name="shadow_csv"),
    ]


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def overview(self, request: HttpRequest) -> HttpResponse:
        """Every integration of the person's, those that observe first, with its newest report."""
        if not request.user.has_perm("sync.view_shadowreport"):
            raise PermissionDenied
        rows = Integration.objects.for_user(request.user)
        pairs = rows.select_related("organization", "crm_account", "ledger_account").defer(*light_accounts())
        newest = ShadowReport.objects.filter(integration=OuterRef("pk")).order_by("-pk").values("pk")[:1]
        by_pair = dict(rows.values_list("pk", Subquery(newest)))
        reports = ShadowReport.objects.in_bulk([pk for pk in by_pair.values() if pk])
        context = self.site.each_context(request) | {
            "title": _("Shadow mode"),
            "pairs": [
                _pair(pair, reports.get(by_pair[pair.pk] or 0))
                for pair in sorted(pairs, key=lambda pair: (pair.mode != Integration.Mode.OBSERVE, pair.name))
                if request.user.has_perm("sync.view_shadowreport", pair)
            ],
        }
        return TemplateResponse(request, "sync/shadow_list.html", context)

    def page(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The newest report of an integration, by verdict."""
        integration = self._own(request, pk)
        report = ShadowReport.objects.filter(integration=integration).order_by("-pk").first()
        done = _done(report)
        counts = report.counts if report and done else {}
        chosen = request.GET.get("show", "")
        if chosen not in ShadowLine.Verdict.values:
            chosen = next((v for v in ShadowLine.Verdict.values if counts.get(v)), ShadowLine.Verdict.DIFFERS)
        after = request.GET.get("after", "")
        position = int(after) if after.isdecimal() and len(after) < 10 else 0
        rows = report.lines.filter(verdict=chosen).select_related("change").order_by("pk") if report and done else []
        shown = list(rows[position : position + PAGE + 1])
        here, today = reverse("admin:shadow", args=[pk]), timezone.localdate()
        context = self.site.each_context(request) | {
            "title": _("Shadow report"),
            "integration": integration,
            "why_not": why_not(integration.mode),
            "report": report,
            "failure": failure_of(report, systems_of(integration)) if report else None,
            "moving": bool(report and report.moving),
            "done": done,
            "status": show.status(*STATES[report.state]) if report else "",
            "progress": _progress(report) if report and report.moving else None,
            "workers": health.workers() if report and report.moving else None,
            "finished": show.when(report.finished_at) if report else "",
            "sentence": sentence(counts) if done else "",
            "tabs": [
                {"url": f"{here}?show={v}", "label": ShadowLine.Verdict(v).label, "n": show.number(counts.get(v, 0)),
                 "current": v == chosen} for v in ShadowLine.Verdict.values
            ],
            "rows": [_row(line) for line in shown[:PAGE]],
            "more_url": f"{here}?show={chosen}&after={position + PAGE}" if len(shown) > PAGE else "",
            "starts": (today - FORTNIGHT).isoformat(),
            "ends": today.isoformat(),
            "may_run": request.user.has_perm("sync.run_reconciliation", integration) and not why_not(integration.mode),
        }  # fmt: skip
        return TemplateResponse(request, "sync/shadow.html", context)

    def start(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Read the target and compare, now; the workers do it."""
        integration = self._own(request, pk)
        if not request.user.has_perm("sync.run_reconciliation", integration):
            raise PermissionDenied
        try:
            first, last = (date.fromisoformat(request.POST.get(name, "").strip()) for name in ("starts", "ends"))
        except ValueError:
            messages.error(request, _("A date is written as 2026-01-31."))
            return HttpResponseRedirect(reverse("admin:shadow", args=[pk]))
        if last < first or last - first > LONGEST:
            messages.error(request, _("Choose a period that ends after it begins, of at most 400 days."))
        elif refused := why_not(integration.mode):
            messages.warning(request, refused)
        else:
            shadow.begin(integration, first, last, request.user)
        return HttpResponseRedirect(reverse("admin:shadow", args=[pk]))

    def csv(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Every line for a spreadsheet."""
        integration = self._own(request, pk)
        report = ShadowReport.objects.filter(integration=integration).order_by("-pk").first()
        if report is None or not _done(report):
            raise Http404
        header = [_("Verdict"), _("Matched by"), _("Record"), _("Source id"), _("Target"), _("Target id"), _("Amount"),
                  _("Currency"), _("Field"), _("We would have written"), _("Is there")]  # fmt: skip
        return download(f"shadow-{report.pk}.csv", header, _csv_rows(report))

    @staticmethod
    def _own(request: HttpRequest, pk: int) -> Integration:
        integration = own_integration(request, str(pk))
        if not request.user.has_perm("sync.view_shadowreport", integration):
            raise PermissionDenied
        return integration


def _pair(pair: Integration, report: ShadowReport | None) -> dict[str, Any]:
    """One integration in the list."""
    return {
        "url": reverse("admin:shadow", args=[pair.pk]),
        "name": pair.name,
        "organization": pair.organization,
        "mode": show.status("held" if pair.mode == Integration.Mode.OBSERVE else "off", pair.get_mode_display()),
        "report": show.status(*STATES[report.state]) if report else "",
        "finished": show.when(report.finished_at) if report else "",
        "sentence": sentence(report.counts) if report and _done(report) else "",
        "why_not": why_not(pair.mode),
    }


def _done(report: ShadowReport | None) -> bool:
    return report is not None and report.state == "done"


def sentence(counts: dict[str, int]) -> str:
    """`We would have made 212 documents; 209 are identical, 3 differ.`"""
    verdict = ShadowLine.Verdict
    ours = sum(n for name, n in counts.items() if name not in (verdict.ONLY_THEIRS, verdict.BLOCKED))
    n = {name: counts.get(name, 0) for name in verdict.values}
    same, only, there = n[verdict.IDENTICAL], n[verdict.ONLY_OURS], n[verdict.ONLY_THEIRS]
    differ, several, blocked = n[verdict.DIFFERS], n[verdict.SEVERAL], n[verdict.BLOCKED]
    made = ngettext("We would have made %(n)s document", "We would have made %(n)s documents", ours)
    parts = [
        (ngettext("%(n)s is identical to what is there", "%(n)s are identical to what is there", same), same),
        (ngettext("%(n)s differs", "%(n)s differ", differ), differ),
        (ngettext("%(n)s is not there", "%(n)s are not there", only), only),
        (ngettext("%(n)s fits several", "%(n)s fit several", several), several),
    ]
    rest = [
        (ngettext("%(n)s is there that we would not have made", "%(n)s are there that we would not have made", there),
         there),
        (ngettext("%(n)s we would have stopped", "%(n)s we would have stopped", blocked), blocked),
    ]  # fmt: skip
    first = f"{made % {'n': show.number(ours)}}: {_list(parts)}." if ours else f"{made % {'n': show.number(ours)}}."
    return f"{first} {_list(rest)}." if there or blocked else first


def _list(parts: list[tuple[str, int]]) -> str:
    """Those that count any, with commas."""
    return ", ".join(text % {"n": show.number(n)} for text, n in parts if n)


def why_not(mode: str) -> str:
    """Why a report of an integration in this mode would say little; "" for one that observes."""
    if mode == Integration.Mode.LIVE:
        return _("It is live: what it planned is there because it wrote it. Reconciliation compares both sides.")
    if mode == Integration.Mode.OFF:
        return _("It is off and plans nothing. Set it to observe, and make a report after some days.")
    return ""


def _progress(report: ShadowReport) -> Progress:
    seconds = max((timezone.now() - report.started_at).total_seconds(), 1)
    return Progress(_("records read"), report.seen, report.total, round(report.seen * 60 / seconds), "")


def _row(line: ShadowLine) -> dict[str, Any]:
    differences = line.differences if isinstance(line.differences, list) else []
    return {
        "tone": TONES[ShadowLine.Verdict(line.verdict)],
        "verdict": line.get_verdict_display(),
        "source": line.source_title or line.source_id,
        "source_out": show.outside(line.source_url, line.source_id),
        "change_url": show.page_url(line.change) if line.change else "",
        "target": line.target_title,
        "target_out": show.outside(line.target_url, line.target_id),
        "by": line.matched_by,
        "amount": money(line.amount, line.currency),
        "differences": [
            format_html(
                '<div class="lb-diff"><span class="lb-field">{}</span> <ins>{}</ins>'
                ' <span class="lb-arrow">≠</span> {}</div>',
                f"{row['field']}:" if row["field"] else "", show.value(row["ours"]), show.value(row["theirs"]),
            )
            for row in differences[:40]
        ],
    }  # fmt: skip


def _csv_rows(report: ShadowReport) -> Iterator[list[Any]]:
    for line in report.lines.order_by("pk").iterator(chunk_size=500):
        head = [
            line.get_verdict_display(), line.matched_by, line.source_title, line.source_id, line.target_title,
            line.target_id, "" if line.amount is None else Decimal(plain(line.amount)), line.currency,
        ]  # fmt: skip
        rows = line.differences if isinstance(line.differences, list) else []
        for row in rows or [{"field": "", "ours": None, "theirs": None}]:
            yield [*head, row["field"], said(load(row["ours"])), said(load(row["theirs"]))]
