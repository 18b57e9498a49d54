"""The project files of the app inside HubSpot keep to the rules that its server checks at upload, and to our own
settings. HubSpot: developer platform 2026.09, project components and their configuration files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.urls import resolve

from integrations.hubspot.client import TYPE_IDS

ROOT = Path(settings.BASE_DIR) / "integrations" / "hubspot" / "app"
PLACEHOLDER = re.compile(r"\$\{([^}]+)\}")
UID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
FOLDERS = {"app": "app", "card": "app/cards", "settings": "app/settings", "webhooks": "app/webhooks"}
EVENTS = {"creation", "deletion", "merge", "restore", "propertyChange", "associationChange"}
OBJECTS = {"company", "contact", "deal", "line_item", "product"}
LOCAL = {"localhost", "127.0.0.1"}


def load(path: str) -> Any:
    return json.loads((ROOT / path).read_text())


PROJECT = load("hsproject.json")
SOURCE = ROOT / PROJECT["srcDir"]
VARIABLES: dict[str, Any] = json.loads((SOURCE / "hsprofile.example.json").read_text())["variables"]


def filled(value: Any) -> Any:
    """A configuration as HubSpot's tool uploads it: placeholders replaced by the profile's variables."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda match: str(VARIABLES[match[1]]), value)
    if isinstance(value, list):
        return [filled(item) for item in value]
    return {key: filled(item) for key, item in value.items()} if isinstance(value, dict) else value


COMPONENTS: dict[str, dict[str, Any]] = {
    str(path.relative_to(SOURCE)): filled(json.loads(path.read_text()))
    for path in sorted(SOURCE.rglob("*-hsmeta.json"))
    if "node_modules" not in path.parts
}


def of_type(kind: str) -> list[dict[str, Any]]:
    return [component["config"] for component in COMPONENTS.values() if component["type"] == kind]


APP = of_type("app")[0]
EVENTS_CONFIG = of_type("webhooks")[0]
SUBSCRIPTIONS: list[dict[str, Any]] = EVENTS_CONFIG["subscriptions"]["crmObjects"]


def test_the_project_is_for_the_current_platform() -> None:
    assert PROJECT["platformVersion"] == "2026.09"
    assert set(PROJECT) == {"name", "srcDir", "platformVersion"}


def test_every_component_lies_in_the_folder_of_its_type_and_no_deeper() -> None:
    assert {path: Path(path).parent.as_posix() for path in COMPONENTS} == {
        path: FOLDERS[component["type"]] for path, component in COMPONENTS.items()
    }
    assert all(set(component) == {"uid", "type", "config"} for component in COMPONENTS.values())


def test_uids_are_unique_and_well_formed() -> None:
    uids = [component["uid"] for component in COMPONENTS.values()]
    assert len(uids) == len(set(uids)) == 5
    assert all(UID.fullmatch(uid) for uid in uids)


@pytest.mark.parametrize(("kind", "count"), [("app", 1), ("settings", 1), ("webhooks", 1), ("card", 2)])
def test_there_is_the_right_number_of_each(kind: str, count: int) -> None:
    assert len(of_type(kind)) == count


def test_entry_points_exist() -> None:
    for config in [*of_type("card"), *of_type("settings")]:
        assert (SOURCE / config["entrypoint"].lstrip("/")).is_file()


def test_cards_are_in_the_sidebar_of_companies_and_deals() -> None:
    assert {card["location"] for card in of_type("card")} == {"crm.record.sidebar"}
    assert sorted(card["objectTypes"] for card in of_type("card")) == [["companies"], ["deals"]]


def test_texts_keep_within_hubspots_lengths() -> None:
    assert len(APP["name"]) <= 200 and APP["name"] == APP["name"].strip()
    assert len(APP["description"]) <= 8192


def test_the_app_asks_for_exactly_the_scopes_of_our_install_link() -> None:
    assert APP["auth"]["type"] == "oauth"
    assert sorted(APP["auth"]["requiredScopes"]) == sorted(settings.VENDORS["hubspot"]["scopes"])
    assert APP["auth"]["optionalScopes"] == [] == APP["auth"]["conditionallyRequiredScopes"]


def test_redirects_lead_to_our_callback_over_https_or_to_this_computer() -> None:
    for url in APP["auth"]["redirectUrls"]:
        parts = urlsplit(url)
        assert parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL), url
        assert resolve(parts.path).kwargs == {"system": "hubspot"}


@pytest.mark.parametrize("use", ["fetch", "iframe"])
def test_permitted_addresses_are_bare_https_origins(use: str) -> None:
    assert APP["permittedUrls"][use] == [VARIABLES["BASE_URL"]]
    for url in APP["permittedUrls"][use]:
        parts = urlsplit(url)
        assert (parts.scheme, parts.path, parts.query, parts.fragment) == ("https", "", "", "")
        assert parts.hostname not in LOCAL


def test_the_local_proxy_replaces_a_permitted_origin() -> None:
    assert set(load("src/app/local.json")["proxy"]) == set(APP["permittedUrls"]["fetch"])


def test_events_come_to_our_webhook_address() -> None:
    target = EVENTS_CONFIG["settings"]["targetUrl"]
    assert target.startswith(VARIABLES["BASE_URL"] + "/")
    assert resolve(urlsplit(target).path).url_name == "hubspot-webhook"
    assert EVENTS_CONFIG["settings"]["maxConcurrentRequests"] > 5


def test_subscriptions_are_generic_ones_each_once_and_on() -> None:
    seen = [(row["subscriptionType"], row["objectType"], row.get("propertyName")) for row in SUBSCRIPTIONS]
    assert len(seen) == len(set(seen))
    for row in SUBSCRIPTIONS:
        prefix, _, event = row["subscriptionType"].partition(".")
        assert (prefix, row["active"]) == ("object", True)
        assert event in EVENTS and row["objectType"] in OBJECTS
        assert ("propertyName" in row) == (event == "propertyChange")
    assert EVENTS_CONFIG["subscriptions"]["legacyCrmObjects"] == []


def test_what_may_not_be_subscribed_is_not() -> None:
    names = {row.get("propertyName") for row in SUBSCRIPTIONS}
    assert not names & {"hs_lastmodifieddate", "lastmodifieddate", "num_unique_conversion_events"}
    assert not names & {"hs_total_discount", "hs_pre_discount_amount", "hs_tax_amount"}  # calculated: unreliable


@pytest.mark.parametrize("object_type", ["company", "deal", "line_item"])
def test_records_that_become_something_in_the_ledger_are_followed_through_their_life(object_type: str) -> None:
    events = {row["subscriptionType"] for row in SUBSCRIPTIONS if row["objectType"] == object_type}
    assert {"object.creation", "object.deletion", "object.propertyChange", "object.associationChange"} <= events
    assert object_type in TYPE_IDS


# Calculated by HubSpot, or written by us: a change of theirs is no news.
NO_NEWS = {("line", "hs_total_discount"), ("company", "hs_object_id"), ("deal", "invoice_number_in_fortnox")}


@pytest.mark.parametrize("preset", ["companies-to-customers", "deals-to-invoices"])
def test_every_property_that_goes_into_the_ledger_is_followed(preset: str) -> None:
    text = (Path(settings.BASE_DIR) / "mappings/presets/hubspot_fortnox" / f"{preset}.json").read_text()
    read = set(re.findall(r"\b(company|contact|deal|line)\.([a-z_0-9]+)\b", text)) - NO_NEWS
    assert len(read) > 5
    followed = {(row["objectType"].removesuffix("_item"), row.get("propertyName")) for row in SUBSCRIPTIONS}
    assert read <= followed, sorted(read - followed)


def test_a_placeholder_without_a_variable_would_stop_the_upload() -> None:
    with pytest.raises(KeyError):
        filled("${NOT_THERE}")
    assert all(isinstance(value, str | int | float | bool) for value in VARIABLES.values())


def test_both_lists_of_workspaces_name_the_same_folders() -> None:
    for_tools = {name.removeprefix("src/app/") for name in load("package.json")["workspaces"]}
    assert for_tools == set(load("src/app/package.json")["workspaces"])


def test_no_extension_imports_from_a_folder_above_it() -> None:
    for folder in ("cards", "settings", "packages/shared"):
        for file in (SOURCE / "app" / folder).glob("*.ts*"):
            assert not re.search(r"from '\.\./", file.read_text()), file


@pytest.mark.parametrize("folder", ["cards", "settings", "packages/shared"])
def test_the_sdk_is_pinned(folder: str) -> None:
    assert load(f"src/app/{folder}/package.json")["dependencies"]["@hubspot/ui-extensions"] == "0.17.0"


def test_the_lock_file_names_no_address_to_fetch_from() -> None:
    packages = load("package-lock.json")["packages"]
    assert not [name for name, row in packages.items() if "://" in str(row.get("resolved", ""))]
    remote = [row for name, row in packages.items() if "node_modules/" in name and not row.get("link")]
    assert remote and all(row.get("integrity") for row in remote)
