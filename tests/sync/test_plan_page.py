"""The plan page and the match wizard: what they show, at what cost, who may decide, what comes at a wrong moment."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from integrations.models import Membership
from sync.engine import approve, stops
from sync.engine.run import Order, work
from sync.models import Change, MatchDecision, SyncLogEntry, SyncRun
from tests import factories as make
from tests.sync.matching_world import make_plan
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db
Role = Membership.Role


def client_of(organization: Any = None, role: str = Role.CONSULTANT) -> Client:
    client = Client()
    client.force_login(make.make_user(organization=organization, role=role) if organization else make.make_superuser())
    return client


def plan_url(run: SyncRun, name: str = "change", **query: str) -> str:
    return reverse(f"admin:sync_syncrun_{name}", args=[run.pk], query=query)


def match_url(run: SyncRun, name: str = "match", **query: str) -> str:
    return reverse(f"admin:{name}", args=[run.pk], query=query)


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def titles(client: Client, run: SyncRun, **query: str) -> list[str]:
    return [row.title for row in client.get(plan_url(run, **query)).context["rows"]]


# --- the plan ------------------------------------------------------------------------------------------------------


def test_the_plan_is_filtered_by_what_one_asks_for_and_hostile_filters_match_nothing():
    _flow, run, rows = make_plan()
    client = client_of()
    tabs = {tab.label: tab.count for tab in client.get(plan_url(run)).context["tabs"]}
    assert tabs == {"All": "8", "Create": "1", "Link": "1", "Update": "1", "Skip": "1", "Conflict": "3", "Blocked": "1"}
    delta, zeta = "Delta & Söner i Malmö Aktiebolag", "Zeta AB"
    assert titles(client, run, q="söner") == [delta] and titles(client, run, q=rows["update"].source_id) == [zeta]
    assert titles(client, run, q="506") == [zeta]
    assert titles(client, run, field="name") == [delta] and len(titles(client, run, field="city")) == 3
    assert titles(client, run, over="50") == [delta, zeta] and titles(client, run, over="12 499,99") == [delta]
    assert titles(client, run, currency="eur") == [zeta]
    assert titles(client, run, reason="code:ambiguous") == ["Gamma AB"]
    assert titles(client, run, reason="rule:Organisation number") == ["Alfa AB"]
    assert titles(client, run, reason="text:The flow's filter leaves this record out.") == ["Testkund"]
    for bad in ({"over": "NaN"}, {"over": "1e999"}, {"reason": "pk:1"}, {"field": '" or 1=1 --'}, {"q": "%'\x00;--"}):
        assert titles(client, run, **bad) == [], bad
    assert "is not an amount" in client.get(plan_url(run, over="many")).content.decode()
    assert client.get(plan_url(run, action="drop")).status_code == 404
    assert client.get(plan_url(run, after="1" * 40)).status_code == 200
    page = client.get(plan_url(run, q="<script>alert(1)</script>")).content.decode()
    assert "<script>alert" not in page


def test_the_page_costs_the_same_for_one_change_and_for_many_and_goes_on_by_the_last_row(django_assert_max_num_queries):
    _flow, run, _rows = make_plan()
    client = client_of(run.integration.organization)
    client.get(plan_url(run))
    with django_assert_max_num_queries(12):
        client.get(plan_url(run))
    for number in range(120):
        make.make_change(run, source_title=f"Customer {number:03}", action="create", target_id="")
    with django_assert_max_num_queries(12):
        first = client.get(plan_url(run, action="create"))
    assert len(first.context["rows"]) == 100 and not first.context["newer_url"]
    second = client.get(plan_url(run) + first.context["older_url"])
    assert [len(second.context["rows"]), second.context["older_url"]] == [21, ""]
    back = client.get(plan_url(run) + second.context["newer_url"])
    assert [row.pk for row in back.context["rows"]] == [row.pk for row in first.context["rows"]]
    with django_assert_max_num_queries(12):
        client.get(match_url(run, bucket="none"))


def test_the_export_holds_what_the_filter_shows_and_runs_nothing():
    _flow, run, rows = make_plan()
    Change.objects.filter(pk=rows["none"].pk).update(source_title="=HYPERLINK(1)")
    client = client_of(run.integration.organization, Role.VIEWER)
    text = b"".join(client.get(plan_url(run, "export", action="create")).streaming_content).decode("utf-8-sig")
    lines = list(csv.reader(io.StringIO(text), delimiter=";"))
    assert [line[0] for line in lines[1:]] == ["'=HYPERLINK(1)"] * 2
    assert [line[4:8] for line in lines[1:]][1] == ["City", "city", "", "Malmö"] and lines[1][8:10] == [
        "12500.00",
        "SEK",
    ]


def test_what_a_filter_shows_is_approved_and_what_came_after_the_question_is_not():
    _flow, run, rows = make_plan()
    client = client_of(run.integration.organization)
    url = plan_url(run, "approve_selected", action="create")
    asked = client.post(url)
    assert "Approve 1 change in HubSpot" in asked.content.decode()
    late = make.make_change(run, action="create", target_id="")
    answer = client.post(url, dict(asked.context["question"].fields) | {"confirmed": 1})
    assert "1 change was approved" in said(answer)
    states = dict(Change.objects.values_list("pk", "state"))
    assert (states[rows["none"].pk], states[late.pk], states[rows["update"].pk]) == ("retrying", "held", "held")
    again = client.post(url, {"confirmed": 1, "n": "2", "upto": str(rows["none"].pk)})
    assert SyncRun.objects.get().state == "held" and "Nothing waits" in said(again)


def test_a_plan_that_waits_no_longer_says_why_and_stays_as_it_is():
    anna = make.make_superuser("anna")
    for change, words in (
        ({"state": "delivering", "approved_by": anna, "approved_at": "2026-01-02T10:00Z"}, "anna approved this plan"),
        ({"state": "cancelled", "hold_reason": {"en": "Run 9 holds these changes now."}}, "Run 9 holds these"),
        ({"state": "planning"}, "still being made"),
        ({"state": "planning", "stopped_at": "2026-01-02T10:00Z", "stopped_by": anna}, "anna stopped this run"),
    ):
        _flow, run, rows = make_plan(**change)
        client = client_of()
        for name, query in (("approve", {}), ("approve_selected", {"action": "create"})):
            assert words in said(client.post(plan_url(run, name, **query), {"confirmed": 1})), words
        rows["none"].refresh_from_db()
        assert rows["none"].state == "held"
    assert not SyncLogEntry.objects.filter(event="approved").exists()


def test_a_plan_of_another_organization_is_not_there_and_a_viewer_may_not_decide():
    _flow, run, rows = make_plan()
    stranger = client_of(make.make_organization())
    viewer = client_of(run.integration.organization, Role.VIEWER)
    writes = [
        (plan_url(run, "stop"), {}), (plan_url(run, "resume"), {}), (plan_url(run, "approve_selected", q="a"), {}),
        (match_url(run, "match_decide"), {"do": f"ignore:{rows['none'].pk}"}), (match_url(run, "match_accept_all"), {}),
        (match_url(run, "match_take_back"), {"one": "1"}),
        (match_url(run, "match_link"), {"source": "1", "target": "2"}),
    ]  # fmt: skip
    for url, data in writes:
        assert (stranger.post(url, data).status_code, viewer.post(url, data).status_code) == (404, 403), url
        assert viewer.get(url, data).status_code in (403, 405), url
    for url in (plan_url(run, "export"), match_url(run), match_url(run, "match_pick")):
        assert stranger.get(url).status_code == 404
    assert viewer.get(match_url(run)).status_code == 200 and viewer.get(match_url(run, "match_pick")).status_code == 403
    assert not MatchDecision.objects.exists()


# --- the wizard ----------------------------------------------------------------------------------------------------


def test_buckets_are_counted_explained_and_decided_one_by_one_or_together():
    _flow, run, rows = make_plan()
    client = client_of(run.integration.organization, Role.SUPPORT)
    tabs = {tab.label: tab.count for tab in client.get(match_url(run)).context["tabs"]}
    assert tabs == {
        "Suggested": "2", "Ambiguous": "1", "No counterpart": "1", "Certain": "1", "Decided by people": "0",
        "Left out": "0",
    }  # fmt: skip
    page = client.get(match_url(run, bucket="ambiguous")).content.decode()
    assert "80 of 100 alike" in page and "Gamma Fastigheter" in page and "similar" in page
    decide = match_url(run, "match_decide", bucket="ambiguous")
    gamma = rows["ambiguous"].pk
    client.post(decide, {"do": f"link:{gamma}:999"})  # not one of its candidates
    assert client.post(decide, {"do": "drop"}).status_code == 404
    client.post(decide, {"do": "ignore:x"})
    assert not MatchDecision.objects.exists()
    client.post(decide, {"do": "link", "change": [gamma], f"target-{gamma}": "504"})
    asked = client.post(match_url(run, "match_accept_all", bucket="suggested"), {"least": "70"})
    assert "Accept 1 suggestion?" in asked.content.decode()
    client.post(match_url(run, "match_accept_all", bucket="suggested"), {"least": "70", "confirmed": "1"})
    client.post(decide, {"do": f"ignore:{rows['none'].pk}"})
    client.post(decide, {"do": f"reject:{rows['certain'].pk}:501"})
    found = set(MatchDecision.objects.values_list("kind", "source_title", "target_id", "score"))
    assert found == {
        ("link", "Gamma AB", "504", 45), ("link", "Beta Bygg AB", "502", 75), ("reject", "Alfa AB", "501", 96),
        ("ignore", "Delta & Söner i Malmö Aktiebolag", "", None),
    }  # fmt: skip
    assert client.get(match_url(run)).context["again"] == 4
    ignored = MatchDecision.objects.get(kind="ignore")
    assert "1 decision was taken back" in said(client.post(match_url(run, "match_take_back"), {"one": ignored.pk}))
    other = make.make_change(flow=make.make_flow(run.integration, "other"), action="create")
    client.post(decide, {"do": f"ignore:{other.pk}"})
    assert MatchDecision.objects.count() == 4  # another flow's record is not decided here


def test_a_counterpart_is_picked_by_hand_with_one_call_per_search(monkeypatch):
    world = TinyWorld(monkeypatch, first_run_approved=False)
    world.customer(1, name="Alfa AB")
    world.crm.put("company", {"name": "Alfa Fastigheter", "org": "5560160680"}, "501")
    world.crm.put("company", {"name": "Taken", "org": "1"}, "502")
    make.make_link(world.integration, crm_id="502", ledger_id="9", title="Nine AB")
    run = world.sync().run
    world.crm.calls.clear(), world.ledger.calls.clear()
    client = client_of()
    url = match_url(run, "match_pick", source="1", side="target", field="name", text="  alfa\x00 ")
    page = client.get(url)
    assert "Alfa Fastigheter" in page.content.decode() and world.crm.calls == {"search": 1} and not world.ledger.calls
    assert "linked already: Nine AB" in client.get(url.replace("alfa", "taken")).content.decode()
    client.get(match_url(run, "match_pick", source="1"))
    for text in (
        "a",
        "x" * 5_000,
        "';--",
        "*",
        "%",
        "\ud83d\ude00"[:1].encode("utf-8", "ignore").decode() or "?",
        "<b>",
    ):
        hostile = match_url(run, "match_pick", source="1", side="target", field="name", text=text)
        assert client.get(hostile).status_code == 200
    assert "Choose what to look for" in client.get(url.replace("field=name", "field=key%27")).content.decode()
    assert client.get(url.replace("side=target", "side=elsewhere")).status_code == 200
    asked = client.get(match_url(run, "match_pick", side="source", field="name", text="alfa"))
    assert [row["id"] for row in asked.context["source"]["rows"]] == ["1"] and not asked.context["target"]["rows"]
    data = {"source": "1", "title": "Alfa AB", "target": "501", "target_title": "Alfa Fastigheter"}
    assert "stored" in said(client.post(match_url(run, "match_link"), data))
    assert "a moment ago" in said(client.post(match_url(run, "match_link"), data))
    assert "Choose a record on both sides" in said(client.post(match_url(run, "match_link"), {"source": "1"}))
    work(world.flow)
    change = Change.objects.exclude(state="superseded").get()
    assert (change.action, change.state, change.target_id, change.run) == ("link", "held", "501", run)


# --- at work -------------------------------------------------------------------------------------------------------


def test_a_run_is_stopped_after_the_page_under_way_and_goes_on_where_it_was(monkeypatch):
    world = TinyWorld(monkeypatch, page_size=10)
    for number in range(1, 41):
        world.customer(number)
    anna, client = make.make_superuser("anna"), client_of()
    pressed: list[int] = []

    def press(run: SyncRun) -> None:
        if not pressed and run.seen == 20:
            pressed.append(run.seen)
            assert stops.stop(run, anna) and not stops.stop(run, anna)

    run = work(world.flow, Order(), progress=press).run
    assert run is not None
    run.refresh_from_db()
    assert (run.state, run.seen, run.stopped_by) == ("planning", 20, anna)
    sent = len(world.companies())
    assert work(world.flow).run is None and work(world.flow, Order(full=True)).run is None  # nor is another one begun
    assert (len(world.companies()), SyncRun.objects.count()) == (sent, 1)
    page = client.get(plan_url(run)).content.decode()
    assert "anna stopped it" in page and "20</strong> / 40 records read" in page
    assert "goes on where it was" in said(client.post(plan_url(run, "resume")))
    assert "not stopped" in said(client.post(plan_url(run, "resume")))
    done = work(world.flow)
    assert done.run == run and done.run.state == "done" and len(world.companies()) == 40
    events = SyncLogEntry.objects.filter(run=run, user__isnull=False).values_list("event", "user__username")
    assert [event for event, _user in events.order_by("pk")] == ["stopped", "resumed"]


def test_a_stopped_delivery_sends_nothing_more_until_it_goes_on_and_can_be_given_up(monkeypatch):
    world = TinyWorld(monkeypatch, first_run_approved=False)
    for number in (1, 2, 3):
        world.customer(number)
    run, client = world.sync().run, client_of()
    assert run is not None
    approve.approve(run, None)
    assert "It stops after" in said(client.post(plan_url(run, "stop")))
    work(world.flow)
    assert not world.companies() and "stopped this run" in said(client.post(plan_url(run, "approve"), {"confirmed": 1}))
    client.post(plan_url(run, "resume"))
    Change.objects.filter(source_id="3").update(state="queued")
    client.post(plan_url(run, "stop"))
    work(world.flow)
    assert not world.companies()  # queued ones wait, too
    assert "nothing more is written" in client.post(plan_url(run, "cancel")).content.decode()
    client.post(plan_url(run, "cancel"), {"confirmed": 1})
    run.refresh_from_db()
    assert (run.state, run.stopped_at, set(world.states().values())) == ("cancelled", None, {"superseded"})
    assert "It is not at work" in said(client.post(plan_url(run, "stop")))
    world.sync()
    assert set(world.companies()) == {"1", "2", "3"}  # nothing was lost: the next run reads everything again


def test_an_approval_says_which_records_moved_since_and_who_came_second(monkeypatch):
    world = TinyWorld(monkeypatch, first_run_approved=False)
    for number in (1, 2):
        world.customer(number)
    run, client = world.sync().run, client_of()
    assert run is not None
    world.customer(2, city="Ystad")
    assert "2 changes were approved" in said(client.post(plan_url(run, "approve"), {"confirmed": 1}))
    assert not approve.approve(run, None)
    assert "approved this plan" in said(client_of().post(plan_url(run, "approve"), {"confirmed": 1}))
    work(world.flow)
    assert set(world.companies()) == {"1"}
    page = client.get(plan_url(run)).content.decode()
    assert "These approved records were not written" in page and "Customer 2" in page and "Open that plan" in page
    waiting = Change.objects.get(state="held")
    assert waiting.error_code == "moved_since" and waiting.reason["en"].startswith("The source changed after")
    assert waiting.run is not None
    other = client.get(plan_url(waiting.run, reason="code:moved_since"))
    assert "Changed after it was approved (1)" in other.content.decode() and len(other.context["rows"]) == 1
    world.customer(2, city="Eslöv")
    client.post(plan_url(waiting.run, "approve_selected", q="2"), {"confirmed": 1})
    work(world.flow)
    assert "is not what was approved" in Change.objects.get(state="held").reason["en"]
    held = Change.objects.get(state="held").run
    client.post(plan_url(held, "approve"), {"confirmed": 1})
    work(world.flow)
    assert world.companies()["2"] == ("Customer 2", "Eslöv")
    assert not Change.objects.filter(error_code="moved_since").exclude(state="superseded").exists()


def test_a_mapping_that_was_published_anew_is_said_and_what_it_changes_is_approved_again(monkeypatch):
    from mappings.models import FieldMapping
    from mappings.models.versions import new_draft, publish

    world = TinyWorld(monkeypatch, first_run_approved=False)
    for number in (1, 2):
        world.customer(number)
    world.customer(2, city="")
    world.ledger.clock += 100
    run, client = world.sync().run, client_of()
    draft = new_draft(world.flow.mapping_set(), None)
    FieldMapping.objects.filter(mapping_set=draft, target_field="city").update(expression="upper(customer.city)")
    publish(draft, None, check=False)
    assert "published anew" in client.get(plan_url(run)).content.decode()
    assert "was published since" in client.post(plan_url(run, "approve")).content.decode()
    client.post(plan_url(run, "approve"), {"confirmed": 1})
    work(world.flow)
    work(world.flow)
    assert set(world.companies()) == {"2"}  # the new version writes the same of it
    held = Change.objects.get(state="held")
    assert held.source_id == "1" and held.diff[1]["after"] == "LUND" and held.error_code == "moved_since"
