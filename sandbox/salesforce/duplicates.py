"""Duplicate rules: alert rules give way to a header, block rules never do.

Salesforce REST guide: ``Sforce-Duplicate-Rule-Header: allowSave=true``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import errors
from .options import DuplicateRule
from .render import attributes
from .write import Write

HEADER = "sforce-duplicate-rule-header"


def allow_save(headers: Mapping[str, str]) -> bool:
    """Whether the caller lets alert rules pass."""
    text = next((value for name, value in headers.items() if name.lower() == HEADER), "")
    options = dict(part.strip().split("=", 1) for part in text.replace(";", ",").split(",") if "=" in part)
    return options.get("allowSave", "").strip().lower() == "true"


def check(write: Write) -> None:
    """DUPLICATES_DETECTED when a rule of the customer finds a record like this one."""
    for rule in write.org.rules.duplicates:
        if rule.object.lower() != write.definition.name.lower() or write.user_id is None:
            continue
        if ("create" if write.creating else "update") not in rule.on:
            continue
        if rule.action == "alert" and allow_save(write.headers):
            continue
        matches = _matches(write, rule)
        if matches:
            raise _refusal(write, rule, matches)


def _matches(write: Write, rule: DuplicateRule) -> list[str]:
    names = [field.name for name in rule.fields if (field := write.definition.field(name)) is not None]
    if not names or (not write.creating and not any(write.changed(name) for name in names)):
        return []
    wanted = {name: write.get(name) for name in names}
    if any(value is None for value in wanted.values()):
        return []
    table = write.org.table(write.definition.name)
    table.index(names[0])
    found = table.holders(names[0], wanted[names[0]])
    own = None if write.row is None else write.row.id
    return [
        record_id
        for record_id in found
        if record_id != own
        and all(_same(table.rows[record_id].values.get(name), value) for name, value in wanted.items())
    ]


def _same(left: Any, right: Any) -> bool:
    return str(left).casefold() == str(right).casefold()


def _refusal(write: Write, rule: DuplicateRule, matches: list[str]) -> errors.SfError:
    name = write.definition.name
    records = [
        {
            "additionalInformation": [],
            "fieldDiffs": [],
            "matchConfidence": 100.0,
            "record": {"attributes": attributes(name, record_id), "Id": record_id},
        }
        for record_id in matches
    ]
    result = {
        "allowSave": rule.action == "alert",
        "duplicateRule": rule.name,
        "duplicateRuleEntityType": name,
        "errorMessage": rule.message,
        "matchResults": [
            {
                "entityType": name,
                "errors": [],
                "matchEngine": "FuzzyMatchEngine",
                "matchRecords": records,
                "rule": rule.match_rule,
                "size": len(matches),
                "success": True,
            }
        ],
    }
    return errors.SfError(400, "DUPLICATES_DETECTED", rule.message, extra={"duplicateResult": result})
