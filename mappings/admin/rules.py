"""Rules across all mappings."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from mappings.admin.scoped import DraftOnly, OwnValuesFilter, ScopedAdmin
from mappings.models import FieldMapping, LinkRule, LookupRule, MappingSet, MatchRule, ValidationRule
from mappings.models.editor import touched
from mappings.models.mapping_set import PUBLISHED_IS_FINAL


class _RuleAdmin(DraftOnly, ScopedAdmin):
    """Rules across all mappings, to find where a field or an expression is used."""

    list_select_related = ("mapping_set__integration",)
    organization_path = "mapping_set__integration__organization"
    list_filter: ClassVar[Any] = (
        "mapping_set__state",
        ("mapping_set__source_object", OwnValuesFilter),
        ("mapping_set__target_object", OwnValuesFilter),
    )
    has_history = False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A rule saved by itself counts as a save of its mapping, and of the one it was moved from: open editors
        notice."""
        super().save_model(request, obj, form, change)
        for mapping_set in MappingSet.objects.filter(pk__in={obj.mapping_set_id, form.initial.get("mapping_set")}):
            touched(mapping_set, request.user)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """As for saving."""
        super().delete_model(request, obj)
        touched(obj.mapping_set, request.user)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """As for saving, for each mapping that loses some; none of them, when one was published meanwhile."""
        ids = set(queryset.order_by().values_list("mapping_set_id", flat=True))
        drafts = list(MappingSet.objects.drafts().select_for_update().filter(pk__in=ids).order_by("pk"))
        if len(drafts) != len(ids):
            raise PermissionDenied(PUBLISHED_IS_FINAL)
        super().delete_queryset(request, queryset)
        for mapping_set in drafts:
            touched(mapping_set, request.user)


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

    list_display = ("label", "mapping_set", "scope", "expression", "outcome", "message", "code")
    list_filter = (*_RuleAdmin.list_filter, "scope", "outcome")
    search_fields = ("label", "code", "expression", "message", "mapping_set__name")


@admin.register(LinkRule)
class LinkRuleAdmin(_RuleAdmin):
    """What is associated with what."""

    list_display = ("name", "mapping_set", "expression", "related_slug", "required", "target_field")
    list_filter = (*_RuleAdmin.list_filter, "required")
    search_fields = ("name", "expression", "related_slug", "mapping_set__name")


@admin.register(LookupRule)
class LookupRuleAdmin(_RuleAdmin):
    """What must exist at the target."""

    list_display = ("label", "mapping_set", "scope", "expression", "target_object", "target_field", "code")
    list_filter = (*_RuleAdmin.list_filter, "scope")
    search_fields = ("label", "name", "code", "expression", "mapping_set__name")
