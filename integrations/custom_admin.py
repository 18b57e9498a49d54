"""Admin pages of custom sources: a customer's own objects, chosen from what the org says it has.

The invariant: only accounts of the person's own organizations are offered, read and described; a name that was not
offered is still accepted when the org could not be asked, because a flow must not depend on an org's mood.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.admin import ScopedAdmin
from integrations.custom_models import CustomSource
from integrations.errors import SyncError
from integrations.history_pages import HistoryPage
from integrations.http import Api
from integrations.models import ConnectedAccount
from integrations.rights import allowed
from integrations.salesforce.client import Salesforce

if TYPE_CHECKING:
    SourceModelForm = forms.ModelForm[CustomSource]
else:
    SourceModelForm = forms.ModelForm

logger = logging.getLogger(__name__)

PARTS = re.compile(r"(?P<part>[a-z][a-z0-9_]*)\s*[:=]\s*(?P<field>[A-Za-z][A-Za-z0-9_]*)")
Choices = list[tuple[str, str]]


class CustomSourceForm(SourceModelForm):
    """`parts` is written one a line, "account: Account__c"."""

    parts = forms.CharField(
        label=gettext_lazy("Records it points at"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "class": "vLargeTextField", "spellcheck": "false"}),
    )

    class Meta:
        model = CustomSource
        fields = ["account", "name", "label", "remote_object", "line_relationship", "parts"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source = self.instance
        self.initial["parts"] = "\n".join(f"{part}: {field}" for part, field in source.parts.items())
        self.fields["parts"].help_text = _(
            "One a line, name and field: account: Account__c. Expressions then read account.Name of the record."
        )
        self.described: Mapping[str, Any] = {}
        if "name" in self.fields:
            self.fields["name"].help_text = _(
                "A short word in small letters, such as job: expressions then read job.Name. It stays."
            )
        if not source.pk:
            account = self._likely_account()
            self._offer("remote_object", _objects(_client(account)) if account else [])
        else:
            client = _client(source.account)
            self._offer("remote_object", _objects(client))
            self.described = _described(client, source.remote_object)
            self._offer("line_relationship", _relationships(self.described))
            if references := _references(self.described):
                self.fields["parts"].help_text += " " + _("The object has: %(fields)s.") % {
                    "fields": ", ".join(references)
                }

    def _likely_account(self) -> ConnectedAccount | None:
        """The org whose page one came from, or the only one there is; among those that this person may choose."""
        offered = self.fields["account"].queryset  # type: ignore[attr-defined]
        asked = str(self.initial.get("account") or "")
        found = [row for row in offered if not asked or str(row.pk) == asked]
        return found[0] if len(found) == 1 and found[0].usable else None

    def _offer(self, name: str, choices: Choices) -> None:
        """A choice in place of a text, with what is stored among the options whatever the org says."""
        if not choices or name not in self.fields:
            return
        stored = getattr(self.instance, name)
        known = [value for value, _label in choices]
        extra = [(stored, stored)] if stored and stored not in known else []
        self.fields[name].widget = forms.Select(choices=[("", "–"), *extra, *choices])

    def clean_parts(self) -> dict[str, str]:
        """The lines as names and fields."""
        parts: dict[str, str] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["parts"].splitlines())):
            match = PARTS.fullmatch(line)
            if match is None:
                raise forms.ValidationError(_("“%(line)s” is not a name and a field.") % {"line": line[:80]})
            if match["part"] in parts:
                raise forms.ValidationError(_("“%(name)s” stands there twice.") % {"name": match["part"]})
            parts[match["part"]] = match["field"]
        unknown = sorted(set(parts.values()) - set(_references(self.described))) if self.described else []
        if unknown:
            raise forms.ValidationError(
                _("These fields do not point at a record: %(fields)s") % {"fields": ", ".join(unknown)}
            )
        return parts

    def save(self, commit: bool = True) -> CustomSource:
        """The object of the lines follows from the relationship."""
        children = dict(_children(self.described))
        chosen = self.instance.line_relationship
        self.instance.line_object = children.get(chosen, self.instance.line_object) if chosen else ""
        saved: CustomSource = super().save(commit)
        return saved


@admin.register(CustomSource)
class CustomSourceAdmin(HistoryPage, ScopedAdmin):
    """Customers' own objects, under the names by which flows and expressions speak of them."""

    organization_path = "account__organization"
    form = CustomSourceForm
    list_display = ["label", "name", "remote_object", "line_relationship", "account"]
    list_filter = [("account", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["account"]
    search_fields = ["label", "name", "remote_object"]
    nothing_yet = gettext_lazy(
        "Objects that customers made stand here once they are read. To invoice from one, open its connected account "
        "and choose “Invoices from an object of your own”: that page makes all that is needed."
    )

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Salesforce orgs of the person's organizations only."""
        if db_field.name == "account":
            rows = ConnectedAccount.objects.for_user(request.user).filter(system="salesforce")
            # The form asks the org of a choice what objects it has.
            kwargs["queryset"] = allowed(request.user, "integrations.add_customsource", rows, "organization")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: CustomSource | None = None) -> Any:
        """First the object; its lines and parts are chosen from its description once it is known."""
        first = ["account", "label", "name", "remote_object"]
        return first if obj is None else [*first, "line_relationship", "parts"]

    def get_readonly_fields(self, request: HttpRequest, obj: CustomSource | None = None) -> list[str]:
        """A source stays with its org, and keeps the name that mappings use."""
        return [] if obj is None else ["account", "name"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The account of the page one came from."""
        return {"account": request.GET.get("account") or request.GET.get("account__id__exact", "")}

    def response_add(self, request: HttpRequest, obj: CustomSource, post_url_continue: Any = None) -> Any:
        """On to the second half of the form."""
        self.message_user(request, _("%(source)s is known. Now choose its lines and parts.") % {"source": obj})
        return redirect("admin:integrations_customsource_change", obj.pk)


# --- What the org says ------------------------------------------------------------------------------------------


def _client(account: ConnectedAccount) -> Salesforce:
    return Salesforce(Api(account, lane="interactive"))


def _objects(client: Salesforce) -> Choices:
    """The custom objects that may be read."""
    try:
        listed = client.objects().get("sobjects")
    except SyncError as error:
        logger.info("objects not offered: %r", error)
        return []
    rows = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return sorted(
        (str(entry.get("name")), f"{entry.get('label')} ({entry.get('name')})")
        for entry in rows
        if entry.get("custom") is True and entry.get("queryable") is True
    )


def _described(client: Salesforce, name: str) -> Mapping[str, Any]:
    try:
        data = client.api.do(client.describe_call(name)).data
    except SyncError as error:
        logger.info("%s not described: %r", name, error)
        return {}
    return data if isinstance(data, dict) else {}


def _children(described: Mapping[str, Any]) -> Choices:
    """(relationship, object) of the child records."""
    listed = described.get("childRelationships")
    rows = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return [(str(row["relationshipName"]), str(row.get("childSObject"))) for row in rows if row.get("relationshipName")]


def _relationships(described: Mapping[str, Any]) -> Choices:
    return sorted((name, f"{child} ({name})") for name, child in _children(described))


def _references(described: Mapping[str, Any]) -> list[str]:
    listed = described.get("fields")
    rows = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return sorted(str(row.get("name")) for row in rows if row.get("type") == "reference")
