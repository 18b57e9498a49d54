"""Drafts on real records, publishing with its consequences, and what becomes of plans that an old version made."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from mappings import golden, golden_pins
from mappings.models import GoldenSample, MappingSet, Resync, State, new_draft, publish, rollback
from sync.engine.run import Order, work
from sync.lab import impact, trial
from sync.lab.samples import FlowSamples
from sync.models import Change, EntityLink, SyncLogEntry, SyncRun
from sync.tasks import due_flows
from tests import factories as make
from tests.lab_world import LabWorld
from tests.tiny import failing

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> LabWorld:
    return LabWorld(monkeypatch)


def tried(world: LabWorld, draft: MappingSet, *ids: str) -> dict[str, trial.Tried]:
    return {row.id: row for row in trial.run(trial.bench(draft), ids)}


def everything() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Change, EntityLink, SyncRun, SyncLogEntry, MappingSet))


def test_a_trial_says_what_differs_fails_and_works_and_writes_nothing(world: LabWorld) -> None:
    for number, fields in ((1, {}), (2, {"name": "LOUD AB"}), (3, {"city": "x" * 3}), (4, {})):
        world.customer(number, **fields)
    world.sync()
    before, remote = everything(), {key: dict(row) for key, row in world.crm.rows("company").items()}
    draft = world.draft()
    rule = draft.field_mappings.get(target_field="city")
    rule.expression, rule.required = '"" if customer.city == "xxx" else customer.city', True
    rule.save()
    found = tried(world, draft, "1", "2", "3", "missing")
    assert {key: row.verdict for key, row in found.items()} == {
        "1": "differs", "2": "same", "3": "fails", "missing": "unreadable",
    }  # fmt: skip
    name = next(row for row in found["1"].fields if row.name == "name")
    assert (name.before, name.after, name.now, name.differs) == ("Customer 1", "CUSTOMER 1", "Customer 1", True)
    problem = found["3"].problems[0]
    assert problem.field == "city" and problem.message and problem.remedy
    assert found["missing"].error
    assert everything() == (*before[:4], before[4] + 1)  # only the draft is new
    assert world.crm.rows("company") == remote
    publish(draft, None)
    healed = new_draft(draft, None)
    healed.field_mappings.filter(target_field="city").update(required=False)
    assert tried(world, healed, "3")["3"].verdict == "works"


def test_a_trial_reads_a_group_at_a_time_whatever_is_asked(world: LabWorld) -> None:
    for number in range(50):
        world.customer(number)
    stand = trial.bench(world.draft())
    world.ledger.calls.clear()
    assert len(trial.run(stand, [str(number) for number in range(50)])) == trial.GROUP
    assert world.ledger.calls["detail"] == trial.GROUP and not world.ledger.calls["list"]
    assert len(FlowSamples().recent(world.published, 200)) == 0  # nothing was seen yet, and nothing is asked


def test_a_golden_sample_blocks_a_bad_version_wherever_it_is_published_from(world: LabWorld) -> None:
    world.customer(1)
    sample = tried(world, world.published, "1")["1"].sample
    assert sample is not None
    user, _client = world.person()
    row = golden_pins.pin(world.published, sample, "a  plain\x00 customer", user)
    assert row.name == "a plain customer" and "Customer 1" not in row.data
    with pytest.raises(ValidationError, match="of this name already"):
        golden_pins.pin(world.published, sample, "a plain customer", user)
    bad = world.draft()
    for check in (True, False):
        with pytest.raises(ValidationError) as caught:
            publish(bad, user, check=check)
        text = caught.value.messages[0]
        assert "a plain customer" in text and "“CUSTOMER 1”" in text and "“Customer 1”" in text
    bad.refresh_from_db()
    assert bad.state == State.DRAFT and world.flow.mapping_set() == world.published
    changed = golden_pins.expect(row, bad, user)
    assert [(one.name, one.before, one.after) for one in changed] == [("name", "Customer 1", "CUSTOMER 1")]
    publish(bad, user)
    step = row.history.first()
    assert (step.history_user, step.history_change_reason, step.expected["name"]) == (
        None,
        "updated to version 2",
        "CUSTOMER 1",
    )
    with pytest.raises(ValidationError, match="a plain customer"):  # nor is it gone back to
        rollback(world.published, user)
    assert MappingSet.objects.count() == 2


def test_a_sample_says_also_that_a_record_is_refused_or_left_out(world: LabWorld) -> None:
    world.customer(1, name="")
    draft = world.draft("customer.name")
    draft.field_mappings.filter(target_field="name").update(required=True)
    sample = tried(world, draft, "1")["1"].sample
    assert sample is not None
    row = golden_pins.pin(draft, sample, "without a name", None)
    assert "problem:required:name" in row.expected
    draft.field_mappings.filter(target_field="name").update(required=False)
    with pytest.raises(ValidationError, match="without a name"):
        publish(draft, None)


def test_personal_data_of_a_sample_is_edited_and_removed_also_from_its_history(world: LabWorld) -> None:
    world.customer(1, name="Anna Åström", city="Lund")
    sample = tried(world, world.published, "1")["1"].sample
    assert sample is not None
    row = golden_pins.pin(world.published, sample, "a person", None)
    assert golden_pins.edit(row, world.published, {"customer.city": "Umeå", "other.x": "y"}, None) == 1
    assert row.expected["city"] == "Umeå"
    golden_pins.redact(row, world.published, None)
    row.refresh_from_db()
    values = golden_pins.values_of(golden.read(row))
    assert (values["customer.name"], values["customer.city"], values["customer.number"]) == ("Xxxx Xxxxxx", "Xxxx", "1")
    assert row.redacted and row.expected["name"] == "Xxxx Xxxxxx"
    assert not [step for step in row.history.all() if "Anna" in str(step.expected)]
    assert all(result.passed for result in golden.try_all(world.published))
    with pytest.raises(ValidationError, match="at most"):
        for number in range(60):
            golden_pins.pin(world.published, sample, f"sample {number}", None)


def test_of_two_people_who_publish_one_wins_and_the_other_is_told(world: LabWorld) -> None:
    anna, _client = world.person()
    draft = world.draft()
    publish(draft, anna, revision=draft.revision)
    with pytest.raises(ValidationError, match=f"already, by {anna}"):
        publish(draft, None, revision=draft.revision)
    second = new_draft(draft, None)
    MappingSet.objects.filter(pk=second.pk).update(revision=second.revision + 1, edited_by=anna)
    with pytest.raises(ValidationError, match=f"{anna} changed the draft"):
        publish(second, None, revision=second.revision)
    assert SyncRun.objects.count() == 0


def test_what_would_differ_is_counted_in_groups_and_words_alone_need_no_reading(world: LabWorld) -> None:
    for number in range(25):
        world.customer(number, name="LOUD" if number % 2 else f"Customer {number}")
    world.sync()
    draft = world.draft()
    found = impact.differences(draft, world.published)
    assert impact.writes_differ(found) and [edit.after for edit in found] == ["upper(customer.name)"]
    first = impact.count_group(trial.bench(draft), 0)
    second = impact.count_group(trial.bench(draft), first.after)
    assert (first.looked, second.looked, second.after) == (20, 5, 0)
    assert len(first.differ) + len(second.differ) == 13
    foreign = make.make_link()
    ids = impact.source_ids(draft, [*first.differ, *second.differ, foreign.pk, 10**12])
    assert sorted(map(int, ids)) == [number for number in range(25) if not number % 2]
    draft.delete()
    words = new_draft(world.published, None)
    words.field_mappings.filter(target_field="name").update(label="Called")
    assert not impact.writes_differ(impact.differences(words, world.published))


def test_a_re_sync_plans_exactly_what_was_asked_the_first_few_alone_and_sends_nothing(world: LabWorld) -> None:
    for number in range(12):
        world.customer(number)
    world.sync()
    published = publish(world.draft(), None)
    ids = [str(number) for number in range(2, 12)]
    order = impact.order(published, ids, None, first=impact.CANARY)
    assert order is not None and due_flows().filter(pk=world.flow.pk).exists()
    work(world.flow)
    order.refresh_from_db()
    run = SyncRun.objects.get(pk=order.runs[0])
    assert (order.planned, run.state, run.mapping_set_id) == (5, "held", published.pk)
    assert sorted(run.changes.values_list("source_id", flat=True)) == ["2", "3", "4", "5", "6"]
    assert all(name.startswith("Customer") for name, _city in world.companies().values())
    assert not due_flows().filter(pk=world.flow.pk).exists()
    world.approve(run)
    assert sorted(name for name, _city in world.companies().values())[:5] == [f"CUSTOMER {n}" for n in range(2, 7)]
    assert impact.go_on(order, None) and not impact.go_on(order, None)
    work(world.flow)
    order.refresh_from_db()
    assert (order.planned, len(order.runs)) == (10, 2)
    rest = SyncRun.objects.get(pk=order.runs[1])
    assert sorted(map(int, rest.changes.filter(state="held").values_list("source_id", flat=True))) == [7, 8, 9, 10, 11]
    world.approve(rest)
    names = {number: name for number, (name, _city) in world.companies().items()}
    assert names["11"] == "CUSTOMER 11" and names["0"] == "Customer 0"  # which nobody asked for


def test_a_re_sync_outlives_a_remote_that_refuses_and_can_be_stopped(world: LabWorld) -> None:
    from integrations.errors import Transient

    for number in range(3):
        world.customer(number)
    world.sync()
    order = impact.order(publish(world.draft(), None), ["0", "1", "2"], None)
    assert order is not None
    world.ledger.faults.append(failing("detail", Transient("away", code="503"), times=1))
    work(world.flow)
    order.refresh_from_db()
    assert (order.planned, order.error) == (0, "away")
    work(world.flow)
    order.refresh_from_db()
    assert (order.planned, order.error, Change.objects.filter(state="held").count()) == (3, "", 3)
    assert impact.order(order.mapping_set, [], None) is None
    other = impact.order(order.mapping_set, ["0"], None)
    assert other is not None and impact.stop(other, None) and not impact.stop(other, None)
    assert not Resync.objects.due().exists() and not impact.go_on(other, None)
    with pytest.raises(ValueError, match="too many"):
        impact.order(order.mapping_set, [str(n) for n in range(impact.MOST_ORDERED + 1)], None)


def test_a_rollback_publishes_the_old_rules_and_plans_what_the_bad_version_wrote(world: LabWorld) -> None:
    for number in range(4):
        world.customer(number)
    world.sync()
    good = world.published
    bad = publish(world.draft(), None)
    world.customer(1, city="Malmö")
    world.sync()
    assert world.companies()["1"] == ("CUSTOMER 1", "Malmö")
    open_ = new_draft(bad, None)  # somebody is at work on the next one
    good.refresh_from_db()
    loud = [number for number, (name, _city) in world.companies().items() if str(name).isupper()]
    assert sorted(impact.written_since(good)) == sorted(loud)
    back = rollback(good, None)
    open_.refresh_from_db()
    assert (back.version, open_.version, open_.slug, open_.state) == (3, 4, good.slug, State.DRAFT)
    impact.order(back, impact.written_since(good), None)
    work(world.flow)
    run = SyncRun.objects.get(state="held")
    held = run.changes.filter(state="held")
    assert sorted(change.diff[0]["after"] for change in held) == sorted(f"Customer {number}" for number in loud)
    world.approve(run)
    for _round in range(2):  # what was read again in between is shown once more
        for run in SyncRun.objects.filter(state="held"):
            world.approve(run)
    assert world.companies()["1"] == ("Customer 1", "Malmö")


def test_what_an_old_version_queued_is_planned_again_before_it_goes_out(world: LabWorld) -> None:
    world.customer(1)
    world.sync()
    world.customer(1, name="Renamed", city="Malmö")
    world.crm_connector.remote.faults.append(failing("write", KeyboardInterrupt(), times=1))  # type: ignore[arg-type]  # killed
    with pytest.raises(KeyboardInterrupt):
        work(world.flow, Order())
    world.later()
    stuck = Change.objects.get(state__in=["sending", "queued", "unknown"])
    Change.objects.filter(pk=stuck.pk).update(state="queued", sent_at=None)  # planned by version 1, not sent
    publish(world.draft(), None)
    work(world.flow)
    world.later()
    work(world.flow)
    assert world.companies()["1"] == ("RENAMED", "Malmö")
    stuck.refresh_from_db()
    assert stuck.state == "superseded"
    assert Change.objects.filter(state="applied").latest("pk").mapping_set_id == world.flow.mapping_set().pk


def test_a_plan_that_was_held_is_shown_again_when_another_version_would_write_something_else(world: LabWorld) -> None:
    world.customer(1)
    world.customer(2, name="LOUD")
    for number in range(3, 12):
        world.customer(number)
    world.sync(dry_run=True)
    run = SyncRun.objects.get(state="held")
    publish(world.draft(), None)
    world.approve(run)
    work(world.flow)
    held = Change.objects.filter(state="held")
    assert {change.payload["fields"]["name"] for change in held} >= {"CUSTOMER 1", "CUSTOMER 3"}
    assert list(world.companies()) == ["2"]  # what is the same under both versions went out as approved


def test_a_run_in_the_middle_of_which_somebody_publishes_ends_with_the_new_version_in_force(world: LabWorld) -> None:
    """The pages that the first process planned were delivered with version 1; the rest is planned with version 2."""
    for number in range(30):
        world.customer(number)
    draft, seen = world.draft(), []

    def once() -> bool:
        seen.append(1)
        if len(seen) == 1:
            publish(draft, None)
        return False

    work(world.flow, Order(), keep_going=once)
    for _round in range(6):
        world.later()
        work(world.flow)
    names = [name for name, _city in world.companies().values()]
    assert len(names) == 30 and SyncRun.objects.get(trigger="schedule").state == "done"
    applied = Change.objects.filter(state="applied")
    assert {c.mapping_set.version for c in applied if c.mapping_set} <= {1, 2}
    for change in applied.select_related("mapping_set"):
        expected = change.payload["fields"]["name"]
        assert expected.isupper() == (change.mapping_set is not None and change.mapping_set.version == 2)
    assert not Change.objects.open().exists()


def test_samples_of_another_mapping_or_integration_are_not_its_own(world: LabWorld) -> None:
    other: Any = make.make_mapping_set(slug=world.published.slug)
    GoldenSample.objects.create(integration=other.integration, slug=other.slug, name="theirs", expected={"name": "x"})
    GoldenSample.objects.create(integration=world.integration, slug="another", name="theirs", expected={"name": "x"})
    assert list(golden.try_all(world.published)) == []
    publish(world.draft(), None)
