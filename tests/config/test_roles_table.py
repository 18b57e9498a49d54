"""What each role may do: every right exists, the ladder holds, and the documentation says it as it is."""

from __future__ import annotations

from django.core.management import call_command

from sync.roles import PERMISSIONS, table

CONFIGURES = ("change_flow", "add_flow", "_mappingset", "_fieldmapping", "_routingrule", "_valuemap", "_integration")


def test_roles_include_those_below_and_an_accountant_configures_nothing() -> None:
    viewer, support, consultant, accountant, owner = (set(labels) for labels in PERMISSIONS.values())
    assert viewer < support < consultant < owner and support < accountant < owner
    assert {"sync.approve_flow", "sync.credit_change"} <= accountant
    wrong = [label for label in accountant - viewer if label.endswith(CONFIGURES)]
    assert wrong == []
    assert {label for label in owner if label.endswith("_membership")} - viewer and not consultant & {
        "integrations.add_membership", "integrations.change_membership", "integrations.delete_membership",
    }  # fmt: skip


def test_every_right_exists_and_the_documentation_shows_who_has_it() -> None:
    assert all(label in table() for labels in PERMISSIONS.values() for label in labels)
    call_command("roles", "--check")
