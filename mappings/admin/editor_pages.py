"""What the editor's script asks for while somebody types: checks, pickers, a sample record, a fresh schema.

Every door wants the right to change this very draft, CSRF protection, a bounded body and a bounded rate. `check` and
`fields` compute from what is stored; `sample` and `schema` ask a remote because a person pressed a button, and only
through the provider of `mappings.samples`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from integrations.errors import SyncError
from mappings import editor, samples
from mappings.editor_check import check
from mappings.editor_rows import Finding, Row
from mappings.models import MappingSet

logger = logging.getLogger(__name__)

MAX_BODY = 400_000
MAX_ROWS = 300
MAX_TEXT = 4_000
CHECKS_PER_MINUTE = 240
ASKS_PER_MINUTE = 20
RECENT = 20

View = Callable[[HttpRequest, MappingSet], HttpResponse]


def urls(model_admin: ModelAdmin[MappingSet]) -> list[URLPattern]:
    """The addresses below a mapping set; named `mappings_mappingset_editor_<name>`."""
    views: Mapping[str, tuple[View, Callable[..., Any]]] = {
        "check": (_check, require_POST),
        "fields": (_pickers, require_GET),
        "sample": (_sample, require_POST),
        "recent": (_recent, require_POST),
        "schema": (_schema, require_POST),
    }
    return [
        path(
            f"<path:object_id>/editor/{name}/",
            model_admin.admin_site.admin_view(method(_door(model_admin, view))),
            name=f"mappings_mappingset_editor_{name}",
        )
        for name, (view, method) in views.items()
    ]


def _door(model_admin: ModelAdmin[MappingSet], view: View) -> Callable[..., HttpResponse]:
    def opened(request: HttpRequest, object_id: str) -> HttpResponse:
        mapping_set = model_admin.get_object(request, object_id)
        if mapping_set is None:
            raise Http404
        if not model_admin.has_change_permission(request, mapping_set):
            raise PermissionDenied
        return view(request, mapping_set)

    return opened


def too_often(request: HttpRequest, what: str, limit: int) -> JsonResponse | None:
    """An answer when this person asked more than `limit` times in this minute (counted per process)."""
    key = f"editor:{what}:{request.user.pk}:{int(time.time() // 60)}"
    cache.add(key, 0, 120)
    try:
        count = cache.incr(key)
    except ValueError:  # it expired in between
        count = 1
    if count <= limit:
        return None
    return JsonResponse({"error": _("Too many requests. Wait a minute.")}, status=429)


def _body(request: HttpRequest) -> dict[str, Any] | None:
    """The posted object; None when it is none, or too large."""
    try:
        if int(request.headers.get("Content-Length") or 0) > MAX_BODY:
            return None
        data = json.loads(request.body)
    except (ValueError, RecursionError, OSError):
        return None
    return data if isinstance(data, dict) else None


def _refused(status: int = 400) -> JsonResponse:
    return JsonResponse({"error": _("This request cannot be read.")}, status=status)


# --- checks ---------------------------------------------------------------------------------------------------------


def _check(request: HttpRequest, mapping_set: MappingSet) -> HttpResponse:
    if (refusal := too_often(request, "check", CHECKS_PER_MINUTE)) is not None:
        return refusal
    data = _body(request)
    rows = data.get("rows") if data is not None else None
    if not isinstance(rows, list) or len(rows) > MAX_ROWS or not all(isinstance(row, dict) for row in rows):
        return _refused()
    sample = editor.kept(request.user, mapping_set)
    answers, general = check([_row(row) for row in rows], editor.world_of(mapping_set), sample)
    return JsonResponse(
        {
            "rows": [
                {
                    "key": answer.key, "value": answer.value, "failed": answer.failed, "remedy": answer.remedy,
                    "findings": [_finding(found) for found in answer.findings],
                }
                for answer in answers
            ],
            "general": [_finding(found) for found in general],
            "sample": sample.id if sample else None,
        }
    )  # fmt: skip


def _row(data: Mapping[str, Any]) -> Row:
    def text(name: str, limit: int = MAX_TEXT) -> str:
        value = data.get(name)
        return value[:limit] if isinstance(value, str) else ""

    return Row(
        key=text("key", 100), expression=text("expression"), target=text("target", 100).strip(),
        scope="line" if data.get("scope") == "line" else "header", value_map=text("value_map", 80),
        required=data.get("required") is True, label=text("label", 120),
    )  # fmt: skip


def _finding(found: Finding) -> dict[str, Any]:
    return {**asdict(found), "message": str(found.message), "remedy": str(found.remedy)}


# --- pickers and samples ----------------------------------------------------------------------------------------------


def _pickers(request: HttpRequest, mapping_set: MappingSet) -> HttpResponse:
    return JsonResponse(editor.pickers(mapping_set, editor.kept(request.user, mapping_set)))


def _asked(request: HttpRequest) -> tuple[samples.Provider | None, HttpResponse | None]:
    refusal = too_often(request, "ask", ASKS_PER_MINUTE)
    provider = samples.provider()
    if refusal is None and provider is None:
        refusal = JsonResponse({"error": _("Sample records are not available here.")})
    return provider, refusal


def _recent(request: HttpRequest, mapping_set: MappingSet) -> HttpResponse:
    """The latest records, asked of the source when our own tables know none."""
    provider, refusal = _asked(request)
    if provider is None or refusal is not None:
        return refusal or _refused()
    try:
        found = provider.recent(mapping_set, RECENT, ask=True)
    except SyncError as error:
        return _said(error)
    return JsonResponse({"recent": [{"id": ref.id, "name": ref.name} for ref in found]})


def _sample(request: HttpRequest, mapping_set: MappingSet) -> HttpResponse:
    """Reads one record from the source, once, and keeps it for this person."""
    provider, refusal = _asked(request)
    if provider is None or refusal is not None:
        return refusal or _refused()
    data = _body(request) or {}
    record_id = data.get("id")
    if not isinstance(record_id, str) or not 0 < len(record_id.strip()) <= 100:
        return JsonResponse({"error": _("Give the id of a record.")})
    try:
        found = provider.load(mapping_set, [record_id.strip()])
    except SyncError as error:
        return _said(error)
    sample = found[0] if found else None
    if sample is None or sample.record is None:
        reason = sample.error if sample else ""
        message = _("The record %(id)s could not be read.") % {"id": record_id[:100]}
        return JsonResponse({"error": f"{message} {reason}".strip()})
    editor.keep(request.user, mapping_set, sample)
    return JsonResponse({"id": sample.id, "title": sample.record.title or sample.id})


def _schema(request: HttpRequest, mapping_set: MappingSet) -> HttpResponse:
    """Asks one side what its object looks like now, and answers with the pickers of that."""
    provider, refusal = _asked(request)
    if provider is None or refusal is not None:
        return refusal or _refused()
    side = (_body(request) or {}).get("side")
    if side not in ("source", "target"):
        return _refused()
    try:
        provider.describe(mapping_set, str(side))
    except SyncError as error:
        return _said(error)
    fresh = MappingSet.objects.select_related("integration__crm_account", "integration__ledger_account").get(
        pk=mapping_set.pk
    )
    at = editor.described_at(fresh, str(side))
    return JsonResponse(
        {
            "at": date_format(localtime(at), "DATETIME_FORMAT") if at else "",
            **editor.pickers(fresh, editor.kept(request.user, fresh)),
        }
    )


def _said(error: SyncError) -> JsonResponse:
    logger.info("editor: the remote refused", extra={"code": error.code})
    message = _("The other side did not answer as expected: %(message)s") % {"message": error.message}
    return JsonResponse({"error": message[:500]})
