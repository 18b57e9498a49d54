"""Values, days and names as the reader's language writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import translation
from django.utils.formats import date_format

from integrations.models import Membership
from sync.admin import show
from sync.models import Change
from sync.values import dump
from tests import factories as make
from tests.sync.test_month_end import address, furnished

pytestmark = pytest.mark.django_db
SPACE = "\u00a0"


@pytest.mark.parametrize(("language", "said"), [("sv", f"-27{SPACE}055,36"), ("en", "-27,055.36")])
def test_amounts_are_grouped_as_the_reader_does_and_numbers_of_records_are_not(language: str, said: str) -> None:
    with translation.override(language):
        assert show.text(dump(Decimal("-27055.36"))) == said
        assert show.text("5598000064") == "5598000064"
        assert show.text(dump(date(2026, 11, 7))) == "2026-11-07"


@pytest.mark.parametrize(("language", "said"), [("sv", "7 nov 2025"), ("en", "7 Nov 2025")])
def test_months_are_written_small_in_swedish(language: str, said: str) -> None:
    with translation.override(language):
        assert said in str(show.when(datetime(2025, 11, 7, 12, tzinfo=UTC)))
        assert date_format(date(2025, 11, 7), "MONTH_DAY_FORMAT") == said.removesuffix(" 2025")


def test_flows_are_listed_and_found_by_the_name_that_a_swede_reads() -> None:
    make.make_flow()
    client = Client(headers={"accept-language": "sv"})
    client.force_login(make.make_superuser())
    page = client.get("/admin/sync/flow/?q=kunder").content.decode()
    assert "Kunder till företag" in page
    assert "Customers to companies" not in page
    assert "Kunder till företag" in client.get("/admin/").content.decode()


def test_what_only_a_choice_settles_is_opened_from_the_month_end_and_not_tried_again() -> None:
    row = furnished()
    again = Change.objects.get(state="review")
    choose = make.make_change(flow=again.flow, state="review", error_class="conflict", error_code="taken")
    client = Client()
    client.force_login(make.make_superuser())
    page = client.get(address(row)).content.decode()
    assert f"/admin/month-end/retry/{again.pk}/" in page
    assert f"/admin/month-end/retry/{choose.pk}/" not in page
    assert f'class="lb-button" href="/admin/sync/change/{choose.pk}/change/"' in page


@pytest.mark.parametrize("role", [Membership.Role.OWNER, Membership.Role.VIEWER])
def test_an_empty_page_leads_those_who_may_walk_it_to_the_guided_path(role: str) -> None:
    client = Client()
    client.force_login(make.make_user(organization=make.make_organization("Tomt AB"), role=role))
    for place in ("/admin/sync/change/", "/admin/sync/flow/", "/admin/reconcile/", "/admin/month-end/"):
        page = client.get(place).content.decode()
        assert ('lb-button--primary" href="/admin/path/"' in page) == (role == Membership.Role.OWNER), place
    start = client.get("/admin/path/").content.decode()
    assert ("The first integration for" in start) == (role == Membership.Role.OWNER)
    assert "One more integration for" not in start


def test_a_group_of_the_queue_names_the_field_as_people_do_and_one_alone_says_what_it_is() -> None:
    problem = {"rule": "Currency", "field": "deal_currency_code", "value": "NOK", "message": {"en": "Not allowed."}}
    make.make_change(
        state="review", error_class="configuration", error_code="option_unknown", error_field="deal_currency_code",
        error_value="NOK", problems=[problem],
    )  # fmt: skip
    make.make_change(
        state="review", error_class="conflict", error_code="taken", error_message="It belongs to Åkers AB already."
    )
    client = Client()
    client.force_login(make.make_superuser())
    page = client.get("/admin/review/").content.decode()
    assert "Currency:</span>" in page
    assert "deal_currency_code:" not in page
    assert "It belongs to Åkers AB already." in page
