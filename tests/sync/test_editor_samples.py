"""Sample records for the mapping editor: what a flow saw, read once more, and values that wait for a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from integrations.connector import Fields, Page, Record
from integrations.errors import Missing, SyncError
from mappings import samples
from mappings.models import ValueMap
from mappings.schemas import dump_schema
from sync.lab import samples as provided
from tests import factories as make
from tests.mappings.world import COMPANY, CUSTOMER

pytestmark = pytest.mark.django_db


class Source:
    """A connector as far as samples need one."""

    system = "fortnox"

    def __init__(self) -> None:
        self.asked: list[Fields] = []

    def describe(self, name: str) -> Any:
        return CUSTOMER if name == "customer" else COMPANY

    def load(self, name: str, ids: Sequence[str], fields: Fields) -> Iterator[Record | tuple[str, SyncError]]:
        self.asked.append(fields)
        for key in reversed(ids):
            yield ("9", Missing("Not there")) if key == "9" else Record(name, key, {"Name": f"Firm {key}"})

    def changed(self, name: str, since: str | None, fields: Fields, **_options: Any) -> Iterator[Page]:
        yield Page([Record(name, str(n), {}, title=f"Firm {n}") for n in range(3)], "", None)
        raise AssertionError("one page is enough")


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    found = Source()
    monkeypatch.setattr(provided, "connector_for", lambda account, lane="bulk": found)
    return found


def test_the_room_registers_itself_and_gives_what_the_flow_saw_last(source: Source) -> None:
    provider = samples.provider()
    assert isinstance(provider, provided.FlowSamples)
    flow = make.make_flow()
    mapping_set = make.make_mapping_set(flow.integration, state="draft")
    make.make_link(flow.integration, ledger_id="5", title="Linked AB")
    for source_id in ("1", "2", "1"):
        make.make_change(flow=flow, source_id=source_id, source_title=f"Firm {source_id}", state="skipped")
    make.make_change(source_id="77")  # of another customer
    assert [ref.id for ref in provider.recent(mapping_set, 10)] == ["1", "2", "5"]
    assert [ref.id for ref in provider.recent(mapping_set, 1)] == ["1"]


def test_a_new_mapping_asks_the_source_only_when_somebody_presses(source: Source) -> None:
    provider = provided.FlowSamples()
    mapping_set = make.make_mapping_set(state="draft")
    assert provider.recent(mapping_set, 5) == []
    assert [(ref.id, ref.name) for ref in provider.recent(mapping_set, 2, ask=True)] == [
        ("0", "Firm 0"),
        ("1", "Firm 1"),
    ]


def test_records_are_read_with_every_known_field_and_one_that_fails_costs_no_other(source: Source) -> None:
    mapping_set = make.make_mapping_set(state="draft")
    found = provided.FlowSamples().load(mapping_set, ["3", "9", "4", "3"])
    assert [(one.id, one.record and one.record.fields["Name"], one.error) for one in found] == [
        ("3", "Firm 3", ""), ("9", None, "Not there"), ("4", "Firm 4", ""),
    ]  # fmt: skip
    assert set(source.asked[0]["customer"]) == set(CUSTOMER.fields)
    assert found[0].extra["source"]["account_id"] == mapping_set.integration.ledger_account.remote_id
    assert samples.load_text(samples.dump(found[0])) == found[0]


def test_a_schema_is_asked_again_and_kept_with_its_time(source: Source) -> None:
    mapping_set = make.make_mapping_set(state="draft")
    account = mapping_set.integration.crm_account
    account.schemas = {"company": {"at": "2020-01-01T00:00:00+00:00", "schema": dump_schema(CUSTOMER)}}
    account.save()
    provided.FlowSamples().describe(mapping_set, "target")
    account.refresh_from_db()
    assert account.schemas["company"]["schema"]["name"] == "company"
    assert account.schemas["company"]["at"] > "2026"


def test_values_that_wait_for_a_line_are_counted_for_the_fields_that_use_the_map() -> None:
    flow = make.make_flow()
    value_map = ValueMap.objects.create(integration=flow.integration, name="Cities")
    for field, value in (("city", "Lund"), ("line.city", "Lund"), ("zip", "222"), ("city", "Malmö")):
        make.make_change(
            flow=flow, state="review", error_code="unmapped_value", error_field=field, error_value=value,
            error_class="configuration",
        )  # fmt: skip
    make.make_change(state="review", error_code="unmapped_value", error_field="city", error_value="Elsewhere")
    found = provided.FlowSamples().unmapped(value_map, {flow.slug: {"city"}})
    assert {(one.value, one.count) for one in found} == {("Lund", 2), ("Malmö", 1)}
