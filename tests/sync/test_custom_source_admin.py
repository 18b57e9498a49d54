"""The guided page “Invoices from an object of your own”, with an account that says what it has from memory."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from integrations.connector import Feedback, FieldSchema, FieldType, ObjectSchema, Record
from integrations.discovery import FoundLines, FoundObject, FoundReference, FoundShape
from integrations.errors import Transient
from integrations.models import CustomSource, Integration
from mappings.models import LinkRule, MappingSet
from sync import own_objects
from sync.flows import install, toggles
from sync.models import Flow
from sync.own_objects import Chosen
from tests.factories import make_account, make_integration, make_superuser, make_user
from tests.tiny import Remote, TinyConnector

pytestmark = pytest.mark.django_db

WORDS = {"pending": "Pending", "synced": "Synced", "error": "Error", "skipped": "Skipped"}
OURS = ("Fortnox_Sync_Status__c", "Fortnox_Sync_Message__c", "Fortnox_Invoice_Number__c", "Fortnox_Total__c")
FIELDS = {
    "date": "Day__c", "currency": "", "reference": "", "description": "", "amount": "", "title": "Name",
    "code": "Code__c", "text": "Text__c", "quantity": "Hours__c", "price": "Rate__c",
}  # fmt: skip


class Memory:
    """A discovery and its connector in one: one object, “Job”, with lines."""

    taken = frozenset({"order"})

    def __init__(self) -> None:
        self.ours: tuple[str, ...] = ()
        self.shape_ = FoundShape(
            "Job__c", "Jobb", "job", [FoundLines("Rows__r", "Row__c", "Row__c")],
            [FoundReference("Account__c", "Konto", "account"), FoundReference("OwnerId", "Ägare", "owner")],
        )  # fmt: skip
        self.feedback = {"job": Feedback(OURS[0], OURS[1], WORDS)}

    def objects(self) -> list[FoundObject]:
        return [FoundObject("Job__c", "Jobb", True), FoundObject("Asset", "Tillgång", False)]

    def shape(self, remote: str) -> FoundShape:
        return self.shape_

    def reader(self, source: CustomSource) -> Any:
        return self

    def newest(self, remote: str, limit: int = 10) -> list[tuple[str, str]]:
        return [("a01", "J-1")]

    def describe(self, name: str) -> ObjectSchema:
        def fields(**types: FieldType) -> dict[str, FieldSchema]:
            return {field: FieldSchema(field, field.removesuffix("__c"), kind) for field, kind in types.items()}

        text, number = FieldType.STRING, FieldType.NUMBER
        own = fields(Id=text, Name=text, Account__c=text, Day__c=FieldType.DATE, Date_Sum__c=number, currency=text)
        own |= {name: FieldSchema(name, name, number if "Total" in name else text) for name in self.ours}
        line = fields(Code__c=text, Text__c=text, Hours__c=number, Rate__c=number, Rabatt__c=number)
        account = fields(Id=text, Name=text, Fortnox_Organisation_Number__c=text)
        return ObjectSchema("salesforce", name, "Jobb", "Id", own,
                            {"line": line, "account": account, "owner": fields(Name=text)}, "line", "Name")  # fmt: skip

    def load(self, name: str, ids: Any, fields: Any) -> Iterator[Any]:
        own = dict.fromkeys(self.describe(name).fields) | {"Name": "J-1", "Account__c": "001", "currency": "SEK"}
        parts = {"account": {"Fortnox_Organisation_Number__c": ""}, "owner": {"Name": "Eva"}}
        line = {
            "Code__c": "A-1",
            "Text__c": "Arbete",
            "Hours__c": Decimal(2),
            "Rate__c": Decimal(100),
            "Rabatt__c": None,
        }
        yield Record(name, ids[0], own, parts, [line])


class Ledger(TinyConnector):
    """A ledger that takes the fields of an invoice."""

    def describe(self, object_name: str) -> ObjectSchema:
        numbers = dict.fromkeys(("DeliveredQuantity", "Price", "Discount"), FieldType.NUMBER)
        flags = dict.fromkeys(("VATIncluded", "NotCompleted"), FieldType.BOOLEAN)
        texts = ("Currency", "OurReference", "ArticleNumber", "Description", "DiscountType", "CustomerNumber")
        kinds = {"InvoiceDate": FieldType.DATE, **dict.fromkeys(texts, FieldType.STRING), **numbers, **flags}
        fields = {name: FieldSchema(name, name, kind) for name, kind in kinds.items()}
        return ObjectSchema("tiny", object_name, object_name, "id", fields, {"row": fields}, "row")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    memory = Memory()
    monkeypatch.setattr("sync.own_objects.discovery_for", lambda account: memory)
    ledger = Ledger(Remote("ledger"))
    monkeypatch.setattr("sync.own_objects.connector_for", lambda account, **_lane: ledger)
    return memory


@pytest.fixture
def pair(memory: Memory) -> Integration:
    integration = make_integration(crm=make_account(system="salesforce"))
    return integration


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(make_superuser())
    return client


def address(pair: Integration, **given: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in given.items())
    return reverse("admin:sync_flow_own_object", args=[pair.pk]) + (f"?{query}" if query else "")


def choice() -> Chosen:
    return Chosen("Job__c", "Rows__r", "Account__c", FIELDS)


def make(pair: Integration) -> Flow:
    return own_objects.create(pair, own_objects.propose(pair, choice()), None)


def test_only_own_objects_are_listed_and_the_search_finds_all(staff: Client, pair: Integration) -> None:
    page = staff.get(address(pair)).content.decode()
    assert "Job__c" in page and "Asset" not in page
    found = staff.get(address(pair, q="tillg")).content.decode()
    assert "Asset" in found and "Job__c" not in found
    assert address(pair) in staff.get(reverse("admin:sync_flow_choose", args=[pair.pk])).content.decode()


def test_guesses_are_made_by_name_and_what_fits_is_offered(staff: Client, pair: Integration, memory: Memory) -> None:
    memory.ours = OURS
    form = staff.get(address(pair, object="Job__c", lines="Rows__r")).context["form"]
    assert form["date"].initial == "" and form["amount"].initial == ""  # our own total is no promise
    assert [form[f"line_{name}"].initial for name in ("text", "quantity", "price", "discount")] == [
        "Text__c", "Hours__c", "Rate__c", "Rabatt__c",
    ]  # fmt: skip
    assert {value for value, _label in form.fields["line_code"].choices} == {"", "Code__c", "Text__c"}


def test_the_preview_shows_the_record_its_problems_and_keeps_nothing(staff: Client, pair: Integration) -> None:
    data = {f"line_{name}" if name in own_objects.LINE_PLACES else name: value for name, value in FIELDS.items()}
    data |= {"account": "Account__c", "line_discount": "", "discount_is": "percent"}
    page = staff.post(address(pair, object="Job__c", lines="Rows__r"), data)
    assert page.status_code == 200 and page.context["form"].errors == {}
    assert "Arbete" in page.content.decode() and "200" in page.content.decode()
    assert {check.code for check in page.context["shown"]["checks"]} == {"organization_number_known"}
    assert not CustomSource.objects.exists() and not Flow.objects.exists() and not MappingSet.objects.exists()
    pair.crm_account.refresh_from_db()
    assert not pair.crm_account.schemas
    wrong = staff.post(address(pair, object="Job__c", lines="Rows__r"), data | {"line_price": "Evil__c"})
    assert wrong.context["form"].errors["line_price"] and wrong.context["step"] == 2


def test_making_it_twice_makes_one_source_and_two_flows_switched_off(pair: Integration) -> None:
    first, second = make(pair), make(pair)
    assert first == second and first.slug == "job-to-invoices" and first.follow_up == ""
    assert not Flow.objects.filter(enabled=True).exists() and Flow.objects.count() == 2
    source = CustomSource.objects.get()
    assert (source.name, source.line_object, source.parts) == (
        "job", "Row__c", {"account": "Account__c", "owner": "OwnerId"},
    )  # fmt: skip
    assert MappingSet.objects.published(pair, "job-to-invoices").version == 1
    assert [flow.slug for flow, _options in toggles(pair)] == ["job-to-invoices"]


def test_an_object_with_our_fields_gets_its_states_back(pair: Integration, memory: Memory) -> None:
    memory.ours = OURS
    flow = make(pair)
    assert flow.follow_up == "invoice-status-to-job" and 'job.Fortnox_Sync_Status__c == "Pending"' in (
        flow.filter_expression
    )
    states = MappingSet.objects.published(pair, flow.follow_up)
    assert {rule.target_field for rule in states.field_mappings.all()} == {OURS[2], OURS[3]}


def test_records_of_invoices_name_their_source_once(pair: Integration) -> None:
    install(pair)
    make(pair)
    make(pair)
    records = MappingSet.objects.published(pair, "invoices-to-records")
    assert records.version == 2
    assert LinkRule.objects.get(mapping_set=records, name="job").related_slug == "invoice-status-to-job"


def test_a_name_that_a_preset_uses_is_not_taken(pair: Integration, memory: Memory) -> None:
    memory.shape_ = FoundShape("Orders__c", "Order", "orders", memory.shape_.lines, memory.shape_.references)
    assert make(pair).slug == "orders_own-to-invoices"


@pytest.mark.parametrize("wrong", [{"price": "Nope__c"}, {"date": ""}, {"quantity": "Id) or (1"}])
def test_a_choice_that_cannot_work_is_refused_and_leaves_nothing(pair: Integration, wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        own_objects.propose(pair, Chosen("Job__c", "Rows__r", "Account__c", FIELDS | wrong))
    assert not Flow.objects.exists() and not CustomSource.objects.exists()


def test_a_source_in_use_keeps_its_lines(pair: Integration) -> None:
    make(pair)
    with pytest.raises(ValidationError, match="in use"):
        own_objects.propose(pair, Chosen("Job__c", "Others__r", "Account__c", FIELDS))


def test_a_silent_account_is_said_so(staff: Client, pair: Integration, memory: Memory, monkeypatch: Any) -> None:
    def silent() -> Any:
        raise Transient("Salesforce does not answer", code="timeout")

    monkeypatch.setattr(memory, "objects", silent)
    page = staff.get(address(pair))
    assert page.status_code == 422 and b"does not answer" in page.content


def test_strangers_and_members_without_the_right_are_refused(client: Client, pair: Integration) -> None:
    client.force_login(make_user(permissions="sync.add_flow", organization=make_integration().organization))
    assert client.get(address(pair)).status_code == 404
    client.force_login(make_user(organization=pair.organization, role="accountant"))
    assert client.get(address(pair)).status_code == 403


def test_a_crm_without_such_objects_offers_nothing(staff: Client, memory: Memory) -> None:
    pair = make_integration()
    assert staff.get(address(pair)).status_code == 404
    assert address(pair).encode() not in staff.get(reverse("admin:sync_flow_choose", args=[pair.pk])).content
