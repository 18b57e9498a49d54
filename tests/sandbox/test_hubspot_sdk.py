"""HubSpot's own Python SDK, unchanged but for the host, works against the sandbox over real HTTP.

It calls the v1, v3 and v4 paths, so these tests also prove that old and new paths show the same data."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import hubspot
import pytest
from hubspot.crm.associations.v4 import (
    AssociationSpec,
    BatchInputPublicAssociationMultiArchive,
    BatchInputPublicAssociationMultiPost,
    BatchInputPublicDefaultAssociationMultiPost,
    BatchInputPublicFetchAssociationsBatchRequest,
)
from hubspot.crm.companies import (
    BatchInputSimplePublicObjectBatchInput,
    BatchInputSimplePublicObjectBatchInputForCreate,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchInputSimplePublicObjectId,
    BatchReadInputSimplePublicObjectId,
    PublicMergeInput,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.companies.exceptions import ApiException
from hubspot.crm.pipelines import PipelineInput, PipelinePatchInput, PipelineStageInput, PipelineStagePatchInput
from hubspot.crm.properties import (
    BatchInputPropertyCreate,
    BatchInputPropertyName,
    BatchReadInputPropertyName,
    OptionInput,
    PropertyCreate,
    PropertyGroupCreate,
    PropertyUpdate,
)
from werkzeug.serving import make_server

from sandbox.app import create_app

from .hubspot_world import MAIN, Hub, V


class Served(Hub):
    """The same world, on a port."""

    def __init__(self) -> None:
        super().__init__(accounts=12)
        self.server = make_server("127.0.0.1", 0, create_app(self.world), threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{self.server.port}/hubspot"
        self.sdk = hubspot.HubSpot(access_token=self.token, api_factory=_hosted(host))


def _hosted(host: str) -> Any:
    def factory(package: Any, name: str, config: dict[str, Any]) -> Any:
        configuration = package.Configuration(host=host)
        configuration.access_token = config["access_token"]
        return getattr(package, name)(api_client=package.ApiClient(configuration=configuration))

    return factory


@pytest.fixture
def served() -> Iterator[Served]:
    hub = Served()
    yield hub
    hub.server.shutdown()


def test_a_company_is_created_read_changed_found_and_archived(served: Served) -> None:
    api = served.sdk.crm.companies
    properties = {"name": "Exempelbolaget AB", "domain": "exempelbolaget.se"}
    made = api.basic_api.create(SimplePublicObjectInputForCreate(properties=properties))
    api.basic_api.update(made.id, SimplePublicObjectInput(properties={"city": "Göteborg"}))
    read = api.basic_api.get_by_id(made.id, properties=["name", "city"], properties_with_history=["city"])
    assert read.properties["city"] == "Göteborg"
    assert read.properties_with_history["city"][0].source_type == "INTEGRATION"
    filters = [{"propertyName": "name", "operator": "EQ", "value": "exempelbolaget ab"}]
    request = PublicObjectSearchRequest(filter_groups=[{"filters": filters}], properties=["city"], limit=5)
    found = api.search_api.do_search(request)
    assert (found.total, found.results[0].id) == (1, made.id)
    api.basic_api.archive(made.id)
    with pytest.raises(ApiException) as refused:
        api.basic_api.get_by_id(made.id)
    assert refused.value.status == 404


def test_the_sdk_walks_all_pages(served: Served) -> None:
    everything = served.sdk.crm.companies.get_all()
    assert len(everything) == 12
    first = served.sdk.crm.companies.basic_api.get_page(limit=5)
    assert len(first.results) == 5
    assert first.paging.next.after


def test_batches_round_trip(served: Served) -> None:
    served.unique_property()
    api = served.sdk.crm.companies.batch_api
    inputs = [{"properties": {"name": f"B{n}", "fortnox_customer_number": str(n)}} for n in range(3)]
    made = api.create(BatchInputSimplePublicObjectBatchInputForCreate(inputs=inputs))
    ids = [result.id for result in made.results]
    upserts = [
        {"id": str(n), "idProperty": "fortnox_customer_number", "properties": {"name": "K"}} for n in range(2, 5)
    ]
    upserted = api.upsert(BatchInputSimplePublicObjectBatchInputUpsert(inputs=upserts))
    assert sorted(result.new for result in upserted.results) == [False, True, True]
    changes = [{"id": record_id, "properties": {"zip": "411 01"}} for record_id in ids]
    api.update(BatchInputSimplePublicObjectBatchInput(inputs=changes))
    read = BatchReadInputSimplePublicObjectId(
        inputs=[{"id": "2"}], id_property="fortnox_customer_number", properties=["city", "zip"]
    )
    assert api.read(read).results[0].properties["zip"] == "411 01"
    api.archive(BatchInputSimplePublicObjectId(inputs=[{"id": record_id} for record_id in ids]))
    missing = api.read(BatchReadInputSimplePublicObjectId(inputs=[{"id": ids[0]}], properties=[]))
    assert missing.num_errors == 1


def test_a_merge_keeps_the_primary(served: Served) -> None:
    one, other = served.create("companies", name="Ett AB"), served.create("companies", name="Två AB")
    request = PublicMergeInput(primary_object_id=one, object_id_to_merge=other)
    merged = served.sdk.crm.companies.basic_api.merge(request)
    assert (merged.id, merged.properties["hs_merged_object_ids"]) == (one, other)
    assert served.sdk.crm.companies.basic_api.get_by_id(other).id == one


@pytest.mark.parametrize("plural", ["contacts", "deals", "products", "line_items"])
def test_the_other_object_types_answer_too(served: Served, plural: str) -> None:
    api = getattr(served.sdk.crm, plural)
    page = api.basic_api.get_page(limit=3)
    assert page.results[0].properties["hs_object_id"] == page.results[0].id
    assert api.search_api.do_search({"limit": 1}).total > 0
    assert served.sdk.crm.objects.basic_api.get_page(plural, limit=1).results[0].id == page.results[0].id


def test_associations_round_trip(served: Served) -> None:
    company = served.create("companies", name="A")
    deals = [served.create("deals", dealname=f"D{n}", dealstage="closedwon") for n in range(3)]
    api = served.sdk.crm.associations.v4
    default = api.basic_api.create_default("deals", deals[0], "companies", company)
    assert {result.association_spec.association_type_id for result in default.results} == {341, 342}
    spec = AssociationSpec(association_category="HUBSPOT_DEFINED", association_type_id=5)
    assert api.basic_api.create("deals", deals[0], "companies", company, [spec]).labels == ["Primary"]
    pairs = [{"from": {"id": deals[1]}, "to": {"id": company}, "types": [spec.to_dict(serialize=True)]}]
    api.batch_api.create("deals", "companies", BatchInputPublicAssociationMultiPost(inputs=pairs))
    plain = [{"from": {"id": deals[2]}, "to": {"id": company}}]
    api.batch_api.create_default("deals", "companies", BatchInputPublicDefaultAssociationMultiPost(inputs=plain))
    assert len(api.basic_api.get_page("companies", company, "deals").results) == 3
    wanted = BatchInputPublicFetchAssociationsBatchRequest(inputs=[{"id": deal} for deal in deals])
    assert len(api.batch_api.get_page("deals", "companies", wanted).results) == 3
    gone = BatchInputPublicAssociationMultiArchive(inputs=[{"from": {"id": deals[1]}, "to": [{"id": company}]}])
    api.batch_api.archive("deals", "companies", gone)
    api.basic_api.archive("deals", deals[2], "companies", company)
    assert len(api.basic_api.get_page("companies", company, "deals").results) == 1
    labels = api.schema.definitions_api.get_all("deals", "companies").results
    assert {label.type_id for label in labels} == {341, 5}


def test_properties_and_groups_round_trip(served: Served) -> None:
    api = served.sdk.crm.properties
    api.groups_api.create("companies", PropertyGroupCreate(name="fortnox", label="Fortnox"))
    assert api.groups_api.get_by_name("companies", "fortnox").label == "Fortnox"
    body = PropertyCreate(
        name="status",
        label="Status",
        type="enumeration",
        field_type="select",
        group_name="fortnox",
        options=options("a"),
    )
    assert api.core_api.create("companies", body).modification_metadata.read_only_value is False
    changed = api.core_api.update("companies", "status", PropertyUpdate(options=options("b", "c")))
    assert [option.value for option in changed.options] == ["b", "c"]
    more = {"name": "nr", "label": "Nr", "type": "number", "fieldType": "number", "groupName": "fortnox"}
    api.batch_api.create("companies", BatchInputPropertyCreate(inputs=[more]))
    names = BatchReadInputPropertyName(archived=False, inputs=[{"name": "nr"}])
    assert api.batch_api.read("companies", names).results[0].name == "nr"
    api.batch_api.archive("companies", BatchInputPropertyName(inputs=[{"name": "nr"}]))
    api.core_api.archive("companies", "status")
    api.groups_api.archive("companies", "fortnox")
    assert "status" not in {found.name for found in api.core_api.get_all("companies").results}


def options(*values: str) -> list[OptionInput]:
    return [OptionInput(label=v, value=v, display_order=n, hidden=False) for n, v in enumerate(values)]


def test_pipelines_round_trip(served: Served) -> None:
    api = served.sdk.crm.pipelines
    stage = PipelineStageInput(label="Ny", display_order=0, metadata={"probability": "0.5"})
    made = api.pipelines_api.create("deals", PipelineInput(label="Ordrar", display_order=1, stages=[stage]))
    won = PipelineStageInput(label="Klar", display_order=1, metadata={"probability": "1.0"})
    added = api.pipeline_stages_api.create("deals", made.id, won)
    assert added.metadata["isClosed"] == "true"
    patch = PipelineStagePatchInput(label="Fakturerad", metadata={"probability": "1.0"})
    assert api.pipeline_stages_api.update("deals", made.id, added.id, patch).label == "Fakturerad"
    assert api.pipelines_api.update("deals", made.id, PipelinePatchInput(label="Order")).label == "Order"
    assert len(api.pipelines_api.get_all("deals").results) == 2
    assert api.pipeline_audits_api.get_audit("deals", made.id).results
    api.pipeline_stages_api.archive("deals", made.id, added.id)
    api.pipelines_api.archive("deals", made.id)
    assert [pipeline.id for pipeline in api.pipelines_api.get_all("deals").results] == ["default"]


def test_owners_are_listed_and_found(served: Served) -> None:
    api = served.sdk.crm.owners.owners_api
    owners = api.get_page(limit=100).results
    assert api.get_by_id(owners[0].id).user_id == owners[0].user_id
    assert api.get_by_id(owners[0].user_id, id_property="userId").id == owners[0].id


def test_tokens_are_exchanged_refreshed_inspected_and_revoked(served: Served) -> None:
    oauth, portal = served.hubspot.oauth, served.portal
    uri = "http://localhost:8000/callback"
    code = oauth.issue_code(portal, portal.profile.owners[0], uri, ("oauth",), None)
    app = {"client_id": oauth.app.client_id, "client_secret": oauth.app.client_secret}
    api = served.sdk.oauth
    granted = api.tokens_api.create(grant_type="authorization_code", code=code, redirect_uri=uri, **app)
    refreshed = api.tokens_api.create(grant_type="refresh_token", refresh_token=granted.refresh_token, **app)
    assert refreshed.refresh_token == granted.refresh_token
    assert api.access_tokens_api.get(refreshed.access_token).hub_id == int(MAIN)
    assert api.refresh_tokens_api.get(granted.refresh_token).user_id == portal.profile.owners[0].user_id
    api.refresh_tokens_api.archive(granted.refresh_token)
    with pytest.raises(hubspot.oauth.exceptions.ApiException) as refused:
        api.tokens_api.create(grant_type="refresh_token", refresh_token=granted.refresh_token, **app)
    assert refused.value.status == 400


def test_old_and_new_paths_show_the_same_record(served: Served) -> None:
    record_id = served.create("companies", name="Samma AB")
    new = served.ok("GET", f"/crm/objects/{V}/companies/{record_id}")
    for path in ("/crm/v3/objects/companies", "/crm/v3/objects/company", "/crm/objects/2026-03/0-2"):
        assert served.ok("GET", f"{path}/{record_id}") == new
