"""Routing rules as rows: what may be saved, in which order they stand, and what changed them."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from integrations.connector import FieldSchema, ObjectSchema
from integrations.models import ConnectedAccount, Integration
from mappings.models import RoutingRule
from mappings.models.routing import readable
from mappings.schemas import dump_schema
from tests.factories import make_account, make_integration, make_organization, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair() -> Integration:
    found = make_integration()
    fields = {name: FieldSchema(name, name) for name in ("Region", "Amount")}
    parts = {"owner": {"Name": FieldSchema("Name", "Name")}, "line": {"Total": FieldSchema("Total", "Total")}}
    schema = ObjectSchema("hubspot", "deal", "Deal", "id", fields, parts, lines="line")
    ConnectedAccount.objects.filter(pk=found.crm_account_id).update(schemas={"deal": {"schema": dump_schema(schema)}})
    found.crm_account.refresh_from_db()
    return found


def rule(pair: Integration, expression: str = "", position: int = 1, **fields: object) -> RoutingRule:
    values = {"account": pair.crm_account, "object_name": "deal", "name": "Rule", "integration": pair} | fields
    return RoutingRule.objects.create(expression=expression, position=position, **values)


@pytest.mark.parametrize(
    "expression",
    ["", ' deal.Region == "North" ', 'owner.Name == "Anna" and deal.Amount', "sum_lines(line.Total)",
     'source.account_id == "1"'],
)  # fmt: skip
def test_a_condition_reads_the_record_and_its_parts(pair: Integration, expression: str) -> None:
    assert rule(pair, expression).expression == expression.strip()


@pytest.mark.parametrize(
    ("expression", "said"),
    [("deal.Regoin", "Region"), ("deal.Region ==", "character"), ("setup.pipeline", "setup"),
     ("setting.price", "setting"), ("line.Total", "sum_lines"), ("__import__('os')", "character")],
)  # fmt: skip
def test_a_condition_that_cannot_work_is_refused_when_it_is_saved(
    pair: Integration, expression: str, said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        rule(pair, expression)
    assert not RoutingRule.objects.exists()


def test_without_a_known_schema_the_condition_must_only_be_well_formed() -> None:
    assert rule(make_integration(), 'deal.Anything == "x"')
    with pytest.raises(ValidationError):
        rule(make_integration(), "deal.")


def test_a_company_of_another_account_or_organization_is_refused(pair: Integration) -> None:
    other_portal = make_integration(pair.organization, crm=make_account(pair.organization, "hubspot"))
    foreign = make_organization()
    same_account = make_integration(foreign, crm=pair.crm_account, ledger=make_account(foreign))
    for wrong in (make_integration(), other_portal, same_account):
        with pytest.raises(ValidationError, match="not connected"):
            rule(pair, integration=wrong)
    kept = rule(pair)
    kept.integration = other_portal
    with pytest.raises(ValidationError):
        kept.save()


def test_two_rules_never_share_a_place(pair: Integration) -> None:
    rule(pair)
    with pytest.raises(IntegrityError), transaction.atomic():
        rule(pair)


def test_a_new_rule_comes_before_the_default(pair: Integration) -> None:
    for name, expression in (("First", "deal.Amount"), ("Default", ""), ("Second", "deal.Region"), ("Late", "")):
        row = RoutingRule(
            account=pair.crm_account, object_name="deal", name=name, expression=expression, integration=pair
        )
        row.put_last()
        row.save()
    rows = RoutingRule.objects.of(pair.crm_account_id, "deal")
    assert list(rows.values_list("name", flat=True)) == ["First", "Second", "Default", "Late"]


def test_rules_change_places(pair: Integration) -> None:
    first, second = rule(pair, position=1, name="first"), rule(pair, position=5, name="second")
    assert second.swap(up=True) and not second.swap(up=True)
    assert list(RoutingRule.objects.of(pair.crm_account_id, "deal")) == [second, first]
    assert first.history.count() == second.history.count() == 2
    second.refresh_from_db()
    assert second.swap(up=False)
    assert list(RoutingRule.objects.of(pair.crm_account_id, "deal")) == [first, second]


def test_what_changed_a_rule_is_kept(pair: Integration) -> None:
    row = rule(pair, "deal.Amount")
    row.expression = "deal.Region"
    row.save()
    assert list(row.history.values_list("expression", flat=True)) == ["deal.Region", "deal.Amount"]


def test_a_company_that_a_rule_names_is_not_deleted(pair: Integration) -> None:
    """Its records would fall through to the next rule, which is another company's."""
    rule(pair)
    with pytest.raises(ProtectedError):
        pair.delete()


def test_a_person_sees_the_rules_of_their_organizations(pair: Integration) -> None:
    row = rule(pair)
    assert list(RoutingRule.objects.for_user(make_user(organization=pair.organization))) == [row]
    assert not RoutingRule.objects.for_user(make_user(organization=make_organization()))


def test_the_fields_that_a_condition_may_name(pair: Integration) -> None:
    assert readable(pair.crm_account, "deal") == ["deal.Amount", "deal.Region", "line.Total", "owner.Name"]
    assert readable(pair.crm_account, "unknown") == []
