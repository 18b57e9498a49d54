"""The filters of the review page, as drop-downs of links: class, age, organization, integration, flow, side, person.

The invariant: a choice is one of the person's own; a value from elsewhere is 404. Flows and people are each read once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.catalogue import Responsible
from integrations.errors import ErrorClass
from sync import review
from sync.admin.base import light_accounts
from sync.models import Change, ChangeQuerySet, Flow

AGES: dict[str, Callable[[], dict[str, Any]]] = {
    "new": lambda: {"created_at__gte": timezone.now() - timedelta(days=1)},
    "day": lambda: {"created_at__lt": timezone.now() - timedelta(days=1)},
    "week": lambda: {"created_at__lt": timezone.now() - timedelta(days=7)},
    "month": lambda: {"created_at__lt": timezone.now() - timedelta(days=30)},
}
STUBS = "stub"
ME, NOBODY = "me", "nobody"


@dataclass(frozen=True, slots=True)
class Filter:
    """One drop-down, as the list pages of the admin show theirs."""

    name: str
    title: str
    options: Sequence[tuple[str, str]]
    chosen: str
    others: str

    @property
    def choices(self) -> list[dict[str, Any]]:
        """All, then each option, with the address that chooses it."""
        rows = [("", _("All")), *self.options]
        return [
            {"selected": value == self.chosen, "display": label, "query_string": self._address(value)}
            for value, label in rows
        ]

    def _address(self, value: str) -> str:
        return f"?{self.others}{'&' if self.others else ''}{self.name}={value}" if value else f"?{self.others}"


@dataclass(slots=True)
class Scope:
    """What the person may see, and what they chose of it."""

    user: Any
    flows: list[Flow]
    people: list[User]
    chosen: dict[str, str] = field(default_factory=dict)
    filters: list[Filter] = field(default_factory=list)

    @property
    def systems(self) -> dict[int, review.Systems]:
        """The systems at both ends, per flow."""
        return {flow.pk: review.systems_of(flow) for flow in self.flows}

    def changes(self) -> ChangeQuerySet:
        """The person's changes that pass the filters."""
        rows = Change.objects.for_user(self.user)
        simple = {
            "class": "error_class", "flow": "flow_id", "integration": "integration_id",
            "organization": "integration__organization_id",
        }  # fmt: skip
        rows = rows.filter(**{lookup: self.chosen[name] for name, lookup in simple.items() if self.chosen.get(name)})
        if age := self.chosen.get("age"):
            rows = rows.filter(**AGES[age]())
        if person := self.chosen.get("assigned"):
            ids = {ME: self.user.pk, NOBODY: None}
            rows = rows.filter(assigned_to_id=ids[person] if person in ids else int(person))
        return rows


def read(request: HttpRequest) -> Scope:
    """The scope of this request. Raises 404 for a choice that is not offered."""
    flows = list(
        Flow.objects.for_user(request.user)
        .select_related("integration__organization", "integration__crm_account", "integration__ledger_account")
        .defer(*light_accounts("integration"), "settings", "setup")
        .order_by("integration__name", "position")
    )
    organizations = {flow.integration.organization.pk: flow.integration.organization.name for flow in flows}
    people = User.objects.filter(is_active=True, memberships__organization__in=organizations).order_by("username")
    scope = Scope(request.user, flows, list(people.distinct()[:200]))
    integrations = {flow.integration.pk: flow.integration.name for flow in flows}
    options: list[tuple[str, str, list[tuple[str, str]]]] = [
        ("class", _("kind"), [(str(value), str(label)) for value, label in ErrorClass.choices]),
        ("age", _("age"), _ages()),
        ("organization", _("organization"), [(str(pk), name) for pk, name in organizations.items()]),
        ("integration", _("integration"), [(str(pk), name) for pk, name in integrations.items()]),
        ("flow", _("flow"), [(str(flow.pk), f"{flow.title} · {flow.integration.name}") for flow in flows]),
        ("responsible", _("who"), [*_sides(), (STUBS, _("Not in the catalogue"))]),
        ("assigned", _("assigned to"), _people(scope.people)),
    ]
    given = {name: request.GET[name] for name, _title, _options in options if request.GET.get(name)}
    for name, title, offered in options:
        chosen = given.get(name, "")
        if chosen and chosen not in dict(offered):
            raise Http404
        others = "&".join(f"{key}={value}" for key, value in given.items() if key != name)
        scope.chosen[name] = chosen
        # One choice filters nothing.
        if len(offered) > 1 or chosen:
            scope.filters.append(Filter(name, title, offered, chosen, others))
    return scope


def _ages() -> list[tuple[str, str]]:
    return [
        ("new", _("Since yesterday")),
        ("day", _("Older than a day")),
        ("week", _("Older than a week")),
        ("month", _("Older than a month")),
    ]


def _sides() -> list[tuple[str, str]]:
    return [(str(value), str(label)) for value, label in Responsible.choices]


def _people(people: Sequence[User]) -> list[tuple[str, str]]:
    return [(ME, _("Me")), (NOBODY, _("Nobody")), *((str(user.pk), str(user)) for user in people)]
