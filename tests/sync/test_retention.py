"""Purging what is kept no longer, and erasing a person."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from integrations.models import InboundEvent
from mappings.models import EditorSample
from sync import retention, routes
from sync.models import (
    Change,
    EntityLink,
    MonthClose,
    Notice,
    NoticeDelivery,
    Reconciliation,
    ReconciliationDocument,
    ReconciliationLine,
    ReviewNote,
    SearchKey,
    ShadowLine,
    ShadowReport,
    SyncLogEntry,
)
from tests import factories as make
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db

AGES = (1, 100, 400, 800, 365 * 10 + 10)
"""Days: fresh, past payloads, past the log, past the changes, past evidence."""


def old(change: Change, days: int) -> Change:
    at = timezone.now() - timedelta(days=days)
    Change.objects.filter(pk=change.pk).update(created_at=at, updated_at=at, finished_at=at)
    SyncLogEntry.objects.filter(change=change).update(at=at)
    return change


def run(name: str, *arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command(name, *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def rows() -> dict[tuple[str, int], Change]:
    """An update, a document and an open change of each age, all of one record each, with a log line and exchange."""
    flow = make.make_flow()
    found: dict[tuple[str, int], Change] = {}
    kinds: dict[str, dict[str, Any]] = {
        "update": {"state": "applied"},
        "document": {"state": "applied", "action": "create"},
        "open": {"state": "held"},
    }
    for kind, fields in kinds.items():
        for number, days in enumerate(AGES):
            values = {"payload": {"fields": {"a": 1}}, **fields}
            values |= {"remote_reference": f"lb1-x-{number}"} if kind == "document" else {}
            values |= {"source_id": "7"} if kind == "update" else {}
            change = make.make_change(flow=flow, **values)
            make.make_log(change, exchange={"body": "x"})
            found[kind, days] = old(change, days)
    # The update of one day is the newest of its record whatever its number.
    make.make_change(flow=flow, state="skipped", source_id="7", action="skip")
    for days in AGES:
        for done in (True, False):
            InboundEvent.objects.create(
                account=flow.integration.crm_account, dedupe_key=f"{days}{done}", object="deal", record_id="1",
                kind="x", received_at=timezone.now() - timedelta(days=days),
                processed_at=timezone.now() if done else None,
            )  # fmt: skip
    return found


def test_each_kind_goes_after_its_time_and_what_is_open_or_evidence_stays(rows: dict[tuple[str, int], Change]) -> None:
    before = (Change.objects.count(), SyncLogEntry.objects.count(), InboundEvent.objects.count())
    dry = json.loads(run("purge", "--dry-run", "--json"))
    assert dry["dry_run"] and dry["counts"]["events"] == 4
    assert (Change.objects.count(), SyncLogEntry.objects.count(), InboundEvent.objects.count()) == before
    assert "payloads" in run("purge", "--batch", "2")
    left = {key: Change.objects.filter(pk=change.pk).first() for key, change in rows.items()}
    log = {key: SyncLogEntry.objects.filter(change=change.pk).first() for key, change in rows.items()}

    def told(kind: str) -> list[str]:
        words = []
        for days in AGES:
            row, line = left[kind, days], log[kind, days]
            words.append(
                ("gone" if row is None else "payload" if row.payload else "bare")
                + ("" if line is None else "+exchange" if line.exchange else "+line")
            )
        return words

    assert told("update") == ["payload+exchange", "bare+line", "bare", "gone", "gone"]
    assert told("document") == ["payload+exchange"] * 4 + ["bare"], "evidence; the row itself is never created twice"
    assert told("open") == ["payload+exchange"] * 5
    assert InboundEvent.objects.filter(processed_at=None).count() == 5, "what was not dealt with stays"
    assert InboundEvent.objects.exclude(processed_at=None).count() == 1
    again = json.loads(run("purge", "--json"))["counts"]
    assert not any(again.values()), "nothing is left to do, so it may run again at any time"


def test_a_sample_record_of_the_editor_goes_when_its_time_is_over_though_nobody_loads_another() -> None:
    draft = make.make_mapping_set(make.make_integration(), slug="b", state="draft")
    for minutes in (-1, 30):
        EditorSample.objects.create(
            user=make.make_user(), mapping_set=draft, source_id=str(minutes), title="Nora Ek",
            expires_at=timezone.now() + timedelta(minutes=minutes),
        )  # fmt: skip
    assert dict(retention.purge(dry_run=False))["sample records"] == 1
    assert EditorSample.objects.get().source_id == "30"


def test_an_interrupted_purge_goes_on(rows: dict[tuple[str, int], Change]) -> None:
    steps = retention.purge(dry_run=False, batch=1)
    assert next(steps) == ("events", 4)
    steps.close()
    assert json.loads(run("purge", "--json"))["counts"]["events"] == 0


def test_evidence_is_kept_to_the_end_of_the_year(settings: Any) -> None:
    # The longest fiscal year that begins in January 2026 ends in June 2027, in August 2026 in January 2028.
    for month, year in ((1, 2034), (7, 2034), (8, 2035), (12, 2035)):
        assert retention.kept_until(datetime(2026, month, 5, tzinfo=UTC)).isoformat() == f"{year}-12-31"
    change = make.make_change(state="applied", action="act", payload={"x": 1})
    make.make_log(change, exchange={"x": 1})
    for now, left in ((datetime(2034, 12, 31, 12, tzinfo=UTC), True), (datetime(2035, 1, 3, tzinfo=UTC), False)):
        Change.objects.update(updated_at=datetime(2026, 6, 1, tzinfo=UTC))
        SyncLogEntry.objects.update(at=datetime(2026, 6, 1, tzinfo=UTC))
        list(retention.purge(dry_run=False, now=now))
        change.refresh_from_db()
        assert (bool(change.payload), SyncLogEntry.objects.exists()) == (left, left)


def aged(row: Any, days: int, **fields: Any) -> Any:
    at = timezone.now() - timedelta(days=days)
    type(row).objects.filter(pk=row.pk).update(started_at=at, **fields)
    return row


def compared(integration: Any, days: int, *, change: Change | None = None, **fields: Any) -> Reconciliation:
    """A finished reconciliation with a line and a document of each side's reading."""
    values: dict[str, Any] = {"state": "done", "starts": date(2026, 1, 1), "ends": date(2026, 1, 31)} | fields
    signed = values.pop("signed_at", None)
    row = Reconciliation.objects.create(integration=integration, **values)
    ReconciliationLine.objects.create(reconciliation=row, kind="figures", explained=False, ledger_id="1", change=change)
    ReconciliationDocument.objects.create(reconciliation=row, side="ledger", object="invoice", record_id="1")
    if signed is not None:
        Reconciliation.objects.filter(pk=row.pk).update(signed_at=signed, signed_name="Anna")
    return aged(row, days)


def test_reports_go_with_their_rows_and_what_is_signed_or_unsettled_stays(settings: Any) -> None:
    integration = make.make_integration()
    rows = {
        "failed": compared(integration, 500, state="failed"),
        "plain": compared(integration, 500),
        "young": compared(integration, 300),
        "settled later": compared(integration, 500, differences=1, unexplained=1),
        "unsettled": compared(integration, 500, differences=1, unexplained=1, ends=date(2026, 2, 28)),
        "signed": compared(integration, 500, signed_at=timezone.now() - timedelta(days=499)),
        "at work": compared(make.make_integration(), 500, state="reading"),
        "newest of another": compared(make.make_integration(), 900),
    }
    long_ago = timezone.now() - timedelta(days=365 * 11)
    rows["signed long ago"] = compared(integration, 365 * 11, signed_at=long_ago, starts=date(2010, 1, 1),
                                       ends=date(2010, 1, 31))  # fmt: skip
    rows["the newest"] = compared(integration, 401, starts=date(2026, 1, 10))
    MonthClose.objects.create(
        integration=integration, month=date(2010, 1, 1), reconciliation=rows["signed long ago"], closed_name="Anna"
    )
    shadows = {
        days: ShadowReport.objects.create(
            integration=integration, starts=date(2026, 1, 1), ends=date(2026, 1, 2), state=state
        )
        for days, state in ((500, "done"), (501, "waiting"), (300, "done"))
    }
    for days, report in shadows.items():
        ShadowLine.objects.create(report=report, verdict="identical", object="invoice", source_id="1")
        aged(report, days)
    dry = json.loads(run("purge", "--dry-run", "--json"))
    assert Reconciliation.objects.count() == 10
    done = json.loads(run("purge", "--batch", "1", "--json"))
    for name in ("reconciliations", "differences", "comparison rows", "shadow reports", "shadow lines"):
        assert done["counts"][name] == dry["counts"][name] > 0, name
    assert done["kept"] == dry["kept"], "a dry run says beforehand what will stay"
    left = set(Reconciliation.objects.values_list("pk", flat=True))
    gone = {name for name, row in rows.items() if row.pk not in left}
    assert gone == {"failed", "plain", "settled later", "signed long ago"}
    assert set(ReconciliationLine.objects.values_list("reconciliation", flat=True)) == left
    assert set(ReconciliationDocument.objects.values_list("reconciliation", flat=True)) == left
    assert not MonthClose.objects.exists()
    assert set(ShadowReport.objects.values_list("pk", flat=True)) == {shadows[501].pk, shadows[300].pk}
    told = {(row["name"], row["count"]): row["why"] for row in done["kept"]}
    assert "7 years after the year in which its fiscal year ends" in told["reconciliations", 1]
    assert "unexplained" in told["reconciliations", 4]
    assert "reconciliations" in run("purge") and "signed" in run("purge")


def test_a_change_goes_although_a_signed_reconciliation_names_it() -> None:
    integration = make.make_integration()
    change = make.make_change(flow=make.make_flow(integration))
    signed = compared(integration, 10, change=change, signed_at=timezone.now())
    make.make_change(flow=change.flow, source_id=change.source_id, state="skipped", action="skip")
    Change.objects.filter(pk=change.pk).update(
        state="applied", action="update", updated_at=timezone.now() - timedelta(days=800)
    )
    run("purge")
    assert not Change.objects.filter(pk=change.pk).exists() and signed.lines.get().change is None


def test_healed_notices_go_with_their_messages_and_open_ones_stay() -> None:
    organization = make.make_organization()
    past = timezone.now() - timedelta(days=400)

    def notice(key: str, *, state: str = "sent", **fields: Any) -> Notice:
        row = Notice.objects.create(
            organization=organization, kind="run_stuck", level="immediate", key=key, opened_at=past, **fields
        )
        NoticeDelivery.objects.create(
            notice=row, channel="email", phase="opened", dedupe=key, state=state,
            done_at=None if state == "waiting" else past,
        )  # fmt: skip
        return row

    notice("old", healed_at=past, closed_at=past)
    notice("open")
    notice("not told yet", state="waiting", healed_at=past, closed_at=past)
    notice("healed just now", healed_at=timezone.now(), closed_at=timezone.now())
    NoticeDelivery.objects.create(channel="email", phase="digest", dedupe="digest", state="sent", done_at=past)
    report = json.loads(run("purge", "--batch", "1", "--json"))
    assert set(Notice.objects.values_list("key", flat=True)) == {"open", "not told yet", "healed just now"}
    assert set(NoticeDelivery.objects.values_list("dedupe", flat=True)) == {"open", "not told yet", "healed just now"}
    assert (report["counts"]["notices"], report["counts"]["messages"]) == (1, 2)
    assert {"name": "notices", "count": 1, "why": "not healed yet"} in report["kept"]


@pytest.fixture
def nora(monkeypatch: pytest.MonkeyPatch) -> TinyWorld:
    """A sole trader with a record, a document, a note, and a mention in somebody else's record."""
    world = TinyWorld(monkeypatch)
    fields: list[Any] = [(n, f"customer.{n}", {}) for n in ("name", "number", "org", "phone")]
    world.flow = world.add_flow("named", fields=fields)
    world.customer(7, name="Nora Ek", org="850709-9805", phone="nora@example.com")
    world.customer(8, name="Other AB", phone="nora@example.com")
    world.sync(world.flow)
    change = Change.objects.get(source_id="7", flow=world.flow)
    make.make_log(change, "queued→sending", exchange={"body": "Nora Ek"})
    ReviewNote.objects.create(integration=world.integration, change=change, text="Called NORA EK about it.")
    make.make_change(
        flow=world.flow, state="applied", action="create", source_id="inv1", source_title="Invoice to Nora Ek",
        target_id="1042", remote_reference="lb1-nora", payload={"fields": {"CustomerName": "Nora Ek"}},
    )  # fmt: skip
    return world


def everything(world: TinyWorld) -> str:
    """All that is stored, as text."""
    parts: list[Any] = []
    for model in (Change, SyncLogEntry, EntityLink, ReviewNote, SearchKey):
        parts += list(model._base_manager.values())
    return json.dumps(parts, default=str, ensure_ascii=False)


def test_erasing_a_record_leaves_the_evidence_without_the_name_and_says_so(nora: TinyWorld) -> None:
    link = EntityLink.objects.get(ledger_id="7")
    organization = str(nora.integration.organization.pk)
    anna = make.make_user("anna")
    stored = everything(nora)
    dry = run("erase_person", "--organization", organization, "--record", str(link.pk), "--dry-run")
    assert "Would be erased" in dry and everything(nora) == stored

    told = run("erase_person", "--organization", organization, "--record", str(link.pk), "--by", "anna", "--json")
    report = json.loads(told)
    left = everything(nora)
    assert "850709" not in left and "nora@example.com" not in left.lower()
    proof = Change.objects.get(remote_reference="lb1-nora")
    assert proof.payload == {"fields": {"CustomerName": "Nora Ek"}} and "Nora" not in proof.source_title
    assert left.lower().count("nora ek") == 1, "only in the document itself"
    assert [row["what"] for row in report["kept"]] == [f"change {proof.pk} and its exchanges: document 1042"]
    assert report["kept"][0]["until"] == retention.kept_until(timezone.now()).isoformat()
    assert any("customer 7" in line for line in report["elsewhere"])
    assert "Other AB" in left
    audit = SyncLogEntry.objects.get(event="person erased")
    assert audit.user == anna and "Nora" not in audit.message and f"link {link.pk}" in audit.message
    assert len(report["stopped"]) == 1 and "customer 7" in report["stopped"][0]


def erase(world: TinyWorld, *arguments: str) -> dict[str, Any]:
    """Erase the record of customer 7, as the command does."""
    link = EntityLink.objects.get(crm_object="company", ledger_id="7")
    organization = str(world.integration.organization.pk)
    told = run("erase_person", "--organization", organization, "--record", str(link.pk), "--json", *arguments)
    report: dict[str, Any] = json.loads(told)
    return report


def test_a_source_that_changes_does_not_copy_an_erased_person_again(nora: TinyWorld) -> None:
    make.make_user("anna")
    erase(nora, "--by", "anna", "--reason", "Asked by Nora Ek, case 12")
    link = EntityLink.objects.get(ledger_id="7")
    assert "anna" in link.erased and link.erased.endswith("Asked by [erased], case 12")
    second = nora.add_flow("again", target="bill")  # a flow to another object, which never linked the record
    nora.customer(7, name="Nora Ek-Berg", org="850709-9805", phone="nora@example.com")
    nora.customer(8, name="Other AB in Lund", phone="x")
    for full in (False, True):
        nora.sync(nora.flow, full=full)
        nora.sync(second, full=full)
    left = everything(nora)
    assert "Ek-Berg" not in left and "850709" not in left
    assert "Other AB in Lund" in left, "everybody else is still synced"
    assert EntityLink.objects.get(pk=link.pk).title == "[erased]"


def test_only_an_owner_lets_an_erased_record_be_copied_again(nora: TinyWorld) -> None:
    report = erase(nora)
    link = EntityLink.objects.get(ledger_id="7")
    assert f"record {link.pk}" in report["stopped"][0]
    page, lift = f"/admin/record/{link.pk}/", f"/admin/record/{link.pk}/lift/"
    client = Client()
    client.force_login(make.make_user(organization=nora.integration.organization, role="consultant"))
    shown = client.get(page).content.decode()
    assert "The person was erased" in shown and lift not in shown
    assert client.post(lift, {"confirmed": "1", "reason": "x"}).status_code == 403
    client.force_login(make.make_user(organization=nora.integration.organization, role="owner"))
    assert lift in client.get(page).content.decode()
    assert client.get(lift).status_code == 405
    for data in ({}, {"confirmed": "1", "reason": "  "}):
        client.post(lift, data)
        assert EntityLink.objects.get(pk=link.pk).erased, "asks first, and for a reason"
    client.post(lift, {"confirmed": "1", "reason": "A customer again"})
    assert EntityLink.objects.get(pk=link.pk).frozen_reason == ""
    assert "A customer again" in SyncLogEntry.objects.get(event="erasure lifted").message
    nora.customer(7, name="Nora Again", org="850709-9805")
    nora.sync(nora.flow)
    assert "Nora Again" in json.dumps(EntityLink.objects.get(pk=link.pk).agreed_crm), "it is copied again"


def test_an_erased_record_that_is_merged_or_has_a_sister_stays_erased_and_is_said(nora: TinyWorld) -> None:
    link = EntityLink.objects.get(ledger_id="7")
    sister = EntityLink.objects.create(
        integration=link.integration, crm_object="bill", crm_id="b1", ledger_object="customer", ledger_id="7"
    )
    assert erase(nora)["other_records"] == [sister.pk]
    link.refresh_from_db()
    assert "erased" in routes.why_not_move(link)
    nora.customer(9, name="Nora Remains")
    nora.ledger.drop("customer", "7", into="9")
    nora.sync(nora.flow)
    link.refresh_from_db()
    assert link.ledger_id == "9" and link.erased, "what remains of a merge is the same person"
    assert "Nora Remains" not in everything(nora)


def test_erasing_an_address_takes_it_out_wherever_it_stands(nora: TinyWorld) -> None:
    organization = nora.integration.organization.name
    told = run("erase_person", "--organization", organization, "--email", "Nora@Example.com", "--name", "Nora Ek")
    left = everything(nora)
    assert "nora@example.com" not in left.lower() and "850709" in left and "Called [erased] about it." in left
    assert left.lower().count("nora ek") == 1 and "if it is the person, add --record" in told
    other = make.make_organization()
    with pytest.raises(CommandError, match="not one of this"):
        run("erase_person", "--organization", other.name, "--record", str(EntityLink.objects.all()[0].pk))
    for wrong in (("--organization", "nobody"), ("--organization", other.name)):
        with pytest.raises(CommandError):
            run("erase_person", *wrong)


def test_what_is_on_its_way_is_left_and_said(nora: TinyWorld) -> None:
    link = EntityLink.objects.get(ledger_id="7")
    sending = make.make_change(flow=nora.flow, state="sending", source_id="7", source_title="Nora Ek")
    organization = str(nora.integration.organization.pk)
    report = json.loads(run("erase_person", "--organization", organization, "--record", str(link.pk), "--json"))
    assert any(row["what"] == f"change {sending.pk}" for row in report["kept"])
    sending.refresh_from_db()
    assert sending.source_title == "Nora Ek"
    Change.objects.filter(pk=sending.pk).update(state="held")
    run("erase_person", "--organization", organization, "--record", str(link.pk))
    sending.refresh_from_db()
    assert (sending.state, sending.source_title) == ("dismissed", "[erased]")
