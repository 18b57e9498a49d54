"""The rules on the page of their mapping set. Field rows have a table of their own, which the editor serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.rights import InlineRights
from mappings.admin.scoped import SMALL_TEXT, DraftOnly, Scoped, editable
from mappings.models import FieldMapping, LinkRule, LookupRule, MatchRule, Scope, ValidationRule

EMPTY_ROWS = 3
"""How many empty rows are given to somebody without script who asks for them (`?rows=1`)."""


class RuleRows(BaseInlineFormSet):  # type: ignore[type-arg]
    """Rows whose box for removing them has a name, too."""

    def add_fields(self, form: Any, index: int | None) -> None:
        """See the class."""
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = gettext("Remove")


class RuleInline(DraftOnly, Scoped, InlineRights, admin.TabularInline):  # type: ignore[type-arg]
    """Rules on the page of their mapping set."""

    extra = 0
    formset: type[BaseInlineFormSet[Any, Any, Any]] = RuleRows
    formfield_overrides = SMALL_TEXT
    template = "admin/mappings/mappingset/rules.html"
    nothing_yet: str | Promise = ""
    """What a version without such rules does, for its readers."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only drafts get new rules."""
        return editable(obj) and super().has_add_permission(request, obj)

    def formfield_for_dbfield(self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Each input with its name, which the heading of the column tells only to the eye."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            widget: Any = getattr(field.widget, "widget", field.widget)
            widget.attrs.setdefault("aria-label", str(field.label or db_field.verbose_name))
        return field


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one scope, with an empty one to copy."""

    scope: str
    title: str
    help: str
    rows: Sequence[forms.ModelForm[Any]]
    empty: forms.ModelForm[Any]


class FieldRows(BaseInlineFormSet):  # type: ignore[type-arg]
    """The formset of field mappings, in its two groups."""

    def groups(self) -> list[Group]:
        """Record and lines, each in its order; rows that were posted keep the order they were posted in."""
        return [
            Group(
                scope,
                str(title),
                str(help_),
                sorted((form for form in self.forms if _scope(form) == scope), key=_place),
                self._empty(scope),
            )
            for scope, title, help_ in _GROUPS
            if scope == Scope.HEADER or self._has_lines()
        ]

    def _has_lines(self) -> bool:
        mapping_set, target = self.instance, getattr(self.instance, "target_schema", None)
        lines = mapping_set.line_part and (target is None or target.lines)
        return bool(lines) or any(_scope(form) == Scope.LINE for form in self.forms)

    def _empty(self, scope: str) -> forms.ModelForm[Any]:
        form: forms.ModelForm[Any] = self.empty_form
        form.initial = {**(form.initial or {}), "scope": scope}
        return form


_GROUPS = (
    (Scope.HEADER, _("Record"), _("Once per record.")),
    (Scope.LINE, _("Each line"), _("Once for each line of the record, such as an invoice row.")),
)


_HELP = {
    "label": _("What people call this field in plans and errors; else the target's name is shown. Example: Due date."),
    "scope": _("Once per record, or for each of its lines. Lines of the target are written by line rows only."),
    "when": _(
        "Always is the default. “Only when created” leaves later changes at the target alone; “only when empty” fills "
        "gaps."
    ),
    "precedence": _(
        "Who wins when the field was changed at the target too: the source by default. “Ask” sends it to review."
    ),
    "blank": _("An empty source keeps what the target has (default), so that nothing good is overwritten by nothing."),
    "required": _("Off by default. On: a record without a value is not written but waits for review."),
    "value_map": _("Translates what the expression gives. Example: booked → Unpaid. None by default."),
    "hint": _(
        "Shown when the target refuses the value; {value} stands for it. Example: Switch {value} on in settings."
    ),
}
"""Why, default and example of each setting, where the model's own help is shorter."""


def _scope(form: forms.ModelForm[Any]) -> str:
    return Scope.LINE if form["scope"].value() == Scope.LINE else Scope.HEADER


def _place(form: forms.ModelForm[Any]) -> int:
    try:
        return int(form["position"].value() or 0)
    except (TypeError, ValueError):
        return 0


class FieldMappingInline(RuleInline):
    """The field table: source expression on the left, target field on the right."""

    model = FieldMapping
    formset = FieldRows
    template = "admin/mappings/mappingset/fields.html"
    fields = (
        "position", "expression", "target_field", "label", "scope", "when", "precedence", "blank", "required",
        "value_map", "hint",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With value maps, which the page names."""
        rows: QuerySet[Any] = super().get_queryset(request).select_related("value_map")
        return rows

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        """Empty rows for browsers without script."""
        return EMPTY_ROWS if request.method == "GET" and request.GET.get("rows") else 0

    def formfield_for_dbfield(self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any) -> Any:
        """Compact inputs; the value map without Django's links around it."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is None:
            return None
        field.help_text = _HELP.get(db_field.name, field.help_text)
        if db_field.name == "value_map":
            field.widget = getattr(field.widget, "widget", field.widget)
        elif db_field.name == "expression":
            field.widget = forms.Textarea(
                attrs={"rows": 1, "spellcheck": "false", "autocomplete": "off", "class": "lb-row-input"}
            )
        elif db_field.name == "target_field":
            field.widget.attrs |= {"spellcheck": "false", "autocomplete": "off", "class": "lb-row-input"}
        elif db_field.name == "position":
            field.required = False
        return field


class MatchRuleInline(RuleInline):
    """How counterparts are found."""

    model = MatchRule
    nothing_yet = _("None: this version finds counterparts by their links only, and never by comparing values.")


class ValidationRuleInline(RuleInline):
    """What must hold."""

    model = ValidationRule
    nothing_yet = _("None: every record that has its required values is written.")
    fields = (
        "position", "label", "scope", "expression", "outcome", "message", "remedy", "code", "actual", "repair",
    )  # fmt: skip


class LinkRuleInline(RuleInline):
    """What is associated."""

    model = LinkRule
    nothing_yet = _("None: the records that are written are not associated with others.")
    fields = ("position", "name", "expression", "related_slug", "required", "target_field")


class LookupRuleInline(RuleInline):
    """What must exist at the target."""

    model = LookupRule
    nothing_yet = _("None: nothing has to exist at the target before a record is written.")
    fields = (
        "position", "name", "label", "scope", "expression", "target_object", "target_field", "writes",
        "text_expression", "text_field", "message", "remedy", "code", "repair",
    )  # fmt: skip
