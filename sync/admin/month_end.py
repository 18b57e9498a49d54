"""Month end on one page: what must be in order, each row with its button, and the closing (I-14).

The invariant: the page calls no remote and says how fresh it is; every button asks its own right in the integration's
organization; what goes out to the ledger is asked once.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from integrations.models import Integration
from sync import interactive, month_end
from sync import repair as changes
from sync.admin import show
from sync.admin.base import Question, ask, confirmed, light_accounts
from sync.admin.month_end_rows import NEEDS, section_row
from sync.admin.reconciliation import own_integration
from sync.admin.reconciliation_show import STATES, money, progress_of
from sync.models import Change, MonthClose, ReconciliationDocument
from sync.reconcile import repair, store


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)
    return [
        path("month-end/", site.admin_view(pages.page), name="month_end"),
        path("month-end/compare/", site.admin_view(require_POST(pages.compare)), name="month_end_compare"),
        path("month-end/close/", site.admin_view(require_POST(pages.close)), name="month_end_close"),
        path("month-end/<str:verb>/<int:pk>/", site.admin_view(require_POST(pages.act)), name="month_end_act"),
    ]


def address(integration: Integration, month: date) -> str:
    """The page of an integration's month."""
    return f"{reverse('admin:month_end')}?integration={integration.pk}&month={month:%Y-%m}"


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def page(self, request: HttpRequest) -> HttpResponse:
        """The cockpit of one integration's month; without an integration the first of the person's."""
        if not request.user.has_perm("sync.view_reconciliation"):
            raise PermissionDenied
        mine = list(Integration.objects.for_user(request.user).values_list("pk", "name")[:200])
        given = request.GET.get("integration", "") or (str(mine[0][0]) if mine else "")
        month = _month(request.GET.get("month", ""))
        context = self.site.each_context(request) | {"title": _("Month end"), "integrations": mine, "month": month}
        if not given:
            return TemplateResponse(request, "sync/month_end.html", context | {"integration": None})
        integration = own_integration(request, given)
        known = month_end.compared(integration, month)
        read, exact, working = known.read, known.exact, known.working
        first, last = store.month_of(month)
        closed = (
            MonthClose.objects.filter(integration=integration, month=first).select_related("reconciliation").first()
        )
        may = {verb: request.user.has_perm(right, integration) for verb, right in NEEDS.items()}
        sections = month_end.sections(integration, month, read)
        shown = [row for section in sections for row in section.rows if isinstance(row, ReconciliationDocument)]
        links = month_end.linked_records(integration, shown) if shown else {}
        moved = month_end.changed_since(closed, exact) if closed else None
        doubted = closed is not None and moved is None and month_end.doubted_since(closed, read)
        context |= {
            "integration": integration,
            "month_name": date_format(first, "F Y"),
            "previous_url": address(integration, first - timedelta(days=1)),
            "next_url": address(integration, last + timedelta(days=1)) if last < timezone.localdate() else "",
            "over": last < timezone.localdate(),
            "read": read,
            "read_when": show.when(read.finished_at) if read else "",
            "read_url": reverse("admin:reconcile_one", args=[read.pk]) if read else "",
            "exact": exact,
            "exact_url": reverse("admin:reconcile_one", args=[exact.pk]) if exact else "",
            "exact_when": show.when(exact.finished_at) if exact else "",
            "obstacle": month_end.obstacle(month, known) if exact and not closed else "",
            "working": working,
            "working_status": show.status(*STATES[working.state]) if working else "",
            "progress": progress_of(working) if working else None,
            "closed": closed,
            "closed_when": show.when(closed.closed_at) if closed else "",
            "moved_url": reverse("admin:reconcile_one", args=[moved.pk]) if moved else "",
            "doubted_url": reverse("admin:reconcile_one", args=[read.pk]) if read and doubted else "",
            "sections": [section_row(section, integration, may, links) for section in sections],
            "open": sum(section.total for section in sections),
            "may_run": request.user.has_perm("sync.run_reconciliation", integration),
            "may_close": request.user.has_perm("sync.sign_off_reconciliation", integration),
        }
        return TemplateResponse(request, "sync/month_end.html", context)

    def compare(self, request: HttpRequest) -> HttpResponse:
        """Read both sides of the month again."""
        integration, month = self._posted(request, "sync.run_reconciliation")
        first, last = store.month_of(month)
        row = store.begin(integration, first, last, user=request.user)
        if (row.starts, row.ends) != (first, last):
            messages.info(request, _("Another comparison of this integration is at work. Try again when it is done."))
        return HttpResponseRedirect(address(integration, month))

    def close(self, request: HttpRequest) -> HttpResponse:
        """Close the month, after asking: signs its reconciliation."""
        integration, month = self._posted(request, "sync.sign_off_reconciliation")
        here, error = address(integration, month), ""
        if confirmed(request):
            try:
                month_end.close(integration, month, request.user, request.POST.get("reason", ""))
                messages.success(request, _("The month is closed and its reconciliation signed."))
                return HttpResponseRedirect(here)
            except ValidationError as refused:
                error = " ".join(refused.messages)
        known = month_end.compared(integration, month)
        row = known.exact
        if row is None or known.read is None:  # what was compared long ago is not kept: what is open is not known
            messages.error(request, error or _("Compare both sides of the month first."))
            return HttpResponseRedirect(here)
        if refusal := month_end.obstacle(month, known):
            messages.error(request, error or refusal)
            return HttpResponseRedirect(here)
        left = sum(section.total for section in month_end.sections(integration, month, known.read))
        question = Question(
            title=_("Close the month?"),
            sentences=[
                f"{integration}, {date_format(month, 'F Y')}",
                _("Your name is put under its reconciliation. Nothing is locked: what changes afterwards is shown."),
            ],
            counts=[(_("Rows still open on this page"), left), (_("Unexplained differences"), row.unexplained)],
            fields=[("integration", str(integration.pk)), ("month", f"{month:%Y-%m}")],
            button=_("Close the month"), cancel_url=here, error=error,
            reason=bool(row.unexplained) and row.signed_at is None,
        )  # fmt: skip
        if error and not question.reason:
            messages.error(request, error)
            return HttpResponseRedirect(here)
        return ask(request, self.site, question)

    def act(self, request: HttpRequest, verb: str, pk: int) -> HttpResponse:
        """The button of one row."""
        if verb not in NEEDS or pk >= 2**62:
            raise Http404
        if verb == "retry":
            return self._retry(request, pk)
        rows = ReconciliationDocument.objects.select_related("reconciliation__integration")
        document = rows.defer(*light_accounts("reconciliation__integration")).filter(pk=pk).first()
        if document is None:
            raise Http404
        integration = own_integration(request, str(document.reconciliation.integration_id))
        self._right(request, NEEDS[verb], integration)
        here = address(integration, document.day or timezone.localdate())
        if verb == "sync":
            if repair.bring_over(integration.pk, document.object, document.record_id):
                messages.success(request, _("It is looked at again now."))
            else:
                messages.error(request, _("No flow that is switched on brings this document over."))
            return HttpResponseRedirect(here)
        return self._create(request, integration, document, here) if verb == "create" else self._book(
            request, integration, document, here
        )  # fmt: skip

    def _retry(self, request: HttpRequest, pk: int) -> HttpResponse:
        change = Change.objects.for_user(request.user).select_related("integration").filter(pk=pk).first()
        if change is None:
            raise Http404
        self._right(request, NEEDS["retry"], change)
        changes.retry(Change.objects.filter(pk=change.pk), request.user)
        messages.success(request, _("It is tried again now."))
        return HttpResponseRedirect(address(change.integration, _month(request.POST.get("month", ""))))

    def _create(
        self, request: HttpRequest, integration: Integration, document: ReconciliationDocument, here: str
    ) -> HttpResponse:
        """Plan the invoice of one won record; the plan is shown and goes out only when a person approves it there."""
        flow = month_end.maker_of(integration, document.object)
        if flow is None or not document.sold:
            messages.error(request, _("No flow that is switched on makes documents of this record."))
            return HttpResponseRedirect(here)
        name = request.user.get_username()
        change = interactive.look(flow, document.record_id, actor=name, user=request.user)
        messages.success(request, _("The invoice is being planned. Look through it here; nothing is written yet."))
        return HttpResponseRedirect(show.page_url(change))

    def _book(
        self, request: HttpRequest, integration: Integration, document: ReconciliationDocument, here: str
    ) -> HttpResponse:
        if not confirmed(request):
            sentences = [
                _("Document %(number)s in %(company)s: %(amount)s.")
                % {
                    "number": document.number, "company": integration.ledger_account,
                    "amount": money(document.gross, document.currency),
                },
                _("Its totals are compared once more first. What is booked cannot be edited any more."),
            ]  # fmt: skip
            title, button = _("Book the document?"), _("Book it")
            return ask(request, self.site, Question(title=title, sentences=sentences, button=button, cancel_url=here))
        try:
            month_end.book(document, integration, request.user)
            messages.success(request, _("It is compared and booked now. Compare both sides again to see it here."))
        except ValidationError as refused:
            messages.error(request, " ".join(refused.messages))
        return HttpResponseRedirect(here)

    def _posted(self, request: HttpRequest, permission: str) -> tuple[Integration, date]:
        integration = own_integration(request, request.POST.get("integration", ""))
        self._right(request, permission, integration)
        return integration, _month(request.POST.get("month", ""))

    @staticmethod
    def _right(request: HttpRequest, permission: str, row: Any) -> None:
        if not request.user.has_perm(permission, row):
            raise PermissionDenied


def _month(given: str) -> date:
    """The month of the address, as its first day; the previous one unless given. 404 for what is none."""
    if not given:
        return (timezone.localdate().replace(day=1) - timedelta(days=1)).replace(day=1)
    try:
        return date.fromisoformat(f"{given}-01")
    except ValueError:
        raise Http404 from None
