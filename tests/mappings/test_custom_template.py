"""Templates become presets of a customer's own object: only with real names, and only with what was chosen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from integrations.connector import FieldSchema, FieldType, ObjectSchema, Record
from mappings.mapper import map_record
from mappings.models import compile_mapping
from mappings.models.compiling import check_mapping
from mappings.presets import Preset, available, draft_of, fill, preset_of, settings_of
from mappings.presets.templates import INVOICES, STATES
from mappings.schemas import dump_schema
from tests.factories import make_account, make_integration

pytestmark = pytest.mark.django_db

PAIR = ("salesforce", "fortnox")
CHOSEN = {
    "name": "job", "account": "Account__c", "title": "Name", "date": "Day__c", "code": "Code__c", "text": "Text__c",
    "quantity": "Hours__c", "price": "Rate__c",
}  # fmt: skip
SETTINGS = {spec["name"]: spec["default"] for spec in settings_of(*PAIR, "job-to-invoices")}


def schema() -> ObjectSchema:
    def fields(**types: FieldType) -> dict[str, FieldSchema]:
        return {name: FieldSchema(name, name, kind) for name, kind in types.items()}

    text, number = FieldType.STRING, FieldType.NUMBER
    own = fields(
        Id=text, Name=text, Account__c=text, Day__c=FieldType.DATE, Currency__c=text, Sum__c=number, Ref__c=text,
        Status__c=text, Message__c=text, currency=text,
    )  # fmt: skip
    line = fields(Code__c=text, Text__c=text, Hours__c=number, Rate__c=number, Off__c=number)
    account = fields(Id=text, Name=text, Fortnox_Organisation_Number__c=text)
    owner = fields(Name=text)
    parts = {"line": line, "account": account, "owner": owner}
    return ObjectSchema("salesforce", "job", "Job", "Id", own, parts, lines="line", title="Name")


def made(**more: str) -> Preset:
    return fill(*PAIR, INVOICES, CHOSEN | more, "Jobb")


def mapped(*lines: dict[str, Any], chosen: dict[str, str], **fields: Any) -> Any:
    entry = {"at": "2026-11-21T00:00:00+00:00", "schema": dump_schema(schema())}
    integration = make_integration(crm=make_account(system="salesforce", schemas={"job": entry}))
    draft = draft_of(integration, made(**chosen))
    check_mapping(draft)
    own = {"Id": "a01", "Name": "J-1", "Account__c": "001", "currency": "SEK"} | fields
    parts = {"account": {"Fortnox_Organisation_Number__c": "5560360793"}, "owner": {"Name": "Eva"}}
    given: Any = {"source": {"account_id": "o", "currency": "SEK"}, "setup": {}, "setting": SETTINGS}
    record = Record(
        "job", "a01", own, parts, [{name: line.get(name) for name in schema().parts["line"]} for line in lines]
    )
    return map_record(compile_mapping(draft), record, given, None)


LINE = {
    "Code__c": "A-1",
    "Text__c": "Arbete",
    "Hours__c": Decimal(2),
    "Rate__c": Decimal("99.99"),
    "Off__c": Decimal(10),
}


@pytest.mark.parametrize(
    ("chosen", "promise", "discount"),
    [
        ({}, "199.98", {}),
        ({"discount_percent": "Off__c"}, "179.98", {"Discount": Decimal(10), "DiscountType": "PERCENT"}),
        ({"discount_amount": "Off__c"}, "189.98", {"Discount": Decimal(10), "DiscountType": "AMOUNT"}),
        ({"amount": "Sum__c"}, "500", {}),
    ],
)
def test_what_was_chosen_is_mapped_and_what_was_not_is_left_out(
    chosen: dict[str, str], promise: str, discount: dict[str, Any]
) -> None:
    result = mapped(LINE, chosen=chosen, Sum__c=Decimal(500))
    assert [problem.code for problem in result.problems] == []
    assert result.promise == Decimal(promise)
    assert result.lines == [
        {"ArticleNumber": "A-1", "Description": "Arbete", "DeliveredQuantity": Decimal(2), "Price": Decimal("99.99")}
        | discount
    ]
    assert result.links == {"customer": "001"} and result.title == "J-1"


@pytest.mark.parametrize(("chosen", "currency"), [({}, "SEK"), ({"currency": "Currency__c"}, "NOK")])
def test_the_currency_is_the_records_own_or_the_orgs(chosen: dict[str, str], currency: str) -> None:
    result = mapped(LINE, chosen=chosen, Currency__c="NOK")
    assert (result.fields["Currency"], result.promise_currency) == (currency, currency)


def test_records_without_lines_or_account_are_stopped() -> None:
    codes = {problem.code for problem in mapped(chosen={}, Account__c=None).problems}
    assert {"has_lines", "account_known"} <= codes


@pytest.mark.parametrize(
    "evil", ["Rate__c) or (1", "__import__('os')", "a.b", "${name}", "Rate__c\n", "1a", "Å__c", "x" * 101]
)
def test_what_is_no_name_never_becomes_an_expression(evil: str) -> None:
    with pytest.raises(ValueError, match="price"):
        made(price=evil)


def test_a_label_is_only_ever_read_by_people() -> None:
    preset = fill(*PAIR, INVOICES, CHOSEN, 'job.x + "${price}"')
    assert preset.name == 'job.x + "${price}" to invoices'
    plain = made()
    assert (preset.mapping, preset.flow) == (plain.mapping, plain.flow)


def test_what_cannot_be_done_without_is_asked_for() -> None:
    with pytest.raises(KeyError):
        fill(*PAIR, INVOICES, CHOSEN | {"date": ""}, "Jobb")


def test_records_with_our_fields_are_sent_by_them_and_told() -> None:
    plain, full = made(), made(sync_status="Status__c", sync_message="Message__c")
    assert "Pending" not in plain.flow["filter"] and 'job.Status__c == "Pending"' in full.flow["filter"]
    assert full.setup.fields == {"job": [{"name": "Status__c"}, {"name": "Message__c"}]}
    assert plain.flow["follow_up"] == "" and made(follow_up="job").flow["follow_up"] == "invoice-status-to-job"


def test_states_go_back_into_the_fields_that_there_are() -> None:
    number = "Fortnox_Invoice_Number__c"
    states = fill(*PAIR, STATES, {"name": "job", number: number}, "Jobb")
    assert [row["target"] for row in states.mapping["fields"]] == [number]
    assert states.mapping["links"] == [] and states.target["object"] == "job"
    assert fill(*PAIR, STATES, {"name": "job"}, "Jobb").mapping["fields"] == []


def test_a_flow_finds_the_settings_of_its_template() -> None:
    orders = {spec["name"] for spec in settings_of(*PAIR, "orders-to-invoices")}
    assert set(SETTINGS) == orders - {"require_activated"}
    assert all(preset_of(*PAIR, preset.slug) == preset for preset in available(*PAIR))
    states = preset_of(*PAIR, "invoice-status-to-job")
    assert states is not None and states.flow["takes"] == "returned"
    for slug in ("job-to-", "Job-to-invoices", "-to-invoices", "a-b-to-invoices"):
        assert preset_of(*PAIR, slug) is None
    assert preset_of("hubspot", "fortnox", "job-to-invoices") is None
    assert preset_of("..", "fortnox", "job-to-invoices") is None
