"""Search by anything a caller may read out."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from integrations.models import InboundEvent
from sync import finding
from sync.finding_search import EXACT, PART, PREFIX, search
from sync.models import Change, EntityLink, SearchKey
from tests import factories as make
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db

FIELDS: list[Any] = [(name, f"customer.{name}", {}) for name in ("name", "city", "number", "org", "phone", "status")]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> TinyWorld:
    world = TinyWorld(monkeypatch)
    world.flow.delete()
    world.flow = world.add_flow("named", fields=FIELDS)
    world.customer(1042, name="Nordic Åkeri AB", org="556036-0793", phone="046-12 34 56", status="anna@example.com")
    world.customer(7, name="Nora", org="850709-9805", status="NORA@example.com")
    world.sync()
    return world


@pytest.fixture
def anna(world: TinyWorld, client: Client) -> Client:
    client.force_login(make.make_user("anna", organization=world.integration.organization))
    return client


def titles(user: Any, text: str) -> list[str]:
    return [hit.link.title if hit.link else hit.change.source_title for hit in search(user, text).records]  # type: ignore[union-attr]


SPELLINGS = [
    ("556036-0793", EXACT), ("5560360793", EXACT), ("16556036-0793", EXACT), ("165560360793", EXACT),
    ("SE556036079301", EXACT), (" 556036 0793 ", EXACT), ("1042", EXACT), ("#1042", EXACT),
    ("customer 1042", EXACT), ("ANNA@example.com", EXACT), ("nordic  åkeri ab", EXACT), ("Nordic Å", PREFIX),
    ("KERI", PART), ("046-123456", EXACT), ("anna@", PREFIX),
]  # fmt: skip


def test_a_record_is_found_however_it_is_spelled(world: TinyWorld) -> None:
    user = make.make_superuser()
    for text, rank in SPELLINGS:
        found = search(user, text).records
        assert [hit.link.title for hit in found if hit.link] == ["Nordic Åkeri AB"], text
        assert found[0].match.rank == rank, text


def test_better_matches_come_first_and_others_are_not_found(world: TinyWorld) -> None:
    user = make.make_superuser()
    for number, name in ((20, "Xnor"), (21, "Nor"), (22, "Norrland")):
        world.customer(number, name=name)
    world.sync()
    assert titles(user, "nor") == ["Nor", "Nora", "Nordic Åkeri AB", "Norrland"]
    assert titles(user, "rrlan") == ["Norrland"]
    for nothing in ("", "   ", "\x00", "%", "_", "%%%", "' OR 1=1 --", "556036-0794", "x" * 5000, "🜁", "(((", "\\"):
        assert not search(user, nothing).records, nothing
    assert not search(make.make_user(organization=make.make_organization()), "nordic").anything
    assert not search(make.make_user(), "nordic").anything


def test_numbers_of_ours_ids_references_and_correlations(world: TinyWorld) -> None:
    user = make.make_superuser()
    link = EntityLink.objects.get(ledger_id="1042")
    change = Change.objects.get(source_id="1042")
    run = change.run
    assert run is not None
    assert [hit.link for hit in search(user, link.crm_id).records if hit.link and hit.link.pk == link.pk]
    assert change in search(user, f"change {change.pk}").changes
    assert search(user, str(run.correlation_id)).runs == [run] and run in search(user, f"run {run.pk}").runs
    bill = make.make_change(flow=world.flow, state="applied", action="create", remote_reference="lb1-abc-77-1")
    assert search(user, "lb1-abc-77-1").changes == [bill]
    InboundEvent.objects.create(
        account=world.integration.ledger_account, dedupe_key="1", object="customer", record_id="1042", kind="updated"
    )
    assert [event.record_id for event in search(user, "1042").events] == ["1042"]


def test_what_was_never_linked_is_found_with_what_it_needs(world: TinyWorld) -> None:
    world.customer(55, name="Unlinked AB", org="212000-0142")
    world.crm.refuse["Unlinked AB"] = make_refusal()
    world.sync()
    user = make.make_superuser()
    found = search(user, "212000-0142")
    assert found.records[0].change is not None and found.records[0].change.source_id == "55"
    assert [row.source_id for row in found.failures] == ["55"]


def make_refusal() -> Any:
    from integrations.errors import InvalidData

    return InvalidData("no", code="bad")


def test_the_page_groups_masks_and_costs_the_same(
    world: TinyWorld, anna: Client, django_assert_max_num_queries: Any
) -> None:
    page = reverse("admin:search")
    empty = anna.get(page).content.decode()
    assert "556036-0793" in empty and "what the caller reads out" in empty.lower()
    shown = anna.get(page, {"q": "nor"}).content.decode()
    assert "Nordic Åkeri AB" in shown and "Open the record" in shown
    sole = anna.get(page, {"q": "8507099805"}).content.decode()
    assert "850709-••••" in sole and "9805" not in sole.replace("8507099805", "", 2)
    nothing = anna.get(page, {"q": "<script>alert(1)</script>"}).content.decode()
    assert "Nothing is known under" in nothing and "<script>alert" not in nothing
    with django_assert_max_num_queries(12):
        anna.get(page, {"q": "1042"})
    for number in range(200, 240):
        world.customer(number, name=f"Nordic {number}")
    for _round in range(7):
        world.sync()
    for text in ("nordic", "1042", "xyzzy", "200"):
        with django_assert_max_num_queries(12):
            anna.get(page, {"q": text})
    many = anna.get(page, {"q": "nordic"}).content.decode()
    assert "See all in the list" in many and many.count("Open the record") == 8


def test_keys_are_stored_once_in_one_statement_and_filled_in_later(
    world: TinyWorld, django_assert_num_queries: Any
) -> None:
    before = set(SearchKey.objects.values_list("record_id", "kind", "value"))
    assert ("1042", "org", "5560360793") in before and ("1042", "email", "anna@example.com") in before
    changes = list(Change.objects.filter(state="applied"))
    with django_assert_num_queries(1):
        finding.remember(world.flow, changes)
    assert set(SearchKey.objects.values_list("record_id", "kind", "value")) == before
    SearchKey.objects.all().delete()
    call_command("index_records")
    assert set(SearchKey.objects.values_list("record_id", "kind", "value")) >= {("1042", "name", "nordic åkeri ab")}
    for value in ("2026-01-31", "12 500,00", "Lund", "0.5", "a" * 300, "", None, {"x": 1}, ["q"]):
        assert finding.keys_of("", [value]) == [], value
