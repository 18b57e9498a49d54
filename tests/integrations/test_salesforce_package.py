"""The package for a Salesforce org: what it brings, and that its parts fit together.

Whether Salesforce's own converter reads it is checked by `make package`; here the same files are looked at from the
product's side. Salesforce: Metadata API guide, custom fields, permission sets, flows, outbound messages.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from integrations.salesforce.components import (
    METADATA,
    NAMESPACE,
    PARTS,
    expected_fields,
    permission_sets,
)
from integrations.salesforce.deploy_files import SOURCE
from tests.integrations.salesforce_metadata import every_field, parsed, texts

STATUSES = ("Draft", "Unbooked", "Booked", "Sent", "Partly paid", "Paid", "Overdue", "Credited", "Cancelled")
IDENTITY = "Fortnox_Key Fortnox_Company Fortnox_Synced_At"
DOCUMENT = (
    "Fortnox_Invoice Fortnox_Invoice_Number Fortnox_Status Fortnox_Sync_Status Fortnox_Sync_Message Fortnox_Company "
    "Fortnox_Net Fortnox_VAT Fortnox_Total Fortnox_Balance Fortnox_Currency Fortnox_Rate Fortnox_Invoice_Date "
    "Fortnox_Due_Date Fortnox_Paid_Date Fortnox_Credit_Number"
)
BROUGHT = {
    "Account": f"{IDENTITY} Fortnox_Customer_Number Fortnox_Organisation_Number Fortnox_VAT_Number Fortnox_Email "
    "Fortnox_Invoice_Email Fortnox_Payment_Terms Fortnox_VAT_Type Fortnox_Active",
    "Contact": f"{IDENTITY} Fortnox_Customer_Number Fortnox_Organisation_Number",
    "Product2": f"{IDENTITY} Fortnox_Article_Number Fortnox_VAT_Percent Fortnox_Unit",
    "PricebookEntry": "Fortnox_Key",
    "Opportunity": DOCUMENT,
    "Order": DOCUMENT,
    "Fortnox_Invoice__c": f"{IDENTITY} Account Contact Opportunity Order Source_Id Status Invoice_Date Due_Date "
    "Paid_Date Reminder_Date Booked_At Voucher Net VAT Total Balance Rounding Invoice_Currency Rate OCR Credit_Of "
    "Credited_By Fortnox_URL",
}


# What it brings


def test_it_brings_the_fields_that_mappings_use() -> None:
    assert {name: {field.name for field in fields} for name, fields in expected_fields().items()} == {
        name: {f"{field}__c" for field in fields.split()} for name, fields in BROUGHT.items()
    }


def test_only_the_key_identifies_and_numbers_may_repeat_between_companies() -> None:
    fields = every_field()
    keys = [field for field in fields if field.name == "Fortnox_Key__c"]
    numbers = [field for field in fields if field.name in {"Fortnox_Customer_Number__c", "Fortnox_Article_Number__c"}]
    assert len(keys) == 5 and len(numbers) == 3
    assert all((f.type, f.length, f.external_id, f.unique) == ("Text", 80, True, True) for f in keys)
    assert all((f.type, f.length, f.external_id, f.unique) == ("Text", 64, True, False) for f in numbers)
    assert {field.name for field in fields if field.unique} == {"Fortnox_Key__c"}


def test_amounts_have_two_decimals_and_rates_six() -> None:
    fields = every_field()
    assert {(f.precision, f.scale) for f in fields if f.type == "Currency"} == {(18, 2)}
    assert {(f.precision, f.scale) for f in fields if f.name in {"Rate__c", "Fortnox_Rate__c"}} == {(18, 6)}
    assert {(f.precision, f.scale) for f in fields if f.name == "Fortnox_VAT_Percent__c"} == {(5, 2)}


def test_the_states_of_an_invoice_are_the_same_everywhere() -> None:
    picklists = {field.full_name: field.picklist for field in every_field() if field.type == "Picklist"}
    sync = {name: values for name, values in picklists.items() if "Sync" in name}
    assert set(sync.values()) == {("Not Sent", "Pending", "Synced", "Error", "Skipped")} and len(sync) == 2
    assert {values for name, values in picklists.items() if name not in sync} == {STATUSES} and len(picklists) == 5


def test_every_type_has_a_name_in_describe_calls() -> None:
    assert {field.described_type for field in every_field()} >= {
        "string",
        "reference",
        "currency",
        "datetime",
        "boolean",
    }


def test_fields_keep_to_the_limits_of_the_platform() -> None:
    for fields in expected_fields().values():
        assert sum(field.external_id for field in fields) <= 25
        assert all(0 < len(field.label) <= 40 and len(field.name.removesuffix("__c")) <= 40 for field in fields)
        assert all(field.length is None or 0 < field.length <= 255 for field in fields)


# Its parts fit together


def test_what_needs_orders_is_apart() -> None:
    parts = {field.full_name: field.part for field in every_field()}
    assert {name for name, part in parts.items() if part == "orders"} == {
        name for name in parts if name.startswith("Order.")
    } | {"Fortnox_Invoice__c.Order__c"}
    mentions = [path for path in (METADATA / "base").rglob("*.*") if re.search(r"\bOrder\b|Order__c", path.read_text())]
    assert mentions == []


def test_lookups_point_at_objects_that_are_there_and_their_lists_have_names_of_their_own() -> None:
    known = {"Account", "Contact", "Opportunity", "Order", "Fortnox_Invoice__c"}
    lists: Counter[tuple[str, str]] = Counter()
    for path in METADATA.rglob("*.object"):
        for field in parsed(path).iterfind(f"{{{NAMESPACE}}}fields"):
            for target, name in zip(texts(field, "referenceTo"), texts(field, "relationshipName"), strict=True):
                assert target in known
                lists[target, name] += 1
    assert len(lists) == 8 and set(lists.values()) == {1}


@pytest.mark.parametrize("part", PARTS)
def test_the_integration_may_write_every_field_and_a_user_reads_them_all(part: str) -> None:
    suffix = "" if part == "base" else "_Orders"
    fields = {field.full_name for field in every_field() if field.part == part and not field.required}
    integration, user = permission_sets()[f"Fortnox_Integration{suffix}"], permission_sets()[f"Fortnox_User{suffix}"]
    assert (integration.part, user.part) == (part, part)
    assert dict(integration.fields) == dict.fromkeys(fields, True)
    assert set(user.fields) == fields
    document = "Opportunity" if part == "base" else "Order"
    # What an invoice needs of an account or a contact is filled in by sales people; the status is their button.
    named = ("Email", "Invoice_Email", "Organisation_Number", "VAT_Number")
    theirs = {f"Account.Fortnox_{name}__c" for name in named} | {"Contact.Fortnox_Organisation_Number__c"}
    expected = {f"{document}.Fortnox_Sync_Status__c"} | (theirs if part == "base" else set())
    assert {name for name, edit in user.fields.items() if edit} == expected


def test_layout_list_and_button_show_fields_that_exist() -> None:
    own = {field.name for field in expected_fields()["Fortnox_Invoice__c"] if field.part == "base"} | {"Name"}
    shown = texts(parsed(next(METADATA.rglob("*.layout"))), "field")
    assert set(shown) == own and len(shown) == len(own)
    invoice = parsed(METADATA / "base/objects/Fortnox_Invoice__c.object")
    columns = texts(invoice, "columns") + texts(invoice, "customTabListAdditionalFields")
    assert set(columns) - {"NAME"} <= own
    for path in METADATA.rglob("*.quickAction"):
        assert texts(parsed(path), "literalValue") == ["Pending"]
        assert texts(parsed(path), "targetObject") == [path.name.partition(".")[0]]


def test_flows_send_messages_that_exist_and_are_silent_about_the_integration_itself() -> None:
    messages = {
        f"{path.stem}.{name}"
        for path in METADATA.rglob("*.workflow")
        for entry in parsed(path).iterfind(f"{{{NAMESPACE}}}outboundMessages")
        for name in texts(entry, "fullName")
    }
    flows = [parsed(path) for path in METADATA.rglob("*.flow")]
    assert {name for flow in flows for name in texts(flow, "actionName")} == messages and len(messages) == 3
    for flow in flows:
        assert texts(flow, "filterFormula")[0].startswith("AND(NOT({!$Permission.Fortnox_Own_Writes}), ")
        fields = set(re.findall(r"\$Record\.(Fortnox_\w+)", texts(flow, "filterFormula")[0]))
        assert fields <= {field.name for field in expected_fields()[texts(flow, "object")[0]]}
    holders = {p.stem for p in METADATA.rglob("*.permissionset") if b"<name>Fortnox_Own_Writes" in p.read_bytes()}
    assert holders == {"Fortnox_Integration"}


def test_users_may_open_every_page_of_the_card() -> None:
    pages = {path.stem for path in METADATA.rglob("*.page")}
    opened = {page for path in METADATA.rglob("Fortnox_User*") for page in texts(parsed(path), "apexPage")}
    assert opened == pages == {"Fortnox_Account", "Fortnox_Opportunity", "Fortnox_Order"}


def twin(path: Path, part: str) -> Element:
    """What the converter made of one file of the source project: a file of its own, or a field inside an object."""
    name = path.name.removesuffix("-meta.xml")
    if path.parent.name == "fields":
        owner = parsed(METADATA / part / "objects" / f"{path.parent.parent.name}.object")
        fields = {texts(field, "fullName")[0]: field for field in owner.iterfind(f"{{{NAMESPACE}}}fields")}
        return fields[name.removesuffix(".field")]
    # A page is a file beside its description; every other component is described by its only file.
    name = path.name if path.parent.name == "pages" else name
    return parsed(METADATA / part / path.parent.name / name)


@pytest.mark.parametrize(("part", "folder"), [("base", "force-app"), ("orders", "force-app-orders")])
def test_what_is_deployed_is_what_the_source_project_says(part: str, folder: str) -> None:
    # Of an object's own description only its fields are compared here; the rest is the converter's check.
    described = [
        p for p in (SOURCE / folder).rglob("*-meta.xml") if "objects" not in p.parts or p.parent.name == "fields"
    ]
    for path in described:
        source, made = (
            [(e.tag, (e.text or "").strip()) for e in root] for root in (all_of(parsed(path)), all_of(twin(path, part)))
        )
        assert source == made, path
    fields = {
        f"{path.parent.parent.name}.{path.name.partition('.')[0]}" for path in described if path.parent.name == "fields"
    }
    assert fields == {field.full_name for field in every_field() if field.part == part}


def all_of(root: Element) -> list[Element]:
    return list(root.iter())[1:]


def test_one_version_of_the_api_everywhere() -> None:
    versions = {
        version
        for path in METADATA.rglob("*.*")
        for version in re.findall(r"<(?:apiVersion|version)>([^<]*)<", path.read_text())
    }
    assert versions == {"67.0"}
