"""Mapping sets and their rules, versioned: draft, published, retired.

This room knows schemas, never HTTP, never flows. The one invariant: a published version never changes; editing makes
a new draft, and at any time one version per integration and slug is published.
"""

from mappings.models.compiling import check_mapping, compile_mapping
from mappings.models.conditions import LinkRule, MatchRule, ValidationRule
from mappings.models.editor import EditorSample
from mappings.models.golden import GoldenSample
from mappings.models.lookup_rule import LookupRule
from mappings.models.mapping_set import MappingSet, State
from mappings.models.pinned import PinnedMaps
from mappings.models.resync import Resync
from mappings.models.routing import RoutingRule
from mappings.models.rules import FieldMapping, Scope
from mappings.models.value_map import ValueMap, ValueMapEntry
from mappings.models.versions import new_draft, publish, rollback

__all__ = [
    "EditorSample",
    "FieldMapping",
    "GoldenSample",
    "LinkRule",
    "LookupRule",
    "MappingSet",
    "MatchRule",
    "PinnedMaps",
    "Resync",
    "RoutingRule",
    "Scope",
    "State",
    "ValidationRule",
    "ValueMap",
    "ValueMapEntry",
    "check_mapping",
    "compile_mapping",
    "new_draft",
    "publish",
    "rollback",
]
