"""Admin of mappings: versions, their rules, value maps.

The one invariant: a person sees and touches rows of their own organizations only, and nobody edits a published
version. Everything else is Django's own admin.
"""

from mappings.admin import mapping_set, rules, value_maps

__all__ = ["mapping_set", "rules", "value_maps"]
