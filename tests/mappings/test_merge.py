"""The three-way compare."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mappings.merge import Merged, merge, same
from tests.mappings.world import mapping, rule

OLD, NEW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def compare(
    wanted: Any,
    agreed: Any,
    current: Any,
    *,
    is_new: bool = False,
    times: Any = (None, None),
    sent: Any = None,
    **options: Any,
) -> Merged:
    """Merges one field called `name`; `...` for agreed means: never written by us."""
    return merge(
        mapping(rule("name", **options)), {"name": wanted}, None if agreed is ... else {"name": agreed},
        {"name": current}, is_new=is_new, source_changed_at=times[0], target_changed_at=times[1],
        sent=None if sent is None else {"name": sent},
    )  # fmt: skip


def outcome(merged: Merged) -> str:
    found = [name for name in ("changes", "conflicts", "kept") if getattr(merged, name)]
    assert len(found) <= 1
    return found[0] if found else "nothing"


# wanted, agreed, current → outcome by precedence: source, target, newest (unknown times), ask
@pytest.mark.parametrize(
    ("wanted", "agreed", "current", "outcomes"),
    [
        ("a", "a", "a", ("nothing", "nothing", "nothing", "nothing")),
        ("b", "a", "a", ("changes", "changes", "changes", "changes")),  # only the source changed
        ("a", "a", "t", ("changes", "kept", "kept", "kept")),  # only the target changed
        ("b", "a", "t", ("changes", "kept", "conflicts", "conflicts")),  # both changed
        ("b", "a", "b", ("nothing", "nothing", "nothing", "nothing")),  # both, to the same
        ("b", ..., "t", ("changes", "kept", "conflicts", "conflicts")),  # first meeting of two records
        ("b", ..., None, ("changes", "changes", "changes", "changes")),  # filling a gap loses nothing
        ("b", None, "", ("changes", "changes", "changes", "changes")),
        ("a", "a", None, ("changes", "kept", "kept", "kept")),  # somebody emptied it
        ("b", "a", None, ("changes", "kept", "conflicts", "conflicts")),
    ],
)
def test_the_precedence_decides(wanted: Any, agreed: Any, current: Any, outcomes: tuple[str, ...]) -> None:
    found = [outcome(compare(wanted, agreed, current, precedence=p)) for p in ("source", "target", "newest", "ask")]
    assert tuple(found) == outcomes


@pytest.mark.parametrize(
    ("times", "expected"),
    [((NEW, OLD), "changes"), ((OLD, NEW), "kept"), ((OLD, OLD), "conflicts"), ((None, NEW), "conflicts")],
)
def test_the_newest_wins_when_both_changed(times: Any, expected: str) -> None:
    assert outcome(compare("b", "a", "t", precedence="newest", times=times)) == expected


@pytest.mark.parametrize("blank", [None, ""])
def test_a_blank_never_replaces_a_value(blank: Any) -> None:
    for precedence in ("source", "target", "newest", "ask"):
        merged = compare(blank, "a", "a", precedence=precedence)
        assert outcome(merged) == "kept"
        assert "blank" in str(merged.kept[0].reason)


def test_a_blank_clears_when_the_rule_says_so() -> None:
    assert compare("", "a", "a", blank="clear").changes == {"name": None}


def test_a_create_only_field_is_left_alone_later() -> None:
    assert outcome(compare("b", "a", "a", when="create")) == "kept"
    assert compare("b", ..., None, when="create", is_new=True).changes == {"name": "b"}


def test_an_if_empty_field_is_filled_only_when_empty() -> None:
    assert outcome(compare("b", "a", "t", when="if_empty")) == "kept"
    assert compare("b", ..., "", when="if_empty").changes == {"name": "b"}


def test_a_new_record_gets_every_value_but_no_blanks() -> None:
    rules = mapping(rule("name"), rule("city"), rule("zip", precedence="target"))
    merged = merge(rules, {"name": "a", "city": None, "zip": "1"}, None, None, is_new=True)
    assert merged.changes == {"name": "a", "zip": "1"}
    assert [diff.before for diff in merged.diffs] == [None, None]


def test_only_changed_fields_are_written() -> None:
    rules = mapping(rule("name"), rule("city"))
    merged = merge(rules, {"name": "a", "city": "c"}, {}, {"name": "a", "city": "b"}, is_new=False)
    assert merged.changes == {"city": "c"}
    assert [(d.field, d.before, d.after) for d in merged.diffs] == [("city", "b", "c")]
    assert all(str(diff.reason) for diff in merged.diffs)


def test_a_field_without_a_rule_is_ignored() -> None:
    assert outcome(merge(mapping(), {"other": "a"}, None, {}, is_new=False)) == "nothing"


def test_a_target_that_was_not_read_counts_as_we_left_it() -> None:
    rules = mapping(rule("name", precedence="target"))
    assert outcome(merge(rules, {"name": "a"}, {"name": "a"}, None, is_new=False)) == "nothing"
    assert merge(rules, {"name": "b"}, {"name": "a"}, {"other": 1}, is_new=False).changes == {"name": "b"}


def test_the_targets_own_spelling_of_what_we_sent_is_silent() -> None:
    assert outcome(compare("08-123", "+468123", "+468123", sent="08-123")) == "nothing"
    assert compare("08-999", "+468123", "+468123", sent="08-123").changes == {"name": "08-999"}
    assert outcome(compare("08-123", "+468123", "changed", sent="08-123", precedence="ask")) == "kept"


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (Decimal("10.0"), Decimal(10), True), ("", None, True), (None, None, True), ("a", "a ", False),
        (True, Decimal(1), False), (False, None, False), (True, True, True), (Decimal(0), None, False),
        (date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), True), (date(2026, 1, 1), date(2026, 1, 2), False),
        (datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), True), ("1", Decimal(1), False),
    ],
)  # fmt: skip
def test_equality_is_of_values(left: Any, right: Any, equal: bool) -> None:
    assert same(left, right) is equal
    assert same(right, left) is equal


values = st.none() | st.text(max_size=3) | st.decimals(-9, 9, places=1) | st.booleans() | st.dates()
options = st.fixed_dictionaries(
    {
        "when": st.sampled_from(["always", "create", "if_empty"]),
        "precedence": st.sampled_from(["source", "target", "newest", "ask"]),
        "blank": st.sampled_from(["keep", "clear"]),
    }
)


@given(values, values, values, options)
def test_merging_what_was_returned_plans_nothing(wanted: Any, agreed: Any, current: Any, rule_options: Any) -> None:
    first = compare(wanted, agreed, current, **rule_options)
    after = first.changes.get("name", current)
    again = compare(wanted, after if first.changes else agreed, after, **rule_options)
    assert again.changes == {}


@given(values, values, values, options)
def test_a_remote_that_spells_its_own_way_hears_no_echo(
    wanted: Any, returned: Any, current: Any, rule_options: Any
) -> None:
    assume(wanted is not None)  # None means here: what was sent is unknown
    assert compare(wanted, returned, returned, sent=wanted, **rule_options).changes == {}


@given(values, values, values, options)
def test_no_value_is_ever_blanked_unless_the_rule_clears(
    wanted: Any, agreed: Any, current: Any, rule_options: Any
) -> None:
    merged = compare(wanted, agreed, current, **rule_options)
    if "name" in merged.changes and same(merged.changes["name"], None):
        assert rule_options["blank"] == "clear"


@given(values, values, values, options)
def test_every_difference_is_accounted_for_once(wanted: Any, agreed: Any, current: Any, rule_options: Any) -> None:
    merged = compare(wanted, agreed, current, **rule_options)
    assert outcome(merged) == "nothing" if same(wanted, current) else outcome(merged) != "nothing"
    assert set(merged.changes) == {diff.field for diff in merged.diffs}
