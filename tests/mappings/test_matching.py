"""Normalisers: two spellings of one identifier become equal, everything else stays apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.matching import NORMALISERS, CompiledMatch
from tests.mappings.world import expression


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("exact", " 42 ", "42"),
        ("exact", "Ab", "Ab"),
        ("text", "  Åkers   JÄRN ab ", "åkers järn ab"),
        ("digits", "SE-221 00", "22100"),
        ("digits", "none", ""),
        ("orgnr", "556016-0680", "5560160680"),
        ("orgnr", "165560160680", "5560160680"),
        ("orgnr", "SE556016068001", "5560160680"),
        ("orgnr", "se 556016-0680 01", "5560160680"),
        ("orgnr", "19121212-1212", "1212121212"),
        ("orgnr", "556016-0681", ""),
        ("orgnr", "0000000000", ""),
        ("orgnr", "123", ""),
        ("orgnr", "", ""),
        ("domain", "https://www.Example.se/om-oss?x=1", "example.se"),
        ("domain", "example.se.", "example.se"),
        ("domain", "info@example.se", "example.se"),
        ("domain", "gmail.com", ""),
        ("domain", "localhost", ""),
        ("domain", "a b", ""),
        ("domain", "x" * 600 + ".se", ""),
        ("email", " Anna@Example.se", "anna@example.se"),
        ("email", "anna@gmail.com", ""),
        ("email", "info@example.se", ""),
        ("email", "faktura@example.se", ""),
        ("email", "no address", ""),
    ],
)
def test_reading_gives_the_canonical_form(name: str, text: str, expected: str) -> None:
    assert NORMALISERS[name].read(text) == expected


@pytest.mark.parametrize("name", sorted(NORMALISERS))
@given(text=st.text(max_size=40) | st.from_regex(r"(16|SE)?[0-9]{6}-?[0-9]{4}(01)?", fullmatch=True))
def test_reading_a_canonical_form_gives_it_again(name: str, text: str) -> None:
    read = NORMALISERS[name].read
    assert read(read(text)) == read(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [("exact", "42"), ("text", "åkers järn"), ("digits", "22100"), ("orgnr", "5560160680"), ("domain", "example.se"),
     ("email", "anna@example.se")],
)  # fmt: skip
def test_every_spelling_reads_back(name: str, value: str) -> None:
    spellings = list(NORMALISERS[name].spell(value))
    assert value in spellings
    assert {NORMALISERS[name].read(spelling) for spelling in spellings} == {value}
    assert str(NORMALISERS[name].label)


def test_an_uncertain_rule_only_suggests() -> None:
    name = expression("customer.Name")
    assert CompiledMatch(1, "Name", name, "name", "text", certain=False).outcome == "suggest"
    assert CompiledMatch(1, "Name", name, "name", "text").outcome == "link"
