"""The two small forms of the guided connection, and the settings of an integration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration, Organization
from integrations.opened import OpenedForm

if TYPE_CHECKING:
    OrganizationModelForm = forms.ModelForm[Organization]
else:
    OrganizationModelForm = forms.ModelForm


class OrganizationForm(OrganizationModelForm):
    """A new organization."""

    class Meta:
        model = Organization
        fields = ["name", "organisation_number"]


class IntegrationNameForm(forms.Form):
    """What the pair is to be called."""

    name = forms.CharField(
        label=_("Name"), max_length=200, help_text=_("Shown in lists and on the home page; can be changed later.")
    )


class IntegrationForm(OpenedForm):
    """The settings of an integration. A page that was opened before somebody else saved does not put theirs back."""

    class Meta:
        model = Integration
        fields = ["name", "mode", "time_zone", "brake_records", "brake_percent"]
