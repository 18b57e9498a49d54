"""The review queue: what needs a person, in groups that one repair would release (S32, Q-06, I-05).

A group's page says cause, remedy and who, offers the matching repair, tells what releasing it would do, and releases
or dismisses it. The invariant: every page starts from the person's organizations and costs a constant number of
queries; a forecast writes nothing, and a release asks once.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations.catalogue import Entry
from integrations.errors import ErrorClass
from integrations.rights import allowed
from mappings import presets
from sync import repair, review
from sync.admin import review_filters, show
from sync.admin.base import Question, ask, confirmed, light_accounts
from sync.admin.review_filters import STUBS
from sync.admin.review_repairs import way
from sync.models import Change
from sync.review import Forecast, Group, Key
from sync.texts import in_this_language

PAGE = 50
ROWS = 100


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of the review queue inside the admin site."""
    pages = _Pages(site)
    return [
        path("review/", site.admin_view(pages.queue), name="review"),
        path("review/group/", site.admin_view(pages.group), name="review_group"),
        path("review/group/forecast/", site.admin_view(require_POST(pages.forecast)), name="review_forecast"),
        path("review/group/release/", site.admin_view(require_POST(pages.release)), name="review_release"),
        path("review/group/dismiss/", site.admin_view(require_POST(pages.dismiss)), name="review_dismiss"),
    ]


def group_url(name: str, key: Key) -> str:
    """The address of a group's page or action."""
    fingerprint, error_class, code = key
    return f"{reverse(f'admin:{name}')}?{urlencode({'group': fingerprint, 'class': error_class, 'code': code})}"


def what(change: Change, entry: Entry) -> str:
    """The cause in words: our own checks say it best themselves, a vendor's code says it in the catalogue."""
    if change.problems and not entry.system:
        return in_this_language(change.problems[0].get("message", {})) or entry.cause_text
    return entry.cause_text or change.error_message or change.error_code


def field_of(change: Change) -> str:
    """What people call the field that a failed check is about; the remote's own name where there is nothing better."""
    if not (change.error_field or change.error_value):
        return ""
    rule = str(change.problems[0].get("rule") or "") if change.problems else ""
    name = rule or change.error_field
    return presets.shown_object(name) if name == change.error_field else name


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    # --- the queue ------------------------------------------------------------------------------------------

    def queue(self, request: HttpRequest) -> HttpResponse:
        """All groups that pass the filters, oldest first."""
        _require(request, "sync.view_change")
        scope = review_filters.read(request)
        side = scope.chosen["responsible"]
        page = max(_whole(request, "p"), 1)
        found, total = review.groups(
            scope.changes(), scope.systems, responsible="" if side == STUBS else side, stubs=side == STUBS,
            offset=(page - 1) * PAGE, limit=PAGE,
        )  # fmt: skip
        chosen = urlencode({name: value for name, value in scope.chosen.items() if value})
        context = self.site.each_context(request) | {
            "title": _("Review"),
            "rows": [_row(group) for group in found],
            "total": show.number(total),
            "capped": total >= review.GROUPS,
            "filters": scope.filters,
            "filtered": bool(chosen),
            "previous_url": f"?{chosen}&p={page - 1}" if page > 1 else "",
            "next_url": f"?{chosen}&p={page + 1}" if total > page * PAGE else "",
        }
        return TemplateResponse(request, "admin/sync/review/list.html", context)

    # --- one group ------------------------------------------------------------------------------------------

    def group(self, request: HttpRequest, forecast: Forecast | None = None) -> HttpResponse:
        """Cause, remedy, who, repair; what a release would do; the records."""
        _require(request, "sync.view_change")
        key, rows = self._group(request)
        after = _whole(request, "after")
        total = rows.count()
        listed = rows.filter(pk__lt=after) if after else rows
        changes = list(
            listed.select_related("flow", "mapping_set", "assigned_to", *_ACCOUNTS)
            .defer("payload", "agreed", "diff", "candidates", "verifications", *light_accounts("integration"))
            .order_by("-pk")[:ROWS]
        )
        if not changes:
            messages.info(request, _("Nothing of this kind needs a person any more."))
            return HttpResponseRedirect(reverse("admin:review"))
        sample = changes[0]
        entry = review.explained(sample)
        context = self.site.each_context(request) | {
            "title": what(sample, entry),
            "sample": sample,
            "field": field_of(sample),
            "entry": entry,
            "remedy": _remedy(sample, entry),
            "way": way(sample, entry),
            "kind": ErrorClass(sample.error_class).label,
            "total": total,
            "total_text": show.number(total),
            "rows": [_record(change) for change in changes],
            "more_url": f"{group_url('review_group', key)}&after={changes[-1].pk}" if len(changes) == ROWS else "",
            "forecast": forecast,
            "sentence": _sentence(forecast) if forecast else "",
            "still": [
                (review.entry_of(review.systems_of(sample.flow), code).cause_text, code, show.number(n))
                for code, n in (forecast.still.most_common() if forecast else ())
            ],
            "forecast_url": group_url("review_forecast", key),
            "release_url": group_url("review_release", key),
            "dismiss_url": group_url("review_dismiss", key),
            "may_retry": request.user.has_perm("sync.retry_change", sample),
            "may_dismiss": request.user.has_perm("sync.dismiss_change", sample),
        }
        return TemplateResponse(request, "admin/sync/review/group.html", context)

    def forecast(self, request: HttpRequest) -> HttpResponse:
        """Plan the group again in memory, and show the page with the outcome. Writes nothing."""
        _key, rows = self._allowed(request, "sync.retry_change")
        return self.group(request, review.would_release(_plain(rows)))

    def release(self, request: HttpRequest) -> HttpResponse:
        """Retry the whole group, after asking."""
        key, rows = self._allowed(request, "sync.retry_change")
        if not confirmed(request):
            sentences = [_("Each is planned again from its record as it is now, and written if nothing is wrong.")]
            return self._ask(request, key, rows, sentences, verb="release")
        n = repair.retry(_plain(rows), request.user)
        text = ngettext("%(n)s change is tried again.", "%(n)s changes are tried again.", n)
        messages.success(request, text % {"n": show.number(n)})
        return HttpResponseRedirect(reverse("admin:review"))

    def dismiss(self, request: HttpRequest) -> HttpResponse:
        """Close the whole group without writing anything; asks the reason."""
        key, rows = self._allowed(request, "sync.dismiss_change")
        reason = request.POST.get("reason", "").strip()
        if not confirmed(request) or not reason:
            error = _("Give the reason.") if confirmed(request) else ""
            sentences = [_("Nothing is written. The reason is kept with your name.")]
            return self._ask(request, key, rows, sentences, verb="dismiss", error=error)
        n = repair.dismiss(_plain(rows), request.user, reason)
        text = ngettext("%(n)s change was dismissed.", "%(n)s changes were dismissed.", n)
        messages.success(request, text % {"n": show.number(n)})
        return HttpResponseRedirect(reverse("admin:review"))

    def _group(self, request: HttpRequest) -> tuple[Key, Any]:
        """The group that the address names, of the person's changes only."""
        key = (request.GET.get("group", ""), request.GET.get("class", ""), request.GET.get("code", ""))
        if key[1] not in ErrorClass.values or "\x00" in "".join(key):
            raise Http404
        return key, review.in_group(Change.objects.for_user(request.user), key)

    def _allowed(self, request: HttpRequest, permission: str) -> tuple[Key, Any]:
        """The group's changes in organizations where the person has the permission; 403 when there are none."""
        _require(request, permission)
        key, rows = self._group(request)
        mine = allowed(request.user, permission, rows)
        if not mine.exists() and rows.exists():
            raise PermissionDenied
        return key, mine

    def _ask(
        self, request: HttpRequest, key: Key, rows: Any, sentences: list[str], *, verb: str, error: str = ""
    ) -> HttpResponse:
        grouped = rows.order_by("integration__name").values_list("integration__name").annotate(n=Count("pk"))
        counts: list[tuple[str, int]] = list(grouped)
        total = sum(n for _name, n in counts)
        if not total:
            return self.group(request)
        if verb == "release":
            button = ngettext("Release %(n)s change", "Release %(n)s changes", total)
        else:
            button = ngettext("Dismiss %(n)s change", "Dismiss %(n)s changes", total)
        button %= {"n": show.number(total)}
        question = Question(
            title=_("%(what)s?") % {"what": button}, sentences=sentences, counts=counts, button=button,
            cancel_url=group_url("review_group", key), reason=verb == "dismiss", danger=verb == "dismiss", error=error,
        )  # fmt: skip
        return ask(request, self.site, question)


_ACCOUNTS = ("integration__organization", "integration__crm_account", "integration__ledger_account")


def _whole(request: HttpRequest, name: str) -> int:
    """A number of the address; 0 when it is none, or longer than any of ours."""
    given = request.GET.get(name, "")
    return int(given) if given.isdecimal() and len(given) <= 18 else 0


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _plain(rows: Any) -> Any:
    """The group as the engine locks it: plain rows, without joins."""
    return Change.objects.filter(pk__in=rows.order_by().values("pk"))


def _row(group: Group) -> dict[str, Any]:
    sample, entry = group.sample, group.entry
    return {
        "url": group_url("review_group", group.key),
        "what": what(sample, entry),
        "detail": sample.error_text if group.n == 1 and sample.error_text != what(sample, entry) else "",
        "field": field_of(sample),
        "value": sample.error_value,
        "known": entry.known,
        "code": group.key[2],
        "kind": ErrorClass(group.key[1]).label,
        "n": show.number(group.n),
        "oldest": show.when(group.oldest),
        "age": show.duration(timezone.now() - group.oldest),
        "records": [(show.page_url(c), c.source_title or c.source_id) for c in group.samples],
        "more": show.number(group.n - len(group.samples)) if group.n > len(group.samples) else "",
        "whose": sample.integration.name,
        "flow": sample.flow.title,
        "flows": group.flows,
        "responsible": entry.responsible.label,
        "repair": entry.matching_repair.label,
    }


def _record(change: Change) -> dict[str, Any]:
    return {
        "url": show.page_url(change),
        "title": change.source_title or change.source_id,
        "source": show.outside(change.source_url, change.source_id),
        "flow": change.flow.title,
        "whose": change.integration.name,
        "value": change.error_value,
        "message": change.error_text,
        "since": show.when(change.created_at),
        "assigned": change.assigned_to,
    }


def _remedy(change: Change, entry: Entry) -> str:
    if change.problems:
        text = in_this_language(change.problems[0].get("remedy", {}))
        if text:
            return text
    return entry.remedy_text


def _sentence(forecast: Forecast) -> str:
    """`This would release 37 of 41.`"""
    numbers = {
        "released": show.number(forecast.released), "looked": show.number(forecast.looked),
        "total": show.number(forecast.total),
    }  # fmt: skip
    if forecast.error is not None and not forecast.looked:
        return _("It could not be worked out now: %(error)s") % {"error": forecast.error.message}
    if forecast.complete:
        return _("This would release %(released)s of %(total)s.") % numbers
    return _("This would release %(released)s of the first %(looked)s (there are %(total)s).") % numbers
