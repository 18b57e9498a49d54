"""The bounded regular expressions: equal to Python's where both agree to run, and never slow."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.expressions import MappingError
from mappings.expressions.patterns import compile_pattern

SAMPLES = ["", "a", "b", "ab", "aab", "abab", "ba1", "PO 4711, gate 3", "x-12-y", "foo.bar", "a\nb", "]", "^a$", "aaa"]
PATTERNS = [
    "a", "ab", "a*", "a+", "a?b", "a*?b", "a+?", "(a|b)+", "(?:a|ab)(b?)", "[0-9]+", "[^0-9 ]+", r"\d{2,3}", r"(\d+)\D",
    r"\w+", r"\s", r"PO (\d+)", "^a", "b$", "^$", "a{2}", "a{1,}", "a{0,2}b", ".+", "(a)(b)", "|a", "a||b", "[]a]",
    "[a-]", r"\.", r"[\d-]+", "x*", "((a)b)?", "[a-b]{2}", "(?:ab)+?", "a{0,2}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("text", SAMPLES)
def test_patterns_find_what_python_finds(pattern: str, text: str) -> None:
    match = re.search(pattern.replace("$", r"\Z"), text)
    expected = None if match is None else match.group(1) if re.compile(pattern).groups else match.group(0)
    assert compile_pattern(pattern).extract(text) == expected


atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", "(a)", "(?:b|a)", "(ab|a)"])
pieces = st.tuples(atoms, st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "*?", "+?"])).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces, min_size=1, max_size=4).map("".join), st.text("abc", max_size=8))
def test_random_patterns_find_what_python_finds(pattern: str, text: str) -> None:
    match = re.search(pattern, text)
    expected = None if match is None else match.group(1) if re.compile(pattern).groups else match.group(0)
    assert compile_pattern(pattern).extract(text) == expected


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(a", "missing"), ("a)", "too many"), ("*a", "nothing to repeat"), ("a**", "nothing to repeat"),
        ("a{2,1}", "up to"), ("a{999}", "up to"), ("a{x}", "written"), ("[a", "too early"), ("[b-a]", "empty"),
        ("(?=a)", "Look-around"), ("(?P<n>a)", "Look-around"), (r"\1", "not part"), ("a\\", "too early"),
        ("a" * 201, "longer"), ("(a{50}){50}", "too large"), ("((a{99}){99}){99}", "too large"), ("{2}", "nothing"),
    ],
)  # fmt: skip
def test_a_pattern_outside_the_language_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(a*)*b", "(a|a)*b", "(a+)+$b", "a?" * 60 + "b" * 60, ".*.*.*.*x", "(ab|ab|ab)*c", "([a-z]+)*[0-9]", "(|a|a)*b"],
)
def test_patterns_that_hang_other_engines_end_at_once(pattern: str) -> None:
    started = time.thread_time()
    try:
        assert compile_pattern(pattern).extract("a" * 1999 + "!") in (None, "")
    except MappingError as error:
        assert "too long" in str(error.message)
    assert time.thread_time() - started < 2


def test_text_of_unusual_length_is_refused() -> None:
    with pytest.raises(MappingError, match="2000 characters"):
        compile_pattern("a").extract("a" * 2001)
