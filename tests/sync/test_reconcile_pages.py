"""The pages of a reconciliation: who may sign, what is sealed, what the paper and the spreadsheet say."""

from __future__ import annotations

import re
import zlib
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from integrations.models import Membership
from sync.models import Reconciliation, ReconciliationLine
from sync.reconcile import store
from sync.reconcile.pdf import document
from tests import factories as make

pytestmark = pytest.mark.django_db
HOSTILE = '=HYPERLINK("http://x") Åäö Ωμέγα Łódź'


def reconciliation(*, unexplained: int = 1, lines: int = 2, **fields: Any) -> Reconciliation:
    """A finished one with `lines` differences, the first `unexplained` of them unexplained."""
    figures = {"currency": "SEK", "status": "paid", "count": 2, "net": "80.00", "vat": "20.00", "gross": "100.00",
               "balance": "0.00"}  # fmt: skip
    totals = {"ledger": [figures], "crm": [figures | {"gross": "99.99"}], "kinds": {"figures": lines},
              "unexplained": [figures | {"status": "", "count": 0, "gross": "0.01"}]}  # fmt: skip
    values: dict[str, Any] = {
        "starts": date(2026, 10, 1), "ends": date(2026, 10, 31), "state": "done", "totals": totals,
        "differences": lines, "unexplained": unexplained, "finished_at": timezone.now(),
    }  # fmt: skip
    integration = fields.pop("integration", None) or make.make_integration()
    row = Reconciliation.objects.create(integration=integration, **(values | fields))
    for number in range(lines):
        ReconciliationLine.objects.create(
            reconciliation=row, kind="figures", explained=number >= unexplained, currency="SEK", gross=Decimal("0.01"),
            ledger_object="invoice", ledger_id=str(1000 + number), number=str(1000 + number), title=HOSTILE,
            explanation={"en": "The figures differ.", "sv": "Beloppen skiljer sig."},
            change=make.make_change(state="review") if number == 0 else None,
        )  # fmt: skip
    return row


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def member(row: Reconciliation, role: str) -> Client:
    return client_of(make.make_user(organization=row.integration.organization, role=role))


def page(name: str, row: Reconciliation) -> str:
    return reverse(f"admin:{name}", args=[row.pk])


def test_signing_needs_the_right_and_a_reason_while_anything_is_unexplained():
    row = reconciliation()
    sign = page("reconcile_sign", row)
    for role in (Membership.Role.VIEWER, Membership.Role.SUPPORT, Membership.Role.CONSULTANT):
        assert member(row, role).post(sign, {"confirmed": 1, "reason": "x"}).status_code == 403
    stranger = client_of(make.make_user(organization=make.make_organization(), role=Membership.Role.OWNER))
    assert stranger.post(sign, {"confirmed": 1, "reason": "x"}).status_code == 404
    client = member(row, Membership.Role.ACCOUNTANT)
    assert client.get(sign).status_code == 405
    assert b"Sign off?" in client.post(sign).content  # asks once
    assert b"Write why they are acceptable" in client.post(sign, {"confirmed": 1, "reason": "  "}).content
    row.refresh_from_db()
    assert row.signed_at is None
    assert client.post(sign, {"confirmed": 1, "reason": "Rounding at the bank"}).status_code == 302
    row.refresh_from_db()
    assert row.signed_name and row.signed_reason == "Rounding at the bank"
    with pytest.raises(ValidationError):
        store.sign(row, make.make_superuser(), "again")
    assert reconciliation(unexplained=0, lines=1).signed_at is None  # nothing signs by itself


def test_what_is_signed_is_sealed_by_the_database_itself():
    row = store.sign(reconciliation(unexplained=0), make.make_superuser())
    line = row.lines.first()
    assert line is not None
    for act in (
        lambda: Reconciliation.objects.filter(pk=row.pk).update(totals={}),
        lambda: Reconciliation.objects.filter(pk=row.pk).update(signed_at=None, signed_name=""),
        lambda: ReconciliationLine.objects.filter(pk=line.pk).update(gross=5),
        lambda: ReconciliationLine.objects.create(reconciliation=row, kind="figures", explained=True, crm_id="1"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            act()
    row.signed_by.delete()  # a person who leaves keeps the name under it
    row.refresh_from_db()
    assert row.signed_by is None and row.signed_name
    other = reconciliation(unexplained=1)
    for wrong in ({"signed_at": timezone.now(), "signed_name": "x"}, {"ends": date(2020, 1, 1)}, {"unexplained": 99}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Reconciliation.objects.filter(pk=other.pk).update(**wrong)
    Reconciliation.objects.create(integration=other.integration, starts=other.starts, ends=other.ends)
    assert store.begin(other.integration, kick=False).state == "waiting"  # the one at work, not a second one
    assert Reconciliation.objects.filter(state="waiting").count() == 1


def test_a_later_reconciliation_says_that_the_signed_figures_have_changed():
    first = store.sign(reconciliation(unexplained=0), make.make_superuser())
    same = reconciliation(unexplained=0, integration=first.integration)
    client = client_of(make.make_superuser())
    assert b"The figures are those that were signed" in client.get(page("reconcile_one", same)).content
    same.totals["ledger"][0]["gross"] = "101.00"
    same.save()
    assert b"no longer those that were signed" in client.get(page("reconcile_one", same)).content


def test_pages_cost_the_same_for_one_difference_and_for_many(django_assert_max_num_queries):
    client = client_of(make.make_superuser())
    for lines in (1, 60):
        row = reconciliation(unexplained=1, lines=lines)
        client.get(page("reconcile_one", row))
        with django_assert_max_num_queries(12):
            body = client.get(page("reconcile_one", row), {"show": "all"}).content.decode()
        assert body.count("Åäö") == lines and "=HYPERLINK" in body
        with django_assert_max_num_queries(12):
            assert client.get(reverse("admin:reconcile")).status_code == 200


def test_the_spreadsheet_runs_no_formula_and_has_every_line():
    row = store.sign(reconciliation(lines=3), make.make_superuser(), "=1+1")
    body = member(row, Membership.Role.VIEWER).get(page("reconcile_csv", row))
    text = b"".join(body.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.count("'=HYPERLINK") == 3 and "'=1+1" in text and ";99.99;" in text and ";0.01;" in text
    assert not re.search(r"(^|;)\"?=", text)
    stranger = client_of(make.make_user(organization=make.make_organization()))
    assert stranger.get(page("reconcile_csv", row)).status_code == 404
    assert Client().get(page("reconcile_pdf", row)).status_code == 302


def test_the_paper_carries_any_name_in_the_readers_language():
    row = store.sign(reconciliation(lines=2), make.make_superuser("Åsa Öberg"), "Avrundning")
    text = words(document(row))
    wanted = "Reconciliation|Åäö Ωμέγα Łódź|100.00|99.99|Avrundning|Åsa Öberg|Page 1 of|Made by"
    for said in wanted.split("|"):
        assert said in text, said
    with translation.override("sv"):
        assert "100,00" in words(document(row))
    response = member(row, Membership.Role.VIEWER).get(page("reconcile_pdf", row))
    assert response.content.startswith(b"%PDF-") and response["Content-Type"] == "application/pdf"


def test_a_difference_is_mended_from_its_row_by_who_may():
    row = reconciliation()
    line = row.lines.order_by("pk").first()
    assert line is not None and line.change is not None
    mend = reverse("admin:reconcile_mend", args=[row.pk, line.pk, "retry"])
    assert member(row, Membership.Role.VIEWER).post(mend).status_code == 403
    assert member(row, Membership.Role.SUPPORT).post(mend).status_code == 302
    line.change.refresh_from_db()
    assert line.change.state == "retrying"
    flow = make.make_flow(row.integration, "invoices", source_object="invoice", target_object="deal")
    link = make.make_link(row.integration, crm_object="deal", ledger_object="invoice", ledger_id=line.ledger_id,
                          ledger_version="seen")  # fmt: skip
    sync = reverse("admin:reconcile_mend", args=[row.pk, line.pk, "sync"])
    assert member(row, Membership.Role.SUPPORT).post(sync).status_code == 302
    link.refresh_from_db()
    assert (link.ledger_version, flow.hints.get().source_id) == ("", line.ledger_id)
    other = reconciliation()
    crossed = reverse("admin:reconcile_mend", args=[row.pk, other.lines.latest("pk").pk, "retry"])
    assert member(row, Membership.Role.SUPPORT).post(crossed).status_code == 404


@pytest.mark.parametrize("given", [{"starts": "2026-13-01"}, {"starts": "2026-02-01", "ends": "2026-01-01"},
                                   {"tolerance": "NaN"}, {"tolerance": "-1"}, {"tolerance": "abc"}])  # fmt: skip
def test_a_period_or_tolerance_that_is_none_is_said_and_starts_nothing(given):
    integration = make.make_integration()
    client = client_of(make.make_superuser())
    answer = client.post(reverse("admin:reconcile_start"), {"integration": integration.pk, **given}, follow=True)
    assert b"errornote" in answer.content or b"error" in answer.content
    assert not Reconciliation.objects.exists()
    assert client.post(reverse("admin:reconcile_start"), {"integration": "9" * 30}).status_code == 404


def test_a_chosen_period_is_not_silently_another_while_one_is_at_work():
    row = reconciliation()
    start = reverse("admin:reconcile_start")
    client = member(row, Membership.Role.ACCOUNTANT)
    may = {"integration": row.integration_id, "starts": "2026-05-01", "ends": "2026-05-31"}
    said = "Another comparison is at work: 2026-05-01 – 2026-05-31."
    assert said not in client.post(start, may, follow=True).content.decode()
    assert said not in client.post(start, may, follow=True).content.decode()  # the same again is that one
    assert said in client.post(start, may | {"starts": "2026-04-01"}, follow=True).content.decode()
    assert said in client.post(start, may | {"tolerance": "0.5"}, follow=True).content.decode()
    assert Reconciliation.objects.filter(state="waiting").count() == 1


def test_a_new_one_begins_when_the_one_at_work_ends_in_that_moment(monkeypatch):
    integration = make.make_integration()
    ending = Reconciliation.objects.create(integration=integration, starts=date(2026, 1, 1), ends=date(2026, 1, 31))
    asked = store._at_work

    def ended(pair: Any) -> Reconciliation | None:
        Reconciliation.objects.filter(pk=ending.pk).update(state="done", finished_at=timezone.now())
        return asked(pair)

    monkeypatch.setattr(store, "_at_work", ended)
    begun = store.begin(integration, date(2026, 2, 1), date(2026, 2, 28), kick=False)
    assert (begun.starts, begun.state) == (date(2026, 2, 1), "waiting")


def words(pdf: bytes) -> str:
    """The text of a PDF whose fonts are embedded with their Unicode maps."""
    objects = {int(m[1]): m[2] for m in re.finditer(rb"(?s)(\d+) 0 obj(.*?)endobj", pdf)}

    def stream(body: bytes) -> bytes:
        found = re.search(rb"(?s)stream\r?\n(.*?)\r?\nendstream", body)
        raw = found[1] if found else b""
        return zlib.decompress(raw) if b"FlateDecode" in body else raw

    maps: dict[bytes, dict[int, str]] = {}
    for name, number in {m for o in objects.values() for m in re.findall(rb"/(F\d+) (\d+) 0 R", o)}:
        pointer = re.search(rb"/ToUnicode (\d+) 0 R", objects[int(number)])
        assert pointer
        table: dict[int, str] = {}
        for block in re.findall(rb"(?s)beginbf(?:char|range)(.*?)endbf", stream(objects[int(pointer[1])])):
            for row in block.strip().splitlines():
                codes = [int(code, 16) for code in re.findall(rb"<([0-9A-Fa-f]+)>", row)]
                if len(codes) >= 2:
                    table[codes[0]] = chr(codes[-1])
        maps[name] = table
    shown: list[str] = []
    for body in objects.values():
        if b"stream" not in body or b"ToUnicode" in body or b"/Length1" in body:
            continue
        content = stream(body)
        if b" Tf" not in content:
            continue
        font: dict[int, str] = {}
        shows = rb"(?s)/(F\d+) [\d.]+ Tf|\(((?:\\.|[^\\)])*)\) ?(?:Tj|\])|<([0-9A-Fa-f]+)> ?Tj"
        for token in re.finditer(shows, content):
            if token[1]:
                font = maps[token[1]]
                continue
            raw = bytes.fromhex(token[3].decode()) if token[3] else re.sub(rb"\\(.)", rb"\1", token[2])
            shown.append("".join(font.get(int.from_bytes(raw[i : i + 2]), "") for i in range(0, len(raw), 2)))
    return " ".join(shown)
