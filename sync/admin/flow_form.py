"""The form of a flow, with a field for each setting that its preset declares.

The settings live in one JSON column; people see each as what it is: a choice, a number, a switch, a text. A pattern
that cannot work is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.opened import OpenedForm
from mappings.expressions.patterns import compile_pattern
from sync.flows import declared_settings
from sync.models import Flow

PREFIX = "setting_"


class FlowForm(OpenedForm):
    """Saves the declared settings into `Flow.settings`, unless somebody else saved after the form was opened."""

    specs: tuple[Mapping[str, Any], ...] = ()

    def values_of(self, row: Flow) -> dict[str, Any]:
        """With the settings, each as its field shows it."""
        shown = {PREFIX + spec["name"]: _field(row, spec).initial for spec in self.specs}
        return super().values_of(row) | shown

    def clean(self) -> dict[str, Any]:
        """A pattern must be one; the settings are collected."""
        cleaned = super().clean()
        for spec in self.specs:
            name = PREFIX + spec["name"]
            if spec["name"].endswith("_pattern"):
                try:
                    compile_pattern(str(cleaned.get(name) or ""))
                except ValueError as error:
                    self.add_error(name, str(error))
        return cleaned

    def save(self, commit: bool = True) -> Any:
        """With the settings."""
        values = dict(self.instance.settings)
        for spec in self.specs:
            value = self.cleaned_data.get(PREFIX + spec["name"])
            values[spec["name"]] = str(value) if isinstance(value, Decimal) else value
        self.instance.settings = values
        return super().save(commit)


def form_class(flow: Flow, base: type[Any]) -> type[Any]:
    """`base` (a `FlowForm`) with the fields of the flow's settings."""
    specs = tuple(declared_settings(flow))
    fields: dict[str, Any] = {PREFIX + spec["name"]: _field(flow, spec) for spec in specs}
    return type("FlowSettingsForm", (base,), {"specs": specs, **fields})


def _field(flow: Flow, spec: Mapping[str, Any]) -> forms.Field:
    initial = flow.settings.get(spec["name"], spec.get("default", ""))
    common: dict[str, Any] = {"label": _(spec["label"]), "help_text": _(spec["help"]) if spec.get("help") else ""}
    match spec["type"]:
        case "choice":
            choices = [(value, _(label)) for value, label in spec["choices"]]
            return forms.ChoiceField(choices=choices, initial=initial, **common)
        case "bool":
            return forms.BooleanField(required=False, initial=bool(initial), **common)
        case "decimal":
            return forms.DecimalField(
                min_value=0, max_digits=14, decimal_places=2, initial=Decimal(str(initial or 0)), **common
            )
    widget = AdminTextInputWidget()
    return forms.CharField(required=False, max_length=300, initial=initial, widget=widget, **common)


def column(name: str) -> str:
    """The model's field behind a field of the form."""
    return "settings" if name.startswith(PREFIX) else name


def fieldset(flow: Flow | None) -> list[tuple[Any, dict[str, Any]]]:
    """The fieldset of the settings; none for a flow without."""
    names = [PREFIX + spec["name"] for spec in declared_settings(flow)] if flow else []
    return [(gettext_lazy("Settings"), {"fields": names})] if names else []
