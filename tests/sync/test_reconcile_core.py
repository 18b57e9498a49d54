"""The heart of a reconciliation: what is compared and explained adds up, exactly, whatever the documents are."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.reconcile.amounts import Amounts, Totals
from sync.reconcile.compare import Facts, differences, total
from sync.reconcile.explain import Evidence, explain
from sync.states import State

money = st.integers(-(10**13), 10**13).map(lambda n: Decimal(n).scaleb(-2))
amounts = st.builds(Amounts, st.just(1), money, money, money, money)
facts = st.builds(
    Facts, id=st.just("1"), currency=st.sampled_from(["SEK", "EUR", ""]),
    status=st.sampled_from(["draft", "unbooked", "paid", "overdue", "credited", "cancelled", ""]),
    amounts=amounts, counted=st.booleans(),
)  # fmt: skip
evidence = st.builds(
    Evidence, state=st.sampled_from(["", *map(str, State)]), reason=st.just({"en": "Left out.", "sv": "Utelämnad."}),
    error=st.text(max_size=20), flow=st.booleans(), takes_all=st.booleans(), linked=st.booleans(), ours=st.booleans(),
    changed=st.booleans(), resynced=st.booleans(), overdue=st.booleans(), double=st.booleans(), mends=st.booleans(),
    debit=st.booleans(),
)  # fmt: skip
pairs = st.tuples(st.none() | facts, st.none() | facts).filter(any)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(pairs, evidence), max_size=12), st.sampled_from([Decimal(0), Decimal("0.01"), Decimal(5)]))
def test_explained_and_unexplained_add_up_to_the_difference_of_the_sides_exactly(items, tolerance):
    explained: dict[str, Amounts] = defaultdict(Amounts)
    unexplained: dict[str, Amounts] = defaultdict(Amounts)
    sides = {"ledger": Totals({}), "crm": Totals({})}
    for (ledger, crm), known in items:
        for side, one in (("ledger", ledger), ("crm", crm)):
            if one is not None and one.counted:
                sides[side].add(one.currency, one.status, one.amounts)
        for difference in differences(ledger, crm):
            verdict = explain(ledger, crm, difference, known, tolerance)
            assert set(verdict.text) == {"en", "sv"} and all(verdict.text.values())
            (explained if verdict.explained else unexplained)[difference.currency] += difference.amounts
    wanted = total(pair for pair, _known in items)
    left, right = sides["ledger"].currencies(), sides["crm"].currencies()
    for currency in {*wanted, *explained, *unexplained, *left, *right}:
        given_ = explained[currency] + unexplained[currency]
        assert given_ == wanted.get(currency, Amounts())
        assert given_ == left.get(currency, Amounts()) - right.get(currency, Amounts())
    assert Totals.load(sides["ledger"].dump()).by == sides["ledger"].by


@settings(max_examples=50, deadline=None)
@given(facts, money)
def test_no_oere_is_too_small_and_nothing_excuses_it_without_a_cause(one, delta):
    one = Facts(one.id, "SEK", "paid", one.amounts)
    other = Facts("9", "SEK", "paid", one.amounts + Amounts(gross=delta))
    found = differences(one, other)
    assert bool(found) == bool(delta)
    for difference in found:
        assert explain(one, other, difference, Evidence(linked=True)).explained is False
        assert explain(one, other, difference, Evidence(linked=True), abs(delta)).explained is True


def test_an_invoice_that_became_overdue_by_itself_is_no_mystery_and_any_other_state_is():
    one = Facts("1", "SEK", "overdue", Amounts(1, gross=Decimal(10)))
    other = Facts("9", "SEK", "sent", one.amounts)
    (difference,) = differences(one, other)
    assert not difference.amounts and difference.status_only
    assert explain(one, other, difference, Evidence(linked=True, overdue=True)).kind == "changed"
    assert explain(one, other, difference, Evidence(linked=True)).explained is False


def one(status="booked", gross="100", currency="SEK", *, counted=True, count=1, day=None):
    return Facts("1", currency, status, Amounts(count, gross=Decimal(gross)), day, counted)


LINKED = Evidence(linked=True)
FOOLED = [
    # what was tried, ledger, CRM, what is known
    ("an öre, in a document that the flow leaves out", one(), one(gross="100.01"), Evidence(state=State.SKIPPED)),
    ("an öre, before any flow ran", one(), one(gross="99.99"), Evidence(flow=False)),
    ("an öre, while something else of it waits for approval", one(), one(gross="99.99"),
     Evidence(linked=True, state=State.HELD, mends=False)),
    ("an öre, while something else of it waits for a person", one(), one(gross="99.99"),
     Evidence(linked=True, state=State.REVIEW, mends=False)),
    ("another currency", one(), one(currency="EUR"), LINKED),
    ("another currency and amount, by hand", one(), one(gross="9", currency="EUR"), Evidence(takes_all=False)),
    ("moved into another period in the CRM", one(), one(counted=False), LINKED),
    ("moved into the period in the CRM, with another amount", one(counted=False), one(gross="1"), LINKED),
    ("a typed number that does not exist", None, one(), Evidence(takes_all=False)),
    ("a typed number that does not exist, called cancelled", None, one(status="cancelled"), Evidence()),
    ("a second record of the same number", None, one(), Evidence(double=True)),
    ("a credit without a debit", one("credited", "-100"), None, Evidence(takes_all=False, ours=True)),
    ("a credited debit that the CRM lost", one("credited", "100"), None, Evidence(ours=True, debit=True)),
    ("what we made and lost", one(), None, Evidence(ours=True, takes_all=False)),
    ("a deleted CRM record of a cancelled document", one("cancelled"), None, LINKED),
    ("a deleted CRM record that the flow leaves out now", one(), None, Evidence(linked=True, state=State.SKIPPED)),
    ("called paid in the CRM, overdue in the ledger", one("overdue"), one("paid"),
     Evidence(linked=True, overdue=True)),
]  # fmt: skip


@pytest.mark.parametrize(("ledger", "crm", "known"), [row[1:] for row in FOOLED], ids=[row[0] for row in FOOLED])
def test_no_explanation_swallows_an_error(ledger, crm, known):
    found = differences(ledger, crm)
    assert found
    for difference in found:
        assert explain(ledger, crm, difference, known).explained is False


def test_a_tolerance_does_not_hide_another_state():
    ledger, crm = one("booked"), one("draft", "100.01")
    (difference,) = differences(ledger, crm)
    assert explain(ledger, crm, difference, LINKED, Decimal("0.05")).explained is False
    assert explain(ledger, one(gross="100.01"), difference, LINKED, Decimal("0.05")).kind == "rounding"


def test_what_is_really_on_its_way_or_left_out_is_explained():
    for known in (Evidence(linked=True, state=State.HELD), Evidence(linked=True, state=State.REVIEW),
                  Evidence(linked=True, changed=True), Evidence(linked=True, resynced=True)):  # fmt: skip
        (difference,) = differences(one(), one(gross="1"))
        assert explain(one(), one(gross="1"), difference, known).explained is True
        (difference,) = differences(one(counted=False), one())
        assert explain(one(counted=False), one(), difference, known).explained is True, "the date, too"
    credit = one("credited", "-100")
    (difference,) = differences(credit, None)
    assert explain(credit, None, difference, Evidence(ours=True, debit=True)).kind == "credit"
    assert explain(one(), None, difference, Evidence(takes_all=False)).kind == "by_hand"
    assert explain(one(), None, difference, Evidence(state=State.SKIPPED, reason={"en": "x"})).kind == "filtered"
