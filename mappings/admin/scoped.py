"""What all admin pages of this room share: rows and choices of the user's organizations, published means final."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django.contrib.admin import AllValuesFieldListFilter, ShowFacets
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.forms import ModelChoiceField, Textarea
from django.http import Http404, HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from integrations.history_pages import HistoryPage, part_of
from integrations.models import Integration
from integrations.rights import RowRights
from mappings.models import (
    FieldMapping,
    LinkRule,
    LookupRule,
    MappingSet,
    MatchRule,
    ValidationRule,
    ValueMap,
    ValueMapEntry,
)

for _rule in (FieldMapping, MatchRule, ValidationRule, LinkRule, LookupRule, ValueMap):
    part_of("mappings.mappingset", _rule, "mapping_set_id")
part_of("mappings.valuemap", ValueMapEntry, "value_map_id")

SMALL_TEXT: dict[Any, dict[str, Any]] = {models.TextField: {"widget": Textarea(attrs={"rows": 2, "cols": 60})}}


def _choices_for(request: HttpRequest, model: type[models.Model]) -> QuerySet[Any] | None:
    """What a person may choose from when a field points to this model; None when it is not limited."""
    if model is Integration:
        return Integration.objects.for_user(request.user)
    if model is MappingSet:
        return MappingSet.objects.for_user(request.user).drafts().select_related("integration")
    if model is ValueMap:
        return ValueMap.objects.for_user(request.user)
    return None


class Scoped:
    """Choices of foreign keys limited to the user's organizations, read once per page (not once per row or table)."""

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """See the class."""
        choices = _choices_for(request, db_field.related_model)
        if choices is not None:
            kwargs["queryset"] = choices
        field: ModelChoiceField[Any] | None = super().formfield_for_foreignkey(  # type: ignore[misc]
            db_field, request, **kwargs
        )
        if field is not None and choices is not None:
            known: dict[Any, list[Any]] = request.__dict__.setdefault("_scoped_choices", {})
            key = (db_field.related_model, field.empty_label)
            if key not in known:
                known[key] = list(iter(cast("Iterable[tuple[Any, Any]]", field.choices)))  # a list counts them first
            field.choices = list(known[key])
        return field


class OwnValuesFilter(AllValuesFieldListFilter):
    """By a value of a related row, of the rows that the person may see: Django's offers the values of all rows there
    are, other organizations' included."""

    def __init__(
        self, field: Any, request: HttpRequest, params: Any, model: Any, model_admin: Any, field_path: str
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        rows = model_admin.get_queryset(request)
        self.lookup_choices = rows.order_by(field_path).values_list(field_path, flat=True).distinct()


class ScopedAdmin(RowRights, Scoped, HistoryPage, SimpleHistoryAdmin):  # type: ignore[misc]
    """An admin whose rows belong to organizations: others' rows do not exist (404, also for history)."""

    show_facets = ShowFacets.NEVER
    formfield_overrides = SMALL_TEXT
    show_full_result_count = False
    has_history = True
    organization_path = "integration__organization"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Rows of the user's organizations."""
        rows: Any = super().get_queryset(request)
        return rows.for_user(request.user)  # type: ignore[no-any-return]

    def _require(self, request: HttpRequest, object_id: str) -> Any:
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404
        return found

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Change page; 404 for rows of other organizations."""
        if object_id is not None:
            self._require(request, object_id)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Delete page; 404 for rows of other organizations."""
        self._require(request, object_id)
        return super().delete_view(request, object_id, extra_context)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """History page; 404 for rows of other organizations."""
        self._require(request, object_id)
        return super().history_view(request, object_id, extra_context)

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> Any:
        """One historical version, to look at: going back is a new draft, never an edit of the past."""
        self._require(request, object_id)
        if request.method == "POST" or not self.has_history:
            raise PermissionDenied
        return super().history_form_view(request, object_id, version_id, extra_context)

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        """See `history_form_view`."""
        return True


def editable(obj: Any) -> bool:
    """Whether the mapping set behind a row may still change."""
    if obj is None:
        return True
    mapping_set = obj if isinstance(obj, MappingSet) else obj.mapping_set
    return bool(mapping_set.editable)


class DraftOnly:
    """Permission to change or delete ends when the version is published."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See the class."""
        return editable(obj) and super().has_change_permission(request, obj)  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """See the class."""
        return editable(obj) and super().has_delete_permission(request, obj)  # type: ignore[misc]
