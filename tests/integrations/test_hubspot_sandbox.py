"""The HubSpot connector over real HTTP: round trips and exact call counts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from integrations import http
from integrations.connector import FieldType, Record, Setup, Write
from integrations.errors import InvalidData, Misconfigured, Missing
from integrations.hubspot import schema
from mappings.presets.loading import available
from tests.integrations.clients import connector, in_sandbox, set_vendor
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
COMPANY = {"company": frozenset({"name", "zip"})}


def _setups() -> list[Setup]:
    return [preset.setup for preset in available("hubspot", "fortnox")]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess("--customers", "0", "--invoices", "0", "--accounts", "20", "--no-limits") as process:
        yield process


@pytest.fixture(autouse=True)
def _no_limits(settings) -> None:  # type: ignore[no-untyped-def]
    set_vendor(settings, "hubspot", rate=(0, 10.0), search_rate=(0, 1.0))
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    schema.clear_cache()


@pytest.fixture
def hubspot(sandbox: SandboxProcess) -> Any:
    """A portal in which everything is prepared."""
    portal = connector(in_sandbox(sandbox, "hubspot"))
    portal.ids = {}
    for setup in _setups():
        portal.ids |= portal.prepare(setup)
    return portal


def _companies(tag: str, count: int, **fields: Any) -> list[Write]:
    return [
        Write(str(n), fields={"name": f"{tag} {n} AB", **fields}, unique=("fortnox_key", f"{tag}:{n}"))
        for n in range(count)
    ]


def _deal(hubspot: Any, key: str, lines: int = 3, **more: Any) -> Write:
    fields = {
        "dealname": f"Faktura {key}",
        "amount": Decimal("999.60"),
        "deal_currency_code": "SEK",
        "closedate": datetime(2026, 12, 24, tzinfo=UTC),
        "final_pay_date_in_fortnox": date(2026, 1, 2),
        "pipeline": hubspot.ids["pipeline_fortnox_invoices"],
        "dealstage": hubspot.ids["stage_unpaid"],
    }
    rows = [
        {"name": f"Rad {n}", "quantity": Decimal("2"), "price": Decimal("10.50"), "fortnox_key": f"{key}:{n}"}
        for n in range(lines)
    ]
    return Write(key, fields=fields, unique=("fortnox_key", key), lines=rows, **more)


def test_preparing_twice_creates_nothing_and_gives_the_same_ids(hubspot: Any) -> None:
    assert set(hubspot.ids) == {
        "pipeline_fortnox_invoices",
        "stage_unpaid",
        "stage_paid",
        "stage_overdue",
        "stage_credited",
    }
    with http.counting() as calls:
        again = {k: v for setup in _setups() for k, v in hubspot.prepare(setup).items()}
    assert again == hubspot.ids
    assert not [kind for _system, kind in calls if "create" in kind]


def test_a_property_of_another_type_is_named_and_not_changed(hubspot: Any) -> None:
    for definition, code in (
        ({"name": "fortnox_id", "type": "number"}, "property_type"),
        ({"name": "fortnox_id", "type": "string", "unique": True}, "property_not_unique"),
    ):
        with pytest.raises(Misconfigured) as caught:
            hubspot.prepare(Setup(fields={"company": [definition]}))
        assert (caught.value.field, caught.value.code) == ("fortnox_id", code)


def test_a_stored_pipeline_that_is_gone_blocks_until_told_to_make_it_again(hubspot: Any) -> None:
    pipeline: dict[str, Any] = {"object": "deal", "label": "Borta", "id": "999999", "stages": []}
    with pytest.raises(Misconfigured) as caught:
        hubspot.prepare(Setup(pipelines={"p": pipeline}))
    assert caught.value.code == "pipeline_missing"


def test_a_thousand_companies_cost_ten_calls_and_repeating_creates_none(hubspot: Any) -> None:
    writes = _companies("tusen", 1000)
    for created in (True, False):
        with http.counting() as calls:
            outcomes = list(hubspot.upsert("company", writes))
        assert calls["hubspot", "company.batch_upsert"] == 10
        assert {(o.error, o.created) for o in outcomes} == {(None, created)}
    assert outcomes[7].returned == {"name": "tusen 7 AB"}
    assert outcomes[7].url == hubspot.record_url("company", outcomes[7].id)


def test_one_bad_record_in_a_batch_fails_alone(hubspot: Any) -> None:
    writes = _companies("gift", 100)
    writes[42] = Write("42", fields={"nosuch": "x"}, unique=("fortnox_key", "gift:42"))
    with http.counting() as calls:
        outcomes = list(hubspot.upsert("company", writes))
    assert [o.key for o in outcomes if o.error] == ["42"]
    assert isinstance(outcomes[42].error, Misconfigured)
    assert outcomes[42].error.field == "nosuch"
    assert calls["hubspot", "company.batch_upsert"] <= 14


def test_two_writes_of_one_key_do_not_meet_in_a_batch(hubspot: Any) -> None:
    twins = [Write(k, fields={"name": k}, unique=("fortnox_key", "tvilling")) for k in ("a", "b")]
    first, second = hubspot.upsert("company", twins)
    assert first.id == second.id
    assert (first.error, second.error) == (None, None)


def test_updates_by_id_report_the_records_that_are_gone(hubspot: Any) -> None:
    (made,) = hubspot.upsert("company", _companies("id", 1))
    good, gone = hubspot.upsert(
        "company", [Write("g", id=made.id, fields={"city": "Växjö"}), Write("m", id="1", fields={"city": "x"})]
    )
    assert (good.error, good.returned) == (None, {"city": "Växjö"})
    assert isinstance(gone.error, Missing)


def test_deals_get_lines_company_and_keep_their_amount(hubspot: Any) -> None:
    (company,) = hubspot.upsert("company", _companies("bolag", 1))
    with http.counting() as calls:
        outcomes = list(
            hubspot.upsert("deal", [_deal(hubspot, f"d{n}", links={"company": company.id}) for n in range(200)])
        )
    assert {o.error for o in outcomes} == {None}
    del calls["hubspot", "deal.properties"], calls["hubspot", "line_item.properties"]
    assert calls == {
        ("hubspot", "deal.batch_upsert"): 2,
        ("hubspot", "line_item.batch_upsert"): 6,
        ("hubspot", "deal.line_item.associate"): 1,
        ("hubspot", "deal.batch_update"): 2,
        ("hubspot", "deal.company.associate"): 1,
    }
    assert set(outcomes[0].line_ids) == {"d0:0", "d0:1", "d0:2"}
    assert outcomes[0].returned["closedate"] == datetime(2026, 12, 24, tzinfo=UTC)
    wanted = {
        "deal": frozenset({"amount", "final_pay_date_in_fortnox"}),
        "company": frozenset({"name"}),
        "line": frozenset({"name", "quantity", "amount"}),
    }
    (deal,) = hubspot.load("deal", [outcomes[0].id], wanted)
    assert deal.fields == {"amount": Decimal("999.6"), "final_pay_date_in_fortnox": date(2026, 1, 2)}
    assert deal.parts["company"] == {"name": "bolag 0 AB"}
    assert [line["amount"] for line in deal.lines] == [Decimal(21)] * 3


def test_a_smaller_line_set_archives_ours_and_spares_a_persons(hubspot: Any) -> None:
    (made,) = hubspot.upsert("deal", [_deal(hubspot, "rader")])
    (own,) = [hubspot.create("line_item", Write("x", fields={"name": "Egen rad", "quantity": Decimal(1)}))]
    hubspot._reader.links.set("deal", "line_item", [(made.id, own.id)])
    update = Write("rader", id=made.id, lines=[{"name": "Kvar", "line_key": "rader:0", "quantity": Decimal(1)}])
    (outcome,) = hubspot.upsert("deal", [update])
    assert outcome.error is None
    wanted = {"deal": frozenset({"amount"}), "line": frozenset({"name"})}
    (deal,) = hubspot.load("deal", [made.id], wanted)
    assert {line["name"] for line in deal.lines} == {"Kvar", "Egen rad"}
    assert deal.fields["amount"] == Decimal("999.6")


def test_look_ups_are_exact_after_normalising(hubspot: Any) -> None:
    list(hubspot.upsert("company", _companies("Sök", 120)))

    def spell(value: str) -> list[str]:
        return [value, value.upper()]

    with http.counting() as calls:
        found = hubspot.find("company", "fortnox_key", ["Sök:1", "none"], lambda v: [v], lambda v: v, frozenset())
    assert {k: len(v) for k, v in found.items()} == {"Sök:1": 1}
    assert calls["hubspot", "company.batch_read"] == 1
    names = [f"sök {n} ab" for n in range(120)]
    with http.counting() as calls:
        found = hubspot.find("company", "name", [*names, "sök"], spell, str.lower, frozenset({"name"}))
    assert set(found) == set(names)
    assert calls["hubspot", "company.search"] <= 4
    with pytest.raises(Misconfigured):
        hubspot.find("company", "nosuch", ["x"], spell, str.lower, frozenset())


def test_a_full_scan_walks_the_list_and_a_delta_the_search(hubspot: Any) -> None:
    list(hubspot.upsert("company", _companies("skanna", 450)))
    with http.counting() as calls:
        pages = list(hubspot.changed("company", None, COMPANY))
    records = {r.id: r for p in pages for r in p.records}
    assert calls["hubspot", "company.list"] == -(-len(records) // 100) == len(pages)
    assert [p.cursor is not None for p in pages] == [False] * (len(pages) - 1) + [True]
    resumed = list(hubspot.changed("company", None, COMPANY, resume=pages[1].resume))
    assert len(resumed) == len(pages) - 2
    assert hubspot.count("company") == len(records)

    changed = list(hubspot.changed("company", pages[-1].cursor, COMPANY))
    ids = [r.id for p in changed for r in p.records]
    assert len(ids) == len(set(ids))
    assert {r.id for r in records.values() if str(r.fields["name"]).startswith("skanna")} <= set(ids)


def test_a_delta_of_many_pages_sees_every_record(hubspot: Any, sandbox: SandboxProcess) -> None:
    sandbox.control("POST", "/clock", {"advance_seconds": 120})
    list(hubspot.upsert("company", _companies("stämpel", 900)))
    since = hubspot._client.api.call("GET", "/account-info/2026-09/details").remote_time
    seen = [r.fields["name"] for p in hubspot.changed("company", since.isoformat(), COMPANY) for r in p.records]
    assert {f"stämpel {n} AB" for n in range(900)} <= set(seen)


def test_the_schema_has_types_currencies_pipelines_and_lines(hubspot: Any) -> None:
    deal = hubspot.describe("deal")
    assert deal.lines == "line"
    assert set(deal.parts) == {"company", "contact", "line"}
    assert deal.fields["amount"].type is FieldType.NUMBER
    assert deal.fields["closedate"].type is FieldType.DATETIME
    assert not deal.fields["hs_object_id"].writable
    assert deal.fields["fortnox_key"].unique
    assert "SEK" in {o.value for o in deal.fields["deal_currency_code"].options}
    assert hubspot.ids["stage_paid"] in {o.value for o in deal.fields["dealstage"].options}
    assert not deal.parts["line"]["amount"].writable
    with pytest.raises(Misconfigured):
        hubspot.describe("order")


def test_the_readiness_board_of_a_prepared_portal(hubspot: Any) -> None:
    lines = {line.code: line.level for line in hubspot.check()}
    assert lines["token"] == lines["scopes"] == lines["pipeline"] == "ok"
    assert lines["key_company"] == lines["key_line_item"] == "ok"


def test_a_bad_value_is_refused_with_its_property(hubspot: Any) -> None:
    (outcome,) = hubspot.upsert("deal", [_deal(hubspot, "fel", lines=0, links={})][:1])
    assert outcome.error is None
    (bad,) = hubspot.upsert("deal", [Write("x", id=outcome.id, fields={"dealstage": "nosuch"})])
    assert isinstance(bad.error, InvalidData)
    (currency,) = hubspot.upsert("deal", [Write("x", id=outcome.id, fields={"deal_currency_code": "BRL"})])
    assert isinstance(currency.error, Misconfigured)
    assert (currency.error.field, currency.error.value) == ("deal_currency_code", "BRL")


def test_what_is_gone_is_an_error_of_its_own(hubspot: Any) -> None:
    (made,) = hubspot.upsert("company", _companies("borta", 1))
    loaded = list(hubspot.load("company", [made.id, "1"], COMPANY))
    assert isinstance(loaded[0], Record)
    assert isinstance(loaded[1][1], Missing)


def test_a_person_s_search_is_one_call_and_finds_words_wherever_they_begin(hubspot: Any) -> None:
    """Every word of the text, bounded; hostile text is data."""
    list(hubspot.upsert("company", _companies("Söktorp Bygg", 25)))
    with http.counting() as calls:
        found = hubspot.search("company", "name", "BYGG söktorp", frozenset({"zip"}), 20)
    assert calls == {("hubspot", "company.search"): 1} and len(found) == 20
    assert [row.title for row in hubspot.search("company", "name", "söktorp 24", frozenset(), 20)] == [
        "Söktorp Bygg 24 AB"
    ]
    for text in ("*", "'; DROP TABLE", "zzzz*", "\u202e", "x" * 100):
        assert hubspot.search("company", "name", text, frozenset(), 20) == []
    with pytest.raises(Misconfigured):
        hubspot.search("company", "no_such_property", "a", frozenset(), 20)
