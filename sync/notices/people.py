"""Who is told what: members of an organization, what each of them chose, and what fits the role of who chose nothing.

The invariant: only members (for the whole installation: its superusers, and members who hear of standstills) with an
e-mail address are ever found here; who leaves an organization is gone with the next look.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q

from integrations.models import Membership
from sync.models import NoticePreference
from sync.notices.kinds import KINDS, Group, defaults

DIGEST_HOUR = 7


@dataclass(frozen=True, slots=True)
class Wish:
    """How one person wants to be told about one organization (None: the whole installation)."""

    user_id: int
    email: str
    name: str
    organization_id: int | None
    groups: frozenset[str]
    digest: str
    hour: int
    language: str

    def wants(self, kind: str) -> bool:
        """Whether the person is told of this kind at once."""
        return str(KINDS[kind].group) in self.groups


def wishes(organizations: Collection[int | None], *, users: Collection[int] | None = None) -> list[Wish]:
    """The wishes of everybody who may be told about these organizations; of `users` only, when given. At most three
    queries."""
    members = Membership.objects.filter(user__is_active=True).exclude(user__email="").select_related("user")
    if None not in organizations:
        members = members.filter(organization__in=[pk for pk in organizations if pk is not None])
    preferences = NoticePreference.objects.all()
    if users is not None:
        members, preferences = members.filter(user__in=users), preferences.filter(user__in=users)
    chosen = {(row.user_id, row.organization_id): row for row in preferences}
    found: list[Wish] = []
    everywhere: dict[int, tuple[User, bool]] = {}
    for member in members:
        wish = _wish(member.user, member.organization_id, chosen.get((member.user_id, member.organization_id)),
                     defaults(member.role))  # fmt: skip
        hears = Group.WATCHDOG in wish.groups or everywhere.get(member.user_id, (None, False))[1]
        everywhere[member.user_id] = (member.user, hears)
        if member.organization_id in organizations:
            found.append(wish)
    if None in organizations:
        found += _everywhere(everywhere, chosen, users)
    return found


def _everywhere(members: dict[int, tuple[User, bool]], chosen: dict[Any, NoticePreference],
                users: Collection[int] | None) -> list[Wish]:  # fmt: skip
    masters = User.objects.filter(is_superuser=True, is_active=True).exclude(email="")
    if users is not None:
        masters = masters.filter(pk__in=users)
    people = members | {user.pk: (user, True) for user in masters}
    groups = (str(Group.WATCHDOG),)
    return [
        _wish(user, None, chosen.get((user.pk, None)), (groups if hears else (), "off"))
        for user, hears in people.values()
    ]


def _wish(user: User, organization_id: int | None, row: NoticePreference | None,
          fitting: tuple[tuple[str, ...], str]) -> Wish:  # fmt: skip
    groups, digest = (row.immediate, row.digest) if row else fitting
    return Wish(
        user_id=user.pk, email=user.email, name=user.get_short_name() or user.get_username(),
        organization_id=organization_id, groups=frozenset(groups), digest=digest,
        hour=row.hour if row else DIGEST_HOUR, language=row.language if row else "",
    )  # fmt: skip


def preference(user: Any, organization_id: int | None, role: str) -> NoticePreference:
    """What the person chose, or what fits the role (not saved)."""
    row = NoticePreference.objects.filter(Q(organization=organization_id), user=user).first()
    if row is not None:
        return row
    groups, digest = defaults(role) if organization_id is not None else ((str(Group.WATCHDOG),), "off")
    return NoticePreference(
        user=user, organization_id=organization_id, immediate=list(groups), digest=digest, hour=DIGEST_HOUR
    )
