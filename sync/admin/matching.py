"""The match wizard: which records are the same, bucket by bucket, before anything is written.

Every decision goes to `sync.matching`, which stores it with the person's name and has the engine plan the record again.
The invariant: nothing is decided on GET, for records of other organizations, or without the right to; lists and
counts make no remote call, and a search makes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations.rights import require
from sync import matching
from sync.admin import match_rows, show
from sync.admin.base import Question, ask, confirmed, light_accounts
from sync.admin.match_rows import AMBIGUOUS, BUCKETS, DECIDED, IGNORED, PAGE, SUGGESTED
from sync.admin.plan_views import company
from sync.matching import Kind, Outcome, Pick
from sync.models import Change, ChangeQuerySet, SyncRun

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.urls import URLPattern

RIGHT = "sync.match_record"
AT_MOST = 5_000
"""Suggestions that one press accepts; the rest stays for the next."""
SHOWN = 5


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    from sync.admin.match_pick import PickPages

    pages, picks = MatchPages(site), PickPages(site)
    return [
        path("match/<int:pk>/", site.admin_view(pages.wizard), name="match"),
        path("match/<int:pk>/decide/", site.admin_view(require_POST(pages.decide)), name="match_decide"),
        path("match/<int:pk>/accept-all/", site.admin_view(require_POST(pages.accept_all)), name="match_accept_all"),
        path("match/<int:pk>/take-back/", site.admin_view(require_POST(pages.take_back)), name="match_take_back"),
        path("match/<int:pk>/pick/", site.admin_view(picks.pick), name="match_pick"),
        path("match/<int:pk>/link/", site.admin_view(require_POST(picks.link)), name="match_link"),
    ]


def run_of(request: HttpRequest, pk: int, permission: str) -> SyncRun:
    """The run with its flow and both accounts; 404 for one of others, 403 without the right."""
    runs = SyncRun.objects.for_user(request.user).select_related(
        "flow", "integration__organization", "integration__crm_account", "integration__ledger_account", "mapping_set"
    )
    secrets = [name for name in light_accounts("integration") if not name.endswith("schemas")]
    run: SyncRun | None = runs.defer(*secrets).filter(pk=pk).first()
    if run is None:
        raise Http404
    run.flow.integration = run.integration
    require(request.user, permission, run)
    return run


def whole(text: str) -> int:
    """A number of the address; 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def tell(request: HttpRequest, outcome: Outcome) -> None:
    """What was stored, and what was refused and why."""
    if outcome.done:
        text = ngettext(
            "%(n)s decision is stored. The record is planned again in a moment.",
            "%(n)s decisions are stored. The records are planned again in a moment.", outcome.done,
        )  # fmt: skip
        messages.success(request, text % {"n": show.number(outcome.done)})
    for sentence in outcome.refused[:SHOWN]:
        messages.error(request, sentence)
    if len(outcome.refused) > SHOWN:
        more = len(outcome.refused) - SHOWN
        text = ngettext("%(n)s more was refused.", "%(n)s more were refused.", more)
        messages.error(request, text % {"n": show.number(more)})


class MatchPages:
    """See the module's docstring."""

    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def wizard(self, request: HttpRequest, pk: int) -> HttpResponse:
        """One bucket of the flow's plan."""
        run = run_of(request, pk, "sync.view_change")
        counts = match_rows.counts_of(run.flow)
        bucket = request.GET.get("bucket") or next((name for name in BUCKETS[:4] if counts[name]), SUGGESTED)
        if bucket not in BUCKETS:
            raise Http404
        q, least = request.GET.get("q", "").replace("\x00", "").strip()[:200], _score(request.GET.get("least", ""))
        after = whole(request.GET.get("after", ""))
        labels = show.labels_of(run.integration.account(run.flow.target_side).schemas, run.flow.target_object)
        said = bucket in (DECIDED, IGNORED)
        rows = match_rows.decisions_of(run.flow, bucket, q) if said else match_rows.rows_of(run.flow, bucket, q, least)
        rows = rows.filter(pk__lt=after) if after and said else rows.filter(pk__gt=after)
        found = list(rows[: PAGE + 1] if said else rows.order_by("pk")[: PAGE + 1])
        page = found[:PAGE]
        chosen = {"bucket": bucket, "q": q, "least": str(least) if least else ""}
        chosen = {name: value for name, value in chosen.items() if value}
        source, target = (run.integration.account(side) for side in (run.flow.source_side, run.flow.target_side))
        context = self.site.each_context(request) | {
            "title": _("Which records are the same?"),
            "run": run,
            "run_url": show.page_url(run),
            "flow_url": show.page_url(run.flow),
            "company": company(run),
            "source_system": source.get_system_display(),
            "target_system": target.get_system_display(),
            "bucket": bucket,
            "bucket_label": match_rows.label_of(bucket),
            "means": match_rows.what_it_means(bucket),
            "tabs": match_rows.tabs(counts, bucket),
            "again": counts["again"],
            "again_text": show.number(counts["again"]),
            "stuck": counts["again"] and not run.flow.enabled,
            "records": [] if said else [match_rows.record(change, labels) for change in page],
            "decisions": [(row, show.when(row.at)) for row in page] if said else [],
            "count": counts[bucket],
            "q": q,
            "least": least,
            "query": f"?{urlencode(chosen)}",
            "next_url": f"?{urlencode(chosen | {'after': page[-1].pk})}" if len(found) > PAGE else "",
            "first_url": f"?{urlencode(chosen)}" if after else "",
            "may_decide": request.user.has_perm(RIGHT, run),
            "may_approve": request.user.has_perm("sync.approve_flow", run) and run.state == SyncRun.State.HELD,
        }
        return TemplateResponse(request, "sync/match.html", context)

    def decide(self, request: HttpRequest, pk: int) -> HttpResponse:
        """One record (`do` is `link:<change>:<target>` and the like), or all that are ticked (`do` is `link` …)."""
        run = run_of(request, pk, RIGHT)
        kind, _colon, rest = request.POST.get("do", "").partition(":")
        if kind not in Kind.values:
            raise Http404
        if rest:
            key, _colon, target = rest.partition(":")
            changes = self._open(run).filter(pk=whole(key))
            picks = list(_picks(changes, kind, {whole(key): target}))
        else:
            ticked = [whole(value) for value in request.POST.getlist("change")][:1_000]
            chosen = {key: request.POST.get(f"target-{key}", "") for key in ticked}
            picks = list(_picks(self._open(run).filter(pk__in=ticked), kind, chosen))
        if picks:
            tell(request, matching.decide(run.flow, picks, request.user))
        else:
            messages.warning(request, _("Tick the records that you want to decide, and choose a candidate for each."))
        return self._back(request, run)

    def accept_all(self, request: HttpRequest, pk: int) -> HttpResponse:
        """All suggestions of the filter whose best candidate is clearly the best, after asking."""
        run = run_of(request, pk, RIGHT)
        least, q = _score(request.POST.get("least", "")), request.GET.get("q", "").replace("\x00", "")[:200]
        bucket = request.GET.get("bucket", SUGGESTED)
        if bucket not in (SUGGESTED, AMBIGUOUS):
            raise Http404
        rows = match_rows.rows_of(run.flow, bucket, q, least).order_by("-score", "pk")[:AT_MOST]
        picks = list(_picks(rows, Kind.LINK, {}))
        if not picks:
            messages.warning(request, _("No record here has one candidate that is clearly the most alike."))
            return self._back(request, run)
        if not confirmed(request):
            title = ngettext("Accept %(n)s suggestion?", "Accept %(n)s suggestions?", len(picks))
            question = Question(
                title=title % {"n": show.number(len(picks))},
                sentences=[
                    _("Each is linked with the candidate that is the most alike, at least %(least)d of 100.")
                    % {"least": least},
                    _("They are planned again and wait in the plan. Nothing is written to %(company)s before approval.")
                    % {"company": company(run)},
                ],
                button=ngettext("Accept %(n)s suggestion", "Accept %(n)s suggestions", len(picks))
                % {"n": show.number(len(picks))},
                cancel_url=self._url(request, run),
                fields=[("least", str(least))],
                opts=SyncRun._meta,
            )
            return ask(request, self.site, question)
        tell(request, matching.decide(run.flow, picks, request.user))
        return self._back(request, run)

    def take_back(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Decisions that were ticked, or the one whose button was pressed, hold no longer."""
        run = run_of(request, pk, RIGHT)
        ids = [whole(value) for value in request.POST.getlist("decision")][:1_000]
        ids = [whole(request.POST["one"])] if "one" in request.POST else ids
        rows = match_rows.decisions_of(run.flow, DECIDED).filter(pk__in=ids) | match_rows.decisions_of(
            run.flow, IGNORED
        ).filter(pk__in=ids)
        done = matching.take_back(run.flow, list(rows), request.user, self._plan(run))
        if done:
            text = ngettext("%(n)s decision was taken back.", "%(n)s decisions were taken back.", done)
            messages.success(request, text % {"n": show.number(done)})
        else:
            messages.warning(
                request, _("Tick what you want to take back. What is taken back already is not in the list.")
            )
        return self._back(request, run)

    @staticmethod
    def _plan(run: SyncRun) -> SyncRun | None:
        """The plan that waits for the flow now, if any: what is planned again belongs to it."""
        held = SyncRun.objects.filter(flow=run.flow_id, state=SyncRun.State.HELD).order_by("-pk").first()
        return held

    @staticmethod
    def _open(run: SyncRun) -> ChangeQuerySet:
        rows: ChangeQuerySet = Change.objects.filter(flow=run.flow_id).defer("payload", "agreed", "verifications")
        return rows

    @staticmethod
    def _url(request: HttpRequest, run: SyncRun) -> str:
        names = ("bucket", "q", "least")
        chosen = {name: request.GET[name] for name in names if request.GET.get(name)}
        return f"{reverse('admin:match', args=[run.pk])}?{urlencode(chosen)}"

    def _back(self, request: HttpRequest, run: SyncRun) -> HttpResponse:
        return HttpResponseRedirect(self._url(request, run))


def _score(text: str) -> int:
    return min(whole(text), 100)


def _picks(changes: ChangeQuerySet, kind: str, targets: dict[int, str]) -> Iterator[Pick]:
    """What is decided about each: a link to the candidate that was chosen, else to the one that is clearly the best;
    what has none is left out."""
    for change in changes:
        if kind in (Kind.CREATE, Kind.IGNORE):
            yield Pick(change, kind)
            continue
        wanted = targets.get(change.pk, "")
        rows = {str(row.get("id")): row for row in change.candidates}
        if change.target_id:
            rows.setdefault(change.target_id, {"title": change.target_title, "score": change.score})
        row = rows.get(wanted or change.target_id) if wanted or change.target_id else match_rows.best_of(change)
        if row is not None:
            target = wanted or change.target_id or str(row.get("id"))
            yield Pick(change, kind, target, str(row.get("title") or target), row.get("score"))
