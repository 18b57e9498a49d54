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
    of match rules, of which one is chosen when the preset is installed."""

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


def available(crm_system: str, ledger_system: str) -> list[Preset]:
    """The presets for a pair of systems, in the order in which their flows should be switched on."""
    return list(_load(crm_system, ledger_system))


@cache
def _load(crm_system: str, ledger_system: str) -> tuple[Preset, ...]:
    folder = _FOLDER / f"{crm_system}_{ledger_system}"
    # Both names come from a closed set; still, never read outside this folder.
    if folder.parent != _FOLDER or not folder.is_dir():
        return ()
    presets = [_read(path) for path in folder.glob("*.json")]
    return tuple(sorted(presets, key=lambda preset: preset.position))


def _read(path: Path) -> Preset:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    setup = content.pop("setup", {})
    return Preset(setup=Setup(fields=setup.get("fields", {}), pipelines=setup.get("pipelines", {})), **content)
