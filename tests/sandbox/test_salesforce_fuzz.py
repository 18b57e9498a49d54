"""Whatever is sent, the interface answers in its own words and stays whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .salesforce_desk import V
from .salesforce_office import Office

FIELDS = st.sampled_from(
    [
        *("Name", "BillingCountry", "BillingStateCode", "AnnualRevenue", "NumberOfEmployees", "ParentId", "Parent"),
        *("Id", "attributes", "OwnerId", "Amount", "CloseDate", "StageName", "IsPrivate", "LastStageChangeDate"),
        *("Account", "Region__c", "Fortnox_Customer_Number__c", "Quantity", "UnitPrice", "BillingAddress"),
    ]
)
WORDS = st.one_of(
    st.text(max_size=8), st.sampled_from(["SE", "2026-11-20", "1e99", "0001-01-01T00:00:00+14:00", "001"])
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=2))
BODIES = st.dictionaries(FIELDS, VALUES, max_size=5)


@pytest.fixture(scope="module")
def office() -> Office:
    return Office()


def answered(office: Office, method: str, path: str, body: Any) -> None:
    answer = office.send(method, path, body)
    assert 200 <= answer.status < 500
    if answer.status >= 400 and isinstance(answer.body, list):
        assert all(entry["errorCode"] and isinstance(entry["message"], str) for entry in answer.body)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["Account", "Opportunity", "OrderItem", "PricebookEntry", "Contact"]), BODIES)
def test_any_record_is_taken_or_refused(office: Office, object_name: str, body: dict[str, Any]) -> None:
    answered(office, "POST", f"/sobjects/{object_name}", body)
    answered(office, "PATCH", "/sobjects/Account/Fortnox_Customer_Number__c/1", body)
    typed = {**body, "attributes": {"type": object_name, "referenceId": "r"}}
    answered(office, "POST", "/composite/sobjects", {"records": [typed]})
    answered(office, "POST", f"/composite/tree/{object_name}", {"records": [typed]})


PARTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE", ""]),
        "url": st.sampled_from(
            [f"{V}/sobjects/Account", f"{V}/sobjects/Account/@{{a.id}}", f"{V}/composite", f"{V}/query/?q=", f"{V}", ""]
        ),
        "referenceId": st.sampled_from(["a", "b", "c", "å"]),
    },
    optional={"body": VALUES, "httpHeaders": VALUES},
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(VALUES, st.lists(PARTS, max_size=3)), st.booleans())
def test_any_composite_is_taken_or_refused(office: Office, parts: Any, all_or_none: bool) -> None:
    answered(office, "POST", "/composite", {"allOrNone": all_or_none, "compositeRequest": parts})
    answered(office, "POST", "/composite/graph", {"graphs": [{"graphId": "g", "compositeRequest": parts}]})
    answered(office, "POST", "/composite/batch", {"batchRequests": parts})
    answered(office, "POST", "/composite/sobjects/Account", {"ids": parts, "fields": ["Name"]})
