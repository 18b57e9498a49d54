"""Worlds and calls for the HubSpot tests, and the comparison of an answer with a known one by shape."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from werkzeug.test import Client, TestResponse

from sandbox.app import create_app
from sandbox.core.world import Sizes, World
from sandbox.hubspot import HubSpot
from sandbox.hubspot.kinds import find
from sandbox.hubspot.oauth import ALL_SCOPES
from sandbox.hubspot.portal import Portal

PAYLOADS = Path(__file__).parent / "payloads" / "hubspot"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
MAIN, SECOND = "145893001", "146201774"
V = "2026-09"

UNIQUE = {"type": "string", "fieldType": "text", "hasUniqueValue": True}
NUMBER_PROPERTY = {"name": "fortnox_customer_number", "label": "Fortnox customer number", "groupName": "fortnox"}


class Hub:
    """One sandbox world with HubSpot in it, called in-process with a token of all scopes."""

    def __init__(self, *, limits: bool = False, lag: float = 0.0, accounts: int = 0, seed: int = 1) -> None:
        sizes = Sizes(accounts=accounts, empty=not accounts)
        self.world = World({"hubspot": HubSpot}, seed=seed, sizes=sizes, limits=limits, search_lag=lag)
        self.client = Client(create_app(self.world))
        self.token = self.hubspot.token(None)[1]

    @property
    def hubspot(self) -> HubSpot:
        emulator = self.world.emulators["hubspot"]
        assert isinstance(emulator, HubSpot)
        return emulator

    @property
    def portal(self) -> Portal:
        return self.hubspot.portal(MAIN)

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        if body is not None:
            more["json"] = body
        return self.client.open(f"/hubspot{path}", method=method, headers=headers, **more)

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.call(method, path, body, **more)
        assert answer.status_code < 300, answer.get_data(as_text=True)
        return answer.get_json(silent=True)

    def create(self, plural: str, **properties: Any) -> str:
        return str(self.ok("POST", f"/crm/objects/{V}/{plural}", {"properties": properties})["id"])

    def get(self, plural: str, record_id: str, query: str = "") -> Any:
        return self.ok("GET", f"/crm/objects/{V}/{plural}/{record_id}{query}")

    def search(self, plural: str, **body: Any) -> Any:
        return self.ok("POST", f"/crm/objects/{V}/{plural}/search", body)

    def batch(self, plural: str, action: str, inputs: list[Any], **more: Any) -> TestResponse:
        return self.call("POST", f"/crm/objects/{V}/{plural}/batch/{action}", {"inputs": inputs, **more})

    def unique_property(self, plural: str = "companies", name: str = "fortnox_customer_number") -> None:
        groups = self.ok("GET", f"/crm/properties/{V}/{plural}/groups")["results"]
        if not any(group["name"] == "fortnox" for group in groups):
            self.ok("POST", f"/crm/properties/{V}/{plural}/groups", {"name": "fortnox", "label": "Fortnox"})
        body = {"name": name, "label": name, "groupName": "fortnox", **UNIQUE}
        self.ok("POST", f"/crm/properties/{V}/{plural}", body)

    def next_id(self, plural: str, record_id: int) -> None:
        """The id the next record of this type gets, so that known payloads can be replayed."""
        kind = find(plural)
        assert kind is not None
        self.portal.store(kind)._next = record_id

    def token_with(self, *scopes: str, account: str = MAIN) -> str:
        portal = self.hubspot.portal(account)
        return self.hubspot.oauth.issue_access(portal, portal.profile.owners[0], scopes)

    def token_without(self, *scopes: str) -> str:
        return self.token_with(*(scope for scope in ALL_SCOPES if scope not in scopes))


def payload(name: str) -> Any:
    """A known request and its answer."""
    return json.loads((PAYLOADS / f"{name}.json").read_text())


def assert_same_shape(expected: Any, actual: Any, at: str = "$", open_at: tuple[str, ...] = ()) -> None:
    """Same keys, same value types, moments where moments are; ``open_at`` names paths with more keys allowed."""
    if expected is None:
        assert actual is None or isinstance(actual, str), f"{at}: {actual!r} instead of null or text"
    elif isinstance(expected, dict):
        assert isinstance(actual, dict), f"{at}: {actual!r} is no object"
        missing, extra = set(expected) - set(actual), set(actual) - set(expected)
        allowed = any(at.endswith(path) for path in open_at)
        assert not missing, f"{at}: {missing} missing from {actual}"
        assert not extra or allowed, f"{at}: {extra} not expected"
        for key, value in expected.items():
            assert_same_shape(value, actual[key], f"{at}.{key}", open_at)
    elif isinstance(expected, list):
        assert isinstance(actual, list), f"{at}: {actual!r} is no list"
        assert bool(expected) == bool(actual), f"{at}: {actual!r} instead of {expected!r}"
        for position, value in enumerate(actual):
            model = expected[position] if len(expected) == len(actual) else expected[0]
            assert_same_shape(model, value, f"{at}[{position}]", open_at)
    elif isinstance(expected, str) and MOMENT.fullmatch(expected):
        assert isinstance(actual, str) and MOMENT.fullmatch(actual), f"{at}: {actual!r} is no moment"
    elif isinstance(expected, float):
        assert isinstance(actual, int | float) and not isinstance(actual, bool), f"{at}: {actual!r} is no number"
    else:
        assert type(actual) is type(expected), f"{at}: {actual!r} instead of {expected!r}"
