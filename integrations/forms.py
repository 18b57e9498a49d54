"""The two small forms of the guided connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.utils.translation import gettext_lazy as _

from integrations.models import Organization

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
