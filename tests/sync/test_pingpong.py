"""Fields that go back and forth pause themselves; the ownership page shows them and the counters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Membership
from sync import pingpong
from sync.models import Change, EntityLink, FieldCount, FieldPause, Hint, SyncLogEntry
from tests import factories as make
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db

SWAP = '"Lund" if customer.city == "Malmö" and customer.number else "Malmö"'
BACK = 'company.city if company.phone != "none" else ""'


@pytest.fixture
def fight(monkeypatch: pytest.MonkeyPatch, settings: Any) -> TinyWorld:
    """Two flows, one each way, whose rules for the city never agree: one writes the other of two cities, the other
    brings it back. Each reads a field too that nothing writes back, so the city counts as one-way for both."""
    settings.PING_PONG_FLIPS = 3
    world = TinyWorld(monkeypatch)
    world.flow.delete()
    world.flow = world.add_flow(
        "fighters", fields=[("name", "customer.name", {}), ("city", SWAP, {}), ("number", "customer.number", {})]
    )
    world.back = world.add_flow(  # type: ignore[attr-defined]
        "companies", fields=[("city", BACK, {})], source="company", target="customer", unique=False,
        source_side="crm", target_side="ledger", takes="known",
    )  # fmt: skip
    draft = world.back.mapping_set()  # type: ignore[attr-defined]
    type(draft).objects.filter(pk=draft.pk).update(source_side="crm", target_side="ledger")
    world.customer(1, city="Lund")
    return world


def rounds(world: TinyWorld, times: int) -> None:
    for _number in range(times):
        world.sync()
        world.sync(world.back)  # type: ignore[attr-defined]


def test_two_rules_that_fight_pause_the_field_and_the_rest_goes_on(fight: TinyWorld) -> None:
    rounds(fight, 12)
    pauses = list(FieldPause.objects.all())
    assert pauses, Change.objects.values_list("flow__slug", "diff")
    pause = pauses[0]
    assert pause.field == "city" and pause.link == EntityLink.objects.get() and pause.resumed_at is None
    assert "went back and forth 4 times" in pause.reason_text
    sides = {pause.fight["mine"]["expression"], pause.fight["theirs"]["expression"]}
    assert sides == {SWAP, BACK}
    written = Change.objects.filter(state="applied").count()
    rounds(fight, 4)
    assert Change.objects.filter(state="applied").count() == written, "the fight is over"

    fight.customer(1, name="Renamed AB", city=str(fight.ledger.rows("customer")["1"]["city"]))
    rounds(fight, 2)
    assert fight.companies()["1"][0] == "Renamed AB", "other fields go on"
    last = Change.objects.filter(state="applied", flow=fight.flow).order_by("-pk")[0]
    if FieldPause.objects.filter(flow=fight.flow).exists():
        assert "paused, because it went back and forth" in last.reason["en"]
    assert SyncLogEntry.objects.filter(event="field paused").count() == len(pauses)


def test_somebody_else_at_the_target_who_undoes_us_is_a_fight_too(fight: TinyWorld) -> None:
    fight.back.delete()  # type: ignore[attr-defined]
    for number in range(8):
        fight.customer(1, note=str(number), city="Lund")
        fight.sync(full=True)
        key = next(iter(fight.crm.rows("company")))
        fight.crm.put("company", {"city": "Oslo"}, key)
        EntityLink.objects.update(ledger_fingerprint="", ledger_version="")
    pause = FieldPause.objects.get()
    assert pause.fight["theirs"] == {} and "somebody or something in" in pause.reason_text
    skipped = Change.objects.order_by("-pk")[0]
    if skipped.state == "skipped":
        assert skipped.error_code == pingpong.PAUSED


def test_a_source_that_merely_alternates_is_no_fight(fight: TinyWorld) -> None:
    fight.back.delete()  # type: ignore[attr-defined]
    for number in range(12):
        fight.customer(1, city="Malmö" if number % 2 else "Lund")
        fight.sync()
    assert not FieldPause.objects.exists()
    assert FieldCount.objects.get(field="city").writes == 12


def test_looking_for_fights_costs_no_query_per_record(fight: TinyWorld, django_assert_max_num_queries: Any) -> None:
    from sync.engine.context import build

    for number in range(2, 9):
        fight.customer(number)
    rounds(fight, 2)
    changes = list(Change.objects.filter(flow=fight.flow, action="update", state="applied"))
    links = {link.ledger_id: link for link in EntityLink.objects.all()}
    assert len(changes) > 3
    ctx = build(fight.flow)
    with django_assert_max_num_queries(2):
        pingpong.pause_fights(ctx, changes, links)
    creates = list(Change.objects.filter(action="create"))
    with django_assert_max_num_queries(0):
        pingpong.pause_fights(ctx, creates, links)


def test_a_person_resumes_and_the_record_is_planned_again(fight: TinyWorld, client: Client) -> None:
    rounds(fight, 12)
    pause = FieldPause.objects.all()[0]
    pair = fight.integration
    address, page = reverse("admin:ownership_resume", args=[pause.pk]), reverse("admin:ownership", args=[pair.pk])
    client.force_login(make.make_user("stranger", organization=make.make_organization()))
    assert (client.post(address).status_code, client.get(page).status_code) == (404, 404)
    client.force_login(make.make_user("vera", organization=pair.organization, role=Membership.Role.VIEWER))
    assert client.post(address, {"confirmed": "1"}).status_code == 403
    assert "Resume this field" not in client.get(page).content.decode()

    anna = make.make_user("anna", organization=pair.organization)
    client.force_login(anna)
    shown = client.get(page).content.decode()
    for said in ("Paused fields", "Values in turn", "company.city if company.phone", "went back and forth"):
        assert said in shown, said
    record = client.get(reverse("admin:record", args=[pause.link_id])).content.decode()
    assert "went back and forth" in record and "Field paused: city" in record
    assert client.get(address).status_code == 405
    asked = client.post(address)
    assert "will go back and forth again" in asked.content.decode() and not Hint.objects.exists()
    client.post(address, {"confirmed": "1"})
    client.post(address, {"confirmed": "1"})
    pause.refresh_from_db()
    assert pause.resumed_by == anna and pause.resumed_at is not None
    assert Hint.objects.filter(flow=pause.flow).count() == 1
    assert SyncLogEntry.objects.filter(event="field resumed", user=anna).count() == 1


def test_a_pause_is_open_once_and_a_person_has_a_time(fight: TinyWorld) -> None:
    link = make.make_link(fight.integration)
    row = {"integration": fight.integration, "flow": fight.flow, "link": link, "field": "city"}
    FieldPause.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        FieldPause.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        FieldPause.objects.create(**(row | {"field": "x", "resumed_by": make.make_superuser()}))
    FieldPause.objects.update(resumed_at=timezone.now())
    FieldPause.objects.create(**row)


def test_the_ownership_page_counts_and_costs_the_same(
    fight: TinyWorld, client: Client, django_assert_max_num_queries: Any
) -> None:
    client.force_login(make.make_user("anna", organization=fight.integration.organization))
    page = reverse("admin:ownership", args=[fight.integration.pk])
    fight.sync()
    fight.customer(1, name="")
    fight.sync()
    counts = {row.field: (row.writes, row.blanks) for row in FieldCount.objects.all()}
    assert counts["name"] == (1, 1)
    today = timezone.now().date()
    FieldCount.objects.create(
        integration=fight.integration, flow=fight.flow, field="name", day=today - timedelta(days=29), writes=7,
        conflicts=3,
    )  # fmt: skip
    FieldCount.objects.create(
        integration=fight.integration, flow=fight.flow, field="name", day=today - timedelta(days=31), writes=90
    )
    client.get(page)
    with django_assert_max_num_queries(12) as few:
        groups = client.get(page).context["groups"]
    name = next(row for row in groups[0]["rows"] if row["field"] == "name")
    assert (name["writes"], name["blanks"], name["conflicts"], name["owner"]) == ("8", "1", 3, "Fortnox")
    for number in range(40):
        link = make.make_link(fight.integration)
        FieldPause.objects.create(
            integration=fight.integration, flow=fight.flow, link=link, field="city", reason={"en": f"fight {number}"}
        )
    with django_assert_max_num_queries(len(few)):
        assert "40 fields are paused" in client.get(page).content.decode()
    empty = make.make_integration(fight.integration.organization)
    assert "No flow of this integration" in client.get(reverse("admin:ownership", args=[empty.pk])).content.decode()
