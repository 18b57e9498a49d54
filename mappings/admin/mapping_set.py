"""The page of a mapping set: its rules inline, and its steps (publish, new draft, roll back)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mappings.admin.scoped import SMALL_TEXT, DraftOnly, Scoped, ScopedAdmin, editable
from mappings.models import (
    FieldMapping,
    LinkRule,
    MappingSet,
    MatchRule,
    ValidationRule,
    new_draft,
    publish,
    rollback,
)

PUBLISH = "mappings.publish_mappingset"


class RuleInline(DraftOnly, Scoped, admin.TabularInline):  # type: ignore[type-arg]
    """Rules on the page of their mapping set."""

    extra = 0
    formfield_overrides = SMALL_TEXT

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only drafts get new rules."""
        return editable(obj) and super().has_add_permission(request, obj)


class FieldMappingInline(RuleInline):
    """The field table: source expression on the left, target field on the right."""

    model = FieldMapping
    fields = (
        "position", "expression", "target_field", "label", "scope", "when", "precedence", "blank", "required",
        "value_map", "hint",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With value maps, which the page names."""
        rows: QuerySet[Any] = super().get_queryset(request).select_related("value_map")
        return rows


class MatchRuleInline(RuleInline):
    """How counterparts are found."""

    model = MatchRule


class ValidationRuleInline(RuleInline):
    """What must hold."""

    model = ValidationRule


class LinkRuleInline(RuleInline):
    """What is associated."""

    model = LinkRule


@admin.register(MappingSet)
class MappingSetAdmin(DraftOnly, ScopedAdmin):
    """Versions of mappings: drafts are edited and published; published ones are read, copied, rolled back to."""

    list_display = ("name", "integration", "version", "state", "published_at", "published_by", "note")
    list_filter = ("state", ("integration", admin.RelatedOnlyFieldListFilter), "source_object", "target_object")
    search_fields = ("name", "slug", "note", "integration__name")
    list_select_related = ("integration", "published_by")
    inlines = (FieldMappingInline, MatchRuleInline, ValidationRuleInline, LinkRuleInline)
    readonly_fields = ("version", "state", "based_on", "created_by", "created_at", "published_by", "published_at")
    fieldsets = (
        (None, {"fields": (("name", "slug"), "integration", "note")}),
        (
            _("Direction"),
            {"classes": ("collapse",), "fields": (("source_side", "source_object"), ("target_side", "target_object"))},
        ),
        (
            _("Keys and title"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("unique_field", "unique_expression"),
                    ("line_unique_field", "line_unique_expression"),
                    "title_expression",
                ),
            },
        ),
        (
            _("Version"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("version", "state", "based_on"),
                    ("created_by", "created_at"),
                    ("published_by", "published_at"),
                ),
            },
        ),
    )

    def save_model(self, request: HttpRequest, obj: MappingSet, form: Any, change: bool) -> None:
        """Notes who made a new mapping."""
        if not change:
            obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)

    def get_urls(self) -> list[URLPattern]:
        """The pages behind the object tools."""
        pages = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(self._page(name)),
                name=_url_name(name),
            )
            for name in _STEPS
        ]
        return [*pages, *super().get_urls()]

    def _page(self, name: str) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            return self.step_view(request, object_id, name)

        return view

    def step_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Asks once, then takes one step: publish, new draft, or roll back."""
        step = _STEPS[name]
        mapping_set: MappingSet = self._require(request, object_id)
        if not request.user.has_perm(step["permission"]):
            raise PermissionDenied
        if request.method == "POST":
            return self._take(request, mapping_set, step)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "mapping_set": mapping_set,
            "title": step["label"],
            "question": step["question"],
            "rules": mapping_set.field_mappings.count(),
        }
        return TemplateResponse(request, "admin/mappings/mappingset/step.html", context)

    def _take(self, request: HttpRequest, mapping_set: MappingSet, step: Mapping[str, Any]) -> HttpResponse:
        try:
            result = step["run"](mapping_set, request.user)
        except ValidationError as error:
            count = len(error.messages)
            intro = ngettext("%(count)d problem:", "%(count)d problems:", count) % {"count": count}
            self.message_user(request, f"{intro} {' · '.join(error.messages)}", messages.ERROR)
            result = mapping_set
        else:
            self.message_user(request, gettext("Done: %(mapping)s") % {"mapping": result}, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:mappings_mappingset_change", args=[result.pk]))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Offers the steps that fit the version's state and the person's permissions."""
        mapping_set = context.get("original")
        context["steps"] = [
            {"label": step["label"], "url": reverse(f"admin:{_url_name(name)}", args=[mapping_set.pk])}
            for name, step in _STEPS.items()
            if mapping_set is not None
            and mapping_set.state in step["states"]
            and request.user.has_perm(step["permission"])
        ]
        return super().render_change_form(request, context, *args, **kwargs)


def _url_name(step: str) -> str:
    return f"mappings_mappingset_{step.replace('-', '_')}"


_STEPS: dict[str, dict[str, Any]] = {
    "publish": {
        "label": _("Publish"),
        "question": _("From the next run on, records are mapped by this version. The version before it is retired."),
        "states": {"draft"},
        "permission": PUBLISH,
        "run": publish,
    },
    "new-draft": {
        "label": _("New draft"),
        "question": _("A copy is made that can be edited. Nothing changes until the copy is published."),
        "states": {"published"},
        "permission": "mappings.add_mappingset",
        "run": new_draft,
    },
    "rollback": {
        "label": _("Roll back to this version"),
        "question": _("A new version equal to this one is published. Records already written stay as they are."),
        "states": {"retired"},
        "permission": PUBLISH,
        "run": rollback,
    },
}
