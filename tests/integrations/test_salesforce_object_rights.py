"""A right on a whole object that our user lacks: named by object and right, before a write and after one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from integrations import errors as e
from integrations.connector import ReadinessLine
from integrations.errors import ErrorClass
from integrations.salesforce import object_rights, readiness, schema_check
from integrations.salesforce.codes import CODES
from tests.integrations.salesforce_packaged import Org, account, calls, failed, good, one
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db


@pytest.fixture
def org(salesforce_sandbox: SandboxProcess, settings: Any) -> Iterator[Org]:
    org = Org(salesforce_sandbox, settings)
    token_user = org.client.query("SELECT Id FROM User WHERE Username LIKE 'integration@%'")
    org.account.details |= {"user_id": str(token_user[0]["Id"]), "orders": True}
    yield org
    org.set(object_permissions={}, view_setup=True)


def board(org: Org) -> dict[str, ReadinessLine]:
    return {line.code: line for line in readiness.check(org.client, org.objects)}


def test_with_our_package_every_right_is_there_and_all_records_can_be_seen(org: Org) -> None:
    lines = board(org)
    assert (lines["package"].level, lines["sharing"].level) == ("ok", "ok")
    assert "object_rights" not in lines
    assert schema_check.check(org.account, org.client).complete


def test_each_missing_right_is_named_with_its_object(org: Org) -> None:
    org.set(object_permissions={"Account": ["read", "edit"], "Product2": ["read", "create"], "Contact": []})
    found = schema_check.check(org.account, org.client)
    assert [(one.object, one.right) for one in found.lacking] == [
        ("Account", "create"),
        ("Contact", "read"),
        ("Product2", "edit"),
    ]
    assert not found.complete
    lines = board(org)
    assert lines["object_rights"].level == "error"
    assert "Account: Create" in lines["object_rights"].detail and "Permission Sets" in lines["object_rights"].fix
    assert lines["sharing"].level == "warning"
    assert lines["sharing"].fix.endswith(": Account, Contact")


def test_where_the_user_may_not_ask_for_rights_the_board_says_what_to_look_at(org: Org) -> None:
    org.set(view_setup=False)
    line = board(org)["sharing"]
    assert line.level == "warning"
    assert "Account, Contact, Fortnox_Invoice__c, Opportunity, Order" in line.fix


def test_a_right_that_was_taken_away_is_refused_as_one_and_named(org: Org) -> None:
    key = good(org, "rights")
    org.set(object_permissions={"Account": ["read", "edit"]})
    refused = one(org, "account", account("rights2"))  # what the org said about the object is older than that
    assert failed(refused) == (e.PermissionMissing, "object_right", "", "Account")
    assert refused.error is not None and refused.error.context["remedy"] == CODES["object_right"].remedy
    assert CODES["object_right"].kind.error_class is ErrorClass.PERMISSION
    assert one(org, "account", account("rights", Name="Nytt namn")).error is None
    assert org.record("Account", key)["Name"] == "Nytt namn"


def test_a_right_that_is_known_to_lack_costs_no_write_and_counts_once_it_is_given(org: Org) -> None:
    org.set(object_permissions={"Account": ["read"]})
    org.objects.catalogue.forget(["Account"])
    with calls() as seen:
        refused = one(org, "account", account("known"))
    assert failed(refused) == (e.PermissionMissing, "object_right", "", "Account")
    assert "“Create” on the object Account" in str(refused.error)
    assert set(seen) == {"Account.describe"}
    org.set(object_permissions={})
    assert one(org, "account", account("known")).error is None


def test_what_our_sets_give_is_read_from_the_package() -> None:
    wanted = object_rights.wanted(["Fortnox_Integration", "Fortnox_Integration_Orders"])
    assert wanted["Account"] == {"read", "create", "edit", "view_all"}
    assert wanted["Order"] == {"read", "edit", "view_all"}
    assert wanted["Pricebook2"] == {"read", "edit"}
