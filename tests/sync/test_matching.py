"""People decide which records are the same: through the engine, remembered, taken back, and never behind its back."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from sync import matching
from sync.engine.run import work
from sync.matching import Pick
from sync.models import Change, EntityLink, MatchDecision, SyncLogEntry
from tests import factories as make
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db
NAME = {
    "label": "Name and town", "expression": "customer.name", "target_field": "name", "normaliser": "text",
    "outcome": "suggest", "extra_expression": "customer.city", "extra_field": "city", "extra_normaliser": "text",
}  # fmt: skip
ORG = {"label": "Organisation number", "expression": "customer.org", "target_field": "org", "normaliser": "orgnr"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> TinyWorld:
    """A first plan: one certain, one suggested, one ambiguous, one without counterpart."""
    there = TinyWorld(monkeypatch, first_run_approved=False)
    there.flow.delete()
    there.flow = there.add_flow("buyers", matches=[ORG, NAME], first_run_approved_at=None)
    there.customer(1, name="Alfa AB", org="5560160680")
    there.customer(2, name="Beta AB")
    there.customer(3, name="Gamma AB")
    there.customer(4, name="Delta AB")
    for key, values in {
        "501": {"name": "Alfa", "org": "556016-0680"}, "502": {"name": "Beta AB", "city": "Lund"},
        "503": {"name": "Gamma AB", "city": "Lund"}, "504": {"name": "gamma ab", "city": "lund", "number": "3"},
        "509": {"name": "Delta Group", "city": "Ystad"},
    }.items():  # fmt: skip
        there.crm.put("company", values, key)
    there.sync()
    return there


def change_of(source_id: str) -> Change:
    return Change.objects.filter(source_id=source_id).exclude(state="superseded").get()


def say(world: TinyWorld, source_id: str, kind: str, target_id: str = "", user: Any = None, **more: Any):
    pick = Pick(change_of(source_id), kind, target_id, target_title=f"Company {target_id}", **more)
    return matching.decide(world.flow, [pick], user or make.make_superuser())


def plan() -> dict[str, tuple[str, str, str]]:
    rows = Change.objects.exclude(state="superseded")
    return {row.source_id: (row.action, row.state, row.target_id) for row in rows}


def test_the_first_plan_says_how_alike_the_candidates_are_and_why(world):
    assert plan() == {
        "1": ("link", "held", "501"), "2": ("conflict", "review", ""), "3": ("conflict", "review", ""),
        "4": ("create", "held", ""),
    }  # fmt: skip
    beta = change_of("2").candidates[0]
    assert (change_of("2").score, beta["score"]) == (75, 75)  # name 40 and town 5, out of 60
    assert [(row["kind"], row["points"], row["of"]) for row in beta["parts"]] == [("name", 40, 40), ("city", 5, 5)]
    assert [row["id"] for row in change_of("3").candidates] == ["503", "504"]
    assert change_of("1").score == 100  # identity and name agree; a town that only one side knows counts neither way


def test_an_accepted_suggestion_waits_in_the_same_plan_and_is_linked_on_approval_only(world):
    run, anna = change_of("2").run, make.make_superuser("anna")
    assert say(world, "2", "link", "502", anna, score=75).done == 1
    assert change_of("2").state == "retrying" and not EntityLink.objects.exists()
    work(world.flow)
    change = change_of("2")
    assert (change.action, change.state, change.target_id, change.run) == ("link", "held", "502", run)
    assert "anna" in change.reason["en"] and change.approved_by is None
    assert SyncLogEntry.objects.filter(user=anna, event="review→retrying").exists()
    assert not EntityLink.objects.exists() and len(world.crm.rows("company")) == 5
    world.approve(run)
    linked = set(EntityLink.objects.values_list("ledger_id", "crm_id"))
    assert {("1", "501"), ("2", "502")} <= linked and len(linked) == 3  # Delta was created, Gamma still waits


def test_what_was_said_is_remembered_by_every_later_plan_until_it_is_taken_back(world):
    anna, bertil = make.make_superuser("anna"), make.make_superuser("bertil")
    run = change_of("4").run
    say(world, "4", "ignore", user=anna)
    say(world, "2", "reject", "502", anna)
    say(world, "3", "create", user=anna)
    work(world.flow)
    assert plan()["4"][:2] == ("skip", "skipped") and "anna" in change_of("4").reason["en"]
    assert plan()["2"] == ("create", "held", "") and plan()["3"] == ("create", "held", "")
    assert {row.run for row in Change.objects.exclude(state="superseded")} == {run}
    world.customer(4, name="Delta AB", city="Malmö")
    world.customer(3, name="Gamma AB", city="Lund", phone="1")
    world.sync(full=True)
    assert plan()["4"][0] == "skip" and plan()["3"][0] == "create"
    rows = MatchDecision.objects.in_force().filter(kind__in=["ignore", "reject"])
    assert matching.take_back(world.flow, rows, bertil, change_of("2").run) == 2
    assert matching.take_back(world.flow, rows, bertil) == 0  # twice is harmless
    work(world.flow)
    assert plan()["4"] == ("create", "held", "") and plan()["2"][0] == "conflict"
    assert set(MatchDecision.objects.exclude(withdrawn_at=None).values_list("withdrawn_by__username", flat=True)) == {
        "bertil"
    }


def test_a_counterpart_that_is_gone_is_said_and_never_replaced_by_a_new_record(world):
    say(world, "4", "link", "509")
    world.crm.drop("company", "509")
    work(world.flow)
    change = change_of("4")
    assert (change.action, change.error_code) == ("conflict", "chosen_gone") and "Company 509" in change.error_message


def test_two_people_at_once_and_records_that_are_taken_are_refused_with_who_and_why(world):
    anna, bertil = make.make_superuser("anna"), make.make_superuser("bertil")
    seen = change_of("2")
    say(world, "2", "link", "502", anna)
    late = matching.decide(world.flow, [Pick(seen, "ignore")], bertil)
    assert (late.done, "anna decided about it a moment ago" in late.refused[0]) == (0, True)
    stolen = say(world, "3", "link", "502", bertil)
    assert "anna chose Company 502 for Beta AB" in stolen.refused[0]
    make.make_link(world.integration, crm_id="503", ledger_id="77", title="Seventy-seven AB")
    assert "belongs to Seventy-seven AB already" in say(world, "3", "link", "503", bertil).refused[0]
    make.make_link(world.integration, crm_id="700", ledger_id="3", title="Gamma")
    assert "is linked already" in say(world, "3", "link", "504", bertil).refused[0]
    Change.objects.filter(source_id="1").update(state="queued")
    assert "on its way" in say(world, "1", "ignore").refused[0]
    old = change_of("4")
    Change.objects.filter(pk=old.pk).update(state="superseded")
    make.make_change(old.run, source_id="4", action="create")
    assert "planned anew" in matching.decide(world.flow, [Pick(old, "ignore")], anna).refused[0]
    assert MatchDecision.objects.count() == 1


def test_many_are_decided_at_once_in_a_few_queries(world, django_assert_max_num_queries):
    user, run = make.make_superuser(), change_of("4").run
    rows = [make.make_change(run, source_id=str(900 + n), action="create", target_id="") for n in range(60)]
    with django_assert_max_num_queries(30):
        assert matching.decide(world.flow, [Pick(row, "ignore") for row in rows], user).done == 60
    assert Change.objects.filter(state="retrying", replan=True).count() == 60
    both = [Pick(change_of("2"), "link", "502"), Pick(change_of("3"), "link", "502")]
    done = matching.decide(world.flow, both, user)
    assert (done.done, "was just chosen for Beta AB" in done.refused[0]) == (1, True)


def test_a_link_that_is_dissolved_takes_its_decision_along_and_the_database_keeps_the_rules(world):
    say(world, "2", "link", "502")
    link = make.make_link(world.integration, crm_id="502", ledger_id="2")
    link.delete()
    assert not MatchDecision.objects.in_force().exists()
    values = {"integration": world.integration, "flow": world.flow, "source_id": "2"}
    MatchDecision.objects.create(kind="ignore", **values)
    for bad in ({"kind": "create"}, {"kind": "link", "target_id": ""}, {"kind": "other", "target_id": "1"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            MatchDecision.objects.create(**values, **bad)
