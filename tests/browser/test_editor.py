"""The mapping editor and value maps, used in a real browser: mistakes as one types, picking, order, two people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from integrations.connector import FieldSchema, FieldType, Option, Record
from mappings import samples
from mappings.models import MappingSet, ValueMap, ValueMapEntry
from mappings.models.editor import touched
from mappings.samples import Sample, SampleRef, Seen
from mappings.schemas import dump_schema
from tests import factories as make
from tests.browser.test_admin import fits
from tests.mappings import world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class Shelf:
    """Samples without a remote."""

    def recent(self, mapping_set: MappingSet, n: int, *, ask: bool = False) -> list[SampleRef]:
        return [SampleRef("1042", "Åkers Järn AB")]

    def load(self, mapping_set: MappingSet, ids: Sequence[str]) -> list[Sample]:
        fields: dict[str, Any] = {"Name": "Åkers Järn AB", "City": "Lund", "CustomerNumber": "1042", "Phone1": None}
        return [Sample(key, Record("customer", key, fields, title="Åkers Järn AB")) for key in ids]

    def describe(self, mapping_set: MappingSet, side: str) -> None:
        raise AssertionError("not pressed here")

    def unmapped(self, value_map: ValueMap, fields: Mapping[str, set[str]]) -> list[Seen]:
        return [Seen("Göteborg", 7, "review")]

    def linked(self, mapping_sets: Sequence[MappingSet]) -> dict[int, int]:
        return {one.pk: 12 for one in mapping_sets}


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_provider", [Shelf()])


@pytest.fixture
def admin(sign_in: Any, shelf: None) -> Page:
    """The browser of somebody who may do everything."""
    return sign_in(make.make_superuser("anna"))  # type: ignore[no-any-return]


def a_draft() -> MappingSet:
    draft = world.draft(world.integration(described=True))
    for number, (target, source) in enumerate(
        [("name", "customer.Name"), ("city", "customer.City"), ("phone", "customer.Phone1")]
    ):
        world.field(draft, target, source, position=number)
    return draft


def opened(page: Page, draft: MappingSet) -> Page:
    page.goto(f"/admin/mappings/mappingset/{draft.pk}/change/")
    expect(page.locator("[data-problem-count]")).to_be_visible()
    expect(page.locator("[data-up]").first).to_be_visible()
    return page


def targets(page: Page) -> list[str]:
    return [box.input_value() for box in page.locator("[data-list] [name$=-target_field]").all()]


def save(page: Page) -> None:
    page.locator("input[name=_continue]").click()
    page.wait_for_load_state()


def test_mistakes_are_shown_as_one_types_and_values_beside_each_row(admin: Page) -> None:
    draft = a_draft()
    page = opened(admin, draft)
    fits(page)
    page.locator("[data-recent-list]").select_option("1042")
    row = page.locator("[data-row]").first
    expect(row.locator("[data-value]")).to_have_text("Åkers Järn AB")
    row.locator("[name$=-expression]").fill("upper(customer.Nmae)")
    expect(row.locator("[data-said]")).to_contain_text("Did you mean “Name”?")
    expect(row.locator("mark")).to_have_text("Nmae")
    expect(page.locator("[data-problem-list]")).to_contain_text("Unknown field")
    fits(page)
    row.locator("[name$=-expression]").fill("upper(customer.Name)")
    expect(row.locator("[data-said]")).to_be_empty()
    expect(row.locator("[data-value]")).to_have_text("ÅKERS JÄRN AB")
    expect(page.locator("[data-dirty]")).to_be_visible()
    save(page)
    expect(page.locator(".lb-saved")).to_contain_text("Saved by anna")
    assert draft.field_mappings.get(target_field="name").expression == "upper(customer.Name)"


def test_a_field_is_picked_and_rows_move_by_mouse_and_keyboard(admin: Page) -> None:
    draft = a_draft()
    page = opened(admin, draft)
    page.get_by_role("button", name="Add a row").click()
    row = page.locator("[data-row]").last
    source = row.locator("[name$=-expression]")
    source.press_sequentially("organis")
    option = row.get_by_role("option").first
    expect(option).to_contain_text("customer.OrganisationNumber")
    fits(page)
    source.press("ArrowDown")
    expect(source).to_have_attribute("aria-activedescendant", option.get_attribute("id") or "?")
    source.press("Enter")
    expect(source).to_have_value("customer.OrganisationNumber")
    target = row.locator("[name$=-target_field]")
    target.press_sequentially("organization")
    row.get_by_role("option").first.click()
    expect(target).to_have_value("organization_number_from_fortnox")
    row.get_by_role("button", name="Move up").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-row]").nth(2).locator("[name$=-target_field]")).to_have_value(
        "organization_number_from_fortnox"
    )
    if page.viewport_size and page.viewport_size["width"] > 900:
        page.locator("[data-handle]").nth(0).drag_to(page.locator("[data-row]").nth(2))
        expect(page.locator("[data-list] [name$=-target_field]").nth(0)).to_have_value("city")
    else:
        page.locator("[data-down]").nth(0).click()
    wanted = targets(page)
    assert wanted[0] == "city"
    save(page)
    assert list(draft.field_mappings.values_list("target_field", flat=True)) == wanted
    assert targets(page) == wanted


def test_two_people_meet_and_each_row_is_decided(admin: Page) -> None:
    draft = a_draft()
    page = opened(admin, draft)
    page.locator("[name=field_mappings-0-expression]").fill("trim(customer.Name)")
    for target, source in (("name", "lower(customer.Name)"), ("city", "upper(customer.City)")):
        row = draft.field_mappings.get(target_field=target)
        row.expression = source
        row.save()
    touched(draft, make.make_user("bo"))
    save(page)
    meeting = page.get_by_role("alert").filter(has_text="bo saved this mapping")
    expect(meeting).to_contain_text("lower(customer.Name)")
    expect(meeting.get_by_role("link", name="city")).to_be_visible()
    expect(page.locator("[name=field_mappings-0-expression]")).to_have_value("trim(customer.Name)")
    expect(page.locator("[name=field_mappings-1-expression]")).to_have_value("upper(customer.City)")
    fits(page)
    save(page)
    expect(page.get_by_text("Decide each row that both of you changed, then save again.")).to_be_visible()
    page.get_by_label("Take theirs").check()
    save(page)
    expect(page.locator("[name=field_mappings-0-expression]")).to_have_value("lower(customer.Name)")
    expect(page.locator(".lb-saved")).to_contain_text("Saved by anna")


def test_a_value_that_was_seen_gets_a_line_and_others_are_pasted(admin: Page) -> None:
    draft = a_draft()
    schema = world.COMPANY
    target = FieldSchema("city", "City", FieldType.ENUM, options=(Option("GBG", "Gothenburg"), Option("LUND", "Lund")))
    account = draft.integration.crm_account
    account.schemas["company"]["schema"] = dump_schema(
        type(schema)(schema.system, schema.name, schema.label, schema.key, {**schema.fields, "city": target})
    )
    account.save()
    value_map = ValueMap.objects.create(integration=draft.integration, name="Cities")
    draft.field_mappings.filter(target_field="city").update(value_map=value_map)
    page = admin
    page.goto(f"/admin/mappings/valuemap/{value_map.pk}/change/")
    fits(page)
    expect(page.locator("[data-seen]")).to_contain_text("Göteborg")
    page.get_by_role("button", name="Look at recent records too").click()
    expect(page.locator("[data-seen]")).to_contain_text("Lund")
    page.locator("[data-seen] tr").filter(has_text="Göteborg").get_by_role("link", name="Add").click()
    box = page.locator("[name=entries-0-target_value]")
    expect(box).to_be_focused()
    box.press("ArrowDown")
    expect(page.locator(".lb-pick-option").first).to_contain_text("Gothenburg")
    box.press("Enter")
    expect(box).to_have_value("GBG")
    page.get_by_text("Paste from a spreadsheet").click()
    page.get_by_label("Paste lines").fill("Lund\tLUND\nMalmö\tMMA")
    save(page)
    fits(page)
    found = dict(ValueMapEntry.objects.values_list("source_value", "target_value"))
    assert found == {"Göteborg": "GBG", "Lund": "LUND", "Malmö": "MMA"}
