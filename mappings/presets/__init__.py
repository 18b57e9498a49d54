"""Presets: the default mappings, as data files per pair of systems (`<crm>_<ledger>/*.json`).

A preset names everything a flow needs: mapping, match orders, set-up of the target, schedule. The invariant: adding a
system adds files here and no code; each file is complete and compiles (a test reads all of them).
"""

from mappings.presets.installing import install
from mappings.presets.loading import Preset, available

__all__ = ["Preset", "available", "install"]
