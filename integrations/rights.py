"""Rights asked in the organization of a row: what every admin page of every room does with permissions.

`user.has_perm(permission)` says whether a person has the right in any organization, which opens a page; these helpers
ask it where the row lives. The invariant: what a role may do in one organization is never done to a row of another,
one at a time or in bulk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from integrations.models import Organization

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Inline = admin.TabularInline[Any, Any]
else:
    _ModelAdmin = _Inline = object


def organizations_where(user: Any, permission: str) -> QuerySet[Organization]:
    """The person's organizations in which they have `permission`; all of them for a superuser."""
    own = Organization.objects.for_user(user)
    if user.is_superuser:
        return own
    return Organization.objects.filter(pk__in=[row.pk for row in own.only("pk") if user.has_perm(permission, row)])


def allowed(user: Any, permission: str, rows: QuerySet[Any], organization: str = "integration__organization") -> Any:
    """Those of `rows` that the person has `permission` for; `organization` is the lookup that leads there, empty for
    organizations themselves."""
    if user.is_superuser:
        return rows
    return rows.filter(**{f"{organization or 'pk'}__in": organizations_where(user, permission)})


def require(user: Any, permission: str, row: Any) -> None:
    """Raises `PermissionDenied` unless the person has `permission` in the organization of `row`."""
    if not user.has_perm(permission, row):
        raise PermissionDenied


class RowRights(_ModelAdmin):
    """Mixin for admin pages of rows that belong to organizations.

    `organization_path` leads from a row to its organization; `action_rights` names the permission behind each word
    that a list action asks for, where it is not Django's own (view, change, delete of the model).
    """

    organization_path = "integration__organization"
    action_rights: Mapping[str, str] = {}

    def _right(self, verb: str) -> str:
        return self.action_rights.get(verb) or f"{self.opts.app_label}.{verb}_{self.opts.model_name}"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Looking, in the row's organization; whoever may change may look."""
        user: Any = request.user
        return bool(user.has_perm(self._right("view"), obj) or user.has_perm(self._right("change"), obj))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Changing, in the row's organization."""
        user: Any = request.user
        return bool(user.has_perm(self._right("change"), obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Deleting, in the row's organization."""
        user: Any = request.user
        return bool(user.has_perm(self._right("delete"), obj))

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """As Django's, without patterns: one that never ends would hold the database, or this very process."""
        if lookup.rpartition("__")[2] in ("regex", "iregex"):
            return False
        return bool(super().lookup_allowed(lookup, value, request))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Refuses a row that would land in an organization where the person may not do this."""
        require(request.user, self._right("change" if change else "add"), obj)
        super().save_model(request, obj, form, change)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any) -> HttpResponse | None:
        """A list action meets only rows that the person has its right for; a chosen row without it is 403."""
        rows = queryset
        known: dict[str, Any] = self.get_actions(request)
        for name in filter(None, request.POST.getlist("action")):
            for verb in getattr(known[name][0], "allowed_permissions", ()) if name in known else ():
                rows = allowed(request.user, self._right(verb), rows, self.organization_path)
        if rows is not queryset:
            chosen = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
            found = queryset.filter(pk__in=chosen)
            if found.exclude(pk__in=rows.filter(pk__in=chosen).order_by().values("pk")).exists():
                raise PermissionDenied
        return super().response_action(request, rows, *args)


class InlineRights(_Inline):
    """Mixin for inline rows: each right is asked in the organization of the page's row."""

    def _may(self, request: HttpRequest, verb: str, obj: Any) -> bool:
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.{verb}_{self.opts.model_name}", obj))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Looking."""
        return self._may(request, "view", obj) or self._may(request, "change", obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Adding."""
        return self._may(request, "add", obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Changing."""
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Deleting."""
        return self._may(request, "delete", obj)
