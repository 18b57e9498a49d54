"""How alike two records are: the same for the same two, never impressed by chance, and it says why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.likeness import TWO_IDENTITIES, Pair, compare, kind_of, plain_name


def likeness(**values: tuple[str, str]):
    return compare(Pair(kind, kind, *both) for kind, both in values.items())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Lund Bygg AB", "Lund Bygg Aktiebolag"),
        ("AB Lund Bygg (publ)", "Lund Bygg"),
        ("Åhléns & Söner AB", "AHLENS OCH SONER"),
        ("Bygg i Lund, Ltd.", "Lund Bygg i"),
    ],
)
def test_a_name_is_compared_without_its_company_form_accents_and_order(one, other):
    assert plain_name(one) == plain_name(other)
    assert likeness(name=(one, other)).score == 67  # a name alone is never certain


def test_what_agrees_counts_out_of_what_could_be_compared():
    whole = likeness(name=("Lund Bygg AB", "Lund Bygg"), postcode=("221 00", "SE-22100"), city=("Lund", "LUND"))
    assert (whole.score, [part.kind for part in whole.parts]) == (100, ["name", "postcode", "city"])
    assert likeness(city=("Lund", "Lund")).score == 8
    assert likeness(name=("Lund Bygg AB", "Malmö Fisk AB"), city=("Lund", "Lund")).score < 20
    assert likeness(name=("", "Lund Bygg")).parts == ()  # what only one side holds counts neither way


def test_the_identity_outweighs_a_name_and_two_identities_are_never_alike():
    same = likeness(orgnr=("556016-0680", "165560160680"), name=("Lund Bygg AB", "Gamla Firman"))
    other = likeness(orgnr=("556016-0680", "556036-0793"), name=("Lund Bygg AB", "Lund Bygg AB"))
    assert same.score > other.score and other.score <= TWO_IDENTITIES
    assert not likeness(orgnr=("556016-0681", "556016-0680")).parts  # a wrong check digit is no identity


def test_the_best_pair_of_a_kind_counts_and_the_parts_say_who_said_what():
    found = compare([Pair("a", "email", "x@y.se", "z@y.se"), Pair("b", "email", "X@Y.se", "x@y.se")])
    assert [(part.field, part.points, part.of, part.agrees) for part in found.parts] == [("b", 25, 25, True)]


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("OrganisationNumber", "orgnr"), ("organization_number_from_fortnox", "orgnr"), ("org", "orgnr"),
        ("name", "name"), ("Name", "name"), ("ZipCode", "postcode"), ("zip", "postcode"), ("Email", "email"),
        ("BillingCity", "city"), ("city", "city"), ("Phone1", "phone"), ("website", "domain"), ("Address1", "street"),
        ("YourReference", ""), ("fortnox_key", ""), ("filename", ""),
    ],
)  # fmt: skip
def test_a_field_is_known_by_its_name(field, kind):
    assert kind_of(field) == kind
    assert kind_of(field, "orgnr") == "orgnr"


@given(st.text(), st.text(), st.sampled_from(["name", "orgnr", "domain", "email", "postcode", "phone"]))
def test_any_text_gives_a_score_that_does_not_depend_on_the_side(one, other, kind):
    there, back = likeness(**{kind: (one, other)}), likeness(**{kind: (other, one)})
    assert 0 <= there.score == back.score <= 100
