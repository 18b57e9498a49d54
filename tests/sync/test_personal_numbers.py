"""A sole trader's organisation number is a personal number: its end is masked wherever the workplace shows it (RB2)."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import ConnectedAccount
from sync.admin import show
from sync.admin.discreet import discreet, hidden
from sync.models import Change
from tests import factories as make
from tests.sync.matching_world import make_plan

ONE, OTHER, COMPANY = "850709-9805", "850709-0002", "556016-0680"


def test_only_personal_numbers_are_masked_and_typed_values_stay() -> None:
    assert discreet(ONE) == "850709-••••" and discreet("198507099805") == "850709-••••"
    for said in (COMPANY, "SE556016068001", "Lund", "", None, 8507099805, ["x"]):
        assert discreet(said) == said
    assert discreet("8507099805", "MobilePhone") == "8507099805"  # a telephone number may look like one
    assert show.text([ONE, "Lund"]) == "850709-••••, Lund"
    assert "9805" in show.text({"$": "n", "v": "8507099805"}).replace(",", "").replace("\u00a0", "")
    assert "9805" not in show.text({"owner": {"number": ONE}}) + show.as_json({"fields": {"number": [ONE]}})


def test_two_numbers_that_look_the_same_once_masked_are_said_to_differ() -> None:
    assert hidden(ONE, OTHER) == "the hidden digits differ"
    assert hidden(ONE, "198507099805") == "written differently"
    assert (hidden(ONE, ONE), hidden(ONE, COMPANY), hidden(COMPANY, "5560160680"), hidden(None, ONE)) == ("",) * 4
    row = {"field": "number", "before": ONE, "after": OTHER}
    said = show.difference(row, {}, new=False)
    assert "the hidden digits differ" in said and "9805" not in said and "0002" not in said


@pytest.mark.django_db
def test_no_page_and_no_file_of_a_plan_shows_it_and_the_form_that_sends_again_does() -> None:
    _flow, run, rows = make_plan()
    key = rows["update"].pk
    said = {"code": "organization_number_taken", "message": {"en": f"{ONE} is taken."}}
    Change.objects.filter(pk=key).update(
        diff=[{"field": "number", "before": ONE, "after": OTHER}, {"field": "vat", "before": COMPANY, "after": ONE}],
        payload={"fields": {"number": OTHER}}, problems=[said | {"field": "number", "value": ONE}],
        edits={"number": {"before": ONE, "after": OTHER}},
        checks=[said | {"ok": False, "actual": ONE}],
        candidates=[{"id": "7", "title": "Zeta", "fields": {"number": ONE}}],
    )  # fmt: skip
    client = Client()
    client.force_login(make.make_superuser())
    plan = client.get(reverse("admin:sync_syncrun_change", args=[run.pk])).content.decode()
    page = client.get(reverse("admin:sync_change_change", args=[key])).content.decode()
    for body in (plan, page):
        assert "850709-••••" in body and "(the hidden digits differ)" in body and COMPANY in body
        assert ONE not in body and OTHER not in body
    export = client.get(reverse("admin:sync_syncrun_export", args=[run.pk]))
    text = b"".join(export.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    cells = [line[6:8] for line in csv.reader(io.StringIO(text), delimiter=";") if line[5] in ("number", "vat")]
    assert cells == [["850709-••••", "850709-•••• (the hidden digits differ)"], [COMPANY, "850709-••••"]]
    Change.objects.filter(pk=key).update(state="review", error_class="data", error_code="2000663")
    ConnectedAccount.objects.update(schemas={})
    again = client.get(reverse("admin:sync_change_resend", args=[key])).content.decode()
    assert OTHER in again  # what is edited is seen in full
