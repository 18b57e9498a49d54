"""The plan as a spreadsheet: what the filter shows, one line per field that changes, streamed.

The invariant: the same rows as on the page, of the one run; no cell of it runs as a formula (`integrations.sheets`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext as _

from integrations.sheets import download
from mappings.models import MappingSet
from sync.admin import show
from sync.admin.discreet import hidden
from sync.admin.plan_filters import PlanFilter
from sync.engine.conflicts import rule_name
from sync.models import Change, SyncRun
from sync.values import load


def export(request: HttpRequest, run: SyncRun) -> StreamingHttpResponse:
    """The filtered plan of `run`, which the person may see."""
    header = [
        _("Record"), _("Source id"), _("Action"), _("State"), _("Field"), _("Field name"), _("Before"), _("After"),
        _("Amount"), _("Currency"), _("Why"), _("Matched by"), _("Likeness"), _("Mapping version"), _("Target"),
        _("Target id"), _("Source link"), _("Target link"),
    ]  # fmt: skip
    labels = show.labels_of(run.integration.account(run.flow.target_side).schemas, run.flow.target_object)
    rows = PlanFilter.read(request.GET).rows(run).order_by("pk").defer("payload", "agreed", "candidates", "checks")
    return download(f"plan-{run.pk}.csv", header, _lines(rows.iterator(chunk_size=1_000), labels))


def _lines(changes: Iterator[Change], labels: Mapping[str, str]) -> Iterator[list[Any]]:
    versions: dict[int | None, int | str] = {None: ""}
    for change in changes:
        key = change.mapping_set_id
        if key is not None and key not in versions:
            versions[key] = MappingSet.objects.filter(pk=key).values_list("version", flat=True).first() or ""
        start = [change.source_title or change.source_id, change.source_id, change.get_action_display()]
        start.append(change.get_state_display())
        end = [
            change.amount, change.currency, change.reason_text or change.error_message,
            str(rule_name(change.match_rule)), change.score, versions[change.mapping_set_id], change.target_title,
            change.target_id, change.source_url, change.target_url,
        ]  # fmt: skip
        for row in change.diff or [{}]:
            name = str(row.get("field", ""))
            before, after = _plain(row.get("before"), name), _plain(row.get("after"), name)
            if note := hidden(row.get("before"), row.get("after"), name):
                after = f"{after} ({note})"
            yield [*start, labels.get(name) or name, name, before, after, *end]


def _plain(data: Any, field: str) -> Any:
    if isinstance(data, dict) and "$" in data:
        return load(data)
    return show.text(data, field)
