"""The archives made of the Salesforce package: the one that is deployed and the one to download.

Salesforce: Metadata API guide, deploy() and `package.xml`.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.salesforce.components import NAMESPACE, expected_fields, permission_sets
from integrations.salesforce.deploy_files import build_zip, source_zip
from tests.integrations.salesforce_metadata import every_field, parsed, texts

VALUES = {
    "endpoint": "https://ledger.example/in/s3cret/",
    "site": "https://ledger.example",
    "username": "sync@nord.example",
}


def opened(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        assert files.testzip() is None
        return {name: files.read(name) for name in files.namelist()}


def both(**more: Any) -> dict[str, bytes]:
    return opened(build_zip({"base", "orders"}, **VALUES, **more))


def members(files: dict[str, bytes]) -> dict[str, list[str]]:
    types = parsed(files["package.xml"]).iterfind(f"{{{NAMESPACE}}}types")
    return {texts(entry, "name")[0]: texts(entry, "members") for entry in types}


def test_the_archive_lists_exactly_what_it_holds() -> None:
    files = both()
    listed = members(files)
    assert listed["CustomField"] == sorted(field.full_name for field in every_field())
    assert listed["PermissionSet"] == sorted(permission_sets())
    folders = {"Flow": "flows", "Workflow": "workflows", "ApexPage": "pages", "QuickAction": "quickActions"}
    for kind, folder in folders.items():
        names = {Path(name).name for name in files if name.startswith(f"{folder}/") and not name.endswith("-meta.xml")}
        assert {name.rpartition(".")[0] for name in names} == set(listed[kind])
    objects = {name.rpartition("/")[2].partition(".")[0] for name in files if name.startswith("objects/")}
    assert objects == set(expected_fields())


def test_elements_of_one_kind_stand_together_or_salesforce_refuses_the_file() -> None:
    # Visualforce is no XML: its prefix is bound nowhere.
    for name, content in ((name, content) for name, content in both().items() if not name.endswith(".page")):
        tags = [element.tag for element in parsed(content)]
        runs = [tag for before, tag in zip(["", *tags], tags, strict=False) if tag != before]
        assert len(runs) == len(set(runs)), name


def test_an_object_of_two_parts_is_one_file_with_the_fields_of_both() -> None:
    fields = texts(parsed(both()["objects/Fortnox_Invoice__c.object"]), "referenceTo")
    assert sorted(fields) == ["Account", "Contact", "Fortnox_Invoice__c", "Fortnox_Invoice__c", "Opportunity", "Order"]


@pytest.mark.parametrize(
    ("parts", "there", "missing"),
    [({"base"}, "objects/Account.object", "objects/Order.object"), ({"orders"}, "objects/Order.object", "tabs/")],
)
def test_one_part_alone(parts: Any, there: str, missing: str) -> None:
    files = opened(build_zip(parts, **VALUES))
    assert there in files
    assert not any(name.startswith(missing) for name in files)


def test_events_can_be_left_out_and_flows_can_come_as_drafts() -> None:
    quiet = both(events=False)
    assert not any(name.startswith(("workflows/", "flows/")) for name in quiet)
    assert not set(members(quiet)) & {"Flow", "Workflow", "WorkflowOutboundMessage"}
    flows = {name: content for name, content in both(flows_active=False).items() if name.startswith("flows/")}
    assert {texts(parsed(content), "status")[0] for content in flows.values()} == {"Draft"}
    assert texts(parsed(both()["flows/Fortnox_Order_Notify.flow"]), "status") == ["Active"]


def test_the_same_values_give_the_same_bytes() -> None:
    assert build_zip({"orders", "base"}, **VALUES) == build_zip(["base", "orders"], **VALUES)
    assert source_zip() == source_zip()


def test_no_mark_is_left_and_the_values_stand_where_they_belong() -> None:
    files = both()
    assert not any(b"ledgerbridge.invalid" in content for content in files.values())
    for name in ("Account", "Opportunity", "Order"):
        message = parsed(files[f"workflows/{name}.workflow"])
        assert texts(message, "endpointUrl") == [VALUES["endpoint"]]
        assert texts(message, "integrationUser") == [VALUES["username"]]
        assert texts(message, "includeSessionId") == ["false"]
    assert texts(parsed(files["cspTrustedSites/Fortnox_Card.cspTrustedSite"]), "endpointUrl") == [VALUES["site"]]


@given(tail=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["C", "Z"]), max_size=40))
def test_hostile_text_in_an_address_stays_text(tail: str) -> None:
    endpoint = f"https://ledger.example/]]></endpointUrl><fields>Secret__c</fields>&amp;{tail}"
    message = parsed(opened(build_zip({"orders"}, **{**VALUES, "endpoint": endpoint}))["workflows/Order.workflow"])
    assert texts(message, "endpointUrl") == [endpoint]
    assert "Secret__c" not in texts(message, "fields")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("endpoint", ""), ("endpoint", "javascript:alert(1)"), ("endpoint", "https://x.example/a b"),
        ("endpoint", "https://x.example/\x00"), ("endpoint", "https://endpoint.ledgerbridge.invalid"),
        ("site", "https://x.example/path"), ("site", "https://me@x.example"), ("site", "https://x.example?a=1"),
        ("username", "nobody"), ("username", f"{'x' * 80}@x.example"), ("username", "a@b\n"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_meant_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"not |after"):
        build_zip({"base"}, **{**VALUES, name: value})


@pytest.mark.parametrize("parts", [set(), {"base", "contracts"}, {"all"}])
def test_parts_that_do_not_exist_are_refused(parts: Any) -> None:
    with pytest.raises(ValueError, match="parts must be some of base, orders"):
        build_zip(parts, **VALUES)


def test_the_download_is_the_project_without_our_tools() -> None:
    names = {name.removeprefix("ledgerbridge-salesforce/") for name in opened(source_zip())}
    assert {"README.md", "sfdx-project.json"} == {name for name in names if "/" not in name}
    assert {name.partition("/")[0] for name in names if "/" in name} == {"force-app", "force-app-orders"}
    assert "force-app/main/default/objects/Account/fields/Fortnox_Key__c.field-meta.xml" in names
