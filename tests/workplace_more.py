"""What the pages of proof, search, the lab and notices show: the second half of `tests.workplace`."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils import timezone

from integrations.models import ConnectedAccount
from integrations.readiness_models import ReadinessEntry
from integrations.readiness_store import report_of
from mappings.models import GoldenSample, MappingSet, new_draft
from sync import notices
from sync.finding import remember_links
from sync.models import DailyCount, FieldPause, Reconciliation, ReconciliationDocument, ShadowLine, ShadowReport
from sync.reconcile.store import month_of
from tests.sync.matching_world import make_plan
from tests.sync.test_reconcile_pages import reconciliation

if TYPE_CHECKING:
    from tests.workplace import Workplace


def fill(world: Workplace) -> list[str]:
    """Everything that `Workplace` does not make itself; returns addresses that only a form or a search leads to."""
    _days(world)
    _shadow(world)
    _told(world)
    _ready(world)
    _flow, plan, changes = make_plan()
    row = _proof(world)
    draft, sample = _lab(world)
    FieldPause.objects.create(
        integration=world.live, flow=world.flows["customers-to-companies"], link=world.link, field="city",
        reason={"en": "“city” went back and forth 4 times in one day.", "sv": "”city” ändrades fram och tillbaka."},
        fight={"values": ["Malmö", "Lund"]},
    )  # fmt: skip
    remember_links([world.link])
    addresses = [
        reverse(f"admin:{name}", args=arguments)
        for name, arguments in (
            ("record", [world.link.pk]), ("ownership", [world.live.pk]), ("shadow", [world.new.pk]),
            ("match", [plan.pk]), ("match_pick", [plan.pk]), ("sync_syncrun_change", [plan.pk]),
            ("mappings_mappingset_change", [draft.pk]), ("lab", [draft.pk]), ("lab_publish", [draft.pk]),
            ("lab_golden", [draft.pk]), ("lab_sample", [draft.pk, sample.pk]), ("lab_file", [draft.pk]),
            ("lab_versions", [draft.pk]), ("reconcile_one", [row.pk]),
            ("integrations_integration_readiness", [world.live.pk]), ("month_end", []),
            ("notices_settings_of", [world.organization.pk]), ("sync_entitylink_move", [world.link.pk]),
            ("integrations_people", [world.organization.pk]),
        )
    ]  # fmt: skip
    query = {"match_pick": f"?source={changes['ambiguous'].source_id}"}
    addresses = [address + query.get(address.split("/")[-2], "") for address in addresses]
    return [*addresses, reverse("admin:search") + "?q=Räksmörgås", reverse("admin:search") + "?q=zzzz"]


def _days(world: Workplace) -> None:
    today = timezone.localdate()
    rows = [
        DailyCount(integration=world.live, flow=flow, day=today - timedelta(days=ago), outcome=outcome,
                   n=1 + (ago * 7 + number * 3) % 23)
        for number, flow in enumerate(world.flows.values())
        for ago in range(0, 30, 2)
        for outcome in ("created", "updated", "linked", "review", "retried", "run", "calls")
    ]  # fmt: skip
    DailyCount.objects.bulk_create(rows)


def _proof(world: Workplace) -> Reconciliation:
    first, last = month_of(timezone.localdate().replace(day=1) - timedelta(days=1))
    row = reconciliation(integration=world.live, starts=first, ends=last, lines=3)
    values = {"reconciliation": row, "day": first, "currency": "SEK", "gross": Decimal("125.50")}
    for side, key, status, more in (
        ("ledger", "1042", "unbooked", {}), ("ledger", "1043", "paid", {}),
        ("crm", "d1043", "overdue", {"pair": "1043"}), ("crm", "d9", "", {"sold": True, "counted": False}),
    ):  # fmt: skip
        ReconciliationDocument.objects.create(
            side=side, record_id=key, number=key, title=f"Åkeri {key}", status=status,
            object="invoice" if side == "ledger" else "deal", **({"pair": key} | more | values),
        )  # fmt: skip
    return row


def _shadow(world: Workplace) -> None:
    first, last = month_of(timezone.localdate())
    report = ShadowReport.objects.create(
        integration=world.new, starts=first, ends=last, state="done", finished_at=timezone.now(),
        counts={"differs": 1, "only_ours": 1, "identical": 209},
    )  # fmt: skip
    ShadowLine.objects.create(
        report=report, verdict="differs", object="invoice", source_id="1", source_title="Affär Åre", target_id="17",
        target_title="17 Åre AB", matched_by="customer", amount=Decimal("12500.5"), currency="SEK",
        differences=[{"field": "1. Price", "ours": {"$": "n", "v": "250"}, "theirs": {"$": "n", "v": "125"}}],
    )  # fmt: skip
    ShadowLine.objects.create(
        report=report, verdict="only_ours", object="invoice", source_id="2", source_title="Affär Ystad"
    )


def _lab(world: Workplace) -> tuple[MappingSet, GoldenSample]:
    mapping = MappingSet.objects.published(world.live, "customers-to-companies")
    draft = new_draft(mapping, None, note="Names in capitals")
    sample = GoldenSample.objects.create(
        integration=world.live, slug=mapping.slug, name="A customer abroad", note="The country decides the VAT.",
        expected={"name": "Nordisk Handel", "city": "Oslo"},
    )  # fmt: skip
    return draft, sample


def _told(world: Workplace) -> None:
    flow = world.flows["invoices-to-deals"]
    notices.tell(
        "connection_dying", world.organization, integration=world.new, key="dying",
        params={"account": "Fortnox Norge AB", "date": "2026-12-01T09:00:00+00:00"}, obj=world.new.ledger_account,
    )  # fmt: skip
    notices.tell(
        "failures_waiting", world.organization, integration=world.live, key="failures", obj=flow,
        params={"flow": flow.name, "count": "14", "record": "Nordisk Handel", "code": "2000588"},
    )  # fmt: skip
    notices.tell("run_failed", world.organization, integration=world.live, key="healed",
                 params={"flow": flow.name, "code": "503", "cause": "Later.", "remedy": "Wait."})  # fmt: skip
    notices.heal("run_failed", "healed")
    ConnectedAccount.objects.filter(pk=world.new.crm_account_id).update(status=ConnectedAccount.Status.NEEDS_RECONNECT)


def _ready(world: Workplace) -> None:
    report = report_of(world.live)
    for number, (side, code, level) in enumerate(
        (("ledger", "year", "error"), ("ledger", "series", "warning"), ("crm", "scopes", "ok"))
    ):
        ReadinessEntry.objects.create(
            report=report, side=side, code=code, level=level, position=number,
            title={"en": "The financial year is open", "sv": "Räkenskapsåret är öppet"},
            detail={"en": "The company has no financial year for 2027.", "sv": "Räkenskapsår saknas för 2027."},
            fix={"en": "Open Fortnox › Settings › Financial years and add 2027.", "sv": "Lägg upp 2027."},
        )  # fmt: skip
    report.checked_at, report.errors, report.warnings = timezone.now(), 1, 1
    report.save()
