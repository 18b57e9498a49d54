"""The admin of mappings: own organization only, mistakes refused at their row, published versions read-only."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

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
    new_draft,
    publish,
)
from tests.mappings import world

pytestmark = pytest.mark.django_db
LISTS = ["mappingset", "fieldmapping", "matchrule", "validationrule", "linkrule", "lookuprule", "valuemap"]


def consultant(name: str = "anna", *, may_publish: bool = True) -> User:
    user = User.objects.create_user(name, password="x", is_staff=True)
    permissions = Permission.objects.filter(content_type__app_label="mappings")
    if not may_publish:
        permissions = permissions.exclude(codename="publish_mappingset")
    user.user_permissions.set(permissions)
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def full_set(pair: Any, slug: str = "customers", fields: int = 2) -> MappingSet:
    mapping_set = world.draft(pair, slug)
    shared, _made = ValueMap.objects.get_or_create(integration=pair, name="Shared")
    for number, target in enumerate(["name", "city", "phone", "address", "address2", "zip"][:fields]):
        world.field(mapping_set, target, value_map=shared, position=number)
    MatchRule.objects.create(mapping_set=mapping_set, label="Id", expression="customer.Name", target_field="name")
    ValidationRule.objects.create(mapping_set=mapping_set, label="Ok", expression="customer.Name")
    LinkRule.objects.create(mapping_set=mapping_set, name="owner", expression="customer.Name", related_slug="owners")
    LookupRule.objects.create(
        mapping_set=mapping_set, name="city", label="City exists", expression="customer.City", target_object="city",
        target_field="name",
    )  # fmt: skip
    return mapping_set


def change_url(row: Any) -> str:
    return reverse(f"admin:mappings_{row._meta.model_name}_change", args=[row.pk])


def form_of(mapping_set: MappingSet, **changes: Any) -> dict[str, Any]:
    """The change form as a browser would send it, with one new field row."""
    post: dict[str, Any] = {
        name: getattr(mapping_set, name)
        for name in ("name", "slug", "note", "source_side", "source_object", "target_side", "target_object")
    } | dict.fromkeys(
        ("unique_field", "unique_expression", "line_unique_field", "line_unique_expression", "title_expression",
         "promise_expression", "promise_currency_expression"), ""
    )  # fmt: skip
    post["integration"] = mapping_set.integration_id
    for prefix in ("match_rules", "validations", "link_rules", "lookups"):
        post |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    post |= {"field_mappings-TOTAL_FORMS": 1, "field_mappings-INITIAL_FORMS": 0}
    row = {
        "position": 1, "expression": "customer.Name", "target_field": "name", "scope": "header", "when": "always",
        "precedence": "source", "blank": "keep", "mapping_set": mapping_set.pk,
    }  # fmt: skip
    post |= {f"field_mappings-0-{key}": value for key, value in row.items()}
    return post | changes


def test_a_good_row_is_saved() -> None:
    user = consultant()
    mapping_set = world.draft(world.integration(described=True, user=user))
    reply = signed_in(user).post(change_url(mapping_set), form_of(mapping_set))
    assert reply.status_code == 302
    assert mapping_set.field_mappings.get().expression == "customer.Name"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"field_mappings-0-expression": "customer.Nmae"}, "Did you mean “Name”?"),
        ({"field_mappings-0-expression": "trim(customer.Name"}, "not well-formed"),
        ({"field_mappings-0-expression": "customer.__class__"}, "is not a field"),
        ({"field_mappings-0-target_field": "nmae"}, "has no field “nmae”"),
        ({"field_mappings-0-target_field": "hs_object_id"}, "cannot be written"),
        ({"title_expression": "nothing"}, "Unknown name “nothing”"),
        ({"promise_expression": "1 +"}, "not well-formed"),
        ({"unique_field": "fortnox_key"}, "Give both the field and the expression"),
        ({"target_side": "ledger"}, "must be different sides"),
    ],
)
def test_a_mistake_is_refused_with_its_reason(changes: dict[str, str], reason: str) -> None:
    user = consultant()
    mapping_set = world.draft(world.integration(described=True, user=user))
    reply = signed_in(user).post(change_url(mapping_set), form_of(mapping_set, **changes))
    assert reply.status_code == 200
    assert reason in reply.content.decode()
    assert not mapping_set.field_mappings.exists()


def test_a_mistake_is_refused_on_a_new_mapping_too() -> None:
    user = consultant()
    template = world.draft(world.integration(described=True, user=user))
    form = form_of(template, slug="other", **{"field_mappings-0-expression": "customer.Nmae"})
    form["field_mappings-0-mapping_set"] = ""
    url = reverse("admin:mappings_mappingset_add")
    reply = signed_in(user).post(url, form)
    assert "Did you mean “Name”?" in reply.content.decode()
    form["field_mappings-0-expression"] = "customer.Name"
    assert signed_in(user).post(url, form).status_code == 302
    assert MappingSet.objects.get(slug="other").created_by == user


def test_a_form_half_filled_in_is_asked_for_the_rest() -> None:
    user = consultant()
    template = world.draft(world.integration(user=user))
    form = form_of(template, integration="", source_side="", source_object="")
    form |= {"field_mappings-0-mapping_set": "", "title_expression": "customer.Name"}
    reply = signed_in(user).post(reverse("admin:mappings_mappingset_add"), form)
    assert "This field is required" in reply.content.decode()
    form["integration"] = template.integration_id
    reply = signed_in(user).post(reverse("admin:mappings_mappingset_add"), form)
    assert "This field is required" in reply.content.decode()


def test_without_a_described_account_syntax_and_functions_are_still_checked() -> None:
    user = consultant()
    mapping_set = world.draft(world.integration(user=user))
    client = signed_in(user)
    for source, words in (("upppper(customer.X)", "Did you mean “upper”"), ("deal.x", "Unknown name “deal”")):
        form = form_of(mapping_set, **{"field_mappings-0-expression": source})
        assert words in client.post(change_url(mapping_set), form).content.decode()
    form = form_of(mapping_set, **{"field_mappings-0-expression": "customer.Anything"})
    assert client.post(change_url(mapping_set), form).status_code == 302


def test_a_published_version_is_read_only_and_offers_a_new_draft() -> None:
    user = consultant()
    mapping_set = publish(full_set(world.integration(user=user)), None)
    client = signed_in(user)
    page = client.get(change_url(mapping_set)).content.decode()
    assert "Edit in a new draft" in page
    assert "<textarea" not in page
    assert 'name="_save"' not in page
    assert client.post(change_url(mapping_set), form_of(mapping_set, name="Renamed")).status_code == 403
    assert MappingSet.objects.get().name == mapping_set.name


def test_rules_and_tables_of_a_published_version_are_read_only() -> None:
    user = consultant()
    draft = full_set(world.integration(user=user))
    own = ValueMap.objects.create(integration=draft.integration, mapping_set=draft, name="Own")
    client = signed_in(user)
    assert 'name="_save"' in client.get(change_url(own)).content.decode()
    mapping_set = publish(draft, None)
    for row in (
        mapping_set.field_mappings.first(),
        mapping_set.match_rules.first(),
        mapping_set.link_rules.first(),
        mapping_set.lookups.first(),
        own,
    ):
        page = client.get(change_url(row)).content.decode()
        assert 'name="_save"' not in page
        delete = reverse(f"admin:mappings_{row._meta.model_name}_delete", args=[row.pk])
        assert client.post(delete, {"post": "yes"}).status_code == 403


def step(client: Client, mapping_set: MappingSet, name: str) -> Any:
    url = reverse(f"admin:mappings_mappingset_{name}", args=[mapping_set.pk])
    asked = client.get(url)
    if asked.status_code == 200:
        assert mapping_set.name in asked.content.decode()
    return client.post(url, follow=True)


def test_the_steps_publish_copy_and_roll_back() -> None:
    user = consultant()
    first = full_set(world.integration(user=user))
    client = signed_in(user)
    assert step(client, first, "publish").status_code == 200
    first.refresh_from_db()
    assert (first.state, first.published_by) == (State.PUBLISHED, user)
    step(client, first, "new_draft")
    second = MappingSet.objects.drafts().get()
    assert second.created_by == user
    step(client, second, "publish")
    step(client, first, "rollback")
    assert MappingSet.objects.published(first.integration, "customers").version == 3


def test_asking_changes_nothing() -> None:
    user = consultant()
    draft = full_set(world.integration(user=user))
    signed_in(user).get(reverse("admin:mappings_mappingset_publish", args=[draft.pk]))
    assert MappingSet.objects.get().state == State.DRAFT


def test_a_draft_that_does_not_compile_is_not_published_and_says_why() -> None:
    user = consultant()
    draft = world.draft(world.integration(described=True, user=user))
    FieldMapping.objects.create(mapping_set=draft, target_field="name", expression="customer.Nmae")
    reply = step(signed_in(user), draft, "publish")
    assert "Did you mean “Name”?" in reply.content.decode()
    assert MappingSet.objects.get().state == State.DRAFT


def test_publishing_needs_its_permission() -> None:
    user = consultant(may_publish=False)
    draft = full_set(world.integration(user=user))
    user.memberships.update(role="viewer")
    client = signed_in(user)
    assert step(client, draft, "publish").status_code == 403
    assert "/publish/" not in client.get(change_url(draft)).content.decode()
    assert MappingSet.objects.get().state == State.DRAFT


def test_only_one_draft_can_be_opened() -> None:
    user = consultant()
    first = publish(full_set(world.integration(user=user)), None)
    new_draft(first, None)
    assert "already a draft" in step(signed_in(user), first, "new_draft").content.decode()


def test_another_organizations_rows_do_not_exist() -> None:
    user = consultant()
    world.integration("Mine", user=user)
    foreign = full_set(world.integration("Theirs"))
    published_one = publish(full_set(world.integration("Others")), None)
    client = signed_in(user)
    rows: list[Any] = [
        foreign, foreign.field_mappings.first(), foreign.match_rules.first(), foreign.validations.first(),
        foreign.link_rules.first(), foreign.lookups.first(), ValueMap.objects.first(), published_one,
    ]  # fmt: skip
    for row in rows:
        name = row._meta.model_name
        for page in ("change", "delete", "history"):
            assert client.get(reverse(f"admin:mappings_{name}_{page}", args=[row.pk])).status_code == 404, (name, page)
        listed = client.get(reverse(f"admin:mappings_{name}_changelist")).content.decode()
        # Without values of inputs: a random token may spell anything.
        assert str(row) not in re.sub(r'value="[^"]*"', "", listed)
    for name in ("publish", "new_draft", "rollback"):
        url = reverse(f"admin:mappings_mappingset_{name}", args=[foreign.pk])
        assert client.get(url).status_code == 404
        assert client.post(url).status_code == 404
    past = foreign.history.first()
    assert client.get(f"/admin/mappings/mappingset/{foreign.pk}/history/{past.history_id}/").status_code == 404


def test_choices_name_nothing_of_other_organizations() -> None:
    user = consultant()
    mine = world.integration("Mine", user=user)
    theirs = world.integration("Theirs")
    ValueMap.objects.create(integration=theirs, name="Their secret terms")
    world.draft(theirs, "their-secret-mapping")
    draft = world.draft(mine)
    world.field(draft)
    client = signed_in(user)
    for url in (change_url(draft), reverse("admin:mappings_valuemap_add"), reverse("admin:mappings_fieldmapping_add")):
        page = client.get(url).content.decode()
        assert "Theirs" not in page
        assert "secret" not in page
    form = form_of(draft, integration=theirs.pk)
    assert "valid choice" in client.post(change_url(draft), form).content.decode()


def test_the_past_is_shown_and_never_restored_in_place() -> None:
    user = consultant()
    draft = full_set(world.integration(user=user))
    past = draft.history.first()
    publish(draft, None)
    client = signed_in(user)
    assert client.get(reverse("admin:mappings_mappingset_history", args=[draft.pk])).status_code == 200
    url = f"/admin/mappings/mappingset/{draft.pk}/history/{past.history_id}/"
    assert client.get(url).status_code == 200
    assert client.post(url, form_of(draft)).status_code == 403
    assert MappingSet.objects.get().state == State.PUBLISHED
    link = draft.link_rules.first()
    assert client.get(reverse("admin:mappings_linkrule_history", args=[link.pk])).status_code == 200


def test_a_shared_table_grows_in_the_admin() -> None:
    user = consultant()
    pair = world.integration(user=user)
    value_map = ValueMap.objects.create(integration=pair, name="Terms")
    form = {
        "integration": pair.pk, "mapping_set": "", "name": "Terms", "unmapped": "block", "default_value": "",
        "entries-TOTAL_FORMS": 1, "entries-INITIAL_FORMS": 0, "entries-0-source_value": "30",
        "entries-0-target_value": "30 days", "entries-0-value_map": value_map.pk,
    }  # fmt: skip
    assert signed_in(user).post(change_url(value_map), form).status_code == 302
    assert str(ValueMapEntry.objects.get()) == "30 → 30 days"


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


@pytest.mark.parametrize("name", LISTS)
def test_lists_cost_the_same_however_long(name: str) -> None:
    user = consultant()
    client = signed_in(user)
    url = reverse(f"admin:mappings_{name}_changelist")
    full_set(world.integration("First", user=user))
    world.integration("Second", user=user)  # members of a single organization are shown its name, by one query more
    client.get(url)
    before = queries(client, url)
    for number in range(4):
        full_set(world.integration(f"More {number}", user=user), f"set-{number}")
    assert queries(client, url) == before


@pytest.mark.parametrize("in_force", [False, True])
def test_the_page_of_a_mapping_costs_the_same_however_many_rules(in_force: bool) -> None:
    user = consultant()
    client = signed_in(user)
    pair = world.integration(user=user)
    small, large = full_set(pair, "small", 1), full_set(pair, "large", 6)
    if in_force:
        small, large = publish(small, None), publish(large, None)
    client.get(change_url(small))
    assert queries(client, change_url(small)) == queries(client, change_url(large))


@pytest.mark.parametrize("name", LISTS)
def test_every_list_can_be_searched_and_filtered(name: str) -> None:
    user = consultant()
    full_set(world.integration(user=user))
    client = signed_in(user)
    url = reverse(f"admin:mappings_{name}_changelist")
    assert client.get(url, {"q": "customer"}).status_code == 200
    assert (
        client.get(url, {"integration__id__exact": 1} if name in ("mappingset", "valuemap") else {}).status_code == 200
    )


def test_pages_carry_no_inline_script_or_style_of_ours() -> None:
    user = consultant()
    draft = full_set(world.integration(user=user))
    client = signed_in(user)
    page = client.get(reverse("admin:mappings_mappingset_publish", args=[draft.pk])).content.decode()
    assert " style=" not in page
    assert "<script>" not in page


def test_every_field_a_person_fills_in_is_explained() -> None:
    for model in (MappingSet, FieldMapping, MatchRule, ValidationRule, LinkRule, ValueMap, ValueMapEntry):
        for field in model._meta.get_fields():
            if getattr(field, "editable", False) and not field.auto_created and field.name not in _SELF_EVIDENT:
                assert field.help_text, f"{model.__name__}.{field.name}"


_SELF_EVIDENT = {"mapping_set", "value_map"}


@pytest.mark.parametrize(
    ("prefix", "row", "reason"),
    [
        ("validations", {"label": "Ok", "expression": "customer.Name", "outcome": "block", "actual": "customer.x"},
         "Unknown field “x”"),
        ("lookups", {"name": "city", "label": "City", "expression": "customer.x", "target_object": "city",
                     "target_field": "name"}, "Unknown field “x”"),
        ("lookups", {"name": "city", "label": "City", "expression": "customer.City", "target_object": "city",
                     "target_field": "name", "text_field": "city"}, "Give both the field and the expression"),
        ("lookups", {"name": "city", "label": "City", "expression": "customer.City", "target_object": "city",
                     "target_field": "name", "writes": "nowhere"}, "has no field “nowhere”"),
        ("link_rules", {"name": "owner", "expression": "customer.City", "related_slug": "owners",
                        "target_field": "nowhere"}, "has no field “nowhere”"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_condition_is_refused_at_its_row(prefix: str, row: dict[str, str], reason: str) -> None:
    user = consultant()
    mapping_set = world.draft(world.integration(described=True, user=user))
    scope = {} if prefix == "link_rules" else {"scope": "header"}
    values = {"position": 1, "mapping_set": mapping_set.pk, **scope, **row}
    changes = {f"{prefix}-TOTAL_FORMS": 1} | {f"{prefix}-0-{key}": value for key, value in values.items()}
    client = signed_in(user)
    reply = client.post(change_url(mapping_set), form_of(mapping_set, **changes))
    assert reply.status_code == 200
    assert reason in reply.content.decode()
    mended = {f"{prefix}-0-{name}": "" for name in ("actual", "text_field", "writes", "target_field")}
    mended[f"{prefix}-0-expression"] = "customer.City"
    if prefix == "lookups":
        mended[f"{prefix}-0-target_field"] = "name"
    assert client.post(change_url(mapping_set), form_of(mapping_set, **changes | mended)).status_code == 302
    assert getattr(mapping_set, prefix).count() == 1
