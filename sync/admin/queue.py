"""The queue, as one read-only page: signs of life, waiting kicks, the schedule row.

django-q's own pages are taken away: a schedule row can name any callable, and a task there can be sent again. The
invariant: nothing on this page can start anything.
"""

from __future__ import annotations

from typing import Any

import django_q.admin  # noqa: F401  (registers what is unregistered below)
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Min
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.models import Failure, OrmQ, Schedule, Success

from sync.admin import health, show
from sync.admin.base import ReadOnlyAdmin
from sync.models import Change, Flow, SyncRun, WorkerHeartbeat
from sync.states import State

admin.site.unregister([Schedule, Success, Failure, OrmQ])


@admin.register(WorkerHeartbeat)
class QueueAdmin(ReadOnlyAdmin):
    """The page stands where the list of heartbeats would be."""

    actions = None

    def get_queryset(self, request: HttpRequest) -> Any:
        """Heartbeats belong to nobody's organization."""
        return WorkerHeartbeat.objects.order_by("queue")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = timezone.now()
        waiting = OrmQ.objects.order_by("key").values("key").annotate(n=Count("pk"), since=Min("lock"))
        mine = Change.objects.for_user(request.user).filter(state=State.QUEUED, due_at__lte=now)
        context = self.admin_site.each_context(request) | {
            "title": _("Queue"),
            "opts": self.opts,
            "workers": health.workers(),
            "heartbeats": [
                {
                    "queue": beat.queue,
                    "status": self._status(beat, now),
                    "at": show.when(beat.at),
                    "ago": show.duration(now - beat.at),
                    "host": beat.host,
                    "pid": beat.pid,
                }
                for beat in self.get_queryset(request)
            ],
            "kicks": [{"queue": row["key"], "n": row["n"], "since": show.when(row["since"])} for row in waiting],
            "schedules": [
                {"name": row.name, "every": row.minutes, "next": show.when(row.next_run)}
                for row in Schedule.objects.order_by("name")
            ],
            "due_changes": show.count(mine.count(), show.rows_url(Change, state=State.QUEUED), "running"),
            "due_flows": Flow.objects.for_user(request.user).filter(enabled=True, next_run_at__lte=now).count(),
            "active_runs": SyncRun.objects.for_user(request.user).filter(state__in=SyncRun.ACTIVE).count(),
            "runs_url": show.rows_url(SyncRun),
        }
        return TemplateResponse(request, "sync/queue.html", context)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """One heartbeat has no page."""
        raise Http404

    @staticmethod
    def _status(beat: WorkerHeartbeat, now: Any) -> str:
        silent = now - beat.at > health.SILENT_AFTER
        return show.status("failed", _("Silent")) if silent else show.status("ok", _("Alive"))
