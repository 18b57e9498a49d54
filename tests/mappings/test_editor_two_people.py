"""Two people edit one mapping: nothing is lost, and what both changed is decided."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.admin.saving import state_of
from mappings.editor_merge import Posted, merge
from mappings.models import MappingSet, new_draft, publish
from mappings.models.editor import touched
from tests import factories as make
from tests.mappings.editor_kit import (
    Shelf,
    a_draft,
    elsewhere,
    expressions,
    form,
    page_form,
    shelved,
)
from tests.mappings.test_admin import change_url

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return shelved(monkeypatch)


def test_a_save_moves_the_stamp_and_a_form_without_a_rival_is_saved() -> None:
    draft, client = a_draft()
    reply = client.post(change_url(draft), form(draft, **{"field_mappings-0-expression": "customer.City"}))
    assert reply.status_code == 302
    draft.refresh_from_db()
    assert (draft.revision, str(draft.edited_by)) == (1, "anna")
    assert expressions(draft)["name"] == "customer.City"


def test_what_only_one_of_two_changed_is_put_together_without_losing_either() -> None:
    draft, client = a_draft(rows=3)
    mine = form(draft, **{"field_mappings-0-expression": "trim(customer.Name)", "note": "Mine"})
    elsewhere(draft, "city", expression="customer.City")
    elsewhere(draft, "zip", expression="customer.ZipCode", position=9)
    elsewhere(draft, "phone")
    reply = client.post(change_url(draft), mine)
    assert reply.status_code == 200
    assert expressions(draft)["name"] == "customer.Name"  # nothing is saved unseen
    assert [how for _name, how, _anchor in reply.context["editor"]["meeting"].taken] == ["changed", "added"]
    assert client.post(change_url(draft), page_form(reply)).status_code == 302
    assert expressions(draft) == {
        "name": "trim(customer.Name)", "city": "customer.City", "zip": "customer.ZipCode",
    }  # fmt: skip
    draft.refresh_from_db()
    assert draft.note == "Mine"


@pytest.mark.parametrize("choice", ["mine", "theirs"])
def test_what_both_changed_is_decided_row_by_row(choice: str) -> None:
    draft, client = a_draft(rows=3)
    mine = form(
        draft, note="Mine",
        **{"field_mappings-0-expression": "trim(customer.Name)", "field_mappings-1-expression": "customer.City",
           "field_mappings-2-DELETE": "on"},
    )  # fmt: skip
    elsewhere(draft, "name", expression="upper(customer.Name)")
    elsewhere(draft, "city")
    elsewhere(draft, "phone", expression="customer.Phone1")
    MappingSet.objects.filter(pk=draft.pk).update(note="Theirs")
    reply = client.post(change_url(draft), mine)
    decisions = reply.context["editor"]["meeting"].decisions
    assert len(decisions) == 4
    again = page_form(reply) | {"field_mappings-1-DELETE": "on"}
    undecided = client.post(change_url(draft), again)
    assert len(undecided.context["editor"]["meeting"].decisions) == 4
    decided = page_form(undecided) | {f"choice-{one.choice}": choice for one in decisions}
    if choice == "mine":
        decided |= {f"{one.choice}-DELETE": "on" for one in decisions if one.removed_by_me}
    assert client.post(change_url(draft), decided).status_code == 302
    draft.refresh_from_db()
    assert draft.note == choice.capitalize()
    assert expressions(draft) == (
        {"name": "trim(customer.Name)", "city": "customer.City"}
        if choice == "mine"
        else {"name": "upper(customer.Name)", "phone": "customer.Phone1"}
    )


texts = st.fixed_dictionaries({"expression": st.sampled_from("abc")})
states = st.dictionaries(st.sampled_from("123"), texts)


@given(base=states, theirs=states, changes=st.dictionaries(st.sampled_from("123"), st.none() | texts))
def test_a_merge_loses_nothing_that_either_changed(base: Any, theirs: Any, changes: Any) -> None:
    theirs = {key: row for key, row in theirs.items() if key in base} | {f"n{k}": v for k, v in theirs.items()}
    mine = [Posted(key, changes.get(key) or row, key in changes and changes[key] is None) for key, row in base.items()]
    merged = {row.id: row for row in merge(base, mine, theirs)}
    for row in mine:
        stored, was = theirs.get(row.id), base[row.id]
        i_did = row.removed or row.values != was
        they_did = stored != was
        now = merged.get(row.id)
        if i_did and not they_did:
            assert now and (now.removed, now.values, now.note) == (row.removed, row.values, "")
        if they_did and not i_did and stored is not None:
            assert now and (now.values, now.note) == (stored, "theirs")
        if i_did and they_did and stored is not None and (row.removed or row.values != stored):
            assert now and now.note == "both"
    assert all(key in merged for key in theirs)


def in_places(names: str) -> tuple[MappingSet, Any, dict[str, Any]]:
    """A draft whose match rules have these names, in this order, and the page as I have it open."""
    draft, client = a_draft()
    for place, name in enumerate(names, start=1):
        draft.match_rules.create(label=name, position=place, expression="customer.Name", target_field="name")
    rows = state_of(draft)["match_rules"]
    page = form(draft) | {"match_rules-TOTAL_FORMS": len(rows), "match_rules-INITIAL_FORMS": len(rows)}
    for number, (pk, row) in enumerate(rows.items()):
        page |= {f"match_rules-{number}-{name}": value for name, value in row.items()}
        page |= {f"match_rules-{number}-id": pk, f"match_rules-{number}-mapping_set": draft.pk}
    return draft, client, page


def reordered(draft: MappingSet, **places: int) -> None:
    """Bo moves match rules meanwhile."""
    for name, place in places.items():
        draft.match_rules.filter(label=name).update(position=place)
    touched(draft, make.make_user())


def order(draft: MappingSet) -> str:
    return "".join(draft.match_rules.order_by("position", "pk").values_list("label", flat=True))


def test_a_new_order_that_only_they_gave_is_not_reverted_by_my_save() -> None:
    draft, client, mine = in_places("abc")
    reordered(draft, a=2, b=1)
    reply = client.post(change_url(draft), mine | {"match_rules-2-label": "c", "note": "Mine"})
    meeting = reply.context["editor"]["meeting"]
    assert (sorted(name for name, _how, _anchor in meeting.taken), meeting.decisions) == (["a", "b"], [])
    assert client.post(change_url(draft), page_form(reply)).status_code == 302
    draft.refresh_from_db()
    assert (order(draft), draft.note) == ("bac", "Mine")


@pytest.mark.parametrize(("choice", "expected"), [("mine", "bca"), ("theirs", "bac")])
def test_a_rule_that_both_moved_is_decided(choice: str, expected: str) -> None:
    draft, client, mine = in_places("abc")
    mine |= {"match_rules-0-position": 9, "match_rules-1-label": "b"}
    reordered(draft, a=2, b=1)
    reply = client.post(change_url(draft), mine)
    (decision,) = reply.context["editor"]["meeting"].decisions
    assert (decision.name, decision.mine, decision.theirs) == ("a", [("order", "9")], [("order", "2")])
    undecided = client.post(change_url(draft), page_form(reply))
    assert (order(draft), len(undecided.context["editor"]["meeting"].decisions)) == ("bac", 1)
    decided = page_form(undecided) | {f"choice-{decision.choice}": choice}
    assert client.post(change_url(draft), decided).status_code == 302
    assert order(draft) == expected


@pytest.mark.parametrize(
    ("mine", "theirs", "ordered", "place", "note"),
    [
        ("1", "3", True, "3", "theirs"),  # only they moved it
        ("1", "3", False, "3", ""),
        ("2", "1", True, "2", ""),  # only I
        ("2", "3", True, "2", "both"),
        ("2", "3", False, "2", ""),  # of rows whose order is only for the eye
        ("3", "3", True, "3", ""),
        ("", "3", True, "3", "theirs"),
    ],
)
def test_the_place_of_a_row_is_merged_by_itself(mine: str, theirs: str, ordered: bool, place: str, note: str) -> None:
    def row(position: str) -> dict[str, str]:
        return {"label": "a", "position": position}

    (found,) = merge({"7": row("1")}, [Posted("7", row(mine))], {"7": row(theirs)}, ordered=ordered)
    assert (found.values, found.note) == (row(place), note)


def test_a_form_that_came_back_with_a_mistake_still_notices_the_other_save() -> None:
    draft, client = a_draft()
    mine = form(draft, **{"field_mappings-0-expression": "upper(", "editor_base": "damaged {"})
    elsewhere(draft, "city", expression="customer.City")
    reply = client.post(change_url(draft), mine)
    assert reply.context["editor"]["revision"] == "0"
    assert b"Somebody else saved this mapping meanwhile" in reply.content
    mended = page_form(reply) | {"field_mappings-0-expression": "upper(customer.Name)"}
    assert client.post(change_url(draft), mended).status_code == 200
    assert expressions(draft) == {"name": "customer.Name", "city": "customer.City"}


def test_a_draft_that_was_published_meanwhile_is_not_edited_and_what_was_typed_is_said() -> None:
    draft, client = a_draft()
    mine = form(draft, **{"field_mappings-0-expression": "upper(customer.Name)"})
    publish(draft, None)
    page = client.post(change_url(draft), mine, follow=True).content.decode()
    assert "Nothing was saved" in page
    assert "name ← upper(customer.Name)" in page
    assert "Edit in a new draft" in page
    assert 'name="editor_revision"' not in page
    newer = new_draft(MappingSet.objects.get(pk=draft.pk), None)
    assert f"Open the draft, version {newer.version}" in client.get(change_url(draft)).content.decode()
