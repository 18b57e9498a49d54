"""Every button and action of the sync room's admin: what it does, who may press it, what it leaves in the log."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ

from sync.models import Change, Flow, SyncLogEntry, SyncRun
from tests import factories as make
from tests.settings_form import opened

pytestmark = pytest.mark.django_db
RIGHTS = (
    "sync.view_flow sync.change_flow sync.run_flow sync.approve_flow sync.view_syncrun sync.view_change "
    "sync.retry_change sync.dismiss_change"
)


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def member_of(row, permissions: str = RIGHTS) -> Client:
    return client_of(make.make_user(organization=row.integration.organization, permissions=permissions))


def tool(row, name: str) -> str:
    return reverse(f"admin:sync_{row._meta.model_name}_{name}", args=[row.pk])


def act(client: Client, rows, action: str, **extra):
    """A list action on `rows`."""
    data = {"action": action, "_selected_action": [row.pk for row in rows], "select_across": 0, **extra}
    return client.post(reverse(f"admin:sync_{rows[0]._meta.model_name}_changelist"), data)


def messages_of(response) -> str:
    from django.contrib.messages import get_messages

    return " ".join(str(message) for message in get_messages(response.wsgi_request))


# --- who may press what --------------------------------------------------------------------------------------------

TOOLS = [
    ("flow", "plan", "sync.run_flow"),
    ("flow", "run", "sync.run_flow"),
    ("flow", "pause", "sync.change_flow"),
    ("flow", "switch_on", "sync.change_flow"),
    ("flow", "approve", "sync.approve_flow"),
    ("run", "approve", "sync.approve_flow"),
    ("run", "approve_selected", "sync.approve_flow"),
    ("run", "cancel", "sync.approve_flow"),
    ("change", "approve", "sync.approve_flow"),
    ("change", "press", "sync.approve_flow"),
    ("change", "retry", "sync.retry_change"),
    ("change", "dismiss", "sync.dismiss_change"),
]


@pytest.mark.parametrize(("kind", "name", "permission"), TOOLS)
def test_a_button_needs_its_right_its_organization_and_a_post(kind, name, permission):
    run = make.make_run(state="held")
    rows = {"flow": run.flow, "run": run, "change": make.make_change(run)}
    url = tool(rows[kind], name)
    without = RIGHTS.replace(permission, "")
    assert member_of(run, without).post(url, {"confirmed": 1, "reason": "x"}).status_code == 403
    stranger = client_of(make.make_user(organization=make.make_organization(), permissions=RIGHTS))
    assert stranger.post(url, {"confirmed": 1, "reason": "x"}).status_code == 404
    assert member_of(run).get(url).status_code == 405
    assert Client().post(url).status_code == 302
    assert member_of(run, permission).post(url).status_code in (200, 302)
    assert not SyncLogEntry.objects.filter(event__in=["approved", "cancelled"]).exists()


@pytest.mark.parametrize("action", ["plan_now", "run_now", "pause", "resume"])
def test_a_list_action_on_a_foreign_flow_is_404(action):
    own, foreign = make.make_flow(), make.make_flow()
    assert act(member_of(own), [own, foreign], action).status_code == 404
    foreign.refresh_from_db()
    assert (foreign.run_requested, foreign.enabled) == ("", True)


@pytest.mark.parametrize("action", ["retry", "dismiss", "approve"])
def test_a_list_action_on_a_foreign_change_is_404(action):
    own, foreign = make.make_change(state="review"), make.make_change(state="review")
    response = act(member_of(own), [own, foreign], action, confirmed=1, reason="x")
    assert response.status_code == 404
    foreign.refresh_from_db()
    assert foreign.state == "review"


@pytest.mark.parametrize("action", ["retry", "dismiss", "approve"])
def test_a_list_action_without_its_right_does_nothing(action):
    change = make.make_change(state="review")
    act(member_of(change, "sync.view_change"), [change], action, confirmed=1, reason="x")
    change.refresh_from_db()
    assert change.state == "review"


def test_nothing_can_be_added_edited_or_deleted_by_hand():
    change = make.make_change()
    client = client_of(make.make_superuser())
    for row in (change, change.flow, make.make_run(change.flow), make.make_link(), make.make_log(change)):
        name = f"admin:sync_{row._meta.model_name}"
        assert client.get(reverse(f"{name}_add")).status_code == 403
        assert client.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    client.post(reverse("admin:sync_change_change", args=[change.pk]), {"state": "applied"})
    change.refresh_from_db()
    assert change.state == "held"


# --- flows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plan", "run"])
def test_plan_now_and_run_now_ask_the_workers_and_leave_a_line_in_the_log(name):
    flow = make.make_flow()
    member_of(flow).post(tool(flow, name))
    flow.refresh_from_db()
    assert flow.run_requested == name
    assert OrmQ.objects.count() == 1
    assert SyncLogEntry.objects.get(integration=flow.integration).event == f"{name} requested"


def test_a_flow_that_is_off_is_not_started_and_the_page_says_why():
    flow = make.make_flow(enabled=False)
    response = member_of(flow).post(tool(flow, "run"))
    flow.refresh_from_db()
    assert flow.run_requested == ""
    assert "The flow is off." in messages_of(response)


def test_pause_and_switch_on():
    flow = make.make_flow()
    client = member_of(flow)
    client.post(tool(flow, "pause"))
    flow.refresh_from_db()
    assert not flow.enabled
    client.post(tool(flow, "switch_on"))
    flow.refresh_from_db()
    assert flow.enabled and flow.next_run_at is not None
    events = SyncLogEntry.objects.order_by("pk").values_list("event", flat=True)
    assert list(events) == ["switched off", "switched on"]


@pytest.mark.parametrize(
    ("action", "field", "value"), [("plan_now", "run_requested", "plan"), ("pause", "enabled", False)]
)
def test_the_list_starts_and_pauses_several_flows(action, field, value):
    first = make.make_flow()
    second = make.make_flow(first.integration, "articles-to-products")
    act(member_of(first), [first, second], action)
    assert list(Flow.objects.values_list(field, flat=True)) == [value, value]


def test_saving_the_settings_writes_only_them():
    flow = make.make_flow(cursor="old", every_minutes=30)
    client, url = member_of(flow), reverse("admin:sync_flow_change", args=[flow.pk])
    stamp = opened(client, url)
    Flow.objects.filter(pk=flow.pk).update(
        cursor="moved meanwhile", next_run_at=timezone.now(), seen_currencies=["SEK"]
    )
    data = {
        "every_minutes": 15,
        "approval": "always",
        "may_create": "on",
        "takes": "all",
        "filter_expression": "",
        "brake_amount": "",
    }
    response = client.post(url, data | stamp | {"slug": "hacked"})
    assert response.status_code == 302
    flow.refresh_from_db()
    assert (flow.every_minutes, flow.approval, flow.may_update) == (15, "always", False)
    assert (flow.cursor, flow.slug, flow.enabled) == ("moved meanwhile", "customers-to-companies", False)


def test_switching_on_in_the_settings_makes_the_flow_due():
    flow = make.make_flow(enabled=False)
    item = make.make_pass(flow)
    data = {
        "enabled": "on", "every_minutes": 30, "approval": "first_run", "may_create": "on", "takes": "all",
        "may_update": "on",
        "filter_expression": "", "brake_amount": "", "passes-TOTAL_FORMS": 1, "passes-INITIAL_FORMS": 1,
        "passes-0-id": item.pk, "passes-0-flow": flow.pk, "passes-0-every_minutes": 60,
    }  # fmt: skip
    client, url = member_of(flow, RIGHTS + " sync.change_flowpass"), reverse("admin:sync_flow_change", args=[flow.pk])
    assert client.post(url, data | opened(client, url)).status_code == 302
    flow.refresh_from_db()
    item.refresh_from_db()
    assert flow.enabled and flow.next_run_at is not None
    assert item.every_minutes == 60


def test_a_filter_that_cannot_work_is_refused_with_its_reason():
    flow = make.make_flow()
    data = {
        "enabled": "on",
        "every_minutes": 30,
        "approval": "first_run",
        "filter_expression": "customer.Name ==",
        "brake_amount": "",
    }
    response = member_of(flow).post(reverse("admin:sync_flow_change", args=[flow.pk]), data)
    assert response.status_code == 200
    assert response.context["adminform"].form.errors["filter_expression"]


# --- plans ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["flow", "run"])
def test_approving_a_plan_asks_once_naming_count_and_company_then_approves(where):
    run = make.make_run(state="held")
    make.make_change(run, action="create")
    make.make_change(run, action="update")
    client = member_of(run)
    url = tool(run.flow if where == "flow" else run, "approve")
    asked = client.post(url).content.decode()
    assert "Approve 2 changes in HubSpot: " + run.integration.crm_account.name in asked
    run.refresh_from_db()
    assert run.state == "held"
    client.post(url, {"confirmed": 1})
    run.refresh_from_db()
    assert run.state == "delivering" and run.approved_by.is_staff
    assert OrmQ.objects.count() == 1
    assert SyncLogEntry.objects.filter(run=run, event="approved").count() == 1
    client.post(url, {"confirmed": 1})
    assert SyncLogEntry.objects.filter(run=run, event="approved").count() == 1


@pytest.mark.parametrize("where", ["flow", "run"])
@pytest.mark.parametrize("moved", ["joined", "replaced"])
def test_a_plan_that_changed_after_the_question_is_not_approved_unseen(where, moved):
    run = make.make_run(state="held")
    first = make.make_change(run)
    client = member_of(run)
    url = tool(run.flow if where == "flow" else run, "approve")
    fields = dict(client.post(url).context["question"].fields)
    if moved == "replaced":
        Change.objects.filter(pk=first.pk).update(state="superseded")
    make.make_change(run)
    assert "has changed since you were asked" in messages_of(client.post(url, fields | {"confirmed": 1}))
    run.refresh_from_db()
    assert run.state == "held" and not SyncLogEntry.objects.filter(event="approved").exists()
    fields = dict(client.post(url).context["question"].fields)
    client.post(url, fields | {"confirmed": 1})
    run.refresh_from_db()
    assert run.state == "delivering"


@pytest.mark.parametrize(("action", "state"), [("approve", "held"), ("dismiss", "review"), ("retry", "review")])
def test_a_list_action_on_all_that_a_filter_shows_asks_again_when_more_came(action, state):
    row = make.make_change(make.make_run(), state=state)
    client = member_of(row)
    asked = act(client, [row], action, select_across=1)
    late = make.make_change(row.run, state=state)
    fields = dict(asked.context["question"].fields) | {"confirmed": 1, "reason": "x"}
    url = reverse("admin:sync_change_changelist")
    again = client.post(url, fields)
    assert "others than you were asked about" in again.content.decode()
    assert set(Change.objects.values_list("state", flat=True)) == {state}
    client.post(url, dict(again.context["question"].fields) | {"confirmed": 1, "reason": "x"})
    assert state not in Change.objects.filter(pk__in=[row.pk, late.pk]).values_list("state", flat=True)


def test_a_plan_of_an_integration_that_only_observes_is_not_approved():
    run = make.make_run(make.make_flow(make.make_integration(mode="observe")), state="held")
    make.make_change(run)
    response = member_of(run).post(tool(run, "approve"), {"confirmed": 1})
    assert "only observes" in messages_of(response)
    run.refresh_from_db()
    assert run.state == "held"


def test_only_the_ticked_changes_are_approved():
    run = make.make_run(state="held")
    ticked, other, foreign = make.make_change(run), make.make_change(run), make.make_change(state="held")
    client = member_of(run)
    data = {"change": [ticked.pk, foreign.pk, "nonsense"]}
    assert "Approve 1 change in" in client.post(tool(run, "approve_selected"), data).content.decode()
    client.post(tool(run, "approve_selected"), data | {"confirmed": 1})
    states = dict(Change.objects.values_list("pk", "state"))
    assert states == {ticked.pk: "retrying", other.pk: "held", foreign.pk: "held"}  # read again first


def test_a_cancelled_plan_writes_nothing_and_the_next_run_reads_everything_again():
    flow = make.make_flow(cursor="2026-01-01")
    run = make.make_run(flow, state="held")
    change = make.make_change(run)
    client = member_of(run)
    assert "Cancel this plan of 1 change?" in client.post(tool(run, "cancel")).content.decode()
    client.post(tool(run, "cancel"), {"confirmed": 1})
    for row in (flow, run, change):
        row.refresh_from_db()
    assert (run.state, change.state, flow.cursor) == ("cancelled", "superseded", "")
    assert SyncLogEntry.objects.filter(run=run, event="cancelled", user__isnull=False).exists()


def test_a_plan_is_not_cancelled_while_a_newer_one_is_being_made():
    run = make.make_run(state="held")
    change = make.make_change(run)
    make.make_run(run.flow, state="planning")
    member_of(run).post(tool(run, "cancel"), {"confirmed": 1})
    change.refresh_from_db()
    assert change.state == "held"


def test_a_person_without_the_right_to_approve_sees_no_button():
    run = make.make_run(state="held")
    make.make_change(run)
    page = reverse("admin:sync_syncrun_change", args=[run.pk])
    assert tool(run, "approve") in member_of(run).get(page).content.decode()
    assert tool(run, "approve") not in member_of(run, "sync.view_syncrun").get(page).content.decode()


# --- changes -------------------------------------------------------------------------------------------------------


def test_retry_plans_the_change_again():
    change = make.make_change(state="review")
    member_of(change).post(tool(change, "retry"))
    change.refresh_from_db()
    assert (change.state, change.replan) == ("retrying", True)
    assert SyncLogEntry.objects.get(change=change).user is not None


def test_retry_from_the_list_asks_once_and_retries_what_can_be_retried():
    review = make.make_change(state="review")
    applied = make.make_change(flow=review.flow, state="applied")
    client = member_of(review)
    assert "Retry 1 change?" in act(client, [review, applied], "retry").content.decode()
    act(client, [review, applied], "retry", confirmed=1)
    assert sorted(Change.objects.values_list("state", flat=True)) == ["applied", "retrying"]


@pytest.mark.parametrize("where", ["page", "list"])
def test_dismiss_asks_the_reason_and_keeps_it(where):
    change = make.make_change(state="review")
    client = member_of(change)

    def press(**data):
        if where == "list":
            return act(client, [change], "dismiss", **data)
        return client.post(tool(change, "dismiss"), data)

    assert 'name="reason"' in press().content.decode()
    assert "Give the reason." in press(confirmed=1, reason="  ").content.decode()
    change.refresh_from_db()
    assert change.state == "review"
    press(confirmed=1, reason="Entered twice")
    change.refresh_from_db()
    assert (change.state, change.dismissed_reason) == ("dismissed", "Entered twice")
    assert "Entered twice" in client.get(reverse("admin:sync_change_change", args=[change.pk])).content.decode()


@pytest.mark.parametrize("where", ["page", "list"])
def test_approving_a_single_change_asks_once(where):
    change = make.make_change()
    client = member_of(change)

    def press(**data):
        if where == "list":
            return act(client, [change], "approve", **data)
        return client.post(tool(change, "approve"), data)

    assert "Approve 1 change?" in press().content.decode()
    change.refresh_from_db()
    assert change.state == "held"
    press(confirmed=1)
    change.refresh_from_db()
    assert (change.state, change.decision, change.approved_by is None) == ("retrying", "approve", False)


def test_an_action_that_can_do_nothing_says_so():
    change = make.make_change(state="applied")
    client = member_of(change)
    for action in ("retry", "dismiss", "approve"):
        assert "None of them" in messages_of(act(client, [change], action))


def test_a_change_shows_every_failed_check_with_remedy_and_who_in_the_readers_language():
    problems = [
        {
            "message": {"en": f"Check {n}", "sv": f"Kontroll {n}"},
            "remedy": {"en": "Do it", "sv": "Gör det"},
            "field": "city",
        }
        for n in (1, 2)
    ]
    change = make.make_change(state="review", action="blocked", problems=problems)
    client = member_of(change)
    page = reverse("admin:sync_change_change", args=[change.pk])
    text = client.get(page).content.decode()
    assert "Check 1" in text and "Check 2" in text and "Do it" in text and "Who can do it:" in text
    assert "Kontroll 1" in client.get(page, headers={"Accept-Language": "sv"}).content.decode()


def test_run_change_link_and_log_lead_to_each_other():
    run = make.make_run(state="held")
    change = make.make_change(run, source_id="77")
    link = make.make_link(run.integration, ledger_id="77")
    entry = make.make_log(change)
    client = client_of(make.make_superuser())

    def page(row) -> str:
        return reverse(f"admin:sync_{row._meta.model_name}_change", args=[row.pk])

    text = client.get(page(change)).content.decode()
    record = reverse("admin:record", args=[link.pk])
    assert page(run) in text and record in text and f"synclogentry/?change={change.pk}" in text
    text = client.get(page(entry)).content.decode()
    assert page(run) in text and page(change) in text
    assert page(change) in client.get(page(run)).content.decode()
    assert "change/?integration=" in client.get(page(link)).content.decode()
    assert SyncRun.objects.count() == 1
