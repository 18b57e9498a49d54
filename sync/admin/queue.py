"""The queue, as one read-only page: signs of life, waiting kicks, the schedule row.

django-q's own pages are taken away: a schedule row can name any callable, and a task there can be sent again. The
invariant: nothing on this page can start anything.
"""

from __future__ import annotations

from typing import Any

import django_q.admin  # noqa: F401  (registers what is unregistered below)
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Min, Subquery, Sum, Value
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.models import Failure, OrmQ, Schedule, Success

from integrations.inbox_models import ListenerPulse, RefusedCall
from integrations.models import ConnectedAccount
from sync.admin import health, show
from sync.admin.base import ReadOnlyAdmin
from sync.models import Change, Flow, SyncRun, WorkerHeartbeat
from sync.states import State

admin.site.unregister([Schedule, Success, Failure, OrmQ])


@admin.register(WorkerHeartbeat)
class QueueAdmin(ReadOnlyAdmin):
    """The page stands where the list of heartbeats would be."""

    actions = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Heartbeats belong to no organization: whoever has the right anywhere."""
        return super().has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Heartbeats belong to nobody's organization."""
        return WorkerHeartbeat.objects.order_by("queue")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = timezone.now()
        waiting = OrmQ.objects.order_by("key").values("key").annotate(n=Count("pk"), since=Min("lock"))
        due = _due(request.user, now)
        beats = list(self.get_queryset(request))
        context = self.admin_site.each_context(request) | {
            "title": _("Queue"),
            "opts": self.opts,
            "workers": health.workers(beats),
            "heartbeats": [
                {
                    "queue": beat.queue,
                    "status": self._status(beat, now),
                    "at": show.when(beat.at),
                    "ago": show.duration(now - beat.at),
                    "host": beat.host,
                    "pid": beat.pid,
                }
                for beat in beats
            ],
            "listeners": [self._listener(row, now) for row in ListenerPulse.objects.order_by("system")],
            "refused": RefusedCall.objects.filter(day=now.date()).aggregate(n=Sum("count"))["n"] or 0,
            "refused_url": reverse("admin:integrations_refusedcall_changelist")
            if request.user.has_perm("integrations.view_refusedcall")
            else "",
            "kicks": [{"queue": row["key"], "n": row["n"], "since": show.when(row["since"])} for row in waiting],
            "schedules": [
                {"name": row.name, "every": row.minutes, "next": show.when(row.next_run)}
                for row in Schedule.objects.order_by("name")
            ],
            "due_changes": show.count(due["changes"], show.rows_url(Change, state=State.QUEUED), "running"),
            "due_flows": due["flows"],
            "active_runs": due["runs"],
            "runs_url": show.rows_url(SyncRun),
        }
        return TemplateResponse(request, "sync/queue.html", context)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """One heartbeat has no page."""
        raise Http404

    @staticmethod
    def _listener(pulse: ListenerPulse, now: Any) -> dict[str, Any]:
        """One listener: does it hear, and since when not."""
        silent = now - pulse.at > health.SILENT_AFTER
        status = show.status("failed", _("Silent")) if silent else show.status("ok", _("Listening"))
        if not silent and not pulse.connected:
            status = show.status("waiting", _("Not connected"))
        return {
            "system": ConnectedAccount(system=pulse.system).get_system_display(),
            "status": status,
            "at": show.when(pulse.at),
            "ago": show.duration(now - pulse.at),
            "accounts": len(pulse.accounts),
            "events": pulse.events,
            "detail": pulse.detail,
        }

    @staticmethod
    def _status(beat: WorkerHeartbeat, now: Any) -> str:
        silent = now - beat.at > health.SILENT_AFTER
        return show.status("failed", _("Silent")) if silent else show.status("ok", _("Alive"))


def _due(user: Any, now: Any) -> dict[str, int]:
    """How much of the person's waits to be done now, in one query: changes, flows, and runs at work."""

    def counted(rows: Any) -> Subquery:
        return Subquery(rows.order_by().values(one=Value(1)).annotate(n=Count("pk")).values("n"))

    found: dict[str, Any] = dict(
        ContentType.objects.order_by("pk")
        .values(
            changes=counted(Change.objects.for_user(user).filter(state=State.QUEUED, due_at__lte=now)),
            flows=counted(Flow.objects.for_user(user).filter(enabled=True, next_run_at__lte=now)),
            runs=counted(SyncRun.objects.for_user(user).filter(state__in=SyncRun.ACTIVE)),
        )[:1]
        .get()
    )
    return {name: n or 0 for name, n in found.items()}
