"""``@{id.path}``: values that one part of a composite call takes from the answer to an earlier one. Case matters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .errors import SfError

REFERENCE = re.compile(r"@\{([A-Za-z0-9_]+)((?:\.[A-Za-z0-9_]+|\[\d+\])*)\}")
STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")


def used(value: Any) -> set[str]:
    """The reference ids that a url or body mentions."""
    if isinstance(value, str):
        return {found[1] for found in REFERENCE.finditer(value)}
    if isinstance(value, Mapping):
        return set().union(*(used(entry) for entry in value.values()))
    if isinstance(value, list):
        return set().union(*(used(entry) for entry in value))
    return set()


def fill(value: Any, answers: Mapping[str, Any]) -> Any:
    """The value with every reference replaced; a text that is nothing but a reference takes the value as it is."""
    if isinstance(value, str):
        whole = REFERENCE.fullmatch(value)
        if whole is not None:
            return _look_up(whole, answers)
        return REFERENCE.sub(lambda found: _text(_look_up(found, answers)), value)
    if isinstance(value, Mapping):
        return {name: fill(entry, answers) for name, entry in value.items()}
    if isinstance(value, list):
        return [fill(entry, answers) for entry in value]
    return value


def fill_url(url: str, answers: Mapping[str, Any]) -> str:
    """The same inside an address, where values are escaped."""
    return REFERENCE.sub(lambda found: quote(_text(_look_up(found, answers)), safe=""), url)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _look_up(found: re.Match[str], answers: Mapping[str, Any]) -> Any:
    value: Any = answers.get(found[1])
    for step in STEP.finditer(found[2]):
        try:
            value = value[step[1]] if step[1] else value[int(step[2])]
        except (KeyError, IndexError, TypeError):
            raise unknown(found) from None
    if value is None or (found[1] not in answers):
        raise unknown(found)
    return value


def unknown(found: re.Match[str]) -> SfError:
    """400 PROCESSING_HALTED: the part that was to give the value failed, or its answer has no such key."""
    return SfError(
        400,
        "PROCESSING_HALTED",
        f"Invalid reference specified. No value for {found[1]}{found[2]} found in {found[1]}. Verify the reference "
        "and the case of its path.",
    )
