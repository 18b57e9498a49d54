"""The review queue: groups that one repair releases, its forecast, and what a person does with one failure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import responses
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.errors import InvalidData, Misconfigured
from integrations.http import Api
from integrations.models import Membership
from mappings.models import ValueMap, ValueMapEntry
from sync import repair, resend, review
from sync.engine.run import work
from sync.models import Change, EntityLink, Flow, ReviewNote, SyncLogEntry, SyncRun
from sync.review import would_release
from sync.roles import PERMISSIONS
from tests import factories as make
from tests.integrations.clients import connected
from tests.tiny import lost_answer
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db
World = Callable[..., TinyWorld]
RIGHTS = (
    "sync.view_change sync.retry_change sync.dismiss_change sync.edit_payload_change sync.assign_change "
    "sync.add_reviewnote sync.approve_flow"
)


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def member_of(row: Any, permissions: str = RIGHTS) -> Client:
    return client_of(make.make_user(organization=row.integration.organization, permissions=permissions))


def failure(flow: Flow | None = None, **fields: Any) -> Change:
    """A change that its target refused; `code` and `value` make the group."""
    code, value = fields.pop("code", "2001302"), fields.pop("value", "A-17")
    return make.make_change(
        flow=flow, state="review", error_class=fields.pop("error_class", "data"), error_code=code, error_value=value,
        error_message=fields.pop("error_message", "Kunde inte hitta artikel"), error_fingerprint=f"{code}:{value}",
        **fields,
    )  # fmt: skip


def group_address(change: Change, name: str = "review_group") -> str:
    from sync.admin.review import group_url

    return group_url(name, review.key_of(change))


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return str(response.content.decode())


# --- the queue ------------------------------------------------------------------------------------------------------


def test_failures_that_one_repair_would_release_are_one_row() -> None:
    flow = make.make_flow()
    for _number in range(3):
        failure(flow)
    failure(flow, value="B-2")
    text = page(member_of(flow), reverse("admin:review"))
    assert text.count("A row names an article that Fortnox does not have.") == 2
    assert "2 kinds of failure" in text
    assert text.count("lb-count--failed") == 2


def test_the_queue_costs_the_same_for_one_failure_and_for_hundreds_and_at_most_twelve_queries() -> None:
    flow = make.make_flow()
    failure(flow)
    client = member_of(flow)
    client.get(reverse("admin:review"))
    counts = []
    for size in (0, 120):
        for number in range(size):
            failure(make.make_flow(flow.integration, f"flow-{number}") if number < 5 else flow, value=str(number % 60))
        with CaptureQueriesContext(connection) as captured:
            page(client, reverse("admin:review"))
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 12


def test_an_empty_queue_says_what_would_stand_here() -> None:
    flow = make.make_flow()
    assert "Nothing needs a person." in page(member_of(flow), reverse("admin:review"))
    failure(flow)
    assert "matches these filters" in page(member_of(flow), reverse("admin:review") + "?class=conflict")


def test_another_organizations_failures_do_not_exist() -> None:
    mine, theirs = failure(), failure(value="secret-1", source_title="Secret AB")
    client = member_of(mine)
    assert "secret-1" not in page(client, reverse("admin:review"))
    assert client.get(group_address(theirs)).status_code == 302  # an empty group, as if it had been released
    assert client.post(group_address(theirs, "review_release"), {"confirmed": 1}).status_code == 302
    theirs.refresh_from_db()
    assert theirs.state == "review"
    for name in ("flow", "integration", "organization", "assigned"):
        value = {"flow": theirs.flow_id, "integration": theirs.integration_id}.get(name, 999999)
        assert client.get(reverse("admin:review") + f"?{name}={value}").status_code == 404


def test_every_filter_keeps_what_it_says() -> None:
    anna = make.make_superuser("anna")
    flow = make.make_flow()
    here = failure(flow, value="here", assigned_to=anna)
    other = failure(value="other", code="2001304", error_class="configuration")
    Change.objects.filter(pk=other.pk).update(created_at=timezone.now() - timedelta(days=9))
    unknown = failure(flow, value="new", code="2999999", error_class="conflict")
    make.make_user(organization=flow.integration.organization)
    client = client_of(anna)
    expected = {
        "class=data": {"here"},
        "age=new": {"here", "new"},
        "age=week": {"other"},
        f"organization={flow.integration.organization_id}": {"here", "new"},
        f"integration={other.integration_id}": {"other"},
        f"flow={flow.pk}": {"here", "new"},
        "responsible=accountant": {"other"},
        "responsible=crm_user": {"here"},
        "responsible=stub": {"new"},
        "assigned=me": {"here"},
        "assigned=nobody": {"other", "new"},
    }
    for query, values in expected.items():
        text = page(client, f"{reverse('admin:review')}?{query}")
        assert {v for v in ("here", "other", "new") if f"</span> {v}\n" in text} == values, query
    assert unknown.error_code in page(client, reverse("admin:review"))
    assert here.state == "review"


def test_a_code_that_nobody_described_is_marked_and_counted() -> None:
    change = failure(code="2999999", error_message="Något helt nytt")
    client = member_of(change)
    text = page(client, reverse("admin:review"))
    assert "not in the catalogue" in text
    assert "Något helt nytt" in text
    assert "not in the catalogue" in page(client, group_address(change))
    rows, total = review.groups(Change.objects.all(), {change.flow_id: ("hubspot", "fortnox")}, stubs=True)
    assert (total, rows[0].entry.code, rows[0].entry.known) == (1, "2999999", False)


def test_a_person_without_a_membership_gets_403() -> None:
    change = failure()
    client = client_of(make.make_user())
    assert client.get(reverse("admin:review")).status_code == 403
    assert client.get(group_address(change)).status_code == 403


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("review_forecast", "sync.retry_change"),
        ("review_release", "sync.retry_change"),
        ("review_dismiss", "sync.dismiss_change"),
    ],
)
def test_a_button_on_a_group_needs_its_right_and_a_post(name: str, right: str) -> None:
    change = failure()
    others = " ".join(label for label in RIGHTS.split() if label != right)
    assert member_of(change, others).post(group_address(change, name), {"confirmed": 1}).status_code == 403
    assert member_of(change).get(group_address(change, name)).status_code == 405
    change.refresh_from_db()
    assert change.state == "review"


def test_a_group_is_released_after_asking() -> None:
    flow = make.make_flow()
    changes = [failure(flow) for _number in range(3)]
    bystander = failure(flow, value="B-2")
    client = member_of(flow)
    asked = client.post(group_address(changes[0], "review_release"))
    assert "Release 3 changes" in asked.content.decode()
    assert set(Change.objects.values_list("state", flat=True)) == {"review"}
    client.post(group_address(changes[0], "review_release"), {"confirmed": 1})
    states = dict(Change.objects.values_list("pk", "state"))
    assert [states[change.pk] for change in changes] == ["retrying"] * 3
    assert states[bystander.pk] == "review"
    assert SyncLogEntry.objects.filter(user__isnull=False, event="review→retrying").count() == 3


def test_a_group_is_dismissed_with_a_reason() -> None:
    change = failure()
    client = member_of(change)
    assert "Give the reason." in client.post(group_address(change, "review_dismiss"), {"confirmed": 1}).content.decode()
    client.post(group_address(change, "review_dismiss"), {"confirmed": 1, "reason": "Test data"})
    change.refresh_from_db()
    assert (change.state, change.dismissed_reason) == ("dismissed", "Test data")


# --- what a repair would release ------------------------------------------------------------------------------------


def with_value_map(world: TinyWorld) -> ValueMap:
    """Cities must be translated; the shared table knows Lund only."""
    table = ValueMap.objects.create(integration=world.integration, name="cities")
    ValueMapEntry.objects.create(value_map=table, source_value="Lund", target_value="LUND")
    return table


def mapped_world(tiny: World) -> tuple[TinyWorld, Flow, ValueMap]:
    world = tiny()
    table = with_value_map(world)
    flow = world.add_flow(
        "towns",
        fields=[("name", "customer.name", {}), ("city", 'lookup(customer.city, "cities")', {})],
    )
    for number in range(1, 4):
        world.customer(number, city="Malmö")
    world.customer(4, city="Malmö", name="")
    world.customer(5)
    world.sync(flow)
    return world, flow, table


def everything(world: TinyWorld) -> list[Any]:
    """All that a forecast must leave as it is."""
    changes = Change.objects.order_by("pk").values_list("pk", "state", "updated_at", "attempts")
    links = EntityLink.objects.order_by("pk").values_list("pk", "synced_at")
    counts = [model.objects.count() for model in (SyncRun, SyncLogEntry, ReviewNote)]
    return [list(changes), list(links), counts, world.crm.rows("company"), list(Flow.objects.values("cursor"))]


def test_the_forecast_counts_what_a_repair_would_release_and_changes_nothing(tiny: World) -> None:
    world, flow, table = mapped_world(tiny)
    waiting = Change.objects.filter(flow=flow, state="review")
    assert waiting.count() == 4
    before = everything(world)
    none = would_release(waiting)
    assert (none.released, none.looked, none.total, dict(none.still)) == (0, 4, 4, {"unmapped_value": 4})
    ValueMapEntry.objects.create(value_map=table, source_value="Malmö", target_value="MALMÖ")
    after = would_release(waiting)
    assert (after.released, after.total, after.complete, after.error) == (4, 4, True, None)
    assert everything(world) == before
    assert waiting.count() == 4


def test_the_forecast_tells_those_apart_that_would_come_back(tiny: World) -> None:
    world, flow, table = mapped_world(tiny)
    waiting = Change.objects.filter(flow=flow, state="review")
    ValueMapEntry.objects.create(value_map=table, source_value="Malmö", target_value="MALMÖ")
    world.customer(2, city="Ystad")  # the source moved on: not released by this repair
    del world.ledger.objects["customer"]["3"]
    forecast = would_release(waiting)
    assert (forecast.released, forecast.looked) == (2, 4)
    assert forecast.still["unmapped_value"] == 1
    assert sum(forecast.still.values()) == 2


def test_a_release_does_what_the_forecast_said_and_closes_the_errors(tiny: World) -> None:
    _world, flow, table = mapped_world(tiny)
    ValueMapEntry.objects.create(value_map=table, source_value="Malmö", target_value="MALMÖ")
    waiting = Change.objects.filter(flow=flow, state="review")
    forecast, failed = would_release(waiting), list(waiting.values_list("pk", flat=True))
    repair.retry(waiting, None)
    work(flow)
    assert waiting.count() == forecast.total - forecast.released
    assert set(Change.objects.filter(pk__in=failed).values_list("state", flat=True)) == {"superseded"}
    assert Change.objects.filter(flow=flow, state="applied").count() == 5


def test_a_long_forecast_stops_at_its_limit_and_says_so(tiny: World) -> None:
    _world, flow, _table = mapped_world(tiny)
    forecast = would_release(Change.objects.filter(flow=flow, state="review"), limit=3)
    assert (forecast.looked, forecast.total, forecast.complete) == (3, 4, False)
    assert would_release(Change.objects.filter(flow=flow, state="review"), seconds=0).looked == 4  # one chunk, always


def test_a_forecast_that_the_remote_refuses_says_why(tiny: World) -> None:
    world, flow, _table = mapped_world(tiny)
    world.ledger.faults.append(lambda call: (_ for _ in ()).throw(Misconfigured("Closed for the day", code="busy")))
    forecast = would_release(Change.objects.filter(flow=flow, state="review"))
    assert forecast.looked == 0
    assert forecast.error is not None


def test_a_forecast_survives_a_record_that_our_own_code_stumbles_over(
    tiny: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _world, flow, table = mapped_world(tiny)
    ValueMapEntry.objects.create(value_map=table, source_value="Malmö", target_value="MALMÖ")
    inner = review.plan

    def stumbling(ctx: Any, extracted: Any, *more: Any) -> Any:
        if any(record.id == "2" for record in extracted.records):
            raise KeyError("2")
        return inner(ctx, extracted, *more)

    monkeypatch.setattr(review, "plan", stumbling)
    forecast = would_release(Change.objects.filter(flow=flow, state="review"))
    assert (forecast.released, forecast.looked) == (3, 4)
    (code,) = forecast.still
    assert code.startswith("bug:KeyError")


def test_a_forecast_without_a_published_mapping_says_so() -> None:
    change = failure()
    forecast = would_release(Change.objects.filter(pk=change.pk))
    assert forecast.error is not None
    assert (
        "It could not be worked out now"
        in member_of(change).post(group_address(change, "review_forecast")).content.decode()
    )


def test_the_group_page_shows_the_forecast_and_the_repair(tiny: World) -> None:
    world, flow, table = mapped_world(tiny)
    change = Change.objects.filter(flow=flow, state="review").first()
    assert change is not None
    client = member_of(flow, f"{RIGHTS} mappings.change_valuemap mappings.change_valuemapentry "
                             "mappings.add_valuemapentry mappings.view_valuemap")  # fmt: skip
    text = page(client, group_address(change))
    address = reverse("admin:mappings_valuemap_change", args=[table.pk]) + "?source_value=Malm%C3%B6"
    assert address in text
    assert 'value="Malmö"' in page(client, address)
    shown = client.post(group_address(change, "review_forecast")).content.decode()
    assert "This would release 0 of 4." in shown
    assert "unmapped_value" in shown
    ValueMapEntry.objects.create(value_map=table, source_value="Malmö", target_value="MALMÖ")
    assert "This would release 4 of 4." in client.post(group_address(change, "review_forecast")).content.decode()
    assert world.links() == 1


# --- errors close by themselves -------------------------------------------------------------------------------------


def test_a_later_success_closes_the_error_by_itself(tiny: World) -> None:
    world = tiny()
    world.crm.refuse["Bad name"] = InvalidData("no such name", code="2000359", field="name", value="Bad name")
    world.customer(1, name="Bad name")
    world.sync()
    failed = Change.objects.get(state="review")
    assert failed.source_id == "1"
    world.ledger.clock += 100
    world.customer(1, name="Good name")
    world.sync()
    failed.refresh_from_db()
    assert failed.state == "superseded"
    assert Change.objects.filter(source_id="1", state="applied").count() == 1
    assert "Nothing needs a person." in page(member_of(failed), reverse("admin:review"))


# --- one failure ----------------------------------------------------------------------------------------------------


def refused_world(tiny: World) -> tuple[TinyWorld, Change]:
    """A customer whose name the target refuses."""
    world = tiny()
    world.crm.refuse["Bad name"] = InvalidData(
        "no such name", code="2000359", field="name", value="Bad name",
        context={"exchange": {"method": "POST", "status": 400, "excerpt": "no such name"}},
    )  # fmt: skip
    world.customer(1, name="Bad name")
    world.sync()
    return world, Change.objects.get(state="review")


def address(change: Change, name: str) -> str:
    return reverse(f"admin:sync_change_{name}", args=[change.pk])


def test_a_refused_payload_is_sent_with_edited_values_and_the_difference_is_kept(tiny: World) -> None:
    world, change = refused_world(tiny)
    client = member_of(change)
    assert 'value="Bad name"' in page(client, address(change, "resend"))
    client.post(address(change, "resend"), {"name": "Good name", "city": "Lund", "number": "1"})
    change.refresh_from_db()
    assert change.state == "queued"
    assert change.edits == {"name": {"before": "Bad name", "after": "Good name"}}
    assert world.companies() == {}
    work(world.flow)
    change.refresh_from_db()
    assert change.state == "applied"
    assert world.companies() == {"1": ("Good name", "Lund")}
    entry = SyncLogEntry.objects.get(change=change, event="review→queued")
    assert entry.user is not None and "edited" in entry.message
    shown = page(client, reverse("admin:sync_change_change", args=[change.pk]))
    assert "Edited before it was sent again" in shown


def test_the_original_payload_is_sent_although_the_source_moved_on(tiny: World) -> None:
    world, change = refused_world(tiny)
    world.customer(1, name="Newer name", city="Ystad")
    del world.crm.refuse["Bad name"]
    member_of(change).post(address(change, "resend"), {"name": "Bad name", "city": "Lund", "number": "1"})
    work(world.flow)
    change.refresh_from_db()
    assert (change.state, change.edits) == ("applied", {})
    assert world.companies() == {"1": ("Bad name", "Lund")}


def test_the_command_sends_current_or_original_payloads(tiny: World) -> None:
    world, change = refused_world(tiny)
    other = failure(code="2001304", error_class="outcome_unknown")
    call_command("replay", "--class", "data", "--code", "2000359", "--payload", "original")
    call_command("replay", "--class", "outcome_unknown", "--payload", "original")
    states = dict(Change.objects.values_list("pk", "state"))
    assert (states[change.pk], states[other.pk]) == ("queued", "review")
    assert world.companies() == {}


PLAIN: dict[str, Any] = {"payload": {"fields": {"name": "A"}, "unique": None, "lines": None}, "target_id": ""}


@pytest.mark.parametrize(
    "fields",
    [
        {"error_class": "outcome_unknown"},
        {"error_class": "transient"},
        {"error_class": "bug"},
        {"error_class": "conflict", "code": "reference_not_single"},
        {"error_class": "conflict", "code": "link_taken"},
        {"error_class": "conflict", "code": "found_differs"},
        {"error_class": "missing", "code": "gone"},
        {"error_class": "conflict", "code": "totals_promise", "target_id": "77"},
        {"action": "create", "target_id": "77"},
        {"action": "blocked", "payload": {}},
        {"verifications": [{"at": "2026-11-01T10:00:00+00:00", "hits": 1}]},
    ],
    ids=str,
)
def test_what_may_exist_at_the_remote_is_never_sent_from_here(fields: dict[str, Any]) -> None:
    change = failure(**({"action": "create"} | PLAIN | fields))
    assert not resend.may_resend(change)
    with pytest.raises(ValueError, match="cannot be sent again"):
        resend.resend(change, {}, None)
    client = member_of(change)
    client.post(address(change, "resend"), {"name": "B"})
    change.refresh_from_db()
    assert change.state == "review"
    assert "Retry with edited values" not in page(client, reverse("admin:sync_change_change", args=[change.pk]))


@pytest.mark.parametrize(
    "fields",
    [
        {"error_class": "data", "code": "2000359"},
        {"error_class": "conflict", "code": "2000637"},
        {"error_class": "data", "code": "2999999"},
        {"error_class": "missing", "code": "404"},
        {"error_class": "data", "code": "too_long"},
    ],
    ids=str,
)
def test_after_a_definite_refusal_it_may_be_sent_again(fields: dict[str, Any]) -> None:
    assert resend.may_resend(failure(**({"action": "create"} | PLAIN | fields)))


def test_a_value_of_the_wrong_kind_is_refused_beside_its_field(tiny: World) -> None:
    _world, change = refused_world(tiny)
    Change.objects.filter(pk=change.pk).update(
        payload={**change.payload, "fields": {"amount": {"$": "n", "v": "10.00"}, "name": "A"}}
    )
    response = member_of(change).post(address(change, "resend"), {"amount": "ten", "name": "A"})
    assert response.status_code == 422
    assert 'role="alert"' in response.content.decode()
    change.refresh_from_db()
    assert (change.state, change.edits) == ("review", {})


def test_where_approval_is_by_hand_sending_again_needs_that_right_too(tiny: World) -> None:
    _world, change = refused_world(tiny)
    Flow.objects.update(approval="always")
    helper = member_of(change, "sync.view_change sync.retry_change sync.edit_payload_change")
    assert helper.post(address(change, "resend"), {"name": "Good name"}).status_code == 403
    assert member_of(change).post(address(change, "resend"), {"name": "Good name"}).status_code == 302


def test_a_change_is_assigned_to_members_of_its_organization_only() -> None:
    change = failure()
    anna = make.make_user("anna", organization=change.integration.organization)
    stranger = make.make_user("stranger")
    client = member_of(change)
    client.post(address(change, "assign"), {"to": anna.pk})
    change.refresh_from_db()
    assert change.assigned_to == anna
    for to in (stranger.pk, "x", 999999):
        client.post(address(change, "assign"), {"to": to})
        change.refresh_from_db()
        assert change.assigned_to == anna
    client.post(address(change, "assign"), {"to": ""})
    change.refresh_from_db()
    assert change.assigned_to is None
    assert [e.message.split(" by ")[0] for e in SyncLogEntry.objects.filter(event="assigned").order_by("pk")] == [
        "assigned to anna",
        "assigned to nobody",
    ]


def test_notes_are_kept_with_the_record_and_outlive_a_retry(tiny: World) -> None:
    world, change = refused_world(tiny)
    client = member_of(change)
    client.post(address(change, "note"), {"text": "Called <b>them</b>.\nThey mend it."})
    client.post(address(change, "note"), {"text": "  "})
    assert ReviewNote.objects.count() == 1
    assert SyncLogEntry.objects.filter(event="note", user__isnull=False).count() == 1
    repair.retry(Change.objects.filter(pk=change.pk), None)
    work(world.flow)
    again = Change.objects.get(state="review")
    assert again.pk != change.pk
    text = page(client, reverse("admin:sync_change_change", args=[again.pk]))
    assert "Called &lt;b&gt;them&lt;/b&gt;." in text


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("assign", "sync.assign_change"),
        ("note", "sync.add_reviewnote"),
        ("resend", "sync.edit_payload_change"),
        ("resend", "sync.retry_change"),
    ],
)
def test_a_button_on_a_failure_needs_its_right_and_its_organization(name: str, right: str) -> None:
    change = failure(action="update", payload=PLAIN["payload"])
    others = " ".join(label for label in RIGHTS.split() if label != right)
    assert member_of(change, others).post(address(change, name), {"text": "x", "name": "B"}).status_code == 403
    assert member_of(failure()).post(address(change, name), {"text": "x", "name": "B"}).status_code == 404
    change.refresh_from_db()
    assert (change.state, change.edits, ReviewNote.objects.count()) == ("review", {}, 0)


def test_the_page_of_a_failure_says_cause_remedy_side_checks_and_exchange(tiny: World) -> None:
    _world, change = refused_world(tiny)
    row = {"en": "Organisation number", "sv": "Organisationsnummer"}
    Change.objects.filter(pk=change.pk).update(
        checks=[{"code": "orgnr", "label": row, "ok": False, "actual": "123", "message": {"en": "Too short"},
                 "remedy": {"en": "Fill it in"}, "lines": [2]}]
    )  # fmt: skip
    text = page(member_of(change), reverse("admin:sync_change_change", args=[change.pk]))
    for part in ("Organisation number", "Too short", "Fill it in", "Lines 2", "no such name", "Request and answer"):
        assert part in text, part


def test_a_refusal_keeps_its_exchange_without_secrets() -> None:
    account = connected("fortnox", api_url="https://api.fortnox.se", token="secret-token")
    body = '{"ErrorInformation": {"error": 1, "message": "access_token=abc123secret", "code": 2000588}}'
    with responses.RequestsMock() as web:
        web.post("https://api.fortnox.se/3/invoices", body=body, status=400)
        with pytest.raises(Misconfigured) as caught:
            Api(account).call("POST", "/3/invoices", json={"client_secret": "hush-hush", "City": "Lund"}, write=True)
    exchange = caught.value.context["exchange"]
    assert (exchange["method"], exchange["path"], exchange["status"]) == ("POST", "/3/invoices", 400)
    assert "Lund" in exchange["sent"]
    assert not {"secret-token", "hush-hush", "abc123secret"} & set(str(exchange).replace('"', " ").split())


# --- the certificate ------------------------------------------------------------------------------------------------


def billed(tiny: World, *, lost: bool) -> Change:
    """An order that became a bill which the target cannot deduplicate."""
    world = tiny()
    flow = world.add_flow(
        "orders", source="order", target="bill", unique=False,
        fields=[("name", "order.name", {}), ("number", "order.number", {})],
    )  # fmt: skip
    world.ledger.put("order", {"number": "1", "name": "Order 1"}, "1")
    if lost:
        world.crm.faults.append(lost_answer())
    world.sync(flow)
    world.later()
    world.sync(flow)
    return Change.objects.get(flow=flow)


@pytest.mark.parametrize(("lost", "said"), [(False, "No search was needed"), (True, "exactly 1 match")])
def test_a_created_document_has_a_certificate(tiny: World, lost: bool, said: str) -> None:
    change = billed(tiny, lost=lost)
    assert change.state == "applied"
    client = member_of(change)
    for text in (page(client, reverse("admin:sync_change_change", args=[change.pk])),
                 page(client, address(change, "certificate"))):  # fmt: skip
        for part in (change.remote_reference, said, "Attempt 1", resend.request_hash(change)):
            assert part in text, part
        assert "Attempt 2" not in text


def test_a_repeatable_write_has_no_certificate() -> None:
    change = make.make_change(state="applied", action="create")
    client = member_of(change)
    assert "Exactly once" not in page(client, reverse("admin:sync_change_change", args=[change.pk]))
    assert client.get(address(change, "certificate")).status_code == 302
    assert member_of(failure()).get(address(change, "certificate")).status_code == 404


# --- roles ----------------------------------------------------------------------------------------------------------


def test_each_role_has_the_rights_below_it_and_nobody_in_support_credits() -> None:
    for ladder in (("viewer", "support", "consultant", "owner"), ("viewer", "support", "accountant", "owner")):
        assert all(lower < higher for lower, higher in pairwise(set(PERMISSIONS[role]) for role in ladder))
    holds = {
        right: [str(role) for role in Membership.Role if f"sync.{right}_change" in PERMISSIONS[role]]
        for right in ("retry", "assign", "edit_payload", "credit")
    }
    assert holds == {
        "retry": ["support", "consultant", "accountant", "owner"],
        "assign": ["support", "consultant", "accountant", "owner"],
        "edit_payload": ["consultant", "owner"],
        "credit": ["consultant", "accountant", "owner"],
    }
