"""Presets: the default mappings, as data files per pair of systems (`<crm>_<ledger>/*.json`).

A preset names everything a flow needs: mapping, match orders, set-up of the target, schedule. The invariant: adding a
system adds files here and no code; each file is complete and compiles (a test reads all of them).
"""

from mappings.presets.installing import draft_of, install
from mappings.presets.loading import Preset, available, preset_of, settings_of
from mappings.presets.naming import shown, shown_lazy, shown_object, shown_rule, shown_rule_lazy, stored
from mappings.presets.templates import fill, templates

__all__ = [
    "Preset",
    "available",
    "draft_of",
    "fill",
    "install",
    "preset_of",
    "settings_of",
    "shown",
    "shown_lazy",
    "shown_object",
    "shown_rule",
    "shown_rule_lazy",
    "stored",
    "templates",
]
