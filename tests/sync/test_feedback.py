"""Telling the source record what became of it: once, in words, and never more than that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from integrations.connector import Feedback, Outcome
from integrations.errors import InvalidData, Missing, Transient
from integrations.models import ConnectedAccount, Integration
from sync.engine.run import work
from sync.interactive import look
from sync.models import Change, Flow
from tests.tiny import failing
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db

WORDS = {"pending": "Pending", "synced": "Synced", "error": "Error", "skipped": "Skipped"}
ASKED = 'company.state == "Pending" or company.state == "Error" or company.state == "Synced"'
CITY = {
    "label": "City", "expression": "company.city", "message": "The city is missing.", "remedy": "Fill it in.",
    "outcome": "block", "code": "city",
}  # fmt: skip


class Shop(TinyWorld):
    """Companies of the register become bills, when somebody asks for it; they show what became of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **flow: Any) -> None:
        super().__init__(monkeypatch)
        self.flow.delete()
        self.ledger.objects["bill"] = {}
        self.ledger_connector.markers = {"bill": "reference"}
        self.ledger_connector.found_by_marker = frozenset({"bill"})
        self.crm_connector.feedback = {"company": Feedback("state", "note", WORDS)}
        self.company("0", state="")  # the fields exist
        validations = flow.pop("validations", [CITY])
        options: dict[str, Any] = {"filter_expression": ASKED, "takes": Flow.Takes.ALL, "approval": "automatic"}
        self.bills = self.add_flow(
            "bills", source="company", target="bill", unique=False, validations=validations,
            fields=[("name", "company.name", {}), ("city", "company.city", {})], source_side="crm",
            target_side="ledger", **(options | flow),
        )  # fmt: skip

    def company(self, key: str, **fields: Any) -> str:
        return self.crm.put("company", {"name": f"Company {key}", "city": "Lund", "note": "", **fields}, key)

    def press(self, key: str) -> None:
        self.crm.put("company", {"state": "Pending"}, key)

    def shows(self, key: str) -> tuple[Any, Any]:
        row = self.crm.rows("company")[key]
        return row["state"], row["note"]

    def quiet(self) -> None:
        """Two more runs, after which nothing is planned or written any more."""
        for _round in range(2):
            self.sync(self.bills)
        before = Change.objects.count(), dict(self.crm.calls), self.crm.clock, self.ledger.rows("bill")
        self.sync(self.bills)
        after = Change.objects.count(), dict(self.crm.calls), self.crm.clock, self.ledger.rows("bill")
        assert (before[0], *before[2:]) == (after[0], *after[2:])
        assert before[1].get("write") == after[1].get("write")


@pytest.fixture
def shop(db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shop]:
    return lambda **flow: Shop(monkeypatch, **flow)


def test_a_press_is_answered_within_one_run_and_then_all_is_quiet(shop: Callable[..., Shop]) -> None:
    world = shop()
    world.company("1", state="Pending")
    world.sync(world.bills)
    (number,) = world.ledger.rows("bill")
    assert world.shows("1") == ("Synced", f"In Fortnox, number {number}.")
    assert world.shows("0") == ("", "")
    writes = world.crm.calls["write"]
    world.quiet()
    assert world.crm.calls["write"] == writes == 1
    assert len(world.ledger.rows("bill")) == 1


def test_what_is_wrong_is_said_once_with_its_remedy(shop: Callable[..., Shop]) -> None:
    world = shop()
    world.company("1", state="Pending", city="")
    world.sync(world.bills)
    assert world.shows("1") == ("Error", "The city is missing. Fill it in.")
    world.quiet()
    assert world.crm.calls["write"] == 1
    assert Change.objects.filter(state="review").count() == 1


def test_a_swedish_organization_reads_swedish(shop: Callable[..., Shop]) -> None:
    world = shop()
    ConnectedAccount.objects.update(details={"language": "sv_SE"})
    world.company("1", state="Pending")
    Flow.objects.filter(pk=world.bills.pk).update(approval="always")
    world.sync(world.bills)
    change = Change.objects.get(state="held")
    assert change.told and not change.to_tell
    assert world.shows("1")[0] == "Pending"


def test_a_second_press_is_answered_although_nothing_was_mended(shop: Callable[..., Shop]) -> None:
    world = shop()
    world.company("1", state="Pending", city="")
    world.sync(world.bills)
    world.press("1")  # before our own answer was read back: to us the record is as it was
    world.sync(world.bills)
    assert world.shows("1")[0] == "Error"
    world.quiet()
    world.press("1")
    world.sync(world.bills)
    assert world.shows("1") == ("Error", "The city is missing. Fill it in.")
    world.quiet()
    assert world.crm.calls["write"] == 3


def test_a_press_on_what_is_done_says_that_it_is_done(shop: Callable[..., Shop]) -> None:
    world = shop()
    world.company("1", state="Pending")
    world.sync(world.bills)
    said = world.shows("1")
    world.press("1")
    world.sync(world.bills)
    assert world.shows("1") == said
    world.quiet()
    world.press("1")
    world.sync(world.bills)
    assert world.shows("1") == said
    assert len(world.ledger.rows("bill")) == 1
    world.quiet()


def test_a_mended_record_goes_from_error_to_synced(shop: Callable[..., Shop]) -> None:
    world = shop()
    world.company("1", state="Pending", city="")
    world.sync(world.bills)
    world.crm.put("company", {"city": "Malmö"}, "1")
    world.sync(world.bills)
    assert world.shows("1")[0] == "Synced"
    world.quiet()


def test_what_waits_for_approval_says_so(shop: Callable[..., Shop]) -> None:
    world = shop(approval="always")
    world.company("1", state="Pending")
    world.sync(world.bills)
    assert world.shows("1") == ("Pending", "Waits for approval.")
    world.quiet()
    assert world.crm.calls["write"] == 1
    run = Change.objects.get(state="held").run
    assert run is not None
    world.approve(run)
    assert world.shows("1")[0] == "Synced"


def test_what_a_rule_leaves_out_says_why_and_what_the_filter_leaves_out_says_nothing(shop: Callable[..., Shop]) -> None:
    world = shop(validations=[CITY | {"outcome": "skip"}])
    world.company("1", state="Pending", city="")
    world.company("2", state="Draft", city="")
    world.sync(world.bills)
    assert world.shows("1")[0] == "Skipped"
    assert world.shows("2") == ("Draft", "")
    world.quiet()
    world.press("1")
    world.sync(world.bills)
    assert world.shows("1")[0] == "Skipped"
    world.quiet()


def test_an_integration_that_observes_and_a_first_run_say_nothing(shop: Callable[..., Shop]) -> None:
    world = shop(approval="first_run", first_run_approved_at=None)
    world.company("1", state="Pending")
    world.sync(world.bills)
    Integration.objects.update(mode="observe")
    Flow.objects.update(first_run_approved_at=timezone.now())
    world.sync(world.bills)
    assert world.crm.calls["write"] == 0


def test_what_a_card_only_looks_at_is_not_told(shop: Callable[..., Shop]) -> None:
    world = shop(filter_expression="", takes=Flow.Takes.LINKED)
    world.company("1", state="Draft", city="")
    look(world.bills, "1", actor="Eva")
    world.sync(world.bills)
    assert Change.objects.filter(decision="look", state="review", to_tell=True).exists()
    assert world.crm.calls["write"] == 0


def test_a_press_that_a_card_saw_first_is_answered(shop: Callable[..., Shop]) -> None:
    world = shop()
    world.company("1", state="Pending", city="")
    look(world.bills, "1", actor="Eva")
    work(world.bills)
    assert world.crm.calls["write"] == 0
    world.sync(world.bills)
    assert world.shows("1")[0] == "Error"
    world.quiet()


def test_telling_that_fails_is_tried_again_and_fails_nothing(shop: Callable[..., Shop]) -> None:
    world = shop()
    world.company("1", state="Pending")
    world.crm.faults.append(failing("write", Transient("busy", code="busy")))
    done = world.sync(world.bills)
    assert done.run is not None and done.run.state == "done"
    assert world.shows("1")[0] == "Pending"
    world.sync(world.bills)
    assert world.shows("1")[0] == "Synced"


@pytest.mark.parametrize(("error", "tries"), [(Missing("gone", record="1"), 1), (InvalidData("no", code="no"), 3)])
def test_what_is_gone_is_given_up_and_what_is_refused_is_not(
    shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch, error: Any, tries: int
) -> None:
    world = shop()
    world.company("1", state="Pending")
    asked: list[str] = []

    def refuse(name: str, writes: Any) -> Any:
        for write in writes:
            asked.append(write.id)
            yield Outcome(write.key, error=error)

    monkeypatch.setattr(world.crm_connector, "upsert", refuse)
    for _round in range(3):
        world.sync(world.bills)
    assert asked == ["1"] * tries
    Change.objects.update(updated_at=timezone.now() - timedelta(days=8))
    world.sync(world.bills)
    assert len(asked) == tries


def test_two_hundred_records_are_told_in_one_call(shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> None:
    world = shop()
    world.crm.page_size = 500
    for number in range(1, 206):
        world.company(str(number), state="Pending", city="")
    calls: list[int] = []
    real = world.crm_connector.upsert

    def counted(name: str, writes: Any) -> Any:
        calls.append(len(writes))
        return real(name, writes)

    monkeypatch.setattr(world.crm_connector, "upsert", counted)
    world.sync(world.bills)
    assert calls == [200, 5]


def test_a_source_without_the_fields_is_never_written(shop: Callable[..., Shop]) -> None:
    world = shop()
    world.crm_connector.feedback = {}
    world.company("1", state="Pending")
    world.sync(world.bills)
    assert world.shows("1")[0] == "Pending" and world.ledger.rows("bill")
    assert not Change.objects.filter(to_tell=True).exists()
