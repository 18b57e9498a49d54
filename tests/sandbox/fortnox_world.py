"""A small Fortnox world in-process, and the comparer of the twin tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from werkzeug.test import Client, TestResponse

from sandbox.app import Application
from sandbox.core.world import Sizes, World
from sandbox.fortnox.emulator import FortnoxEmulator

PAYLOADS = Path(__file__).parent / "payloads" / "fortnox"
EMPTY = Sizes(empty=True)


def payload(name: str) -> Any:
    """A recorded or documented exchange."""
    return json.loads((PAYLOADS / f"{name}.json").read_text())


class Fortnox:
    """Drives the emulator as a client with a token of the first company."""

    def __init__(self, sizes: Sizes = EMPTY, **options: Any) -> None:
        options.setdefault("limits", False)
        self.world = World({"fortnox": FortnoxEmulator}, sizes=sizes, **options)
        self.client = Client(Application(self.world))
        self.account, self.access_token = self.emulator.token(None)

    @property
    def emulator(self) -> FortnoxEmulator:
        emulator = self.world.emulators["fortnox"]
        assert isinstance(emulator, FortnoxEmulator)
        return emulator

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        """One request below /3."""
        sent = {"Authorization": f"Bearer {self.access_token}", "Accept": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(f"/fortnox/3{path}", method=method, json=body, headers=sent)

    def get(self, path: str) -> Any:
        return self.expect(200, "GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.expect(201, "POST", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self.expect(200, "PUT", path, body)

    def expect(self, status: int, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer with this status."""
        response = self.call(method, path, body)
        assert response.status_code == status, response.text
        return response.json if response.text else None

    def refusal(self, method: str, path: str, body: Any = None, status: int = 400) -> tuple[int, str]:
        """(code, message) of an error envelope."""
        information = self.expect(status, method, path, body)["ErrorInformation"]
        lower = {key.lower(): value for key, value in information.items()}
        assert lower["error"] == 1
        return lower["code"], lower["message"]

    def advance(self, seconds: float) -> None:
        """Move the clock and take a fresh token."""
        self.world.clock.advance(seconds)
        self.access_token = self.emulator.token(self.account)[1]

    def customer(self, number: str = "1", **fields: Any) -> str:
        self.post("/customers", {"Customer": {"CustomerNumber": number, "Name": f"Kund {number}", **fields}})
        return number

    def article(self, number: str = "101", price: float | None = None, **fields: Any) -> str:
        body = {"ArticleNumber": number, "Description": "Hammer", **fields}
        self.post("/articles", {"Article": body})
        if price is not None:
            self.put(f"/prices/A/{quote(number, safe='')}", {"Price": {"Price": price}})
        return number

    def invoice(self, **fields: Any) -> dict[str, Any]:
        """A new invoice of customer 1, which is made when missing."""
        fields.setdefault("CustomerNumber", "1")
        if "1" not in self.emulator.tenants[self.account].tables["customers"]:
            self.customer()
        answer: dict[str, Any] = self.post("/invoices", {"Invoice": fields})["Invoice"]
        return answer

    def booked(self, total: float = 1250, **fields: Any) -> dict[str, Any]:
        """A booked invoice of this total without VAT."""
        rows = [{"Description": "Arbete", "Price": total, "DeliveredQuantity": 1, "VAT": 0}]
        number = self.invoice(InvoiceRows=rows, **fields)["DocumentNumber"]
        answer: dict[str, Any] = self.put(f"/invoices/{number}/bookkeep")["Invoice"]
        return answer

    def pay(self, number: str, amount: float, **fields: Any) -> dict[str, Any]:
        """A booked payment."""
        body = {"InvoiceNumber": int(number), "Amount": amount, **fields}
        payment = self.post("/invoicepayments", {"InvoicePayment": body})["InvoicePayment"]
        answer: dict[str, Any] = self.put(f"/invoicepayments/{payment['Number']}/bookkeep")["InvoicePayment"]
        return answer

    def numbers(self, path: str, wrapper: str = "Invoices", key: str = "DocumentNumber") -> list[str]:
        """The keys of a list."""
        return [row[key] for row in self.get(path)[wrapper]]


def kind(value: Any) -> str:
    """The JSON type; unset text may be null or "", so null fits every scalar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "text", list: "array", dict: "object"}[type(value)]


def assert_same_shape(expected: Any, actual: Any, *, newer: str = "", loose: str = "", where: str = "$") -> None:
    """Equal keys and JSON types throughout.

    ``newer``: keys that today's API has and the payload's time had not. ``loose``: keys whose type is known to
    have changed over time (ContractReference 0 and "0", Project 0 and "").
    """
    assert "null" in (kind(expected), kind(actual)) or kind(expected) == kind(actual), (
        f"{where}: {expected!r} is not like {actual!r}"
    )
    if isinstance(expected, dict) and isinstance(actual, dict):
        missing = set(expected) - set(actual)
        surplus = set(actual) - set(expected) - set(newer.split())
        assert not missing and not surplus, f"{where}: missing {missing}, surplus {surplus}"
        for key, value in expected.items():
            if key not in loose.split():
                assert_same_shape(value, actual[key], newer=newer, loose=loose, where=f"{where}.{key}")
    elif isinstance(expected, list) and isinstance(actual, list) and expected:
        assert actual, f"{where}: an empty array"
        for item in actual:
            assert_same_shape(expected[0], item, newer=newer, loose=loose, where=f"{where}[]")
