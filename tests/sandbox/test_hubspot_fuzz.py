"""Bodies of any shape get an answer of HubSpot's, never a crash of the sandbox."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from .hubspot_world import Hub, V

KEYS = (
    "properties inputs id idProperty associations to from types associationTypeId filterGroups filters sorts query "
    "propertyName operator value values limit after label name stages metadata displayOrder options objectId type "
    "primaryObjectId objectIdToMerge probability conversionRate groupName fieldType city dealname"
)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-5, 10**12)
    | st.text(max_size=5)
    | st.sampled_from(["deals", "name", "EQ", "IN", "210458813", "20", "string", "text", "companyinformation", "²"])
)
JUNK = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=5),
    max_leaves=15,
)
RECORD = st.dictionaries(st.sampled_from(KEYS.split()), JUNK, max_size=5)
SPEC = st.fixed_dictionaries({"associationTypeId": LEAF})
LINK = st.fixed_dictionaries({"to": JUNK, "types": st.lists(SPEC, max_size=2)})
FILTER = st.fixed_dictionaries({"propertyName": LEAF, "operator": LEAF, "value": JUNK, "values": JUNK})
BODY = (
    JUNK
    | st.fixed_dictionaries({"inputs": st.lists(RECORD, max_size=3)})
    | st.fixed_dictionaries({"inputs": st.lists(st.fixed_dictionaries({"from": JUNK, "to": JUNK, "types": JUNK}))})
    | st.fixed_dictionaries({"properties": st.just({"name": "A"}), "associations": st.lists(LINK, max_size=2)})
    | st.fixed_dictionaries({"filters": st.lists(FILTER, max_size=3), "sorts": JUNK, "query": JUNK})
    | st.fixed_dictionaries({"label": LEAF, "displayOrder": LEAF, "stages": st.lists(RECORD), "metadata": JUNK})
)
CALLS = [
    ("POST", f"/crm/objects/{V}/companies"),
    ("POST", f"/crm/objects/{V}/line_items"),
    ("PATCH", f"/crm/objects/{V}/companies/210458813"),
    ("POST", f"/crm/objects/{V}/companies/search"),
    ("POST", f"/crm/objects/{V}/companies/merge"),
    ("POST", f"/crm/objects/{V}/contacts/gdpr-delete"),
    *(("POST", f"/crm/objects/{V}/companies/batch/{a}") for a in ("read", "create", "update", "upsert", "archive")),
    *(
        ("POST", f"/crm/associations/{V}/deals/companies/{a}")
        for a in ("batch/read", "batch/create", "batch/archive", "batch/labels/archive", "labels")
    ),
    ("PUT", f"/crm/objects/{V}/deals/51569020844/associations/companies/210458813"),
    ("POST", f"/crm/properties/{V}/companies"),
    ("PATCH", f"/crm/properties/{V}/companies/name"),
    ("POST", f"/crm/properties/{V}/companies/batch/create"),
    ("POST", f"/crm/properties/{V}/companies/groups"),
    ("POST", f"/crm/pipelines/{V}/deals"),
    ("PUT", f"/crm/pipelines/{V}/deals/default"),
    ("PATCH", f"/crm/pipelines/{V}/deals/default/stages/closedwon"),
    ("POST", f"/settings/currencies/{V}/exchange-rates"),
]
HUB = Hub(accounts=4)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.sampled_from(CALLS), BODY)
def test_no_body_however_odd_brings_it_down(call: tuple[str, str], body: Any) -> None:
    assert HUB.call(*call, body).status_code < 500
