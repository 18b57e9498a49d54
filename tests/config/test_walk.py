"""Every address of the site, found by itself, as everybody who must not pass: nothing shows, nothing is written.

A new page is covered the moment it has an address, a list action the moment a list has it. What the walk cannot reach
or make, it says so and fails. What each role may do where it belongs is in `test_walk_own`.
"""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from integrations.models import Membership
from tests import factories as make
from tests.config.walk_world import KEY, UID, foreign_world
from tests.config.walking import OWN_BUSINESS, signed_in, walk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet", "nobody_answers")]


@pytest.fixture
def foreigner() -> User:
    """A stranger's own world first, then the foreign one, whose keys are known."""
    make.make_change()
    return foreign_world()


def leaks(client: Client, **what: bool) -> list[str]:
    """Where the foreign rows show, are written, or the site breaks."""
    found = []
    for step, outcome in walk(client, **what):
        if outcome.shows:
            found.append(f"{step}: {outcome.status} shows a foreign row")
        if outcome.problem:
            found.append(f"{step}: {outcome.problem}")
        touched = [sql for sql in outcome.writes if str(KEY) in sql or str(UID) in sql or UID.hex in sql]
        found += [f"{step}: wrote {sql}" for sql in (outcome.writes if step.method == "get" else touched)]
    return found


def test_the_owner_of_another_organization_meets_nothing(foreigner: User) -> None:
    """An owner has every right that the other roles have (`test_roles_table`): whatever they meet, an owner meets."""
    organization = make.make_change().integration.organization
    assert leaks(signed_in(make.make_user(organization=organization, role=Membership.Role.OWNER))) == []


def test_whoever_is_not_signed_in_or_belongs_nowhere_meets_nothing(foreigner: User) -> None:
    assert leaks(signed_in(None)) == []
    staff = signed_in(make.make_user("staff"))
    assert leaks(staff, post=False) == []
    assert signed_in(User.objects.create_user("nobody")).get("/admin/")["Location"].startswith("/admin/login/")


def test_a_viewer_sees_the_own_organization_and_writes_nowhere_whatever_they_own_elsewhere(foreigner: User) -> None:
    """The owner of another organization has every right in some organization, and none of them counts here."""
    person = make.make_user("viewer", organization=foreigner.organizations.get(), role="viewer")
    Membership.objects.create(organization=make.make_organization(), user=person, role="owner")
    shown, wrong = 0, []
    for step, outcome in walk(signed_in(person)):
        shown += outcome.status == 200 and outcome.shows
        own = step.method == "post" and step.name in OWN_BUSINESS
        if outcome.writes and not own:
            wrong.append(f"{step}: {outcome.status} {outcome.writes[0]}")
        if outcome.problem:
            wrong.append(f"{step}: {outcome.problem}")
    assert wrong == []
    assert shown > 40  # the same walk does meet the rows: it would see a leak
