"""What supervisors ask: does the process answer, can it work, do the workers live.

The invariant: no answer says anything but the name of what is wrong; whoever asks need not be signed in.
"""

from __future__ import annotations

from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from integrations.fields import DecryptionError, decrypt, encrypt
from sync.models import WorkerHeartbeat

SILENT_AFTER = timedelta(minutes=3)
_migrated = False


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when requests can be served: the database answers, its tables are as the code needs them, and what is
    encrypted can be read; else 503 and which of these is not so."""
    problem = _problem()
    return HttpResponse(problem or "ok", status=503 if problem else 200, content_type="text/plain")


@require_safe
def worker(request: HttpRequest, queue: str) -> HttpResponse:
    """200 while the workers of `queue` (or the watchdog) gave a sign of life in the last three minutes, else 503; 404
    for a queue that nobody ever worked for."""
    try:
        at = WorkerHeartbeat.objects.filter(queue=queue).values_list("at", flat=True).first()
    except DatabaseError:
        return HttpResponse("database", status=503, content_type="text/plain")
    if at is None:
        return HttpResponse("unknown", status=404, content_type="text/plain")
    silent = timezone.now() - at > SILENT_AFTER
    return HttpResponse("silent" if silent else "ok", status=503 if silent else 200, content_type="text/plain")


def _problem() -> str:
    global _migrated
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _migrated:  # once true it stays so for this code
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                return "migrations"
            _migrated = True
    except DatabaseError:
        return "database"
    try:
        if decrypt(encrypt("ready", "readyz"), "readyz") != "ready":
            return "keys"
    except (DecryptionError, ImproperlyConfigured):
        return "keys"
    return ""
