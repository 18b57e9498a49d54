"""A customer's own object in Salesforce: chosen on the guided page, invoiced end to end, its number on the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import CustomSource
from integrations.salesforce.deploy import Administrator
from integrations.salesforce.described import clear_cache
from mappings.models import MappingSet
from sync.flows import setting_values, switch_on, toggles
from sync.models import Change, Flow
from tests.end_to_end.deals import article
from tests.end_to_end.salesforce_world import SalesforceWorld
from tests.factories import make_superuser
from tests.sandbox.salesforce_orgs import manifest, object_file, permission_set, text_field, zipped

pytestmark = pytest.mark.django_db(transaction=True)

Org = Callable[..., SalesforceWorld]
SLUG = "service_order-to-invoices"


def service_order(world: SalesforceWorld, account: str, *lines: dict[str, Any]) -> str:
    key = world.make("Service_Order__c", Account__c=account, Order_Date__c="2026-11-20", Currency__c="SEK",
                     Status__c="Delivered")  # fmt: skip
    for line in lines:
        world.make("Service_Order_Line__c", Service_Order__c=key, **line)
    return key


OURS = ("Fortnox_Sync_Status__c", "Fortnox_Sync_Message__c", "Fortnox_Invoice_Number__c")


def give_our_fields(world: SalesforceWorld) -> None:
    """An administrator makes fields of ours on the customer's object, and lets the integration user see them."""
    world.set(user_may_deploy=True)
    fields = [f"Service_Order__c.{name}" for name in OURS]
    archive = zipped(
        {
            "package.xml": manifest(CustomField=fields, PermissionSet=["Own_Objects"]),
            "objects/Service_Order__c.object": object_file(*(text_field(name, length=255) for name in OURS)),
            "permissionsets/Own_Objects.permissionset": permission_set("Own_Objects", *fields),
        }
    )
    token = world.sandbox.control("POST", "/token", {"system": "salesforce"})["access_token"]
    administrator = Administrator(world.crm.api_url, token)
    deployment = administrator.deploy(archive)
    while not (status := administrator.status(deployment)).done:
        pass
    assert status.success, list(status.problems)
    users = world.ask("salesforce", "GET", "/services/data/v67.0/query/?q=SELECT+Id+FROM+User")["records"]
    for person in users:
        administrator.assign(["Own_Objects"], person["Id"])
    clear_cache()


def test_a_service_order_becomes_one_invoice_that_names_it(org: Org, client: Client) -> None:
    world = org()
    give_our_fields(world)
    article(world, "A-1")
    account = world.account()
    key = service_order(
        world, account,
        {"Product_Code__c": "A-1", "Text__c": "Service", "Quantity__c": 2, "Price__c": 150, "Discount__c": 10},
        {"Text__c": "Resa", "Quantity__c": 1, "Price__c": 80.5},
    )  # fmt: skip
    client.force_login(make_superuser())
    page = reverse("admin:sync_flow_own_object", args=[world.integration.pk])
    assert page.encode() in client.get(reverse("admin:sync_flow_choose", args=[world.integration.pk])).content
    assert b"Service_Order__c" in client.get(page).content
    assert b'?object=Opportunity"' not in client.get(f"{page}?q=oppo").content  # it has flows of its own
    assert b"Service_Order_Lines__r" in client.get(f"{page}?object=Service_Order__c").content
    step = f"{page}?object=Service_Order__c&lines=Service_Order_Lines__r"
    form = client.get(step).context["form"]
    chosen = {name: form[name].initial or "" for name in form.fields}
    assert chosen == {
        "account": "Account__c", "date": "Order_Date__c", "currency": "Currency__c", "reference": "",
        "description": "", "amount": "", "title": "Name", "line_code": "Product_Code__c", "line_text": "Text__c",
        "line_quantity": "Quantity__c", "line_price": "Price__c", "line_discount": "Discount__c",
        "discount_is": "percent",
    }  # fmt: skip
    preview = client.post(step, chosen)
    assert preview.status_code == 200, preview.context["problems"]
    mapped = preview.context["example"].mapped
    assert (mapped.promise, mapped.fields["Currency"]) == (350.5, "SEK")
    assert not CustomSource.objects.exists() and not Flow.objects.filter(slug=SLUG).exists()
    assert not MappingSet.objects.filter(slug=SLUG).exists()
    for _twice in range(2):
        assert client.post(step, chosen | {"create": "1"}).status_code == 302
    flow = world.flow(SLUG)
    assert not flow.enabled and setting_values(flow)["missing_article"] == "block"
    assert flow in [each for each, _options in toggles(world.integration)]
    assert CustomSource.objects.get().parts["account"] == "Account__c"
    Flow.objects.filter(pk=flow.pk).update(settings=flow.settings | {"missing_customer": "create"})
    switch_on(world.flow(SLUG))
    world.change("Service_Order__c", key, Fortnox_Sync_Status__c="Pending")  # somebody sends it
    for slug in (SLUG, "invoices-to-records", "invoice-status-to-service_order"):
        world.sync(slug)
        world.quiet(slug)
    assert not Change.objects.filter(state="review").exists(), list(
        Change.objects.filter(state="review").values_list("error_code", "error_message", "error_field")
    )
    (invoice,) = world.fortnox("invoices")
    assert (invoice["Net"], invoice["Currency"]) == (350.5, "SEK")
    assert [(row["ArticleNumber"], row["Discount"], row["DiscountType"]) for row in invoice["InvoiceRows"]] == [
        ("A-1", 10, "PERCENT"), ("", 0, "PERCENT"),
    ]  # fmt: skip
    (record,) = world.records("Fortnox_Invoice__c")
    assert record["Source_Id__c"] == key
    order = world.record("Service_Order__c", key)
    assert order["Fortnox_Invoice_Number__c"] == invoice["DocumentNumber"]
    assert order["Fortnox_Sync_Status__c"] == "Synced" and invoice["DocumentNumber"] in order["Fortnox_Sync_Message__c"]
    world.sync(SLUG)  # sees what we wrote
    before = Change.objects.count()
    world.sync(SLUG)
    assert Change.objects.count() == before and len(world.fortnox("invoices")) == 1
    (line, *_more) = [row for row in world.records("Service_Order_Line__c") if row["Text__c"] == "Resa"]
    world.change("Service_Order_Line__c", line["id"], Price__c=90.5)
    world.pass_time()
    world.sync(SLUG)
    world.quiet(SLUG)
    assert [row["Net"] for row in world.fortnox("invoices")] == [360.5]  # sent by hand, and kept up to date since
