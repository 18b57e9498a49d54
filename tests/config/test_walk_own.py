"""What each role may do where it belongs: every address and action, asked up the ladder of roles, against one table.

A right that becomes wider or narrower fails here until `walk_rights.txt` says so, and so does an address or an action
that is new. Each person owns another organization besides: what that allows counts only on pages that name no row.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from integrations.models import Membership
from tests import factories as make
from tests.config.walk_world import foreign_world
from tests.config.walking import ACTION, Outcome, Step, ask, signed_in, steps

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet", "nobody_answers")]

TABLE = Path(__file__).with_name("walk_rights.txt")
RUNGS = (("viewer",), ("support",), ("consultant", "accountant"), ("owner",), ("superuser",))
"""From below: whoever stands higher is asked only what those below were refused (`test_roles_table` proves that each
includes them)."""
NOBODY = "nobody"
HEAD = """\
# Who is let in where, in the own organization: the lowest role for each address and list action, read or posted to.
# Roles above it are let in as well (consultant and accountant stand side by side). Measured by test_walk_own.py;
# WALK_RIGHTS=write writes it anew: read the difference as a change of rights before you keep it. Posts that do no more
# than show the page again are left out. Nobody, not even who runs the installation, is let in to what vendors sign and
# cards show a token for (tests of their own), to what is never added or deleted by hand, and to what this world has no
# row for: past versions of some rules, rows of the installation itself, a chat channel, a value's story.
"""


class Person:
    """Somebody with a role here, who owns another organization; and somebody with the role only."""

    def __init__(self, role: str) -> None:
        organization = Membership.objects.get(user__username="foreign").organization
        if role == "superuser":
            self.here = self.only_here = signed_in(make.make_superuser(role))
            return
        both = make.make_user(role, organization=organization, role=role)
        Membership.objects.create(organization=make.make_organization(), user=both, role="owner")
        self.here = signed_in(both)
        self.only_here = signed_in(make.make_user(f"only {role}", organization=organization, role=role))

    def ask(self, step: Step) -> Outcome:
        """As the one with the other organization, where the step is about a row of this one."""
        return ask(self.here if step.keyed else self.only_here, step)


def lowest(people: dict[str, Person], step: Step) -> tuple[dict[str, Outcome], list[str]]:
    """(the lowest on the ladder who were let in, with what they met; where the site broke on the way)."""
    broken = []
    for rung in RUNGS:
        outcomes = {role: people[role].ask(step) for role in rung}
        broken += [f"{step} as {role}: {met.problem}" for role, met in outcomes.items() if met.problem]
        if let_in := {role: met for role, met in outcomes.items() if met.lets_in}:
            return let_in, broken
    return {}, broken


def measured() -> tuple[dict[str, str], list[str]]:
    """(by "method name": the roles that are let in, of the lowest who are; where the site broke)."""
    people = {role: Person(role) for rung in RUNGS for role in rung}
    found: dict[str, set[str]] = {}
    wrote, broken = set(), list[str]()
    for step in steps():
        let_in, problems = lowest(people, step)
        broken += problems
        key = f"{step.method} {step.name.removeprefix('admin:')}"
        found.setdefault(key, set()).update(let_in)
        if any(met.writes for met in let_in.values()):
            wrote.add(key)
    table = {}
    for key, roles in found.items():
        method, _space, name = key.partition(" ")
        other = found.get(f"{'get' if method == 'post' else 'post'} {name}", set())
        just_looks = method == "post" and roles == {"viewer"} <= other and key not in wrote
        if roles and not just_looks:
            table[key] = " ".join(role for rung in RUNGS for role in rung if role in roles)
        elif not roles and not other:
            table[f"any {name}"] = NOBODY
    return table, broken


def kept() -> dict[str, str]:
    """The table as it is kept: a line of roles in brackets, then what they are let in to."""
    found, roles = dict[str, str](), ""
    for line in filter(None, (raw.partition("#")[0].strip() for raw in TABLE.read_text().splitlines())):
        if line.startswith("["):
            roles = line.strip("[]")
        else:
            found[line] = roles
    return found


def write(table: dict[str, str]) -> None:
    """Keeps the table: what is wider or narrower than before is then seen where changes are reviewed."""
    order = [" ".join(rung) for rung in RUNGS]
    groups: dict[str, list[str]] = {}
    for key, roles in sorted(table.items()):
        groups.setdefault(roles, []).append(key)
    parts = [HEAD]
    for roles in sorted(groups, key=lambda roles: (order.index(roles) if roles in order else len(order), roles)):
        parts.append(f"[{roles}]\n" + "".join(f"{key}\n" for key in groups[roles]))
    TABLE.write_text("\n".join(parts))


def test_each_role_may_do_in_its_organization_what_the_table_says_and_nothing_else() -> None:
    foreign_world()
    table, broken = measured()
    if os.environ.get("WALK_RIGHTS") == "write":
        write(table)
    said = kept()
    assert broken == []
    assert {
        key: table.get(key) for key, roles in said.items() if table.get(key) != roles
    } == {}  # what became otherwise
    assert {key: roles for key, roles in table.items() if key not in said} == {}  # what is new
    assert [
        key for key in said if key.startswith("any ") and ACTION in key
    ] == []  # an action that never ran proves nothing
    assert len(said) > 300
