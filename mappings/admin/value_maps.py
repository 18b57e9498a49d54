"""The page of a value map: its lines, values that came by without one, pasting from a spreadsheet.

The invariants: a published mapping's own map is final, and of a shared one a published mapping keeps writing what it
was published with (`mappings.models.pinned`), which the page says; reading recent records happens only when somebody
asks, and nothing of them is kept.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Max
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from integrations.errors import SyncError
from integrations.rights import InlineRights
from mappings import editor_maps, samples
from mappings.admin.editor_pages import ASKS_PER_MINUTE, too_often
from mappings.admin.scoped import ScopedAdmin
from mappings.expressions import key_of
from mappings.models import MappingSet, ValueMap, ValueMapEntry
from mappings.models.pinned import waiting

LOOKED_AT = 50
"""How many recent records are read for values without a line."""
MAX_MAPPINGS = 3


class ValueMapForm(forms.ModelForm):  # type: ignore[type-arg]
    """The map, and lines that are pasted into it. Refuses a save when somebody else saved after the form was opened:
    the rows of the form would put back what they changed."""

    paste = forms.CharField(
        label=_("Paste lines"),
        required=False,
        max_length=500_000,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60, "spellcheck": "false"}),
        help_text=_(
            "Two columns copied from a spreadsheet: source value, target value. A source value that has a line already "
            "gets the new target. Added when you save."
        ),
    )

    def clean(self) -> dict[str, Any]:
        """See the class; the last look, under a lock."""
        cleaned = super().clean() or self.cleaned_data
        opened = self.data.get("opened")
        stored = ValueMap.objects.select_for_update().filter(pk=self.instance.pk).first() if opened else None
        if stored is not None and opened != _stamp(stored):
            text = _("Somebody else saved this value map meanwhile; nothing was saved. Open it again and repeat this.")
            raise ValidationError(text)
        return cleaned

    def clean_paste(self) -> list[tuple[str, str]]:
        """The lines; refuses all of them when one cannot be read."""
        rows, problems = editor_maps.pasted(self.cleaned_data["paste"])
        if problems:
            raise ValidationError(problems[:10])
        return rows


class ValueMapEntryInline(InlineRights, admin.TabularInline):  # type: ignore[type-arg]
    """The translations of a value map."""

    model = ValueMapEntry
    template = "admin/mappings/valuemap/entries.html"
    fields = ("source_value", "target_value")
    extra = 0

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        """A row for the value that the review queue says is missing; some for browsers without script."""
        if request.method != "GET":
            return 0
        return 1 if request.GET.get("source_value") else 3 if request.GET.get("rows") else 0

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """Filled in with that value."""
        formset = super().get_formset(request, obj, **kwargs)
        missing = request.GET.get("source_value", "")[:200]
        if request.method != "GET" or not missing:
            return formset

        class Prefilled(formset):  # type: ignore[misc,valid-type]
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **(options | {"initial": [{"source_value": missing}]}))

        return Prefilled

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Targets are picked from what the target allows."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs |= {"autocomplete": "off", "class": "lb-row-input"}
            if db_field.name == "target_value":
                field.widget.attrs["list"] = "map-targets"
        return field


@admin.register(ValueMap)
class ValueMapAdmin(ScopedAdmin):
    """Translation tables. A mapping's own table is final with its version; shared ones may grow."""

    form = ValueMapForm
    change_form_template = "admin/mappings/valuemap/change_form.html"
    nothing_yet = _("No value map yet. They come with the flows that are chosen for an integration.")
    list_display = ("name", "integration", "mapping_set", "unmapped", "default_value", "updated_at")
    list_filter = (("integration", admin.RelatedOnlyFieldListFilter), "unmapped")
    search_fields = ("name", "integration__name", "entries__source_value", "entries__target_value")
    list_select_related = ("integration", "mapping_set")
    inlines = (ValueMapEntryInline,)
    has_history = False
    fieldsets = (
        (None, {"fields": (("name", "integration", "mapping_set"),)}),
        (
            _("Values that have no line"),
            {
                "fields": (("unmapped", "default_value"),),
                "description": _(
                    "Stop: the record waits for review until somebody adds a line; nothing wrong is written. Default: "
                    "the default value is written, silently. Pass on: the value is written as the source has it, which "
                    "the target may refuse."
                ),
            },
        ),
        (_("Paste from a spreadsheet"), {"classes": ("collapse",), "fields": ("paste",)}),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A published mapping's own table is final."""
        final = obj is not None and obj.mapping_set is not None and not obj.mapping_set.editable
        return not final and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As for changes."""
        final = obj is not None and obj.mapping_set is not None and not obj.mapping_set.editable
        return not final and super().has_delete_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nothing is pasted by those who only look."""
        fieldsets = super().get_fieldsets(request, obj)
        may = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return fieldsets if may else fieldsets[:2]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Adds what was pasted, after the lines of the form."""
        super().save_related(request, form, formsets, change)
        rows: list[tuple[str, str]] = form.cleaned_data.get("paste") or []
        have = {entry.source_key: entry for entry in form.instance.entries.all()} if rows else {}
        for source, target in rows:
            entry = have.get(key_of(source)) or ValueMapEntry(value_map=form.instance, source_value=source)
            if entry.pk is None or entry.target_value != target:
                entry.target_value = target
                entry.save()
        if rows:
            form.instance.save(update_fields=["updated_at"])
        if names := ", ".join(str(one["mapping"]) for one in _waiting(form.instance)):
            text = gettext(
                "Not in force yet: %(mappings)s. They write the earlier values until you publish a new version."
            )
            self.message_user(request, text % {"mappings": names}, messages.WARNING)

    def get_urls(self) -> list[URLPattern]:
        """Also the look at recent records."""
        seen = self.admin_site.admin_view(require_POST(self.seen_view))
        return [path("<path:object_id>/seen/", seen, name="mappings_valuemap_seen"), *super().get_urls()]

    def seen_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Values without a line in recent records, as JSON: reads up to fifty of them from the source."""
        value_map = self.get_object(request, object_id)
        if value_map is None:
            raise Http404
        if not self.has_change_permission(request, value_map):
            raise PermissionDenied
        provider = samples.provider()
        if (refusal := too_often(request, "ask", ASKS_PER_MINUTE)) is not None:
            return refusal
        if provider is None:
            return JsonResponse({"error": gettext("Sample records are not available here.")})
        found = editor_maps.uses(value_map)
        records, read = {}, 0
        try:
            for mapping_set in _different(found):
                mapping_set.integration = value_map.integration
                ids = [ref.id for ref in provider.recent(mapping_set, LOOKED_AT, ask=True)]
                records[mapping_set.pk] = provider.load(mapping_set, ids) if ids else []
                read += len(ids)
        except SyncError as error:
            said = gettext("The other side did not answer as expected: %(message)s") % {"message": error.message}
            return JsonResponse({"error": said[:500]})
        seen = editor_maps.missing_in(value_map, found, records)
        return JsonResponse({"read": read, "seen": [asdict(one) for one in seen]})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """With uses, targets and values seen."""
        value_map = context.get("original")
        if value_map is not None:
            context["opened"] = request.POST.get("opened", "") or _stamp(value_map)
            found = editor_maps.uses(value_map)
            context["uses"] = [
                {"label": use.row.label or use.row.target_field, "mapping": use.mapping_set,
                 "url": reverse("admin:mappings_mappingset_change", args=[use.mapping_set.pk])}
                for use in found
            ]  # fmt: skip
            context["targets"] = editor_maps.targets_of(found)
            context["waiting"] = _waiting(value_map)
            if self.has_change_permission(request, value_map):
                context["seen"] = editor_maps.missing(value_map, found)
                context["seen_url"] = reverse("admin:mappings_valuemap_seen", args=[value_map.pk])
                context["may_look"] = samples.provider() is not None and bool(found)
        return super().render_change_form(request, context, *args, **kwargs)


def _stamp(value_map: ValueMap) -> str:
    """Another text after every save of the map or of one of its lines. One query."""
    lines = value_map.entries.aggregate(last=Max("updated_at"), n=Count("pk"))
    return f"{value_map.updated_at.isoformat()}/{lines['last'] and lines['last'].isoformat()}/{lines['n']}"


def _waiting(value_map: ValueMap) -> list[dict[str, Any]]:
    """Mappings in force that write other values than this map has now, each with its linked records. Few queries."""
    if value_map.mapping_set_id:
        return []
    counts = waiting(ValueMap.objects.prefetch_related("entries").get(pk=value_map.pk))
    found = list(MappingSet.objects.filter(pk__in=counts).order_by("slug")) if counts else []
    provider = samples.provider()
    records = provider.linked(found) if provider else {}
    return [
        {"mapping": one, "n": counts[one.pk], "records": number_format(records.get(one.pk, 0), force_grouping=True),
         "url": reverse("admin:lab_versions", args=[one.pk])}
        for one in found
    ]  # fmt: skip


def _different(found: list[editor_maps.Use]) -> list[MappingSet]:
    """One version of each mapping, the newest; few, because each costs remote calls."""
    by_slug: dict[str, MappingSet] = {}
    for use in found:
        by_slug.setdefault(use.mapping_set.slug, use.mapping_set)
    return list(by_slug.values())[:MAX_MAPPINGS]
