"""The life of a mapping: draft, published, retired; a published version never changes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from mappings.expressions import ExpressionError
from mappings.models import (
    FieldMapping,
    LinkRule,
    LookupRule,
    MappingSet,
    MatchRule,
    State,
    ValidationRule,
    ValueMap,
    ValueMapEntry,
    compile_mapping,
    new_draft,
    publish,
    rollback,
)
from tests.mappings import world

pytestmark = pytest.mark.django_db


def published() -> MappingSet:
    mapping_set = world.draft(world.integration())
    world.field(mapping_set)
    return publish(mapping_set, None)


def refused(**fields: object) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        world.draft(world.integration("Other"), **fields)  # type: ignore[arg-type]


def test_publishing_puts_a_draft_in_force_and_retires_the_one_before() -> None:
    first = published()
    second = publish(new_draft(first, None), None)
    first.refresh_from_db()
    assert (first.state, second.state, second.version) == (State.RETIRED, State.PUBLISHED, 2)
    assert MappingSet.objects.published(first.integration, "customers") == second
    assert second.based_on == first


def test_what_is_not_published_is_not_found() -> None:
    mapping_set = world.draft(world.integration())
    with pytest.raises(MappingSet.DoesNotExist):
        MappingSet.objects.published(mapping_set.integration, "customers")


def test_a_new_draft_copies_every_rule() -> None:
    mapping_set = world.draft(world.integration())
    own = ValueMap.objects.create(integration=mapping_set.integration, mapping_set=mapping_set, name="Own")
    shared = ValueMap.objects.create(integration=mapping_set.integration, name="Shared")
    ValueMapEntry.objects.create(value_map=own, source_value="a", target_value="b")
    world.field(mapping_set, value_map=own)
    world.field(mapping_set, "city", "customer.City", value_map=shared, position=2)
    MatchRule.objects.create(mapping_set=mapping_set, label="Id", expression="customer.X", target_field="fortnox_id")
    ValidationRule.objects.create(mapping_set=mapping_set, label="Ok", expression="customer.X")
    LinkRule.objects.create(mapping_set=mapping_set, name="owner", expression="customer.X", related_slug="owners")
    LookupRule.objects.create(
        mapping_set=mapping_set, name="city", label="City", expression="customer.X", target_object="c", target_field="y"
    )
    draft = new_draft(publish(mapping_set, None), None)
    assert [rule.name for rule in draft.lookups.all()] == ["city"]
    assert [str(r) for r in draft.field_mappings.all()] == [str(r) for r in mapping_set.field_mappings.all()]
    assert [draft.match_rules.count(), draft.validations.count(), draft.link_rules.count()] == [1, 1, 1]
    copied, kept = draft.field_mappings.all()
    assert copied.value_map != own
    assert copied.value_map.mapping_set == draft
    assert [str(entry) for entry in copied.value_map.entries.all()] == ["a → b"]
    assert kept.value_map == shared
    assert own.entries.count() == 1
    assert mapping_set.field_mappings.first().value_map == own


def test_there_is_one_draft_at_a_time() -> None:
    first = published()
    new_draft(first, None)
    with pytest.raises(ValidationError, match="already a draft"):
        new_draft(first, None)


def test_only_drafts_are_published() -> None:
    first = published()
    with pytest.raises(ValidationError, match="Only a draft"):
        publish(first, None)


def test_rolling_back_publishes_a_copy_of_the_old_version() -> None:
    first = published()
    draft = new_draft(first, None)
    rule = draft.field_mappings.get()
    rule.expression = "upper(customer.Name)"
    rule.save()
    publish(draft, None)
    third = rollback(MappingSet.objects.get(pk=first.pk), None)
    assert (third.version, third.state, third.note) == (3, State.PUBLISHED, "Rolled back to version 1")
    assert third.field_mappings.get().expression == "customer.Name"


def test_a_draft_cannot_be_rolled_back_to() -> None:
    with pytest.raises(ValidationError, match="draft"):
        rollback(world.draft(world.integration()), None)


def test_a_failed_rollback_leaves_no_draft_behind() -> None:
    first = published()
    second = publish(new_draft(first, None), None)
    account = second.integration.crm_account
    account.schemas = {"company": world.dump_schema(world.ObjectSchema("hubspot", "company", "Company", "id", {}))}
    account.save()
    with pytest.raises(ValidationError, match="has no field"):
        rollback(MappingSet.objects.get(pk=first.pk), None)
    assert not MappingSet.objects.drafts().exists()


def test_rules_of_a_published_version_cannot_be_changed_added_or_deleted() -> None:
    mapping_set = published()
    rule = mapping_set.field_mappings.get()
    rule.expression = "customer.City"
    for attempt in (rule.save, rule.delete, rule.clean, lambda: world.field(mapping_set, "city"), mapping_set.clean):
        with pytest.raises(ValidationError, match="never changes"):
            attempt()
    assert mapping_set.field_mappings.get().expression == "customer.Name"


def test_a_published_version_itself_cannot_be_changed() -> None:
    mapping_set = published()
    mapping_set.name = "Renamed"
    with pytest.raises(ValidationError, match="never changes"):
        mapping_set.save()
    with pytest.raises(ValidationError, match="never changes"):
        mapping_set.save(update_fields=["name", "state"])
    mapping_set.state = State.DRAFT  # what the row says now does not matter, only what is stored
    with pytest.raises(ValidationError, match="never changes"):
        mapping_set.save()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (MatchRule(label="m", expression="trim(", target_field="name"), "not well-formed"),
        (MatchRule(label="m", expression="customer.Name", target_field="name", extra_field="zip"), "all three parts"),
        (
            MatchRule(
                label="m", expression="customer.Name", target_field="name", extra_expression="customer.Zip",
                extra_field="zip", extra_normaliser="digits",
            ),
            "Unknown field",
        ),
        (MatchRule(label="m", expression="customer.Name", target_field="nmae"), "has no field"),
        (ValidationRule(label="v", expression="customer.Nmae"), "Did you mean"),
        (ValidationRule(label="v", expression="customer.Name", scope="line", outcome="skip_create"), "left out or"),
        (LinkRule(name="l", expression="nothing", related_slug="x"), "Unknown name"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_work_is_refused(rule: MatchRule | ValidationRule | LinkRule, reason: str) -> None:
    rule.mapping_set = world.draft(world.integration(described=True))
    with pytest.raises(ValidationError) as caught:
        rule.full_clean()
    assert reason in " ".join(caught.value.messages)


def test_a_table_of_another_mapping_is_refused() -> None:
    pair = world.integration()
    foreign = ValueMap.objects.create(integration=world.integration("Other"), name="Foreign")
    mapping_set = world.draft(pair)
    with pytest.raises(ValidationError, match="another integration"):
        world.field(mapping_set, value_map=foreign).clean()
    with pytest.raises(ValidationError, match="another integration"):
        ValueMap(integration=foreign.integration, mapping_set=mapping_set, name="x").clean()


def test_nobody_sees_anything_without_an_account() -> None:
    world.field(world.draft(world.integration()))
    ValueMap.objects.create(integration=MappingSet.objects.get().integration, name="T")
    for model in (MappingSet, FieldMapping, ValueMap):
        assert not model.objects.for_user(AnonymousUser()).exists()
        assert model.objects.for_user(User(is_superuser=True)).exists()


def test_publishing_reports_every_rule_that_is_not_fit() -> None:
    mapping_set = world.draft(world.integration(described=True), title_expression="nothing.here")
    world.field(mapping_set, "name", "customer.Nmae")
    world.field(mapping_set, "zip", "trim(")
    world.field(mapping_set, "hs_object_id", "customer.Name")
    world.field(mapping_set, "nowhere", "customer.Name")
    MatchRule.objects.create(mapping_set=mapping_set, label="M", expression="customer.Name", target_field="nope")
    with pytest.raises(ValidationError) as caught:
        publish(mapping_set, None)
    words = " ".join(caught.value.messages)
    for part in (
        "Unknown name “nothing”",
        "Did you mean “Name”",
        "not complete",
        "cannot be written",
        "nowhere",
        "nope",
    ):
        assert part in words
    assert MappingSet.objects.get().state == State.DRAFT


def test_position_is_a_word_of_line_rules_only() -> None:
    mapping_set = world.draft(world.integration())
    assert mapping_set.compile("source.position", "line")
    with pytest.raises(ExpressionError, match="position"):
        mapping_set.compile("source.position")


def test_the_database_keeps_the_invariants() -> None:
    refused(unique_field="x")
    refused(line_unique_expression="x")
    refused(version=0)
    refused(state="odd")
    refused(published_at=timezone.now())
    refused(state="published")
    mapping_set = world.draft(world.integration("Third"))
    with pytest.raises(IntegrityError), transaction.atomic():
        world.draft(mapping_set.integration, version=2)
    with pytest.raises(IntegrityError), transaction.atomic():
        world.field(mapping_set, scope="odd")
    with pytest.raises(IntegrityError), transaction.atomic():
        world.field(mapping_set, "")
    world.field(mapping_set)
    with pytest.raises(IntegrityError), transaction.atomic():
        world.field(mapping_set)
    with pytest.raises(IntegrityError), transaction.atomic():
        MatchRule.objects.create(mapping_set=mapping_set, label="x", expression="1", target_field="a", extra_field="b")
    with pytest.raises(IntegrityError), transaction.atomic():
        ValidationRule.objects.create(
            mapping_set=mapping_set, label="x", expression="1", scope="line", outcome="skip_create"
        )


def test_both_sides_must_differ() -> None:
    mapping_set = world.draft(world.integration())
    mapping_set.target_side = "ledger"
    with pytest.raises(ValidationError, match="different sides"):
        mapping_set.clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        mapping_set.save()


def test_a_value_is_translated_once_whatever_its_case() -> None:
    value_map = ValueMap.objects.create(integration=world.integration(), name="Terms")
    ValueMapEntry.objects.create(value_map=value_map, source_value="Net 30", target_value="30")
    with pytest.raises(ValidationError, match="already translated"):
        ValueMapEntry(value_map=value_map, source_value=" NET 30 ", target_value="31").full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        ValueMapEntry.objects.create(value_map=value_map, source_value="net 30")


def test_a_mapping_compiles_with_all_it_reads() -> None:
    mapping_set = world.draft(
        world.integration(), unique_field="fortnox_key", unique_expression="concat(source.account_id, customer.N)",
        title_expression="customer.Title",
    )  # fmt: skip
    world.field(mapping_set)
    MatchRule.objects.create(
        mapping_set=mapping_set, label="Name", expression="customer.Name", target_field="name", normaliser="text",
        outcome="suggest", extra_expression="customer.Zip", extra_field="zip", extra_normaliser="digits",
    )  # fmt: skip
    compiled = compile_mapping(mapping_set)
    assert compiled.reads == {"customer": frozenset({"N", "Name", "Title", "Zip"})}
    [match] = compiled.match_rules
    assert (match.outcome, match.extra is not None and match.extra[1:]) == ("suggest", ("zip", "digits"))
    assert compiled.unique is not None
    assert compiled.version_id == mapping_set.pk


def test_a_published_mapping_is_compiled_once(django_assert_num_queries: object) -> None:
    mapping_set = published()
    first = compile_mapping(mapping_set)
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert compile_mapping(mapping_set) is first


def test_a_draft_is_compiled_as_it_is_now() -> None:
    mapping_set = world.draft(world.integration())
    rule = world.field(mapping_set)
    compile_mapping(mapping_set)
    rule.expression = "1 + 1"
    rule.save()
    [field] = compile_mapping(mapping_set).fields
    assert field.expression.evaluate({}, {}) == Decimal(2)


def test_a_new_translation_reaches_a_published_mapping_at_once() -> None:
    pair = world.integration()
    shared = ValueMap.objects.create(integration=pair, name="Terms")
    mapping_set = world.draft(pair)
    world.field(mapping_set, "name", 'lookup(customer.T, "Terms")', value_map=shared)
    mapping_set = publish(mapping_set, None)
    assert compile_mapping(mapping_set).tables["Terms"].entries == {}
    entry = ValueMapEntry.objects.create(value_map=shared, source_value="30", target_value="30 days")
    assert compile_mapping(mapping_set).tables["Terms"].entries == {"30": "30 days"}
    assert compile_mapping(mapping_set).fields[0].value_map == compile_mapping(mapping_set).tables["Terms"]
    entry.delete()
    assert compile_mapping(mapping_set).tables["Terms"].entries == {}


def test_a_mappings_own_table_wins_over_a_shared_one() -> None:
    mapping_set = world.draft(world.integration())
    for owner, target in ((mapping_set, "own"), (None, "shared")):
        value_map = ValueMap.objects.create(integration=mapping_set.integration, mapping_set=owner, name="T")
        ValueMapEntry.objects.create(value_map=value_map, source_value="x", target_value=target)
    assert compile_mapping(mapping_set).tables["T"].entries == {"x": "own"}


def test_another_integrations_table_is_unknown() -> None:
    ValueMap.objects.create(integration=world.integration("Other"), name="Secret")
    mapping_set = world.draft(world.integration())
    with pytest.raises(ExpressionError, match="Unknown value map"):
        mapping_set.compile('lookup(customer.Name, "Secret")')


def test_every_change_of_a_rule_is_in_its_history() -> None:
    mapping_set = world.draft(world.integration())
    rule = world.field(mapping_set)
    rule.expression = "trim(customer.Name)"
    rule.save()
    assert [h.expression for h in rule.history.order_by("history_id")] == ["customer.Name", "trim(customer.Name)"]
    publish(mapping_set, None)
    assert [h.state for h in mapping_set.history.order_by("history_id")] == ["draft", "published"]
