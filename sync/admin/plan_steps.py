"""What people do with a plan: approve all, what they ticked or what a filter shows; give it up; stop it and go on.

Each asks once, and says how many records of which company. The invariant: nothing is approved twice or unseen: what
came after the question was asked is not part of the answer, and a plan that waits no longer is explained.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.models import Integration
from mappings.models import MappingSet
from sync import queue
from sync.admin import show, steps
from sync.admin.base import Question, ScopedAdmin, as_asked, ask, asked_about, confirmed
from sync.admin.plan_filters import PlanFilter
from sync.admin.plan_views import company
from sync.engine import approve, stops
from sync.models import Change, ChangeQuerySet, SyncRun
from sync.states import Action, State

Counts = Sequence[tuple[str, int]]
PLAN_MOVED = gettext_lazy("The plan has changed since you were asked. Nothing was approved: look through it again.")


def approve_plan(page: ScopedAdmin, request: HttpRequest, run: SyncRun) -> HttpResponse:
    """Ask, then approve all that the run holds. Both the flow's and the run's button end here."""
    back = HttpResponseRedirect(show.page_url(run))
    rows = Change.objects.filter(run=run, state=State.HELD)
    counts = _by_action(rows)
    if refusal := _refusal(run, counts):
        page.message_user(request, refusal, messages.WARNING)
        return back
    if not confirmed(request):
        return _ask_approval(page, request, run, counts, _about(run), asked_about(rows))
    try:
        with transaction.atomic():
            fresh = SyncRun.objects.select_for_update(of=("self",)).get(pk=run.pk)  # nothing joins while it is counted
            other = fresh.state == SyncRun.State.HELD and not as_asked(request, rows)
            done = not other and steps.approve_plan(run, request.user)
    except ValueError as error:
        page.message_user(request, str(error), messages.ERROR)
        return back
    if other:
        page.message_user(request, str(PLAN_MOVED), messages.WARNING)
        return back
    if done:
        _approved(page, request, sum(n for _label, n in counts))
    else:
        run.refresh_from_db()
        page.message_user(request, why_not_waiting(run), messages.WARNING)
    return back


def approve_some(page: ScopedAdmin, request: HttpRequest, run: SyncRun) -> HttpResponse:
    """Ask, then approve what was ticked, or what the filter of the address shows."""
    chosen = PlanFilter.read(request.GET)
    ticked = [value for value in request.POST.getlist("change") if value.isascii() and value.isdecimal()]
    by_filter = bool(chosen.values)
    back = HttpResponseRedirect(show.page_url(run) + (chosen.url() if by_filter else ""))
    rows = chosen.rows(run).filter(state=State.HELD)
    if not by_filter:
        rows = rows.filter(pk__in=ticked)
    upto = request.POST.get("upto", "")
    if upto.isascii() and upto.isdecimal() and len(upto) < 19:
        rows = rows.filter(pk__lte=int(upto))  # what was planned after the question is not part of the answer
    counts = _by_action(rows)
    if run.state != SyncRun.State.HELD or not counts:
        held = run.state == SyncRun.State.HELD
        text = _("Tick the changes that you want to approve.") if held and not by_filter else ""
        page.message_user(request, text or _refusal(run, counts), messages.WARNING)
        return back
    if refusal := _refusal(run, counts):
        page.message_user(request, refusal, messages.ERROR)
        return back
    if not confirmed(request):
        last = rows.aggregate(last=Max("pk"))["last"]
        fields = [("upto", str(last)), ("n", str(sum(n for _label, n in counts)))]
        fields += [] if by_filter else [("change", value) for value in ticked]
        about = [*_about(run)[:1], _("The others of this plan keep waiting."), *_about(run)[1:]]
        return _ask_approval(page, request, run, counts, about, fields)
    approved = steps.approve_selected(rows, request.user)
    _approved(page, request, approved)
    asked = request.POST.get("n", "")
    if asked.isdecimal() and len(asked) < 10 and int(asked) > approved:
        n = int(asked) - approved
        text = ngettext(
            "%(n)s of them was decided or planned anew meanwhile, and was left as it is.",
            "%(n)s of them were decided or planned anew meanwhile, and were left as they are.", n,
        )  # fmt: skip
        page.message_user(request, text % {"n": show.number(n)}, messages.WARNING)
    return back


def cancel_plan(page: ScopedAdmin, request: HttpRequest, run: SyncRun) -> HttpResponse:
    """Ask, then give the plan up, or what is left of a run that was stopped."""
    back = HttpResponseRedirect(show.page_url(run))
    rows = Change.objects.filter(run=run, state__in=[State.HELD, State.PLANNED, State.QUEUED])
    counts = _by_action(rows)
    total = sum(n for _label, n in counts)
    if run.state != SyncRun.State.HELD and run.stopped_at is None:
        page.message_user(request, why_not_waiting(run), messages.WARNING)
        return back
    if not confirmed(request):
        question = Question(
            title=ngettext("Cancel this plan of %(n)s change?", "Cancel this plan of %(n)s changes?", total)
            % {"n": show.number(total)},
            sentences=[
                _("Nothing is written to %(company)s.") % {"company": company(run)}
                if run.state != SyncRun.State.DELIVERING
                else _("What was sent to %(company)s stays; nothing more is written.") % {"company": company(run)},
                _("The flow's next run reads everything again and makes a new plan."),
            ],
            counts=counts,
            button=_("Cancel the plan"),
            cancel_url=show.page_url(run),
            danger=True,
            opts=run._meta,
        )
        return ask(request, page.admin_site, question)
    try:
        approve.cancel_plan(run, request.user)
    except ValueError as error:
        page.message_user(request, str(error), messages.ERROR)
        return back
    held = run.state == SyncRun.State.HELD
    text = _("The plan was cancelled. Nothing was written.") if held else _("Cancelled. Nothing more is written.")
    page.message_user(request, text, messages.SUCCESS)
    return back


def stop_run(page: ScopedAdmin, request: HttpRequest, run: SyncRun) -> HttpResponse:
    """Stop after what is under way."""
    if stops.stop(run, request.user):
        text = _("It stops after what is under way. Nothing is left half-done; press Resume to go on where it is.")
        page.message_user(request, text, messages.SUCCESS)
    else:
        page.message_user(request, _("It is not at work, or somebody stopped it already."), messages.WARNING)
    return HttpResponseRedirect(show.page_url(run))


def resume_run(page: ScopedAdmin, request: HttpRequest, run: SyncRun) -> HttpResponse:
    """Go on where it was stopped."""
    if stops.resume(run, request.user):
        queue.kick(queue.BULK)
        page.message_user(request, _("It goes on where it was stopped."), messages.SUCCESS)
    else:
        page.message_user(request, _("It is not stopped."), messages.WARNING)
    return HttpResponseRedirect(show.page_url(run))


# --- words -----------------------------------------------------------------------------------------------------


def why_not_waiting(run: SyncRun) -> str:
    """Why the plan cannot be approved, and what there is to do instead."""
    if run.stopped_at is not None:
        words = {"person": run.stopped_by or "?"}
        return _("%(person)s stopped this run. Press Resume first, or cancel what is left of it.") % words
    if run.approved_at is not None:
        words = {"person": run.approved_by or _("A command"), "when": show.said(run.approved_at)}
        return _("%(person)s approved this plan, %(when)s. Approving it again changes nothing.") % words
    sentences = {
        SyncRun.State.PLANNING: _("The plan is still being made. Wait until it is ready."),
        SyncRun.State.HELD: _("Nothing waits for approval."),
        SyncRun.State.CANCELLED: run.hold_text or _("This plan was cancelled. Plan the flow again."),
        SyncRun.State.FAILED: _("This run failed before its plan was ready. Plan the flow again."),
    }
    return str(sentences.get(SyncRun.State(run.state)) or _("Nothing waits for approval."))


def _refusal(run: SyncRun, counts: Counts) -> str:
    if run.state != SyncRun.State.HELD or not counts:
        return why_not_waiting(run)
    if run.integration.mode != Integration.Mode.LIVE:
        return _("The integration only observes: switch it to live before approving.")
    return ""


def _about(run: SyncRun) -> list[str]:
    """What approving means, before one does."""
    sentences = [
        _("They are written to %(company)s as soon as a worker is free.") % {"company": company(run)},
        _("What has changed at the source since the plan is read again first, and waits for you anew."),
    ]
    if run.flow.first_run_pending:
        sentences.append(_("This is the flow's first run. After it, the flow runs by itself."))
    if not run.flow.enabled:
        sentences.append(_("The flow is off: nothing is written until you switch it on."))
    if (newer := newer_mapping(run)) is not None:
        text = _("Version %(version)d of the mapping was published since. What it would write otherwise waits for you.")
        sentences.append(text % {"version": newer.version})
    return sentences


def newer_mapping(run: SyncRun) -> MappingSet | None:
    """The published mapping, when it is not the one that the plan was made with."""
    try:
        published = run.flow.mapping_set()
    except MappingSet.DoesNotExist:
        return None
    return published if run.mapping_set_id not in (None, published.pk) else None


def _ask_approval(
    page: ScopedAdmin, request: HttpRequest, run: SyncRun, counts: Counts, sentences: Sequence[str],
    fields: Sequence[tuple[str, str]] = (),
) -> HttpResponse:  # fmt: skip
    n = sum(n for _label, n in counts)
    title = ngettext("Approve %(n)s change in %(company)s?", "Approve %(n)s changes in %(company)s?", n)
    question = Question(
        title=title % {"n": show.number(n), "company": company(run)},
        sentences=sentences,
        counts=counts,
        button=ngettext("Approve %(n)s change", "Approve %(n)s changes", n) % {"n": show.number(n)},
        cancel_url=show.page_url(run),
        fields=fields,
        opts=run._meta,
    )
    return ask(request, page.admin_site, question)


def _approved(page: ScopedAdmin, request: HttpRequest, n: int) -> None:
    text = ngettext("%(n)s change was approved.", "%(n)s changes were approved.", n)
    page.message_user(request, text % {"n": show.number(n)}, messages.SUCCESS if n else messages.WARNING)


def _by_action(rows: ChangeQuerySet) -> Counts:
    found = dict(rows.order_by().values_list("action").annotate(n=Count("pk")))
    return [(str(label), found[name]) for name, label in Action.choices if name in found]
