"""Reading preset files. Unknown or missing keys are an error at once, never a silently ignored setting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from integrations.connector import Setup

_FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Preset:
    """One default mapping with all it needs. `mapping` is the data of the mapping set; `match_orders` are named lists
    of match rules, of which one is chosen when the preset is installed. `settings` declare what expressions read as
    `setting.<name>`: name, label, help, type (choice, text, bool, decimal), choices, default."""

    slug: str
    name: str
    description: str
    position: int
    source: Mapping[str, str]
    target: Mapping[str, str]
    setup: Setup
    flow: dict[str, Any]
    match_orders: Mapping[str, Sequence[Mapping[str, Any]]]
    mapping: Mapping[str, Any]
    value_maps: Sequence[Mapping[str, Any]] = field(default=())
    settings: Sequence[Mapping[str, Any]] = field(default=())


def available(crm_system: str, ledger_system: str) -> list[Preset]:
    """The presets for a pair of systems, in the order in which their flows should be switched on."""
    return list(_load(crm_system, ledger_system))


def preset_of(crm_system: str, ledger_system: str, slug: str) -> Preset | None:
    """The preset that a flow of this slug was made from, or the template; None when it was made by hand."""
    from mappings.presets.templates import template_of  # it needs this module

    found = (preset for preset in _load(crm_system, ledger_system) if preset.slug == slug)
    return next(found, None) or template_of(crm_system, ledger_system, slug)


def settings_of(crm_system: str, ledger_system: str, slug: str) -> Sequence[Mapping[str, Any]]:
    """The settings that a preset declares; none for a preset that does not exist."""
    found = preset_of(crm_system, ledger_system, slug)
    return found.settings if found else ()


@cache
def _load(crm_system: str, ledger_system: str) -> tuple[Preset, ...]:
    folder = _FOLDER / f"{crm_system}_{ledger_system}"
    # Both names come from a closed set; still, never read outside this folder.
    if folder.parent != _FOLDER or not folder.is_dir():
        return ()
    presets = [_read(path) for path in folder.glob("*.json")]
    return tuple(sorted(presets, key=lambda preset: preset.position))


def _read(path: Path) -> Preset:
    return preset_from(json.loads(path.read_text(encoding="utf-8")))


def preset_from(content: dict[str, Any]) -> Preset:
    """A preset from the content of its file; raises `TypeError` for keys that it does not know or lacks."""
    setup = content.pop("setup", {})
    return Preset(setup=Setup(fields=setup.get("fields", {}), pipelines=setup.get("pipelines", {})), **content)
