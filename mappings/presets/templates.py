"""Templates: presets with places, for objects that a customer made, filled with the names that the remote described.

A place is written `${quantity}`. What has a place that nobody chose is left out of its list; `{"first_of": [...]}`
stands for its first alternative that can be filled; `"needs"` makes a row depend on a place. The invariant: only
identifiers come into expressions, so that nothing a remote says about itself is ever read as one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from django.utils.translation import gettext as _

from mappings.presets.loading import Preset, preset_from

_FOLDER = Path(__file__).resolve().parent
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_SHOWN = frozenset({"name", "description"})
"""Keys of a template whose texts only people read: there alone stands the object's label."""
INVOICES, STATES = "custom-to-invoices", "invoice-status-to-custom"


class _NotChosen(KeyError):
    """A place that has no value."""


def fill(crm_system: str, ledger_system: str, template: str, values: Mapping[str, str], label: str) -> Preset:
    """The preset of an object. `values` are identifiers by place, "" or absent for what was not chosen; `label` is
    what people call the object. Raises `ValueError` for a value that is no identifier, `KeyError` for a template that
    does not exist or cannot do without a place that was not chosen."""
    chosen = {place: value for place, value in values.items() if value}
    wrong = sorted(place for place, value in chosen.items() if not _IDENTIFIER.fullmatch(value))
    if wrong:
        raise ValueError(f"not an identifier: {', '.join(wrong)}")
    content = _raw(crm_system, ledger_system)[template]
    filled = {key: _fill(node, chosen) for key, node in content.items() if key not in _SHOWN}
    # With a place in them they can only be translated now.
    shown = {key: Template(_(content[key])).substitute(label=label[:60]) for key in _SHOWN}
    return preset_from(filled | shown)


def template_of(crm_system: str, ledger_system: str, slug: str) -> Preset | None:
    """The template that a flow of this slug was made from, with its places; None when it is of no template."""
    for content in _raw(crm_system, ledger_system).values():
        before, after = content["slug"].split("${name}")
        if re.fullmatch(re.escape(before) + r"[a-z][a-z0-9_]*" + re.escape(after), slug):
            return preset_from(json.loads(json.dumps(content)))
    return None


def templates(crm_system: str, ledger_system: str) -> list[Preset]:
    """All templates of a pair of systems, with their places."""
    return [preset_from(json.loads(json.dumps(content))) for content in _raw(crm_system, ledger_system).values()]


@cache
def _raw(crm_system: str, ledger_system: str) -> dict[str, Any]:
    pair = _FOLDER / f"{crm_system}_{ledger_system}"
    if pair.parent != _FOLDER:
        return {}
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(pair.glob("templates/*.json"))}


def _fill(node: Any, values: Mapping[str, str]) -> Any:
    """A copy of `node` with its places filled. Raises `_NotChosen` when it has one that was not chosen."""
    if isinstance(node, str):
        return _text(node, values)
    if isinstance(node, list):
        return [filled for item in node if (filled := _fill_or_none(item, values)) is not None]
    if not isinstance(node, dict):
        return node
    if set(node) == {"first_of"}:
        found = [filled for item in node["first_of"] if (filled := _fill_or_none(item, values)) is not None]
        if not found:
            raise _NotChosen(str(node["first_of"])[:80])
        return found[0]
    _fill(node.get("needs", ""), values)
    return {_text(key, values): _fill(item, values) for key, item in node.items() if key != "needs"}


def _fill_or_none(node: Any, values: Mapping[str, str]) -> Any:
    if node is None:
        return ""
    try:
        return _fill(node, values)
    except _NotChosen:
        return None


def _text(text: str, values: Mapping[str, str]) -> str:
    try:
        return Template(text).substitute(values)
    except KeyError as error:
        raise _NotChosen(*error.args) from None
