"""The mapping lab against both emulated vendors: invoices with lines, a draft that changes deals, a plan of those."""

from __future__ import annotations

from collections.abc import Callable

from mappings import golden, golden_pins
from mappings.models import new_draft, publish
from sync.engine.run import work
from sync.lab import impact, trial
from sync.lab.samples import FlowSamples
from sync.models import Change, SyncRun
from tests.end_to_end.checks import FLOWS
from tests.end_to_end.world import INVOICES, World


def test_a_draft_is_tried_on_invoices_and_what_differs_follows_after_approval(world: Callable[..., World]) -> None:
    there = world(customers=6, articles=5, invoices=12)
    for slug in FLOWS:
        there.sync(slug)
    there.pass_time()
    flow = there.flow(INVOICES)
    draft = new_draft(flow.mapping_set(), None)
    rule = draft.field_mappings.get(scope="header", target_field="dealname")
    rule.expression = f"upper({rule.expression})"
    rule.save()
    deals = {record["id"]: record["properties"]["dealname"] for record in there.hubspot("deals")}
    refs = FlowSamples().recent(draft, 200)
    mark, stand = there.mark(), trial.bench(draft)
    tried = trial.run(stand, [ref.id for ref in refs])
    assert len(tried) == len(refs) >= 12 and set(trial.count(tried)) <= {trial.DIFFERS, trial.SAME, trial.FAILING}
    assert sum(there.calls(mark).values()) <= len(refs) + 8  # a detail each, and what both sides say of their fields
    assert {record["id"]: record["properties"]["dealname"] for record in there.hubspot("deals")} == deals
    one = next(row for row in tried if row.verdict == trial.DIFFERS and row.linked)
    name = next(row for row in one.fields if row.name == "dealname")
    assert (name.before, str(name.before).upper()) == (name.now, name.after) and any(row.line for row in one.fields)
    assert one.sample is not None
    sample = golden_pins.pin(draft, one.sample, "an invoice with lines", None)
    assert all(result.passed for result in golden.try_all(draft)) and "1.price" in sample.expected
    golden_pins.redact(sample, draft, None)
    assert all(result.passed for result in golden.try_all(draft))  # what is left of it still maps
    counted = impact.count_group(stand, 0)
    ids = impact.source_ids(draft, counted.differ)
    assert not counted.after and ids
    impact.order(publish(draft, None), ids, None)
    work(flow)
    run = SyncRun.objects.get(state=SyncRun.State.HELD)
    held = Change.objects.filter(run=run, state="held")
    assert sorted(held.values_list("source_id", flat=True)) == sorted(ids)
    assert all(set(change.payload["fields"]) == {"dealname"} for change in held)
    there.approve(run)
    now = {record["id"]: record["properties"]["dealname"] for record in there.hubspot("deals")}
    links = there.links(INVOICES)
    assert {links[key] for key in ids} == {key for key in now if now[key] != deals[key]}
    assert all(now[links[key]] == deals[links[key]].upper() for key in ids)
