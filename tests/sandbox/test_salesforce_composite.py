"""Several calls in one: composite, graph, tree and batch, with references and roll-back."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.salesforce.org import Event

from .hubspot_world import assert_same_shape
from .salesforce_desk import V
from .salesforce_office import Office, payload


@pytest.fixture
def office() -> Office:
    return Office()


def part(reference: str, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    found = {"method": method, "url": f"{V}{path}", "referenceId": reference, **more}
    return found if body is None else {**found, "body": body}


def composite(office: Office, *parts: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    body = {"collateSubrequests": False, **options, "compositeRequest": list(parts)}
    answer = office.call("POST", "/composite", body)
    assert answer.status == 200
    found = answer.body["compositeResponse"]
    assert isinstance(found, list)
    return found


def invoice_and_deal(office: Office) -> tuple[dict[str, Any], str]:
    """The known request with the ids of this org."""
    office.invoice_object()
    account, deal = office.create("Account", Name="A"), office.deal()
    request = payload("composite_request")
    request["compositeRequest"][0]["body"]["Account__c"] = account
    request["compositeRequest"][1]["url"] = f"{V}/sobjects/Opportunity/{deal}"
    return request, deal


def test_an_invoice_and_its_deal_are_written_together_as_in_the_known_call(office: Office) -> None:
    request, deal = invoice_and_deal(office)
    answer = office.call("POST", "/composite", request)
    assert_same_shape(payload("composite_response_ok"), answer.body)
    invoice = answer.body["compositeResponse"][0]["body"]["id"]
    assert office.get(deal, "Fortnox_Invoice__c", "Fortnox_Invoice_Number__c") == (invoice, "10041")
    assert answer.body["compositeResponse"][1] == payload("composite_response_ok")["compositeResponse"][1]


def test_one_failure_takes_everything_back_and_the_others_are_halted(office: Office) -> None:
    request, deal = invoice_and_deal(office)
    office.org.locked[deal] = 1
    heard: list[Event] = []
    office.org.listeners.append(heard.append)
    answer = office.call("POST", "/composite", request)
    assert_same_shape(payload("composite_response_rolled_back"), answer.body)
    known = payload("composite_response_rolled_back")["compositeResponse"][0]
    assert answer.body["compositeResponse"][0] == known
    assert heard == []
    assert office.names("SELECT Name FROM Fortnox_Invoice__c") == []
    assert office.call("POST", "/composite", request).body["compositeResponse"][0]["httpStatusCode"] == 201


def test_without_all_or_none_only_dependents_fail(office: Office) -> None:
    results = composite(
        office,
        part("bad", "POST", "/sobjects/Account", {}),
        part("child", "POST", "/sobjects/Contact", {"LastName": "Å", "AccountId": "@{bad.id}"}),
        part("free", "POST", "/sobjects/Account", {"Name": "B"}),
    )
    assert [result["httpStatusCode"] for result in results] == [400, 400, 201]
    assert results[1]["body"][0]["errorCode"] == "PROCESSING_HALTED"


def test_references_reach_into_answers_and_their_case_matters(office: Office) -> None:
    office.create("Account", Name="A", Fortnox_Customer_Number__c="1")
    query = "/query/?q=SELECT+Id+FROM+Account"
    results = composite(
        office,
        part("found", "GET", query),
        part("read", "GET", "/sobjects/Account/@{found.records[0].Id}?fields=Name"),
        part("made", "POST", "/sobjects/Contact", {"LastName": "@{read.Name} X", "AccountId": "@{read.Id}"}),
        part("wrong", "PATCH", "/sobjects/Account/@{read.id}", {"Name": "B"}),
    )
    assert [result["httpStatusCode"] for result in results] == [200, 200, 201, 400]
    assert office.get(results[2]["body"]["id"], "LastName") == "A X"


def test_collating_may_change_the_order_but_never_breaks_a_reference(office: Office) -> None:
    order: list[str] = []
    office.org.listeners.append(lambda event: order.append(event.new.get("Name") or event.object))
    parts = (
        part("a", "POST", "/sobjects/Account", {"Name": "A"}),
        part("p", "POST", "/sobjects/Product2", {"Name": "P"}),
        part("b", "POST", "/sobjects/Account", {"Name": "B"}),
        part("c", "POST", "/sobjects/Account", {"Name": "C", "Description": "@{p.id}"}),
    )
    results = composite(office, *parts, collateSubrequests=True)
    assert [result["referenceId"] for result in results] == ["a", "p", "b", "c"]
    assert order == ["A", "B", "P", "C"]


@pytest.mark.parametrize(
    "parts",
    [
        [part("bad id", "POST", "/sobjects/Account", {"Name": "A"})],
        [part("a", "POST", "/sobjects/Account", {"Name": "A"})] * 2,
        [part(f"a{number}", "POST", "/sobjects/Account", {"Name": "A"}) for number in range(26)],
        [part(f"q{number}", "GET", "/query/?q=SELECT+Id+FROM+Account") for number in range(6)],
        [part("a", "GET", "/sobjects/Account/@{b.id}")],
        [part("a", "GET", "/sobjects", httpHeaders={"Authorization": "Bearer x"})],
        [{**part("a", "GET", "/sobjects"), "url": "/sobjects"}],
        [],
    ],
)
def test_a_call_that_breaks_the_rules_fails_as_a_whole(office: Office, parts: list[dict[str, Any]]) -> None:
    answer = office.send("POST", "/composite", {"compositeRequest": parts})
    assert answer.status == 400
    assert office.names("SELECT Name FROM Account") == []


def test_headers_of_a_part_reach_it(office: Office) -> None:
    account = office.create("Account", Name="A")
    office.clock.moment += 60
    stale = {"If-Unmodified-Since": "Sat, 21 Nov 2026 09:00:00 GMT"}
    results = composite(office, part("a", "PATCH", f"/sobjects/Account/{account}", {"Name": "B"}, httpHeaders=stale))
    assert results[0]["httpStatusCode"] == 412


def test_a_graph_makes_a_product_and_its_price_as_in_the_known_call(office: Office) -> None:
    request = payload("composite_graph_request")
    request["graphs"][0]["compositeRequest"][1]["body"]["Pricebook2Id"] = office.standard_book
    answer = office.call("POST", "/composite/graph", request)
    assert_same_shape(payload("composite_graph_response"), answer.body)
    assert office.names("SELECT Name FROM PricebookEntry") == ["Montörtimme"]


def test_each_graph_is_all_or_nothing(office: Office) -> None:
    def graph(name: str, *bodies: dict[str, Any]) -> dict[str, Any]:
        parts = [part(f"r{number}", "POST", "/sobjects/Account", body) for number, body in enumerate(bodies)]
        return {"graphId": name, "compositeRequest": parts}

    graphs = [graph("bad", {"Name": "A"}, {}), graph("good", {"Name": "B"})]
    answer = office.call("POST", "/composite/graph", {"graphs": graphs})
    assert [entry["isSuccessful"] for entry in answer.body["graphs"]] == [False, True]
    assert office.names("SELECT Name FROM Account") == ["B"]
    many = [graph(f"g{number}", {}) for number in range(15)] + [graph("last", {"Name": "C"})]
    stopped = office.call("POST", "/composite/graph", {"graphs": many}).body["graphs"]
    assert stopped[13]["graphResponse"]["compositeResponse"][0]["body"][0]["errorCode"] == "REQUIRED_FIELD_MISSING"
    assert stopped[-1]["graphResponse"]["compositeResponse"][0]["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert office.names("SELECT Name FROM Account") == ["B"]
    too_many = [graph("big", *[{"Name": "D"}] * 501)]
    assert office.send("POST", "/composite/graph", {"graphs": too_many}).status == 400


def test_a_tree_makes_an_account_with_its_contact_as_in_the_known_call(office: Office) -> None:
    answer = office.call("POST", "/composite/tree/Account", payload("tree_request"))
    assert answer.status == 201
    assert_same_shape(payload("tree_response_201"), answer.body)
    account, contact = (result["id"] for result in answer.body["results"])
    assert office.get(contact, "AccountId") == account


def test_a_refused_leaf_fells_the_tree(office: Office) -> None:
    request = payload("tree_request")
    request["records"][0]["Contacts"]["records"][0]["Email"] = "a@"
    answer = office.call("POST", "/composite/tree/Account", request)
    assert (answer.status, answer.body) == (400, payload("tree_response_400"))
    assert office.names("SELECT Name FROM Account") == []
    del request["records"][0]["attributes"]["referenceId"]
    assert office.send("POST", "/composite/tree/Account", request).body[0]["errorCode"] == "INVALID_INPUT"


NAMES = st.sampled_from(["A", "B", ""])
STEPS = st.lists(st.tuples(st.sampled_from(["create", "rename", "delete", "line", "price"]), NAMES), max_size=12)


def filled(values: dict[str, Any]) -> dict[str, Any]:
    """The fields that hold something."""
    return {name: value for name, value in values.items() if value is not None}


def snapshot(office: Office) -> Any:
    """Everything an org stores, look-ups included."""
    return copy.deepcopy(
        {
            name: (
                {row.id: (filled(row.values), row.deleted, row.stamp, row.modified) for row in table.rows.values()},
                sorted(table.purged),
                dict(table.keyed),
                {
                    field: {parent: sorted(rows) for parent, rows in index.items() if rows}
                    for field, index in table.children.items()
                },
            )
            for name, table in office.org.tables.items()
        }
    )


def step(office: Office, deal: str, entry: str, action: str, name: str) -> tuple[str, str, Any]:
    """One part that changes something, if it is not refused."""
    accounts = [row.id for row in office.org.rows["Account"].values() if not row.deleted]
    some = accounts[0]
    line = {"OpportunityId": deal, "PricebookEntryId": entry, "Quantity": 2, "UnitPrice": 5, "Description": name}
    return {
        "create": ("POST", "/sobjects/Account", {"Name": name, "Fortnox_Customer_Number__c": name}),
        "rename": ("PATCH", f"/sobjects/Account/{some}", {"Name": name, "Fortnox_Customer_Number__c": name}),
        "delete": ("DELETE", f"/sobjects/Account/{some}", None),
        "line": ("POST", "/sobjects/OpportunityLineItem", line),
        "price": ("PATCH", f"/sobjects/PricebookEntry/{entry}", {"UnitPrice": len(name) + 1}),
    }[action]


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_a_call_that_is_taken_back_leaves_no_trace(steps: list[tuple[str, str]]) -> None:
    office = Office()
    account = office.create("Account", Name="Först", Fortnox_Customer_Number__c="B")
    deal, entry = office.deal(AccountId=account), office.price()
    before = snapshot(office)
    parts = [part(f"r{n}", *step(office, deal, entry, *chosen)) for n, chosen in enumerate(steps)]
    results = composite(office, *parts, part("last", "POST", "/sobjects/Account", {}), allOrNone=True)
    assert all(result["httpStatusCode"] == 400 or result["httpStatusCode"] == 404 for result in results)
    assert snapshot(office) == before


def test_a_batch_answers_each_request_by_itself(office: Office) -> None:
    account = office.create("Account", Name="A")
    requests = [
        {"method": "PATCH", "url": f"v67.0/sobjects/Account/{account}", "richInput": {"Phone": "1"}},
        {"method": "POST", "url": "v67.0/sobjects/Account", "richInput": {}},
        {"method": "GET", "url": f"v67.0/sobjects/Account/{account}?fields=Phone"},
    ]
    answer = office.call("POST", "/composite/batch", {"batchRequests": requests})
    assert [result["statusCode"] for result in answer.body["results"]] == [204, 400, 200]
    assert answer.body["results"][2]["result"]["Phone"] == "1"
    halted = office.call("POST", "/composite/batch", {"haltOnError": True, "batchRequests": requests})
    assert [result["statusCode"] for result in halted.body["results"]] == [204, 400, 412]
    assert office.send("POST", "/composite/batch", {"batchRequests": requests * 9}).status == 400
