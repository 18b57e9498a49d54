"""Problems as they are stored with a change: in every language, and under one name for all that one repair releases."""

from __future__ import annotations

import hashlib
from typing import Any

from django.utils.translation import gettext_lazy as _

from integrations.errors import ErrorClass, SyncError
from mappings import presets
from mappings.mapper import Problem
from sync.models import Flow
from sync.texts import in_every_language, say

ALARMS = ("duplicate_documents", "document_unlinked")
"""What the search of the night tells a person: no look and no newer plan takes it away."""


def problem_row(problem: Problem) -> dict[str, Any]:
    """A failed check as stored with the change: message and remedy per language."""
    return {
        "code": problem.code,
        "rule": str(problem.rule),
        "field": problem.field,
        "value": str(problem.value),
        "message": in_every_language(problem.message),
        "remedy": in_every_language(problem.remedy),
        "class": str(problem.error_class),
    }


def problems_of(error: SyncError) -> list[dict[str, Any]]:
    """A remote's refusal as a failed check: its cause and remedy, where the vendor's error table knows them, beside the
    vendor's own words; empty where it does not."""
    cause, remedy = error.context.get("cause"), error.context.get("remedy")
    if not (cause and remedy):
        return []
    problem = Problem(
        code=error.code,
        rule="",
        field=error.field,
        value=error.value,
        message=say("{cause} “{message}”", cause=_(cause), message=error.message),
        remedy=say("{remedy}", remedy=_(remedy)),
        error_class=error.error_class,
    )
    return [problem_row(problem)]


def error_fingerprint(error_class: str, code: str, field_name: str, value: str) -> str:
    """One name for all failures that one repair would release: class, code, field and value."""
    text = "\x1f".join([str(error_class), code, field_name, value.strip().casefold()])
    return hashlib.sha256(text.encode()).hexdigest()


def option_key(object_name: str, field_name: str, value: str) -> str:
    """What a change waits for when a target field does not offer its value."""
    return f"option:{object_name}.{field_name}={value}"


def missing_link(name: str, key: str, slug: str, flow: Flow | None) -> Problem:
    """A related record that the flow `slug` has not brought over yet."""
    return Problem(
        code="not_imported",
        rule=name,
        field=name,
        value=key,
        message=say(
            _("{record} {key} has no counterpart yet."),
            record=(flow.source_object if flow else name).capitalize(),
            key=key,
        ),
        remedy=say(
            _("Approve or repair its change in the flow “{flow}”; this one then continues by itself."),
            flow=presets.shown_lazy(flow.name) if flow else slug,
        ),
        error_class=ErrorClass.DEPENDENCY,
    )
