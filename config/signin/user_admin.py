"""The page of users, for those who run the installation: who may sign in, and where each belongs.

What a person may do is decided by memberships, which are given on an organization's page of people; so Django's groups
and single permissions are not offered here. The invariant: nobody is given a right that no membership shows, except
everything, which is one tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin import ShowFacets, display
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from integrations.models import Membership

if TYPE_CHECKING:
    _UserAdmin = UserAdmin[User]
else:
    _UserAdmin = UserAdmin

TICKS = {
    "is_active": (
        _("May sign in"),
        _("Take the tick away instead of deleting the person: what was done stays named."),
    ),
    "is_superuser": (_("Runs the installation"), _("May do everything, in every organization.")),
}


class PersonAdmin(_UserAdmin):
    """Name, address, and whether a person may sign in."""

    list_display = ("username", "full_name", "email", "belongs", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    list_per_page = 100
    filter_horizontal = ()
    show_facets = ShowFacets.NEVER
    search_help_text = _("Username, name or e-mail")
    readonly_fields = ("belongs", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (
            _("What the person may do"),
            {
                "fields": ("belongs", "is_active", "is_superuser"),
                "description": _("Roles are given on the organization's page of people."),
            },
        ),
        (_("Sign-in"), {"fields": ("last_login", "date_joined")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With their memberships: one query for all."""
        return super().get_queryset(request).prefetch_related("memberships__organization")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The two ticks in our words."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name in TICKS:
            field.label, field.help_text = TICKS[db_field.name]
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Whoever runs the installation gets in without belonging to an organization."""
        obj.is_staff = obj.is_staff or obj.is_superuser
        super().save_model(request, obj, form, change)

    @display(description=_("name"))
    def full_name(self, user: User) -> str:
        """First and last name."""
        return user.get_full_name() or "–"

    @display(description=_("belongs to"))
    def belongs(self, user: User) -> SafeString | str:
        """Each organization with the role there, leading to its people."""
        rows: list[Membership] = list(user.memberships.all()) if user.pk else []
        if not rows:
            return "–"
        return format_html_join(
            SafeString("<br>"),
            '<a href="{}">{}</a> · {}',
            (
                (
                    reverse("admin:integrations_people", args=[row.organization_id]),
                    row.organization,
                    row.get_role_display(),
                )
                for row in rows
            ),
        )
