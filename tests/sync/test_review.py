"""What a careful reader found before any customer did: each scenario stays a test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from integrations.connector import Outcome, Write
from integrations.errors import InvalidData, Transient
from integrations.hubspot.write import Writer
from mappings.models.versions import new_draft, publish
from sync import repair, tasks
from sync.engine import approve as approval
from sync.engine import plan as planning
from sync.engine.run import work
from sync.models import Change, Flow, SyncRun
from tests.factories import make_superuser
from tests.tiny import failing
from tests.tiny_world import TinyWorld

World = Callable[..., TinyWorld]

ORG = {"label": "organisation number", "target_field": "org", "normaliser": "orgnr", "expression": "customer.org"}
NAMES = ("name", "city", "number", "org")
FIELDS: list[Any] = [(name, f"customer.{name}", {}) for name in NAMES]


def with_orders(world, **kw):
    world.crm.unique["bill"] = "key"
    world.crm_connector.idempotent = frozenset(world.crm.unique)
    return world.add_flow(
        "orders",
        source="order",
        target="bill",
        fields=[
            *((n, f"order.{n}", {}) for n in ("name", "number", "amount", "currency")),
            ("text", "row.text", {"scope": "line"}),
        ],
        links=[{"name": "company", "expression": "order.customer", "related_slug": "customers", "required": True}],
        line_key='concat(order.number, ":", source.position)',
        **kw,
    )


def test_a_source_that_went_back_is_not_overwritten_by_its_old_plan(tiny: World) -> None:
    """A->B held, back to A, approved: B is written."""
    world = tiny()
    world.customer(1)
    world.sync()
    Flow.objects.update(approval="always")
    world.flow.refresh_from_db()
    world.ledger.clock += 100
    world.customer(1, city="Wrong")
    run = world.sync().run
    assert run.state == "held"
    world.ledger.clock += 100
    world.customer(1, city="Lund")  # reverted at the source
    world.sync()
    world.ledger.clock += 100
    held = SyncRun.objects.filter(state="held").first()
    if held:
        world.approve(held)
    world.ledger.clock += 100
    for _ in range(3):
        world.sync()
    world.ledger.clock += 100
    world.sync(full=True)
    assert world.companies()["1"][1] == "Lund"


def test_a_source_that_went_back_before_approval_is_not_overwritten(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    Flow.objects.update(approval="always")
    world.flow.refresh_from_db()
    world.ledger.clock += 100
    world.customer(1, city="Wrong")
    run = world.sync().run
    world.ledger.clock += 100
    world.customer(1, city="Lund")
    world.approve(run)
    world.ledger.clock += 100
    world.sync()
    assert world.companies()["1"][1] == "Lund"


def test_a_source_that_went_back_while_a_write_waits_is_not_overwritten(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    world.ledger.clock += 100
    world.customer(1, city="Wrong")
    world.crm.faults.append(failing("write", Transient("503", code="503")))
    world.sync()
    assert world.states() == {"1": "retrying"}
    Change.objects.filter(state="retrying").update(due_at=timezone.now() + timedelta(hours=1))
    world.ledger.clock += 100
    world.customer(1, city="Lund")
    world.ledger.clock += 100
    world.sync()
    world.later()
    work(world.flow)
    work(world.flow)
    world.ledger.clock += 100
    world.sync()
    assert world.companies()["1"][1] == "Lund"


def test_an_approval_survives_an_error_of_the_catch_up(tiny: World) -> None:
    world = tiny(first_run_approved=False)
    world.customer(1)
    run = world.sync().run
    world.ledger.faults.append(failing("list", Transient("503", code="503")))
    world.approve(run)
    run.refresh_from_db()
    world.later()
    work(world.flow)
    assert world.states() == {"1": "applied"}


def test_what_is_released_by_itself_is_still_under_the_brakes(tiny: World) -> None:
    world = tiny(first_run_approved=False)
    orders = with_orders(
        world, currency_field="currency", amount_field="amount", brake_amount=1000, seen_currencies=["SEK"]
    )
    world.customer(7)
    world.ledger.put(
        "order", {"number": "1", "name": "Order", "customer": "7", "amount": 999999, "currency": "USD"}, "1"
    )
    world.ledger.objects["order"]["1"].fields["amount"] = Decimal(999999)
    world.sync(orders)
    held = world.sync()
    world.approve(held.run)
    world.later()
    work(orders)
    c = Change.objects.filter(flow=orders).latest("pk")
    assert c.state == "held"


def test_a_needed_record_is_not_imported_past_a_person(tiny: World) -> None:
    world = tiny(approval="always")
    orders = with_orders(world)
    world.customer(7)
    world.ledger.put("order", {"number": "1", "name": "Order", "customer": "7"}, "1")
    world.sync(orders)
    assert world.companies() == {}


def test_a_cancelled_plan_is_planned_again_also_where_the_list_looks_the_same(tiny: World) -> None:
    world = tiny()
    world.ledger.detail_only["customer"] = {"city"}
    world.customer(1)
    world.sync()
    Flow.objects.update(approval="always")
    world.flow.refresh_from_db()
    world.ledger.clock += 100
    world.customer(1, city="Malmö")
    run = world.sync().run
    assert run.state == "held"
    approval.cancel_plan(run, make_superuser())
    world.flow.refresh_from_db()
    world.ledger.clock += 100
    run2 = world.sync().run
    assert run2.state == "held"


def test_a_fault_at_the_end_of_a_plan_loses_nothing(tiny: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    world.ledger.clock += 100
    world.customer(1, city="Malmö")
    world.ledger.clock += 100
    real = approval.conclude
    n = [0]

    def once(ctx, run):
        n[0] += 1
        if n[0] == 1:
            raise OperationalError("canceling statement due to lock timeout")
        return real(ctx, run)

    monkeypatch.setattr("sync.engine.run.approve.conclude", once)
    world.sync()
    world.ledger.clock += 100
    world.sync()
    world.sync()
    assert world.companies()["1"][1] == "Malmö"


def test_a_failed_full_run_forgets_nothing(tiny: World) -> None:
    world = tiny(page_size=1)
    world.customer(1)
    world.sync()
    world.ledger.clock += 100
    world.crm.refuse["Bad"] = InvalidData("no", code="no")
    world.customer(1, name="Bad")
    world.sync()
    assert world.states() == {"1": "review"}
    world.customer(2)
    world.ledger.clock += 100
    world.sync()
    world.ledger.clock += 100
    # new mapping version, then a full run that fails later
    d = new_draft(world.flow.mapping_set(), None)
    publish(d, None, check=False)
    world.ledger.drop_from_page = 1
    world.sync(full=True)
    world.ledger.drop_from_page = None
    world.ledger.clock += 100
    world.sync()
    assert Change.objects.open().filter(source_id="1").exists() or world.companies()["1"][0] == "Bad"


def test_a_record_linked_meanwhile_releases_who_waits_for_it(tiny: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = tiny(first_run_approved=False)
    orders = with_orders(world)
    world.customer(7)
    held = world.sync()
    world.ledger.put("order", {"number": "1", "name": "Order", "customer": "7"}, "1")
    real = planning.match
    fired = []

    def between(ctx, records, lookup, said):
        if ctx.flow.slug == "orders" and not fired:
            fired.append(1)
            world.approve(held.run)  # the other worker finishes the customer now
        return real(ctx, records, lookup)

    monkeypatch.setattr("sync.engine.plan.match", between)
    world.sync(orders)
    assert world.links() >= 1
    world.later()
    world.ledger.clock += 100
    for _ in range(3):
        world.sync(orders)
        world.sync()
    world.sync(orders, full=True)
    assert len(world.crm.rows("bill")) == 1


def test_a_link_made_by_a_person_releases_who_waits_for_it(tiny: World) -> None:
    world = tiny(
        matches=[{"label": "name", "target_field": "name", "normaliser": "text", "expression": "customer.name"}]
    )
    orders = with_orders(world)
    for _twin in range(2):
        world.crm.put("company", {"name": "Customer 7", "city": "Lund", "number": "7"})
    world.customer(7)
    world.sync()
    assert world.states() == {"7": "review"}
    world.ledger.put("order", {"number": "1", "name": "Order", "customer": "7"}, "1")
    world.sync(orders)
    c = Change.objects.get(flow=world.flow)
    repair.link_to(c, c.candidates[0]["id"], make_superuser())
    world.later()
    work(world.flow)
    work(orders)
    work(orders)
    world.ledger.clock += 100
    world.sync()
    world.sync(orders)
    assert len(world.crm.rows("bill")) == 1


def test_a_filter_that_cannot_judge_one_record_blocks_only_that_one(tiny: World) -> None:
    world = tiny(filter_expression="decimal(customer.city) > 0")
    world.customer(1, city="5")
    world.customer(2, city="x")
    for _ in range(3):
        r = world.sync().run
    assert r.state == "done" and "1" in world.companies()


def test_a_retry_that_cannot_be_planned_stops_nothing_else(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.customer(2)
    world.crm.refuse["Customer 2"] = InvalidData("no", code="no")
    world.sync()
    # make record 2's planning raise something that is not a SyncError: filter
    Flow.objects.update(filter_expression="decimal(customer.city) > 0")
    world.ledger.objects["customer"]["1"].fields["city"] = "5"
    repair.retry(Change.objects.filter(state="review"), make_superuser())
    Change.objects.create(
        integration=world.integration,
        flow=world.flow,
        mapping_set=world.flow.mapping_set(),
        action="create",
        state="queued",
        source_id="9",
        payload={"fields": {"name": "Nine"}, "unique": ["key", "x:9"], "lines": None, "links": {}},
    )
    for _ in range(3):
        work(Flow.objects.get())
    assert world.states()["9"] == "applied"


def test_a_temporary_fault_of_a_retry_is_tried_again(tiny: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = tiny()
    world.customer(1)
    world.crm.refuse["Customer 1"] = InvalidData("no", code="no")
    world.sync()
    world.crm.refuse.clear()
    repair.retry(Change.objects.filter(state="review"), make_superuser())
    real = world.ledger_connector.load
    n = [0]

    def load(name, ids, fields):
        n[0] += 1
        if n[0] == 1:
            for i in ids:
                yield (i, Transient("502", code="http_502"))
            return
        yield from real(name, ids, fields)

    monkeypatch.setattr(world.ledger_connector, "load", load)
    work(world.flow)
    Change.objects.latest("pk")
    world.later()
    work(world.flow)
    assert world.states() == {"1": "applied"}


def test_a_flow_that_may_not_update_leaves_lines_alone(tiny: World) -> None:
    world = tiny()
    orders = with_orders(world)
    world.customer(7)
    world.ledger.put("order", {"number": "1", "name": "O", "customer": "7"}, "1", lines=[{"text": "a"}])
    world.sync(orders)
    Flow.objects.filter(pk=orders.pk).update(may_update=False)
    world.ledger.clock += 100
    world.ledger.put("order", {}, "1", lines=[{"text": "zzz"}])
    world.sync(orders)
    assert [line["text"] for line in world.crm.objects["bill"]["2"].lines] == ["a"]


def test_one_identity_on_two_pages_makes_one_record(tiny: World) -> None:
    world = tiny(fields=FIELDS, matches=[ORG], page_size=10)
    for n in range(1, 131):
        world.customer(n)
    world.customer(2, org="5566778899")
    world.customer(128, org="556677-8899")
    world.sync()
    hits = [k for k, r in world.crm.rows("company").items() if r.get("org")]
    assert len(hits) == 1


def test_one_identity_makes_one_record_while_the_search_lags(tiny: World) -> None:
    world = tiny(fields=FIELDS, matches=[ORG])
    world.customer(1, org="5566778899")
    world.sync()
    world.crm.invisible = set(world.crm.rows("company"))
    world.customer(2, org="556677-8899")
    world.sync()
    assert len(world.crm.rows("company")) == 1


def test_a_record_of_another_ledger_is_not_taken_over(tiny: World) -> None:
    world = tiny(fields=FIELDS, matches=[ORG])
    world.crm.put("company", {"name": "Other", "org": "5566778899", "key": "other:9"})
    world.customer(1, org="5566778899")
    world.sync()
    assert world.crm.rows("company")["1"]["key"] == "other:9"


def test_an_old_plan_is_retried_after_its_approval(tiny: World) -> None:
    world = tiny(first_run_approved=False)
    world.customer(1)
    run = world.sync().run
    Change.objects.update(created_at=timezone.now() - timedelta(hours=30))
    world.crm.faults.append(failing("write", Transient("503", code="503")))
    world.approve(run)
    assert world.states() == {"1": "retrying"}


def test_what_may_be_created_now_is_created_by_a_full_run(tiny: World) -> None:
    world = tiny(may_create=False)
    world.customer(1)
    world.sync()
    assert world.states() == {"1": "skipped"}
    Flow.objects.update(may_create=True)
    world.ledger.clock += 100
    world.sync(Flow.objects.get(), full=True)
    assert "1" in world.companies()


def test_approving_what_a_pass_holds_looks_again_too(tiny: World) -> None:
    world = tiny(first_run_approved=False)
    world.customer(1, status="unpaid")
    world.sync()
    r2 = world.sync(subset="unpaid", trigger="subset").run
    world.ledger.clock += 100
    world.customer(1, city="Ystad")
    world.approve(r2)
    assert world.companies() == {}


def test_approving_a_single_change_looks_again_too(tiny: World) -> None:
    world = tiny(first_run_approved=False)
    world.customer(1)
    world.customer(2)
    world.sync()
    world.ledger.clock += 100
    world.customer(1, city="Ystad")
    approval.approve_changes(Change.objects.filter(source_id="1"), make_superuser())
    work(world.flow)
    assert world.companies() == {}


def test_a_persons_order_survives_a_failed_start(tiny: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = tiny()
    world.customer(1)
    Flow.objects.update(run_requested="full")

    def boom(flow, **k):
        raise Transient("503")

    monkeypatch.setattr("sync.engine.run.build", boom)
    tasks.serve(Flow.objects.get(), lambda: True)
    f = Flow.objects.get()
    assert f.run_requested == "full" or SyncRun.objects.exists()


def test_creating_anew_uses_a_reference_of_its_own(tiny: World) -> None:
    world = tiny()
    orders = world.add_flow(
        "orders",
        source="order",
        target="bill",
        fields=[("name", "order.name", {}), ("number", "order.number", {})],
        unique=False,
    )
    world.ledger.put("order", {"number": "1", "name": "O"}, "1")
    world.sync(orders)
    del world.crm.objects["bill"]["1"]
    world.ledger.clock += 100
    world.ledger.put("order", {"name": "O2"}, "1")
    world.ledger.put("order", {"number": "2", "name": "X"}, "2")
    world.sync(orders)
    c = Change.objects.get(state="review")
    repair.create_new(c, make_superuser())
    for _ in range(3):
        work(orders)
    assert world.states()["1"] == "applied"


def test_lines_are_not_touched_while_the_amount_cannot_be_read():
    calls = []

    class B:
        def write(self, name, action, inputs):
            calls.append((name, action, list(inputs)))
            return [{"id": str(100 + i)} for i, _ in enumerate(inputs)]

    class R:
        links = SimpleNamespace(all=lambda a, b, ids: {i: ["100", "555"] for i in ids}, set=lambda *a: {})

        def batch(self, name, ids, wanted, id_property=""):
            return {i: Transient("502", code="http_502") for i in ids}

    w = Writer(
        SimpleNamespace(api=SimpleNamespace(do=lambda c: calls.append(("archive",)))),
        SimpleNamespace(unique=lambda *a: set()),
        R(),
    )
    w.batches = B()
    writes = [Write(key="1", id="9", fields={}, lines=[{"line_key": "k", "name": "x"}])]
    out = {"1": Outcome("1", id="9", created=False)}
    w._lines("deal", writes, out)
    assert out["1"].error is not None


def test_a_loosened_filter_counts_in_a_full_run(tiny: World) -> None:
    world = tiny(filter_expression='customer.city == "Lund"')
    world.customer(1, city="Oslo")
    world.sync()
    Flow.objects.update(filter_expression="")
    world.ledger.clock += 100
    world.sync(Flow.objects.get(), full=True)
    assert "1" in world.companies()


def test_a_failing_token_refresh_does_not_silence_the_bell(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    kicked = []
    monkeypatch.setattr("sync.queue.kick", lambda n: kicked.append(n))

    def boom():
        raise RuntimeError("lock timeout")

    monkeypatch.setattr("sync.tasks.every_minute", boom)
    tasks.tick()
    assert kicked
