"""Month end: what must be in order, its buttons, and the closing (I-14)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from integrations.models import Membership
from sync import tasks
from sync.admin import show
from sync.models import Change, Hint, MonthClose, Reconciliation, ReconciliationDocument
from sync.reconcile.store import begin_nightly, month_of
from tests import factories as make
from tests.sync.test_feedback import ASKED, Shop, shop
from tests.sync.test_reconcile_pages import client_of, member, reconciliation

__all__ = ["shop"]
pytestmark = pytest.mark.django_db
MONTH = (timezone.localdate().replace(day=1) - timedelta(days=1)).replace(day=1)


def read(**fields: Any) -> Reconciliation:
    """A finished reconciliation of last month."""
    first, last = month_of(MONTH)
    return reconciliation(**({"starts": first, "ends": last, "unexplained": 0, "lines": 0} | fields))


def document(row: Reconciliation, number: str, side: str = "ledger", **fields: Any) -> ReconciliationDocument:
    values: dict[str, Any] = {
        "object": "invoice" if side == "ledger" else "deal", "record_id": number if side == "ledger" else f"d{number}",
        "pair": number, "number": number, "title": f"Åkeri {number}", "day": MONTH + timedelta(days=3),
        "status": "booked", "currency": "SEK", "gross": Decimal("125.00"),
    }  # fmt: skip
    return ReconciliationDocument.objects.create(reconciliation=row, side=side, **(values | fields))


def address(row: Reconciliation) -> str:
    return f"{reverse('admin:month_end')}?integration={row.integration_id}&month={MONTH:%Y-%m}"


def act(verb: str, pk: int) -> str:
    return reverse("admin:month_end_act", args=[verb, pk])


def furnished() -> Reconciliation:
    row = read(totals={"ledger": [], "crm": [], "open_days": False})
    document(row, "draft", status="unbooked")
    document(row, "credit", status="credited", gross=Decimal(-50))
    document(row, "paid", status="paid")
    document(row, "paid", side="crm", status="overdue")
    document(row, "late", status="overdue", due=timezone.localdate() - timedelta(days=1))
    document(row, "won", side="crm", pair="", sold=True, counted=False, status="")
    flow = make.make_flow(
        row.integration, "deals", source_side="crm", source_object="deal", target_side="ledger",
        target_object="invoice", follow_up="back",
    )  # fmt: skip
    make.make_change(flow=flow, state="review", source_title="Failed AB")
    return row


def test_every_kind_of_open_end_is_listed_and_the_page_costs_the_same_for_many(django_assert_max_num_queries):
    row = furnished()
    client = client_of(make.make_superuser())
    body = client.get(address(row)).content.decode()
    for said in ("draft Åkeri draft", "credit Åkeri credit", "Paid → Overdue", "late Åkeri late", "Failed AB",
                 "won Åkeri won", "no fiscal year for the whole period"):  # fmt: skip
        assert said in body, said
    for number in range(70):
        document(row, f"x{number}", status="draft")
    with django_assert_max_num_queries(20):
        body = client.get(address(row)).content.decode()
    assert "and 21 more" in body


def test_a_month_without_open_ends_costs_a_dozen_queries(django_assert_max_num_queries):
    row = read()
    document(row, "booked")
    client = client_of(make.make_superuser())
    client.get(address(row))
    with django_assert_max_num_queries(12):
        client.get(address(row))


def test_a_comparison_whose_documents_are_kept_no_more_does_not_look_as_if_all_were_done():
    row = read(seen=5)
    client = client_of(make.make_superuser())
    assert "Not booked" not in client.get(address(row)).content.decode()
    close = client.post(
        reverse("admin:month_end_close"), {"integration": row.integration_id, "month": f"{MONTH:%Y-%m}"}, follow=True
    )
    assert "Compare both sides of the month first." in close.content.decode()
    document(row, "draft", status="unbooked")
    assert "Not booked" in client.get(address(row)).content.decode()


def test_its_buttons_ask_their_own_right_and_do_what_they_say():
    row = furnished()
    viewer, support = member(row, Membership.Role.VIEWER), member(row, Membership.Role.SUPPORT)
    accountant = member(row, Membership.Role.ACCOUNTANT)
    stranger = client_of(make.make_user(organization=make.make_organization(), role=Membership.Role.OWNER))
    docs = {doc.number: doc for doc in ReconciliationDocument.objects.filter(side="ledger")}
    won = ReconciliationDocument.objects.get(sold=True)
    failed = Change.objects.get(state="review")
    for verb, pk in (("sync", docs["paid"].pk), ("create", won.pk), ("book", docs["draft"].pk), ("retry", failed.pk)):
        assert viewer.post(act(verb, pk)).status_code == 403, verb
        assert stranger.post(act(verb, pk)).status_code == 404, verb
        assert support.get(act(verb, pk)).status_code == 405
    assert 'action="/admin/month-end/' not in viewer.get(address(row)).content.decode()
    carrier = make.make_flow(row.integration, "carry", source_object="invoice", target_object="deal")
    assert support.post(act("sync", docs["paid"].pk)).status_code == 302
    assert Hint.objects.get().flow == carrier and Hint.objects.get().source_id == "paid"
    assert support.post(act("retry", failed.pk)).status_code == 302
    failed.refresh_from_db()
    assert failed.state == "retrying"
    answer = support.post(act("create", won.pk))
    looked = Change.objects.get(source_id=won.record_id)
    assert (looked.decision, looked.flow.slug) == ("look", "deals")
    assert str(looked.pk) in answer["Location"]
    # What was not made here is not booked from here; what was, is compared and booked, after asking.
    assert b"Book the document?" in accountant.post(act("book", docs["draft"].pk)).content
    accountant.post(act("book", docs["draft"].pk), {"confirmed": 1})
    assert not Change.objects.filter(action="act").exists()
    make.make_change(flow=looked.flow, state="applied", action="create", source_id="77", target_id="draft",
                     payload={"fields": {}, "lines": []})  # fmt: skip
    accountant.post(act("book", docs["draft"].pk), {"confirmed": 1})
    booked = Change.objects.get(action="act")
    assert (booked.state, booked.target_id) == ("queued", "draft")
    assert (booked.payload["act"], booked.payload["then"]) == ("check", "book")
    accountant.post(act("book", docs["draft"].pk), {"confirmed": 1})
    assert Change.objects.filter(action="act").count() == 1


def test_closing_signs_the_months_reconciliation_and_tells_what_changed_since():
    row = read(unexplained=1, lines=1)
    post = {"integration": row.integration_id, "month": f"{MONTH:%Y-%m}"}
    close = reverse("admin:month_end_close")
    assert member(row, Membership.Role.CONSULTANT).post(close, post).status_code == 403
    client = member(row, Membership.Role.ACCOUNTANT)
    assert b"Close the month?" in client.post(close, post).content
    client.post(close, post | {"confirmed": 1})
    assert not MonthClose.objects.exists()  # unexplained, and no reason
    client.post(close, post | {"confirmed": 1, "reason": "Settled with the customer"})
    closed = MonthClose.objects.get()
    row.refresh_from_db()
    assert closed.reconciliation == row and row.signed_reason == "Settled with the customer"
    client.post(close, post | {"confirmed": 1, "reason": "again"})
    assert MonthClose.objects.count() == 1
    assert b"Closed" in client.get(address(row)).content
    later = read(integration=row.integration)
    later.totals["crm"][0]["gross"] = "1.00"
    later.save()
    assert b"have changed since the month was closed" in client.get(address(row)).content


def test_a_month_that_is_not_over_or_was_not_compared_is_not_closed():
    integration = make.make_integration()
    client = client_of(make.make_superuser())
    this = timezone.localdate().replace(day=1)
    first, last = month_of(this)
    reconciliation(integration=integration, starts=first, ends=last, unexplained=0, lines=0)
    for month in (this, date(2019, 5, 1)):
        post = {"integration": integration.pk, "month": f"{month:%Y-%m}", "confirmed": 1}
        assert client.post(reverse("admin:month_end_close"), post).status_code == 302
    assert not MonthClose.objects.exists()
    begun = client.post(reverse("admin:month_end_compare"), {"integration": integration.pk, "month": "2019-05"})
    assert begun.status_code == 302
    assert Reconciliation.objects.get(state="waiting").ends == date(2019, 5, 31)
    for wrong in ({"integration": integration.pk, "month": "2019-99"}, {"integration": "1" * 40}):
        assert client.get(reverse("admin:month_end"), wrong).status_code == 404


def test_every_night_each_integration_is_compared_once_and_never_by_day(time_machine: Any) -> None:
    pairs = [make.make_integration(), make.make_integration(), make.make_integration(mode="off")]
    for pair in pairs:
        make.make_flow(pair, "carry", source_object="invoice", target_object="deal")
    time_machine.move_to("2026-11-21T12:00:00+01:00")
    assert begin_nightly() is None
    time_machine.move_to("2026-11-22T02:00:00+01:00")
    begun = [begin_nightly() for _tick in range(4)]
    assert [row.integration for row in begun if row] == pairs[:2]
    assert {(str(row.starts), str(row.ends), row.trigger) for row in begun if row} == {
        ("2026-10-01", "2026-11-30", "night")
    }
    Reconciliation.objects.update(state="done", finished_at=timezone.now())
    assert begin_nightly() is None
    time_machine.move_to("2026-11-23T02:00:00+01:00")
    assert begin_nightly() is not None


def close_month(row: Reconciliation, **more: Any) -> str:
    """Pressing Close, asked or confirmed; the page that comes of it."""
    client = member(row, Membership.Role.ACCOUNTANT)
    post = {"integration": row.integration_id, "month": f"{MONTH:%Y-%m}"} | more
    return client.post(reverse("admin:month_end_close"), post, follow=True).content.decode()


def covering(row: Reconciliation, **fields: Any) -> Reconciliation:
    """A newer comparison of a longer period, as every night makes one, that read what `row` read."""
    first, last = month_of(MONTH)
    later = read(integration=row.integration, starts=first, ends=last + timedelta(days=1), **({"seen": 2} | fields))
    amounts = {"net": Decimal(40), "vat": Decimal(10), "gross": Decimal(50)}
    for number in ("a", "b"):
        document(later, number, **amounts)
    document(later, "next month", day=last + timedelta(days=1))
    return later


def test_a_month_that_was_compared_before_it_was_over_is_not_closed_until_it_is_compared_again():
    last = month_of(MONTH)[1]
    row = read(started_at=timezone.make_aware(datetime.combine(last, time(23, 59))))
    page = member(row, Membership.Role.ACCOUNTANT).get(address(row)).content.decode()
    assert "compared before the month was over" in page and "Close the month…" not in page
    for confirmed in ({}, {"confirmed": 1}):
        assert "compared before the month was over" in close_month(row, **confirmed)
    assert not MonthClose.objects.exists()
    later = read(integration=row.integration)
    page = member(row, Membership.Role.ACCOUNTANT).get(address(row)).content.decode()
    assert "Close the month…" in page and "compared before the month" not in page and "compared <time" in page
    close_month(row, confirmed=1)
    assert MonthClose.objects.get().reconciliation == later


@pytest.mark.parametrize("fault", ["", "unexplained", "figures", "elsewhere", "paid"])
def test_a_newer_comparison_that_speaks_against_the_months_figures_is_compared_again_first(fault: str):
    row = read()
    later = covering(row, **({"unexplained": 1, "lines": 1} if fault in ("unexplained", "elsewhere") else {}))
    if fault == "elsewhere":  # the difference is about another month
        later.lines.update(sides={"ledger": {"day": {"$": "d", "v": f"{later.ends}"}}, "crm": None, "beside": "deal"})
    if fault == "figures":
        later.documents.filter(number="a").update(gross=Decimal("50.01"))
    if fault == "paid":  # what is paid later changes nothing of the month
        later.documents.filter(number="a").update(status="paid", balance=0)
    refused = fault in ("unexplained", "figures")
    page = member(row, Membership.Role.ACCOUNTANT).get(address(row)).content.decode()
    assert ("A newer comparison found other figures" in page, "Close the month…" in page) == (refused, not refused)
    assert ("A newer comparison found other figures" in close_month(row, confirmed=1)) == refused
    assert MonthClose.objects.exists() != refused
    newest = read(integration=row.integration)
    close_month(row, confirmed=1)
    assert MonthClose.objects.get().reconciliation == (newest if refused else row)


def test_a_closed_month_says_when_a_nightly_comparison_reads_other_figures():
    row = read(unexplained=1, lines=1)
    close_month(row, confirmed=1, reason="Settled with the customer")
    later = covering(row, unexplained=1, lines=1)  # the one that was accepted
    client, words = member(row, Membership.Role.ACCOUNTANT), "A newer comparison found other figures"
    assert words not in client.get(address(row)).content.decode()
    later.documents.filter(number="a").update(status="cancelled")
    page = client.get(address(row)).content.decode()
    assert words in page and reverse("admin:reconcile_one", args=[later.pk]) in page


def test_an_invoice_is_created_from_the_month_end_by_who_may_approve(shop: Callable[..., Shop]) -> None:
    """The whole way: the row's button, the worker's look, the plan's page, its button, the document."""
    world = shop(follow_up="back", filter_expression=f"source.asked or {ASKED}")
    world.company("1", state="")
    row = read(integration=world.integration)
    won = document(row, "won", side="crm", object="company", record_id="1", pair="", sold=True, counted=False)
    support, accountant = member(row, Membership.Role.SUPPORT), member(row, Membership.Role.ACCOUNTANT)
    asking = support.post(act("create", won.pk))["Location"]
    page = support.get(asking).content.decode()
    assert "Its record is being read." in page and 'data-live="moving"' in page
    tasks.work_on(Change.objects.get().pk)
    planned = Change.objects.get(state="planned")
    page = support.get(asking).content.decode()
    assert show.page_url(planned) in page and 'data-live="done"' in page  # the one that asked leads to the plan
    here, press = show.page_url(planned), reverse("admin:sync_change_press", args=[planned.pk])
    page = support.get(here).content.decode()
    assert "Nothing is written to" in page and press not in page
    seen = {"fingerprint": planned.source_fingerprint}
    assert support.post(press, seen).status_code == 403
    page = accountant.get(here).content.decode()
    assert press in page and "Create it in Fortnox" in page and planned.source_fingerprint in page
    other = accountant.post(press, {"fingerprint": "another"}, follow=True)
    assert "The record was changed meanwhile." in other.content.decode()
    assert not world.ledger.rows("bill")
    assert "as soon as a worker is free" in accountant.post(press, seen, follow=True).content.decode()
    assert "on its way already" in accountant.post(press, seen, follow=True).content.decode()
    tasks.work_on(planned.pk)
    planned.refresh_from_db()
    assert (planned.state, planned.approved_by.username, len(world.ledger.rows("bill"))) == (
        "applied", planned.actor, 1,
    )  # fmt: skip


def test_what_a_run_plans_is_not_let_out_by_the_button_of_a_look() -> None:
    change = make.make_change(state="planned", source_fingerprint="seen")
    press = reverse("admin:sync_change_press", args=[change.pk])
    client = client_of(make.make_superuser())
    assert press not in client.get(show.page_url(change)).content.decode()
    assert "Its run decides" in client.post(press, {"fingerprint": "seen"}, follow=True).content.decode()
    change.refresh_from_db()
    assert change.state == "planned"
