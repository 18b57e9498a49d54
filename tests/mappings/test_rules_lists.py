"""The lists of rules across all mappings: whose values they offer, and what a change there does to open editors."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.sites import site
from django.core.exceptions import PermissionDenied
from django.test import Client, RequestFactory
from django.urls import reverse

from mappings.models import FieldMapping, MappingSet, publish
from tests.mappings import world
from tests.mappings.test_admin import LISTS, change_url, consultant, full_set, signed_in

pytestmark = pytest.mark.django_db
RULES = [name for name in LISTS if name not in ("mappingset", "valuemap")]


def revisions() -> list[int]:
    return list(MappingSet.objects.order_by("pk").values_list("revision", flat=True))


def delete(client: Client, *rows: Any) -> Any:
    """The list's action, confirmed."""
    given = {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"}
    return client.post(reverse(f"admin:mappings_{rows[0]._meta.model_name}_changelist"), given)


@pytest.mark.parametrize("name", RULES)
def test_a_filter_offers_no_value_of_another_organization(name: str) -> None:
    user = consultant()
    full_set(world.integration(user=user))
    foreign = full_set(world.integration("Foreign"))
    MappingSet.objects.filter(pk=foreign.pk).update(source_object="p_secret_source", target_object="p_secret_target")
    page = signed_in(user).get(reverse(f"admin:mappings_{name}_changelist")).content.decode()
    assert "?mapping_set__source_object=customer" in page
    assert "p_secret" not in page


def test_a_filter_offers_each_value_once_and_keeps_its_rows() -> None:
    user = consultant()
    first = full_set(world.integration(user=user), fields=3)
    MappingSet.objects.filter(pk=first.pk).update(source_object="article")
    full_set(first.integration, "others")
    url = reverse("admin:mappings_fieldmapping_changelist")
    page = signed_in(user).get(url, {"mapping_set__source_object": "article"})
    assert page.context["cl"].result_count == 3
    assert page.content.decode().count("?mapping_set__source_object=customer") == 1


def test_deleting_selected_rules_counts_as_a_save_of_each_of_their_drafts() -> None:
    user = consultant()
    pair = world.integration(user=user)
    drafts = [full_set(pair, "one"), full_set(pair, "two"), full_set(pair, "three")]
    rows = [*drafts[0].field_mappings.all(), drafts[1].field_mappings.first()]
    assert delete(signed_in(user), *rows).status_code == 302
    assert (revisions(), FieldMapping.objects.count()) == ([1, 1, 0], 3)
    assert str(MappingSet.objects.get(pk=drafts[0].pk).edited_by) == "anna"


def test_rules_of_a_published_version_are_not_deleted_from_the_list() -> None:
    user = consultant()
    pair = world.integration(user=user)
    draft, published = full_set(pair, "one"), publish(full_set(pair, "two"), None)
    rows = [draft.field_mappings.all()[0], published.field_mappings.all()[0]]
    assert delete(signed_in(user), *rows).status_code == 403
    # Also when it is published between the look at the rights and the deletion.
    request = RequestFactory().post("/")
    request.user = user
    with pytest.raises(PermissionDenied):
        site._registry[FieldMapping].delete_queryset(request, FieldMapping.objects.filter(pk__in=[r.pk for r in rows]))
    assert (revisions()[0], FieldMapping.objects.count()) == (0, 4)


def test_moving_a_rule_to_another_draft_counts_as_a_save_of_both() -> None:
    user = consultant()
    pair = world.integration(described=True, user=user)
    one, two = world.draft(pair, "one"), world.draft(pair, "two")
    row = world.field(one)
    given = {
        "mapping_set": two.pk, "position": 0, "expression": "customer.Name", "target_field": "name", "scope": "header",
        "when": "always", "precedence": "source", "blank": "keep",
    }  # fmt: skip
    assert signed_in(user).post(change_url(row), given).status_code == 302
    assert (revisions(), two.field_mappings.count()) == ([1, 1], 1)
