"""Shadow mode beside another integration, which really makes the invoices (I-11)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Integration
from sync import shadow
from sync.models import Change, Flow, ShadowLine
from tests import factories as make
from tests.end_to_end import deals
from tests.end_to_end.world import World

pytestmark = pytest.mark.django_db


def made(here: World, customer: str, *rows: dict[str, Any], **more: Any) -> str:
    """The other integration makes an invoice."""
    body = {"Invoice": {"CustomerNumber": customer, "InvoiceRows": list(rows)} | more}
    return str(here.ask("fortnox", "POST", "/3/invoices", body)["Invoice"]["DocumentNumber"])


def row(article: str, price: str, quantity: str = "1") -> dict[str, Any]:
    return {"ArticleNumber": article, "DeliveredQuantity": quantity, "Price": price}


def test_what_we_would_have_made_is_compared_with_what_another_integration_made(world: Any) -> None:
    here: World = world()
    customer = here.edit("customers", Name="Nordisk Handel", OrganisationNumber="556036-0793")["CustomerNumber"]
    for slug in ("customers-to-companies", "invoices-to-deals"):
        here.sync(slug)
    (company,) = (str(item["id"]) for item in here.hubspot("companies"))
    deals.article(here, "A1")
    Integration.objects.update(mode="observe")
    Flow.objects.filter(slug="invoices-to-deals").update(enabled=False)
    Flow.objects.filter(slug="deals-to-invoices").update(takes="all")
    ours = {
        name: deals.deal(here, company, deals.line("A1", "1", price), dealname=name)
        for name, price in (("same", "100.00"), ("else", "250.00"), ("alone", "990.00"), ("twice", "77.00"))
    }
    blocked = deals.deal(here, company, deals.line("NOPE", "1", "5.00"), dealname="blocked")
    here.pass_time()
    here.sync("deals-to-invoices")
    assert not here.fortnox("invoices")  # an observing integration writes nothing
    assert Change.objects.filter(source_id=ours["same"]).exists()
    same = made(here, customer, row("A1", "100"), YourOrderNumber=ours["same"])
    other = made(here, customer, row("A1", "125", "2"), Remarks="By hand")
    for _time in range(2):
        made(here, customer, row("A1", "77"))
    theirs = made(here, customer, row("A1", "5555"))
    today = timezone.localdate()
    mark = here.mark()
    report = shadow.begin(here.integration, today.replace(day=1), today, kick=False)
    turns = 0
    while report.moving:
        shadow.work(report.pk, keep_going=lambda: False)
        report.refresh_from_db()
        turns += 1
        assert turns < 50
    assert (report.state, report.error_message) == ("done", "")
    calls = here.calls(mark)
    assert (calls["fortnox invoices list"], calls["fortnox invoices detail"]) == (1, 5)
    by_source = {line.source_id: line for line in report.lines.exclude(source_id="")}
    line = by_source[ours["same"]]
    assert (line.verdict, line.target_id, line.matched_by) == ("identical", same, "reference"), line.differences
    line = by_source[ours["else"]]
    assert (line.verdict, line.target_id, line.matched_by) == ("differs", other, "customer")
    assert {one["field"] for one in line.differences} == {"1. DeliveredQuantity", "1. Price"}
    assert by_source[ours["alone"]].verdict == "only_ours"
    assert by_source[ours["twice"]].verdict == "several" and len(by_source[ours["twice"]].differences) == 2
    assert by_source[blocked].verdict == "blocked"
    left = set(report.lines.filter(verdict="only_theirs").values_list("target_id", flat=True))
    assert theirs in left and len(left) == 3
    assert report.counts == dict(zip(ShadowLine.Verdict.values, (1, 1, 3, 1, 1, 1), strict=True))
    assert len(here.fortnox("invoices")) == 5

    client = Client()
    client.force_login(make.make_superuser())
    page = reverse("admin:shadow", args=[here.integration.pk])
    body = client.get(page).content.decode()
    assert "We would have made 4 documents: 1 is identical" in body and "1. Price" in body
    table = b"".join(client.get(f"{page}csv/").streaming_content).decode()  # type: ignore[attr-defined]
    assert ";250.00;SEK;1. Price;250.00;125" in table
    client.force_login(make.make_user(organization=make.make_organization(), role="owner"))
    assert client.get(page).status_code == client.get(f"{page}csv/").status_code == 404
    member = make.make_user(organization=here.integration.organization, role="viewer")
    client.force_login(member)
    assert client.post(f"{page}start/", {"starts": "2026-01-01", "ends": "2026-02-01"}).status_code == 403
