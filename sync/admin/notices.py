"""What is wrong and what was: the notices of the person's organizations, newest first, with the way to each.

The invariant: the page costs a constant number of queries and writes nothing; setting work going again asks once.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from integrations.models import Organization
from sync.admin import notice_settings, show
from sync.admin.base import Question, ask, confirmed
from sync.admin.review_filters import Filter
from sync.models import Notice
from sync.notices.kinds import KINDS, Group
from sync.notices.requeue import possible, requeue
from sync.notices.words import words

PAGE = 50


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)
    return [
        path("notices/", site.admin_view(require_GET(pages.listed)), name="notices"),
        path("notices/<int:pk>/again/", site.admin_view(require_POST(pages.again)), name="notices_again"),
        *notice_settings.urls(site),
    ]


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def listed(self, request: HttpRequest) -> HttpResponse:
        """Open ones, or those that healed; filtered by kind, group and organization."""
        if not request.user.has_perm("sync.view_notice"):
            raise PermissionDenied
        organizations = list(Organization.objects.for_user(request.user).values_list("pk", "name").order_by("name"))
        chosen = _chosen(request, {str(pk) for pk, _name in organizations})
        past = chosen["state"] == "past"
        rows = Notice.objects.for_user(request.user).select_related("organization", "integration")
        rows = rows.filter(healed_at__isnull=False) if past else rows.open()
        if chosen["kind"]:
            rows = rows.filter(kind=chosen["kind"])
        if chosen["group"]:
            rows = rows.filter(kind__in=[name for name, kind in KINDS.items() if kind.group == chosen["group"]])
        if chosen["organization"]:
            rows = rows.filter(organization=int(chosen["organization"]))
        after = request.GET.get("after", "")
        if after.isdecimal() and len(after) <= 18:
            rows = rows.filter(pk__lt=int(after))
        found = list(rows.filter(kind__in=KINDS).order_by("-pk")[: PAGE + 1])
        kept = {name: value for name, value in chosen.items() if value}
        filtered = {name: value for name, value in kept.items() if name != "state"}
        last = found[PAGE - 1].pk if len(found) > PAGE else None
        context = self.site.each_context(request) | {
            "title": _("Notices"),
            "tabs": _tabs(past, filtered),
            "filters": _filters(chosen, organizations),
            "filtered": bool(filtered),
            "clear_url": "?state=past" if past else "?",
            "past": past,
            "rows": [_row(notice, request.user) for notice in found[:PAGE]],
            "older_url": f"?{urlencode(kept | {'after': last})}" if last else "",
            "settings_url": reverse("admin:notices_settings"),
        }
        return TemplateResponse(request, "sync/notices.html", context)

    def again(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Set going again what the notice is about, after asking."""
        notice = Notice.objects.for_user(request.user).select_related("organization", "integration").filter(pk=pk)
        row = notice.first()
        if row is None:
            raise Http404
        if row.organization_id is None or not request.user.has_perm("sync.requeue_notice", row):
            raise PermissionDenied
        back = reverse("admin:notices")
        if not possible(row):
            messages.info(request, _("It goes on already: there is nothing to set going."))
            return HttpResponseRedirect(back)
        if not confirmed(request):
            told = words(row)
            safe = _("Nothing is sent from here; it counts as an attempt.")
            how = _("A run continues at its last stored page; a write is searched for at the remote first.")
            question = Question(
                title=_("Set it going again?"), sentences=[f"{told.whose}: {told.cause}", how, safe],
                button=_("Set it going again"), cancel_url=back,
            )  # fmt: skip
            return ask(request, self.site, question)
        n = requeue(row, request.user)
        if n:
            text = ngettext("%(n)s is due again; the workers take it within a minute.",
                            "%(n)s are due again; the workers take them within a minute.", n)  # fmt: skip
            messages.success(request, text % {"n": show.number(n)})
        else:
            messages.info(request, _("It goes on already: there is nothing to set going."))
        return HttpResponseRedirect(back)


def _chosen(request: HttpRequest, own: set[str]) -> dict[str, str]:
    chosen = {name: request.GET.get(name, "") for name in ("state", "kind", "group", "organization")}
    allowed = {"state": {"", "past"}, "kind": {"", *KINDS}, "group": {"", *Group.values}, "organization": {"", *own}}
    if any(value not in allowed[name] for name, value in chosen.items()):
        raise Http404
    return chosen


def _tabs(past: bool, filtered: dict[str, str]) -> list[dict[str, Any]]:
    query = urlencode(filtered)
    return [
        {"name": _("Open"), "url": f"?{query}", "current": not past},
        {"name": _("Healed"), "url": f"?{urlencode(filtered | {'state': 'past'})}", "current": past},
    ]


def _filters(chosen: dict[str, str], organizations: list[tuple[int, str]]) -> list[Filter]:
    options = {
        "group": (_("Subject"), [(str(value), str(label)) for value, label in Group.choices]),
        "kind": (_("Kind"), sorted(((name, str(kind.headline)) for name, kind in KINDS.items()), key=lambda x: x[1])),
        "organization": (_("Organization"), [(str(pk), name) for pk, name in organizations]),
    }
    if len(organizations) < 2:
        del options["organization"]
    return [
        Filter(name, title, rows, chosen[name], urlencode({k: v for k, v in chosen.items() if v and k != name}))
        for name, (title, rows) in options.items()
    ]


def _row(notice: Notice, user: Any) -> dict[str, Any]:
    told = words(notice)
    may = possible(notice) and notice.organization_id is not None and user.has_perm("sync.requeue_notice", notice)
    return {
        "status": show.status("off" if notice.healed_at else told.tone, told.headline),
        "cause": told.cause,
        "remedy": told.remedy,
        "whose": told.whose,
        "url": notice.url,
        "opened": show.when(notice.opened_at),
        "age": show.duration((notice.healed_at or timezone.now()) - notice.opened_at),
        "healed": show.when(notice.healed_at) if notice.healed_at else "",
        "level": notice.get_level_display(),
        "again_url": reverse("admin:notices_again", args=[notice.pk]) if may else "",
    }
