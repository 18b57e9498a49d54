"""Both sides compared, and a person's signature under it (I-03).

The list says how every integration stands; a reconciliation's page shows both sides beside each other, each difference
with what explains it and what to do about it. The invariant: everything starts from the person's organizations, every
write asks the right in that organization, and no page calls a remote.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations.models import Integration
from sync.admin import health, show
from sync.admin.base import Question, ask, confirmed, light_accounts
from sync.admin.reconciliation_show import STATES, download_rows, line_row, progress_of, table
from sync.failures import failure_of, systems_of
from sync.models import Reconciliation, ReconciliationLine
from sync.reconcile import repair, store
from sync.reconcile.pdf import document

PAGE = 100
OPEN = "open"


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)
    view = site.admin_view
    return [
        path("reconcile/", view(pages.overview), name="reconcile"),
        path("reconcile/start/", view(require_POST(pages.start)), name="reconcile_start"),
        path("reconcile/<int:pk>/", view(pages.one), name="reconcile_one"),
        path("reconcile/<int:pk>/sign/", view(require_POST(pages.sign)), name="reconcile_sign"),
        path("reconcile/<int:pk>/csv/", view(pages.csv), name="reconcile_csv"),
        path("reconcile/<int:pk>/pdf/", view(pages.pdf), name="reconcile_pdf"),
        path("reconcile/<int:pk>/line/<int:line>/<str:verb>/", view(require_POST(pages.mend)), name="reconcile_mend"),
    ]


def own_integration(request: HttpRequest, given: str) -> Integration:
    """The person's integration of that id; 404 otherwise."""
    rows = Integration.objects.for_user(request.user).select_related("organization", "crm_account", "ledger_account")
    found = rows.defer(*light_accounts()).filter(pk=int(given)).first() if _whole(given) else None
    if found is None:
        raise Http404
    return found


def _whole(given: str) -> bool:
    return given.isdecimal() and given.isascii() and len(given) <= 18


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    # --- pages ----------------------------------------------------------------------------------------------------

    def overview(self, request: HttpRequest) -> HttpResponse:
        """Every integration with its newest reconciliation, and the earlier ones."""
        _require(request, "sync.view_reconciliation")
        newest = Reconciliation.objects.filter(integration=OuterRef("pk")).order_by("-pk").values("pk")[:1]
        mine = Integration.objects.for_user(request.user).annotate(newest=Subquery(newest))
        rows: list[Any] = list(
            mine.select_related("organization", "crm_account", "ledger_account").defer(*light_accounts())[:PAGE]
        )
        found = Reconciliation.objects.in_bulk([row.newest for row in rows if row.newest])
        earlier = Reconciliation.objects.for_user(request.user).select_related("integration__organization")
        first, last = store.default_period()
        context = self.site.each_context(request) | {
            "title": _("Reconciliation"),
            "rows": [_integration(request, row, found.get(row.newest)) for row in rows],
            "earlier": [_short(row, row.integration.name) for row in earlier.order_by("-pk")[:PAGE]],
            "starts": first.isoformat(),
            "ends": last.isoformat(),
            "moving": any(row.moving for row in found.values()),
        }
        return TemplateResponse(request, "sync/reconciliation.html", context)

    def one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """One reconciliation: both sides, the differences, the signature."""
        row = self._row(request, pk)
        chosen = request.GET.get("show", OPEN if row.unexplained else "all")
        after = request.GET.get("after", "")
        lines = row.lines.select_related("change", "link").order_by("explained", "pk")
        if chosen == OPEN:
            lines = lines.filter(explained=False)
        elif chosen in ReconciliationLine.Kind.values:
            lines = lines.filter(kind=chosen)
        position = int(after) if _whole(after) else 0
        shown = list(lines[position : position + PAGE + 1])
        here = reverse("admin:reconcile_one", args=[pk])
        before = store.signed_before(row)
        may = {
            name: request.user.has_perm(f"sync.{name}", row)
            for name in ("run_reconciliation", "sign_off_reconciliation", "retry_change", "run_flow")
        }
        context = self.site.each_context(request) | {
            "title": _("Reconciliation"),
            "row": row,
            "period": show_period(row),
            "status": show.status(*STATES[row.state]),
            "failure": failure_of(row, systems_of(row.integration)),
            "moving": row.moving,
            "progress": progress_of(row) if row.moving else None,
            "workers": health.workers() if row.moving else None,
            "tables": table(row),
            "verdict": _verdict(row),
            "tabs": _tabs(row, chosen, here),
            "lines": [line_row(request, line, may) for line in shown[:PAGE]],
            "more_url": f"{here}?show={chosen}&after={position + PAGE}" if len(shown) > PAGE else "",
            "may": may,
            "started": show.when(row.started_at),
            "finished": show.when(row.finished_at),
            "signed": show.when(row.signed_at),
            "calls": sum(row.api_calls.values()),
            "before": before,
            "before_url": reverse("admin:reconcile_one", args=[before.pk]) if before else "",
            "before_when": show.when(before.signed_at) if before else "",
            "differs": before is not None and store.differs(row, before),
        }
        return TemplateResponse(request, "sync/reconciliation_one.html", context)

    # --- what people do -------------------------------------------------------------------------------------------

    def start(self, request: HttpRequest) -> HttpResponse:
        """Compare both sides of an integration now; the workers do it."""
        integration = own_integration(request, request.POST.get("integration", ""))
        if not request.user.has_perm("sync.run_reconciliation", integration):
            raise PermissionDenied
        try:
            first, last = store.default_period()
            asked = (_day(request, "starts") or first, _day(request, "ends") or last)
            tolerance = Decimal(request.POST.get("tolerance", "").strip().replace(",", ".") or "0")
            row = store.begin(integration, *asked, user=request.user, tolerance=tolerance)
        except (ValidationError, ValueError, InvalidOperation) as error:
            said = getattr(error, "messages", [_("A date is written as 2026-01-31, and the tolerance as 0.50.")])
            messages.error(request, " ".join(said))
            return HttpResponseRedirect(reverse("admin:reconcile"))
        if (row.starts, row.ends, row.tolerance) != (*asked, tolerance):
            text = _("Another comparison is at work: %(period)s. Start yours again when it is done.")
            messages.warning(request, text % {"period": show_period(row)})
        return HttpResponseRedirect(reverse("admin:reconcile_one", args=[row.pk]))

    def sign(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Sign off, after asking; unexplained differences need a reason."""
        row = self._row(request, pk)
        if not request.user.has_perm("sync.sign_off_reconciliation", row):
            raise PermissionDenied
        here, error = reverse("admin:reconcile_one", args=[pk]), ""
        if confirmed(request):
            try:
                store.sign(row, request.user, request.POST.get("reason", ""))
                messages.success(request, _("Signed. It cannot be changed any more."))
                return HttpResponseRedirect(here)
            except ValidationError as refused:
                error = " ".join(refused.messages)
        if row.signed_at is not None or row.state != Reconciliation.State.DONE:
            messages.error(request, error or _("There is nothing to sign."))
            return HttpResponseRedirect(here)
        sentences = [
            f"{row.integration}, {show_period(row)}",
            _("Your name and the time are kept with these figures, which cannot be changed afterwards."),
        ]
        if row.unexplained:
            sentences.append(_("There are unexplained differences. Write why they are acceptable."))
        question = Question(
            title=_("Sign off?"), sentences=sentences, button=_("Sign off"), cancel_url=here,
            reason=bool(row.unexplained), error=error, counts=[(_("Unexplained differences"), row.unexplained)],
        )  # fmt: skip
        return ask(request, self.site, question)

    def mend(self, request: HttpRequest, pk: int, line: int, verb: str) -> HttpResponse:
        """Do something about one difference: try its change again, or bring the document over now."""
        row = self._row(request, pk)
        found = row.lines.select_related("change", "link").filter(pk=line).first()
        if found is None or verb not in repair.PERMISSIONS:
            raise Http404
        if not request.user.has_perm(repair.PERMISSIONS[verb], row):
            raise PermissionDenied
        done = repair.retry(found, request.user) if verb == "retry" else repair.sync_now(found)
        if done:
            messages.success(request, _("It is looked at again now. Compare again in a moment to see it settled."))
        else:
            messages.info(request, _("There is nothing left to do about it: it has moved on since."))
        return HttpResponseRedirect(request.POST["next"] if _local(request) else self._here(pk))

    # --- files ----------------------------------------------------------------------------------------------------

    def csv(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Totals and differences for a spreadsheet."""
        return download_rows(self._finished(request, pk))

    def pdf(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The paper to sign and keep."""
        row = self._finished(request, pk)
        name = f"reconciliation-{row.pk}-{row.starts:%Y%m%d}-{row.ends:%Y%m%d}.pdf"
        answer = HttpResponse(document(row), content_type="application/pdf")
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def _finished(self, request: HttpRequest, pk: int) -> Reconciliation:
        row = self._row(request, pk)
        if row.state != Reconciliation.State.DONE:
            raise Http404
        return row

    def _row(self, request: HttpRequest, pk: int) -> Reconciliation:
        """A reconciliation of the person's; 404 for what is none, 403 without the right to see it."""
        rows = Reconciliation.objects.for_user(request.user).select_related(
            "integration__organization", "integration__crm_account", "integration__ledger_account", "user"
        )
        found: Reconciliation | None = (
            rows.defer(*light_accounts("integration")).filter(pk=pk).first() if pk < 2**62 else None
        )
        if found is None:
            raise Http404
        if not request.user.has_perm("sync.view_reconciliation", found):
            raise PermissionDenied
        return found

    @staticmethod
    def _here(pk: int) -> str:
        return reverse("admin:reconcile_one", args=[pk])


def show_period(row: Any) -> str:
    """The period as people say it."""
    return f"{row.starts:%Y-%m-%d} – {row.ends:%Y-%m-%d}"


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _day(request: HttpRequest, name: str) -> date | None:
    given = request.POST.get(name, "").strip()
    return date.fromisoformat(given) if given else None


def _local(request: HttpRequest) -> bool:
    return request.POST.get("next", "").startswith("/admin/reconcile/")


def _verdict(row: Reconciliation) -> tuple[str, str]:
    """Tone and sentence of the whole."""
    if row.state != Reconciliation.State.DONE:
        return "", ""
    if row.unexplained:
        text = ngettext(
            "%(n)s of %(all)s differences is not explained.", "%(n)s of %(all)s differences are not explained.",
            row.unexplained,
        )  # fmt: skip
        return "failed", text % {"n": show.number(row.unexplained), "all": show.number(row.differences)}
    if row.differences:
        return "ok", _("Every difference is explained.")
    return "ok", _("Both sides agree.")


def _tabs(row: Reconciliation, chosen: str, here: str) -> list[dict[str, Any]]:
    kinds = row.totals.get("kinds", {})
    tabs = [(OPEN, _("Unexplained"), row.unexplained), ("all", _("All"), row.differences)]
    tabs += [(name, str(label), kinds[name]) for name, label in ReconciliationLine.Kind.choices if kinds.get(name)]
    return [
        {"url": f"{here}?show={name}", "label": label, "n": show.number(n), "current": name == chosen}
        for name, label, n in tabs
    ]


def _integration(request: HttpRequest, row: Any, newest: Reconciliation | None) -> dict[str, Any]:
    return {
        "pk": row.pk,
        "whose": show.whose(row),
        "name": f"{row} · {row.organization}",
        "newest": _short(newest) if newest else None,
        "may_run": request.user.has_perm("sync.run_reconciliation", row),
        "month_end_url": f"{reverse('admin:month_end')}?integration={row.pk}",
        "shadow_url": reverse("admin:shadow", args=[row.pk]) if row.mode == Integration.Mode.OBSERVE else "",
    }


def _short(row: Reconciliation, whose: str = "") -> dict[str, Any]:
    done, url = row.state == Reconciliation.State.DONE, reverse("admin:reconcile_one", args=[row.pk])
    return {
        "url": url,
        "whose": whose,
        "period": show_period(row),
        "status": show.status(*STATES[row.state]),
        "unexplained": show.count(row.unexplained, url, "failed") if done else "–",
        "differences": show.number(row.differences) if done else "–",
        "when": show.when(row.finished_at or row.started_at),
        "signed": row.signed_name,
        "signed_at": show.when(row.signed_at),
    }
