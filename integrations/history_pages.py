"""The page that says who changed a setting, from what to what: of one row, and of the rows that are part of it.

The invariants: whoever may look at the row may look at its history, and nobody else; the page costs the same number of
queries for one change as for a hundred.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.audit import ConfigHistory

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = object

SHOWN = 100
LONG = 80
NAMES = ("label", "name", "target_field", "source_value", "subset", "host")
"""What people call a row, where it has one of these."""

_parts: dict[str, list[tuple[Any, str]]] = {}


def part_of(whole: str, part: Any, column: str) -> None:
    """The history of `part` rows stands on the page of the `whole` ("app.model") that their `column` points to."""
    if (part, column) not in _parts.setdefault(whole, []):
        _parts[whole].append((part, column))


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting, before and after, in words; `long` texts fold."""

    label: str
    before: str
    after: str

    @property
    def long(self) -> bool:
        """Whether either is more than a line."""
        return max(len(self.before), len(self.after)) > LONG or "\n" in self.before + self.after


@dataclass(frozen=True, slots=True)
class Entry:
    """One change: when, who, of what, and what differs."""

    at: datetime
    who: str
    what: str
    verb: str
    reason: str
    differences: Sequence[Difference]


def entries(row: Any, before: int = 0, skip: Collection[str] = ()) -> tuple[list[Entry], bool]:
    """The changes of `row` and of its parts, newest first, and whether there are older ones on the next page."""
    kinds = [(type(row), type(row)._meta.pk.attname), *_parts.get(type(row)._meta.label_lower, ())]
    found: list[tuple[Any, Any, Any]] = []
    for model, column in kinds:
        found += [(model, *pair) for pair in _pairs(model, column, row.pk, before + SHOWN + 1)]
    found.sort(key=lambda each: (each[1].history_date, each[1].history_id), reverse=True)
    page = found[before : before + SHOWN]
    words = _Words((model, version) for model, now, old in page for version in (now, old) if version is not None)
    made = [_entry(words, model, now, old, whole=model is type(row)) for model, now, old in page]
    return made, len(found) > before + SHOWN


def _pairs(model: Any, column: str, key: Any, limit: int) -> list[tuple[Any, Any]]:
    """The newest versions with what each was before: (version, the one before or None)."""
    history: ConfigHistory = model._config_history
    manager = getattr(model, history.manager_name).model._default_manager
    name = model._meta.pk.attname
    rows = list(manager.filter(**{column: key}).select_related("history_user").order_by("-history_id")[:limit])
    older: dict[Any, Any] = {}
    pairs = []
    for row in reversed(rows):
        pairs.append((row, older.get(getattr(row, name))))
        older[getattr(row, name)] = row
    lacking = [getattr(row, name) for row, old in pairs if old is None and row.history_type != "+"]
    if lacking:
        oldest = min(row.history_id for row in rows)
        past = manager.filter(**{f"{name}__in": lacking}, history_id__lt=oldest)
        newest = past.order_by().values(name).annotate(at=Max("history_id")).values("at")
        known = {getattr(row, name): row for row in manager.filter(history_id__in=newest)}
        pairs = [(row, known.get(getattr(row, name)) if old is None else old) for row, old in pairs]
    return pairs


VERBS = {"+": gettext_lazy("added"), "~": gettext_lazy("changed"), "-": gettext_lazy("removed")}


def _entry(words: _Words, model: Any, now: Any, old: Any, *, whole: bool) -> Entry:
    changed = now.history_type == "~" and old is not None
    fields = model._config_history.settings_of(model) if changed else []
    differences = [
        difference
        for field in fields
        if getattr(now, field.attname) != getattr(old, field.attname)
        for difference in words.differences(field, getattr(old, field.attname), getattr(now, field.attname))
    ]
    kind = str(model._meta.verbose_name)
    return Entry(
        at=now.history_date,
        who=_who(now),
        what="" if whole else f"{kind[:1].upper()}{kind[1:]} {words.title(model, now)}".strip(),
        verb=str(VERBS[now.history_type]),
        reason=now.history_change_reason or "",
        differences=differences,
    )


def _who(version: Any) -> str:
    user = version.history_user
    return str(user.get_full_name() or user.get_username()) if user is not None else _("Ledgerbridge")


class _Words:
    """Values in words. What rows point to is read once per kind, whatever their number."""

    def __init__(self, versions: Iterable[tuple[Any, Any]]) -> None:
        wanted: dict[Any, set[Any]] = {}
        for model, version in versions:
            for field in model._config_history.settings_of(model):
                if field.is_relation and getattr(version, field.attname) is not None:
                    wanted.setdefault(field.related_model, set()).add(getattr(version, field.attname))
        self.related: Mapping[Any, Mapping[Any, Any]] = {
            model: self._light(model).in_bulk(keys) for model, keys in wanted.items()
        }

    @staticmethod
    def _light(model: Any) -> Any:
        heavy = [field.name for field in model._meta.fields if isinstance(field, models.JSONField)]
        return model._base_manager.defer(*heavy)

    def title(self, model: Any, version: Any) -> str:
        """What people call a row: its name, else the person or place it belongs to."""
        for name in NAMES:
            if getattr(version, name, ""):
                return f"“{getattr(version, name)}”"
        user = getattr(version, "user_id", None)
        found = next((rows.get(user) for rows in self.related.values() if user in rows), None) if user else None
        return str(found) if found is not None else ""

    def differences(self, field: Any, before: Any, after: Any) -> list[Difference]:
        """One difference; of a group of settings one for each that differs."""
        label = str(field.verbose_name)
        label = label[:1].upper() + label[1:]
        if isinstance(before, dict) and isinstance(after, dict):
            names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
            return [Difference(f"{label} · {name}", _text(before.get(name)), _text(after.get(name))) for name in names]
        return [Difference(label, self._value(field, before), self._value(field, after))]

    def _value(self, field: Any, value: Any) -> str:
        if field.is_relation and value is not None:
            found = self.related.get(field.related_model, {}).get(value)
            return str(found) if found is not None else _("number %(key)s, which is gone") % {"key": value}
        choices = dict(field.flatchoices)
        return str(choices[value]) if value in choices else _text(value)


def _text(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, datetime):
        return formats.date_format(timezone.localtime(value), "DATETIME_FORMAT")
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, default=str) if value else ""
    return str(value)


class HistoryPage(_ModelAdmin):
    """Mixin: the history page of a row whose model has a `ConfigHistory`, for everybody who may look at the row."""

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """The button that leads there is for readers, too."""
        return super().render_change_form(request, context | {"has_config_history": True}, *args, **kwargs)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Field by field, newest first; 404 for rows of others."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        given = request.GET.get("after", "")
        start = int(given) if given.isdecimal() and len(given) <= 5 else 0
        found, more = entries(row, start)
        context = self.admin_site.each_context(request) | {
            "title": _("History of %(row)s") % {"row": row},
            "opts": self.opts,
            "object": row,
            "entries": found,
            "newer": start > 0,
            "older": start + SHOWN if more else 0,
        }
        return TemplateResponse(request, "integrations/history.html", context | (extra_context or {}))
