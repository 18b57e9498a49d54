"""List filters that show only what the person may see; a value from elsewhere is 404, not an empty list.

The invariant: a filter's choices cost one query, however many rows the list has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from sync.models import Change, Flow, SyncRun

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Choices = Callable[[HttpRequest], QuerySet[Any]]


class _Scoped(admin.SimpleListFilter):
    """One of the person's rows of another model."""

    lookup = ""

    def own(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows that may be chosen."""
        raise NotImplementedError

    def label(self, row: Any) -> str:
        """How a choice reads."""
        return str(row)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """One choice per row of the person's."""
        return [(str(row.pk), self.label(row)) for row in self.own(request)]

    def has_output(self) -> bool:
        """Not for a single choice, which would filter nothing."""
        return len(self.lookup_choices) > 1 or self.value() is not None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the chosen row."""
        chosen = self.value()
        if chosen is None:
            return queryset
        if chosen not in {key for key, _label in self.lookup_choices}:
            raise Http404
        return queryset.filter(**{self.lookup: chosen})


class IntegrationFilter(_Scoped):
    """By integration."""

    title = _("integration")
    parameter_name = "integration"
    lookup = "integration"

    def own(self, request: HttpRequest) -> QuerySet[Any]:
        """The person's integrations."""
        return Integration.objects.for_user(request.user).only("name", "organization__name").order_by("name")


class FlowFilter(_Scoped):
    """By flow."""

    title = _("flow")
    parameter_name = "flow"
    lookup = "flow"

    def own(self, request: HttpRequest) -> QuerySet[Any]:
        """The person's flows."""
        return Flow.objects.for_user(request.user).select_related("integration").only("name", "integration__name")

    def label(self, row: Any) -> str:
        """A flow's name alone would repeat per integration."""
        return f"{row.title} · {row.integration.name}"


class _Chosen(_Scoped):
    """A filter that only links set: it shows nothing until it is in use, so its choices are the one chosen row."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The chosen row; 404 when it is not the person's."""
        chosen = self.used_parameters.get(self.parameter_name or "")
        if chosen is None:
            return []
        if not chosen.isdecimal() or (row := self.own(request).filter(pk=chosen).first()) is None:
            raise Http404
        return [(chosen, self.label(row))]

    def has_output(self) -> bool:
        """Only while in use."""
        return bool(self.lookup_choices)


class RunFilter(_Chosen):
    """Of one run."""

    title = _("run")
    parameter_name = "run"
    lookup = "run"

    def own(self, request: HttpRequest) -> QuerySet[Any]:
        """The person's runs."""
        return SyncRun.objects.for_user(request.user).select_related("flow")


class ChangeFilter(_Chosen):
    """Of one change."""

    title = _("change")
    parameter_name = "change"
    lookup = "change"

    def own(self, request: HttpRequest) -> QuerySet[Any]:
        """The person's changes."""
        return Change.objects.for_user(request.user)


class _Param(admin.SimpleListFilter):
    """A closed set of values of one field, under the field's name."""

    options: tuple[tuple[str, _StrPromise | str], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The set."""
        return list(self.options)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those with the value."""
        chosen = self.value()
        if chosen is None:
            return queryset
        if chosen not in dict(self.options):
            raise Http404
        return queryset.filter(**{str(self.parameter_name): chosen})


def choice_filter(field: str, name: _StrPromise | str, options: Any) -> type[admin.SimpleListFilter]:
    """A filter by the choices of `field`, addressed as `?field=value`."""
    return type(
        f"{field.title()}Filter", (_Param,), {"parameter_name": field, "title": name, "options": tuple(options)}
    )
