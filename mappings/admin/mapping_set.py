"""The page of a mapping set: its rules inline, and its steps (publish, new draft, roll back)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from integrations.rights import require
from mappings.admin import editor_pages
from mappings.admin.editor_context import editor_context, open_draft
from mappings.admin.inlines import (
    FieldMappingInline,
    LinkRuleInline,
    LookupRuleInline,
    MatchRuleInline,
    ValidationRuleInline,
)
from mappings.admin.saving import Meeting, settle, typed_rows
from mappings.admin.scoped import DraftOnly, ScopedAdmin
from mappings.models import MappingSet, State, new_draft, publish, rollback
from mappings.models.editor import locked_revision, touched

PUBLISH = "mappings.publish_mappingset"


class MappingSetForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses a save when somebody else saved after the form was opened; the last look, under a lock."""

    def clean(self) -> dict[str, Any]:
        """See the class."""
        cleaned = super().clean() or self.cleaned_data
        opened = self.data.get("editor_revision")
        if self.instance.pk and opened is not None and opened != str(locked_revision(self.instance.pk)):
            raise ValidationError(_("Somebody else saved this mapping meanwhile. Your changes are kept below."))
        if self.data.get("editor_decisions"):
            raise ValidationError(_("Decide each row that both of you changed, then save again."))
        return cleaned


@admin.register(MappingSet)
class MappingSetAdmin(DraftOnly, ScopedAdmin):
    """Versions of mappings: drafts are edited and published; published ones are read, copied, rolled back to."""

    begins = True
    nothing_yet = _("No mapping yet. Mappings come with the flows that are chosen for an integration.")
    list_display = ("named", "integration", "version", "state_mark", "published_at", "published_by", "note")
    list_filter = ("state", ("integration", admin.RelatedOnlyFieldListFilter), "source_object", "target_object")
    search_fields = ("name", "slug", "note", "integration__name")
    list_select_related = ("integration", "published_by")
    form = MappingSetForm
    inlines = (FieldMappingInline, MatchRuleInline, ValidationRuleInline, LinkRuleInline, LookupRuleInline)
    readonly_fields = ("version", "state", "based_on", "created_by", "created_at", "published_by", "published_at")
    fieldsets = (
        (None, {"fields": (("name", "slug"), "integration", "note")}),
        (
            _("Direction"),
            {"classes": ("collapse",), "fields": (("source_side", "source_object"), ("target_side", "target_object"))},
        ),
        (
            _("Keys, title and promise"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("unique_field", "unique_expression"),
                    ("line_unique_field", "line_unique_expression"),
                    "title_expression",
                    ("promise_expression", "promise_currency_expression"),
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

    @admin.display(description=_("name"), ordering="name")
    def named(self, row: MappingSet) -> str:
        """In the reader's language."""
        return row.title

    @admin.display(description=_("state"), ordering="state")
    def state_mark(self, row: MappingSet) -> SafeString:
        """The state as on every other list: dot and word."""
        tone = {State.DRAFT: "held", State.PUBLISHED: "ok"}.get(State(row.state), "off")
        return format_html('<span class="lb-status lb-status--{}">{}</span>', tone, row.get_state_display())

    def save_model(self, request: HttpRequest, obj: MappingSet, form: Any, change: bool) -> None:
        """Notes who made a new mapping."""
        if not change:
            obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Notes the save, so that forms opened before it are refused."""
        super().save_related(request, form, formsets, change)
        touched(form.instance, request.user)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """The editor; a form that met another save is put together with it first."""
        meeting: Meeting | None = None
        if object_id is not None and request.method == "POST":
            mapping_set = self._require(request, object_id)
            if not mapping_set.editable and "editor_revision" in request.POST:
                return self._too_late(request, mapping_set)
            meeting = settle(request, mapping_set) if mapping_set.editable else None
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), "meeting": meeting})

    def _too_late(self, request: HttpRequest, mapping_set: MappingSet) -> HttpResponse:
        """The draft was published while it was edited: nothing is saved, and what was typed is said once more."""
        texts = {"version": mapping_set.version, "who": mapping_set.published_by or gettext("somebody")}
        message = (
            gettext("Version %(version)d was published by %(who)s while you were editing. Nothing was saved.") % texts
        )
        typed = typed_rows(request)
        if typed:
            message = f"{message} {gettext('You had changed:')} {' · '.join(typed)}"
        self.message_user(request, message, messages.ERROR)
        return HttpResponseRedirect(_page_of(mapping_set))

    def get_urls(self) -> list[URLPattern]:
        """The pages behind the object tools, and what the editor's script asks for."""
        pages = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(self._page(name)),
                name=_url_name(name),
            )
            for name in _STEPS
        ]
        return [*editor_pages.urls(self), *pages, *super().get_urls()]

    def _page(self, name: str) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            return self.step_view(request, object_id, name)

        return view

    def step_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Asks once, then takes one step: publish, new draft, or roll back."""
        step = _STEPS[name]
        mapping_set: MappingSet = self._require(request, object_id)
        require(request.user, step["permission"], mapping_set)
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
        return HttpResponseRedirect(_page_of(result))

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Offers the steps that fit the version's state and the person's permissions."""
        mapping_set = context.get("original")
        context["steps"] = [
            {
                "label": step["label"],
                "url": reverse(f"admin:{step.get('page') or _url_name(name)}", args=[mapping_set.pk]),
            }
            for name, step in _STEPS.items()
            if mapping_set is not None
            and mapping_set.state in step["states"]
            and request.user.has_perm(step["permission"], mapping_set)
        ]
        draft = open_draft(mapping_set) if mapping_set is not None and not mapping_set.editable else None
        if draft is not None and mapping_set is not None and mapping_set.state == State.PUBLISHED:
            label = gettext("Open the draft, version %(version)d") % {"version": draft.version}
            steps = [step for step in context["steps"] if "new-draft" not in step["url"]]
            context["steps"] = [{"label": label, "url": _page_of(draft)}, *steps]
        if mapping_set is not None:
            lab = {"label": gettext("Try it in the lab"), "url": reverse("admin:lab", args=[mapping_set.pk])}
            context["steps"] = [lab, *context["steps"]]
        if mapping_set is not None and mapping_set.editable and self.has_change_permission(request, mapping_set):
            context["editor"] = editor_context(
                request, mapping_set, context["inline_admin_formsets"], context.get("meeting")
            )
        return super().render_change_form(request, context, *args, **kwargs)


def _page_of(mapping_set: MappingSet) -> str:
    return reverse("admin:mappings_mappingset_change", args=[mapping_set.pk])


def _url_name(step: str) -> str:
    return f"mappings_mappingset_{step.replace('-', '_')}"


_STEPS: dict[str, dict[str, Any]] = {
    "publish": {
        "label": _("Publish"),
        "question": _("From the next run on, records are mapped by this version. The version before it is retired."),
        "states": {"draft"},
        "permission": PUBLISH,
        "page": "lab_publish",  # it asks what becomes of records that are there
        "run": publish,
    },
    "new-draft": {
        "label": _("Edit in a new draft"),
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
        "page": "lab_versions",
        "run": rollback,
    },
}
