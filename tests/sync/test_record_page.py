"""The record page: values and why, as of a day, the timeline, and undo."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import InboundEvent, Membership
from sync import history, history_lanes, undo
from sync.engine.approve import approve_changes
from sync.models import Change, EntityLink, ReviewNote, RouteMove, SyncLogEntry
from tests import factories as make
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> TinyWorld:
    """A customer that moved twice, with a run each time."""
    world = TinyWorld(monkeypatch)
    for city in ("Lund", "Malmö", "Ystad"):
        world.customer(1, city=city)
        world.sync()
    return world


@pytest.fixture
def anna(world: TinyWorld, client: Client) -> Client:
    """A consultant of the organization, signed in."""
    client.force_login(make.make_user("anna", organization=world.integration.organization))
    return client


def spread(world: TinyWorld) -> list[Any]:
    """Give the writes an hour each, oldest first; returns their times."""
    now = timezone.now()
    times = []
    for back, change in enumerate(Change.objects.filter(state="applied").order_by("-pk"), start=1):
        at = now - timedelta(hours=back)
        Change.objects.filter(pk=change.pk).update(created_at=at - timedelta(minutes=1), finished_at=at)
        times.append(at)
    EntityLink.objects.update(created_at=times[-1])
    return times[::-1]


def url(link: EntityLink, **query: Any) -> str:
    return reverse("admin:record", args=[link.pk], query=query or None)


def test_nothing_is_claimed_of_the_time_that_was_purged(world: TinyWorld, anna: Client) -> None:
    """Lund was created, then Malmö, then Ystad; the change to Malmö is removed by its age, Ystad is younger."""
    created, second, third = Change.objects.filter(state="applied").order_by("pk")
    for change, days in ((created, 1000), (second, 900), (third, 10)):
        at = timezone.now() - timedelta(days=days)
        Change.objects.filter(pk=change.pk).update(created_at=at, updated_at=at, finished_at=at)
    EntityLink.objects.update(created_at=timezone.now() - timedelta(days=1000))
    link = EntityLink.objects.get()

    def city(days: int) -> Any:
        known = history.Story.of(link, history.changes_of(link)).at(
            "crm", "city", timezone.now() - timedelta(days=days)
        )
        return known.value if known.known else None

    assert (city(950), city(800), city(100), city(5)) == ("Lund", "Malmö", "Malmö", "Ystad")
    call_command("purge", stdout=io.StringIO())
    assert not Change.objects.filter(pk=second.pk).exists()
    assert (city(950), city(800), city(100), city(5)) == (None, None, "Malmö", "Ystad"), "never “Lund” by guessing"
    story = history.Story.of(link, history.changes_of(link))
    assert not any(write.elsewhere for rows in story.by_field.values() for write in rows), "nobody else did that"
    assert story.moments[0] >= story.begins
    at = (timezone.now() - timedelta(days=800)).isoformat()
    assert "Nothing is stored of the moment" in anna.get(url(link, at=at)).content.decode()


def test_values_are_told_as_they_were_at_any_moment(world: TinyWorld, anna: Client) -> None:
    times = spread(world)
    link = EntityLink.objects.get()
    story = history.Story.of(link, history.changes_of(link))
    cities = [story.at("crm", "city", at).value for at in (*times, None)]
    assert cities == ["Lund", "Malmö", "Ystad", "Ystad"]
    assert story.at("crm", "city", times[0] + timedelta(minutes=30)).value == "Lund"
    early = story.at("crm", "city", times[0] - timedelta(minutes=30))
    assert not early.known, "before it was created there was nothing"

    page = anna.get(url(link, at=(times[1] + timedelta(minutes=5)).isoformat())).content.decode()
    assert "Malmö" in page.split("lb-section")[0] and "Ystad" not in page.split('id="timeline"')[0]
    assert "History of this record begins" in page
    assert "Nothing is stored of the moment" in anna.get(url(link, at="1999-01-01T00:00")).content.decode()
    for nonsense in ("tomorrow", "2026-13-45T99:00", "\x00", "9" * 400, "0001-01-01T00:00"):
        assert "is no moment" in anna.get(url(link, at=nonsense)).content.decode(), nonsense
    assert anna.get(url(link, step="0")).context["moment"] == times[0]
    assert anna.get(url(link, step="99999999999")).context["moment"] is None


def test_somebody_elses_change_at_the_target_is_marked(world: TinyWorld) -> None:
    key = next(iter(world.crm.rows("company")))
    world.crm.put("company", {"city": "Oslo"}, key)
    world.customer(1, city="Kalmar")
    world.sync()
    link = EntityLink.objects.get()
    story = history.Story.of(link, history.changes_of(link))
    last = story.now("crm", "city").write
    assert last is not None and last.elsewhere and last.before == "Oslo"


def test_why_a_value_is_so_names_rule_run_event_and_person(world: TinyWorld, anna: Client) -> None:
    link = EntityLink.objects.get()
    change = Change.objects.filter(state="applied").order_by("-pk")[0]
    assert change.run is not None
    InboundEvent.objects.create(
        account=world.integration.ledger_account, dedupe_key="e1", object="customer", record_id="1",
        kind="customer-updated-v1", received_at=change.created_at - timedelta(seconds=5),
    )  # fmt: skip
    address = reverse("admin:record_value", args=[link.pk], query={"side": "crm", "field": "city"})
    page = anna.get(address).content.decode()
    for said in (
        "Ystad", "Malmö", "customer.city", "version 1", "The source decides", str(change.run.correlation_id),
        "changed, <time", "nobody: the flow", f"Run {change.run.pk}", "Every time we wrote it",
    ):  # fmt: skip
        assert said in page, said
    source = anna.get(reverse("admin:record_value", args=[link.pk], query={"side": "ledger", "field": "city"}))
    assert "Where it goes" in source.content.decode()
    for query in ({"side": "moon", "field": "city"}, {"side": "crm", "field": ""}, {"side": "crm", "field": "nope"}):
        assert anna.get(reverse("admin:record_value", args=[link.pk], query=query)).status_code == 404


def test_the_timeline_has_three_lanes_and_every_item_once(world: TinyWorld, anna: Client) -> None:
    link = EntityLink.objects.get()
    user = make.make_user("bo", organization=world.integration.organization)
    change = Change.objects.filter(state="applied").order_by("pk")[0]
    at = timezone.now()
    for number in range(30):
        InboundEvent.objects.create(
            account=world.integration.crm_account, dedupe_key=f"c{number}", object="company", record_id=link.crm_id,
            kind="company.propertyChange", received_at=at,
        )  # fmt: skip
        make.make_log(change, "retrying→queued", at=at)
    ReviewNote.objects.create(integration=world.integration, change=change, user=user, text="Called them.", at=at)
    other = make.make_integration(world.integration.organization, crm=world.integration.crm_account)
    RouteMove.objects.create(
        integration=world.integration, moved_to=other, crm_object="company", crm_id=link.crm_id, reason="Wrong one",
        by=user, at=at,
    )  # fmt: skip
    seen: list[Any] = []
    before = None
    while True:
        items, older = history_lanes.page(link, history.changes_of(link), [], before=before, size=7)
        seen += [item.key for item in items]
        before = history_lanes.load_key(older)
        if before is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen))
    assert len(seen) == 30 + SyncLogEntry.objects.filter(change__isnull=False).count() + 1 + 1 + Change.objects.count()

    page = anna.get(url(link)).content.decode()
    for said in ("HubSpot", "Ledgerbridge", "Fortnox", "Event heard", "Called them.", "Moved to", "Wrong one", "bo"):
        assert said in page, said
    writes = anna.get(url(link, kind="writes")).content.decode()
    assert "Written: Update" in writes and "Called them." not in writes and "Undo…" in writes
    for broken in ("nonsense", "WzEsMl0", "////"):
        assert anna.get(url(link, before=broken)).status_code == 200


def test_the_page_costs_the_same_for_any_history(
    world: TinyWorld, anna: Client, django_assert_max_num_queries: Any
) -> None:
    link = EntityLink.objects.get()
    anna.get(url(link))
    with django_assert_max_num_queries(12) as short:
        anna.get(url(link))
    for number in range(60):
        change = make.make_change(
            flow=world.flow, state="applied", source_id="1", finished_at=timezone.now(),
            diff=[{"field": "city", "before": str(number), "after": str(number + 1), "reason": ""}],
        )  # fmt: skip
        make.make_log(change, "sending→applied")
        ReviewNote.objects.create(integration=world.integration, change=change, text="x")
    with django_assert_max_num_queries(len(short)):
        page = anna.get(url(link))
    assert "Older" in page.content.decode()
    with django_assert_max_num_queries(12):
        anna.get(reverse("admin:record_value", args=[link.pk], query={"side": "crm", "field": "city"}))


def test_only_people_of_the_organization_see_it_and_only_some_may_undo(world: TinyWorld, client: Client) -> None:
    link, change = EntityLink.objects.get(), Change.objects.filter(state="applied").order_by("-pk")[0]
    undo_url = reverse("admin:record_undo", args=[link.pk, change.pk])
    client.force_login(make.make_user("stranger", organization=make.make_organization()))
    for address in (url(link), reverse("admin:record_value", args=[link.pk], query={"side": "crm", "field": "city"})):
        assert client.get(address).status_code == 404
    assert client.post(undo_url).status_code == 404
    viewer = make.make_user("vera", organization=world.integration.organization, role=Membership.Role.VIEWER)
    client.force_login(viewer)
    page = client.get(url(link))
    assert page.status_code == 200 and "Undo…" not in page.content.decode()
    assert client.post(undo_url, {"confirmed": "1"}).status_code == 403
    assert not Change.objects.filter(state="held").exists()


def test_undo_is_planned_approved_and_stays_until_the_source_changes(world: TinyWorld, anna: Client) -> None:
    link, change = EntityLink.objects.get(), Change.objects.filter(state="applied").order_by("-pk")[0]
    undo_url = reverse("admin:record_undo", args=[link.pk, change.pk])
    assert anna.get(undo_url).status_code == 405
    asked = anna.post(undo_url)
    assert "city: Ystad → Malmö" in asked.content.decode() and not Change.objects.filter(state="held").exists()
    anna.post(undo_url, {"confirmed": "1"})
    held = Change.objects.get(state="held")
    assert held.diff[0]["before"] == "Ystad" and held.diff[0]["after"] == "Malmö"
    assert world.companies()["1"][1] == "Ystad", "nothing is written before it is approved"
    assert "Another change of this record" in anna.post(undo_url, follow=True).content.decode()

    approve_changes(Change.objects.filter(pk=held.pk), None)
    world.sync(rounds=2)
    assert world.companies()["1"][1] == "Malmö"
    for order in ({}, {"full": True}):
        world.sync(rounds=2, **order)
        assert world.companies()["1"][1] == "Malmö", "the mapping's wish counts as sent"
    world.customer(1, name="Renamed", city="Ystad")
    world.sync(rounds=2)
    assert world.companies()["1"] == ("Renamed", "Malmö")
    world.customer(1, city="Kiruna")
    world.sync(rounds=2)
    assert world.companies()["1"][1] == "Kiruna"


def test_undo_never_overwrites_what_moved_on_the_target(world: TinyWorld) -> None:
    change = Change.objects.filter(state="applied").order_by("-pk")[0]
    held = undo.propose(change, None)
    key = next(iter(world.crm.rows("company")))
    world.crm.put("company", {"city": "Oslo"}, key)
    approve_changes(Change.objects.filter(pk=held.pk), None)
    world.sync(rounds=2)
    assert world.companies()["1"][1] == "Oslo"
    shown = Change.objects.order_by("-pk")[0]
    assert (shown.state, shown.error_code, shown.error_value) == ("review", "undo_moved", "Oslo")


def test_what_cannot_be_undone_says_why(world: TinyWorld) -> None:
    create, update, _last = Change.objects.filter(state="applied").order_by("pk")
    link = EntityLink.objects.get()
    assert "created the record" in undo.look(create, link, open_change=None).refused
    assert "written again since" in undo.look(update, link, open_change=None).refused
    newest = Change.objects.filter(state="applied").order_by("-pk")[0]
    document = Change.objects.get(pk=newest.pk)
    assert document.mapping_set is not None
    document.mapping_set.promise_expression = "customer.amount"
    assert "evidence" in undo.look(document, link, open_change=None).refused
    link.frozen_reason = "gone"
    assert "frozen" in undo.look(newest, link, open_change=None).refused
    newest.state = "review"
    assert "Only what was written" in undo.look(newest, link, open_change=None).refused
    link.delete()
    with pytest.raises(ValueError, match="not linked"):
        undo.propose(newest, None)
