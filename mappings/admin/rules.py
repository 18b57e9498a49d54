"""Rules across all mappings, and value maps."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from mappings.admin.scoped import DraftOnly, ScopedAdmin
from mappings.models import FieldMapping, LinkRule, MatchRule, ValidationRule, ValueMap, ValueMapEntry


class _RuleAdmin(DraftOnly, ScopedAdmin):
    """Rules across all mappings, to find where a field or an expression is used."""

    list_select_related = ("mapping_set__integration",)
    list_filter: tuple[str, ...] = ("mapping_set__state", "mapping_set__source_object", "mapping_set__target_object")
    has_history = False


@admin.register(FieldMapping)
class FieldMappingAdmin(_RuleAdmin):
    """Which source feeds which target field."""

    list_display = ("target_field", "expression", "label", "mapping_set", "scope", "when", "precedence", "required")
    list_filter = (*_RuleAdmin.list_filter, "scope", "when", "precedence", "blank", "required")
    search_fields = ("target_field", "label", "expression", "mapping_set__name")
    has_history = True


@admin.register(MatchRule)
class MatchRuleAdmin(_RuleAdmin):
    """How counterparts are found."""

    list_display = ("label", "mapping_set", "position", "expression", "target_field", "normaliser", "outcome")
    list_filter = (*_RuleAdmin.list_filter, "normaliser", "outcome")
    search_fields = ("label", "expression", "target_field", "mapping_set__name")
    has_history = True


@admin.register(ValidationRule)
class ValidationRuleAdmin(_RuleAdmin):
    """What must hold before a record is written."""

    list_display = ("label", "mapping_set", "scope", "expression", "outcome", "message")
    list_filter = (*_RuleAdmin.list_filter, "scope", "outcome")
    search_fields = ("label", "expression", "message", "mapping_set__name")


@admin.register(LinkRule)
class LinkRuleAdmin(_RuleAdmin):
    """What is associated with what."""

    list_display = ("name", "mapping_set", "expression", "related_slug", "required")
    list_filter = (*_RuleAdmin.list_filter, "required")
    search_fields = ("name", "expression", "related_slug", "mapping_set__name")


class ValueMapEntryInline(admin.TabularInline):  # type: ignore[type-arg]
    """The translations of a value map."""

    model = ValueMapEntry
    extra = 0


@admin.register(ValueMap)
class ValueMapAdmin(ScopedAdmin):
    """Translation tables. A mapping's own table is final with its version; shared ones may grow."""

    list_display = ("name", "integration", "mapping_set", "unmapped", "default_value", "updated_at")
    list_filter = (("integration", admin.RelatedOnlyFieldListFilter), "unmapped")
    search_fields = ("name", "integration__name", "entries__source_value", "entries__target_value")
    list_select_related = ("integration", "mapping_set")
    inlines = (ValueMapEntryInline,)
    has_history = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A published mapping's own table is final."""
        final = obj is not None and obj.mapping_set is not None and not obj.mapping_set.editable
        return not final and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for changes."""
        final = obj is not None and obj.mapping_set is not None and not obj.mapping_set.editable
        return not final and super().has_delete_permission(request, obj)
