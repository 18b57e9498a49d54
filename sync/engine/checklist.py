"""The checklist of a change: every precondition with its actual value and whether it holds, in every language.

A check is named, so that a card, a plan and a support page speak of the same thing; the failed ones are the problems
of the change. The invariant: all of them are evaluated, never only up to the first that fails (Q-13, Q-14).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mappings.compiled import Checked
from sync.texts import in_every_language


def row(
    code: str,
    label: object,
    *,
    ok: bool,
    actual: str = "",
    message: object = "",
    remedy: object = "",
    repair: str = "",
    value: str = "",
    lines: Sequence[int] = (),
    choices: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """One check as it is stored with a change. `repair` names what the card may offer, `value` what it is about."""
    return {
        "code": code,
        "label": in_every_language(label),
        "ok": ok,
        "actual": str(actual)[:500],
        "message": in_every_language(message),
        "remedy": in_every_language(remedy),
        "repair": "" if ok else repair,
        "value": value,
        "lines": list(lines),
        "choices": list(choices),
    }


def of_mapping(checks: Sequence[Checked]) -> list[dict[str, Any]]:
    """The checks that the mapping itself made."""
    return [
        row(
            check.code,
            check.label,
            ok=check.ok,
            actual=check.actual,
            message="" if check.ok else check.message,
            remedy="" if check.ok else check.remedy,
            repair=check.repair,
            lines=check.lines,
        )
        for check in checks
    ]
