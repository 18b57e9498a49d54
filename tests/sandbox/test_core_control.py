"""The control interface and the request journal."""

from __future__ import annotations

from typing import Any

import pytest

from .fortnox_world import Fortnox

BASE = "http://localhost/fortnox"


def _control(fortnox: Fortnox, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = fortnox.client.open(f"/control{path}", method=method, json=body)
    assert answer.status_code == status, answer.text
    return answer.json


def test_accounts_name_the_address_that_replaces_the_vendors_host() -> None:
    accounts = _control(Fortnox(), "GET", "/accounts")["accounts"]
    assert [account["account"] for account in accounts] == ["1018318", "1018319"]
    assert set(accounts[0]) == {"system", "account", "base_url", "client_id", "client_secret"}
    assert accounts[0]["base_url"] == BASE


def test_reset_answers_with_the_accounts_and_makes_a_fresh_world() -> None:
    fortnox = Fortnox()
    fortnox.customer()
    answer = _control(fortnox, "POST", "/reset", {"seed": 5, "customers": 3, "articles": 0, "invoices": 0})
    assert answer == _control(fortnox, "GET", "/accounts")
    assert len(_control(fortnox, "GET", "/state/fortnox/1018318/customers")["records"]) == 3
    assert fortnox.world.seed == 5
    assert _control(fortnox, "GET", "/requests") == {"total": 0, "requests": []}
    _control(fortnox, "POST", "/reset", {"empty": True})
    assert _control(fortnox, "GET", "/state/fortnox/1018318/customers") == {"records": []}


def test_token_is_valid_for_everything() -> None:
    fortnox = Fortnox()
    answer = _control(fortnox, "POST", "/token", {"system": "fortnox", "account": "1018319"})
    assert set(answer) == {"access_token", "account", "base_url"}
    assert (answer["account"], answer["base_url"]) == ("1018319", BASE)
    fortnox.access_token = answer["access_token"]
    for path in ("/customers", "/invoices", "/me", "/settings/company", "/vouchers", "/prices"):
        fortnox.get(path)


def test_clock_moves_and_never_backwards() -> None:
    fortnox = Fortnox()
    before = fortnox.world.clock.time()
    _control(fortnox, "POST", "/clock", {"advance_seconds": 3600})
    assert 3600 <= fortnox.world.clock.time() - before < 3610
    _control(fortnox, "POST", "/clock", {"advance_seconds": -1}, status=400)


def test_time_factor_changes_speed_without_a_jump() -> None:
    fortnox = Fortnox()
    before = fortnox.world.clock.time()
    _control(fortnox, "POST", "/settings", {"time_factor": 1000})
    assert fortnox.world.time_factor == 1000
    assert fortnox.world.clock.time() - before < 60


def test_state_tells_which_request_created_a_record() -> None:
    fortnox = Fortnox()
    fortnox.get("/units")
    fortnox.customer("7")
    (record,) = _control(fortnox, "GET", "/state/fortnox/1018318/customers")["records"]
    assert record["created_by_request"] == 2
    assert record["CustomerNumber"] == "7"
    assert record["created_at"] == record["updated_at"]
    made = _control(fortnox, "GET", "/requests?since=1")["requests"]
    assert [(entry["seq"], entry["method"], entry["path"]) for entry in made] == [(2, "POST", "/3/customers")]


def test_requests_are_counted_with_account_status_and_time() -> None:
    fortnox = Fortnox()
    fortnox.get("/units?limit=1")
    fortnox.call("GET", "/customers/404")
    answer = _control(fortnox, "GET", "/requests?since=0")
    assert answer["total"] == 2
    first, second = answer["requests"]
    assert set(first) == {"seq", "system", "account", "method", "path", "query", "status", "ms", "fault"}
    assert (first["account"], first["query"], first["status"], first["fault"]) == ("1018318", "limit=1", 200, None)
    assert second["status"] == 404
    assert _control(fortnox, "GET", "/requests?since=1")["requests"] == [second]


def test_records_are_edited_as_a_person_would() -> None:
    fortnox = Fortnox()
    path = "/records/fortnox/1018318/customers"
    made = _control(fortnox, "POST", path, {"fields": {"Name": "Ny AB"}})["record"]
    assert (made["CustomerNumber"], made["created_by_request"]) == ("1", None)
    fortnox.advance(100)
    edited = _control(fortnox, "POST", path, {"id": "1", "fields": {"City": "Umeå", "Name": "Nyare AB"}})["record"]
    assert (edited["Name"], edited["City"]) == ("Nyare AB", "Umeå")
    assert edited["updated_at"] > made["updated_at"]
    assert _control(fortnox, "POST", path, {"id": "1", "fields": {"City": ""}})["record"]["City"] is None
    assert _control(fortnox, "POST", path, {"id": "55", "fields": {"Name": "X"}})["record"]["CustomerNumber"] == "55"
    _control(fortnox, "DELETE", path, {"id": "55"})
    _control(fortnox, "DELETE", f"{path}/1")
    _control(fortnox, "DELETE", path, {"id": "55"}, status=404)
    assert fortnox.get("/customers")["Customers"] == []


def test_a_person_can_book_pay_and_cancel() -> None:
    fortnox = Fortnox()
    fortnox.customer()
    invoices, payments = "/records/fortnox/1018318/invoices", "/records/fortnox/1018318/invoicepayments"
    row = {"Description": "Arbete", "Price": 100, "DeliveredQuantity": 1, "VAT": 0}
    fields = {"CustomerNumber": "1", "InvoiceRows": [row], "Booked": True}
    assert _control(fortnox, "POST", invoices, {"fields": fields})["record"]["VoucherNumber"] == 1
    _control(fortnox, "POST", payments, {"fields": {"InvoiceNumber": 1, "Amount": 100, "Booked": True}})
    assert fortnox.get("/invoices/1")["Invoice"]["Balance"] == 0
    _control(fortnox, "POST", invoices, {"fields": {"CustomerNumber": "1", "Cancelled": True}})
    assert fortnox.get("/invoices/2")["Invoice"]["Cancelled"] is True
    _control(fortnox, "POST", invoices, {"id": "1", "fields": {"Comments": "x"}}, status=400)


def test_settings_are_listed_changed_and_checked() -> None:
    fortnox = Fortnox()
    changed = _control(fortnox, "POST", "/settings", {"limits": True, "latency_ms": 5, "search_lag": 2})
    assert (changed["limits"], changed["latency_ms"], changed["search_lag"]) == (True, 5.0, 2.0)
    assert _control(fortnox, "GET", "/settings") == changed
    assert "unknown setting" in _control(fortnox, "POST", "/settings", {"limit": 1}, status=400)["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("POST", "/token", {"system": "other"}, 404),
        ("GET", "/state/fortnox/1/customers", None, 404),
        ("GET", "/state/fortnox/1018318/things", None, 404),
        ("POST", "/faults", {"profile": {"fire": 1}}, 400),
        ("POST", "/faults", {"profile": {"status_500": 0.7, "status_503": 0.7}}, 400),
        ("POST", "/reset", {"customer": 1}, 400),
    ],
)
def test_wrong_control_calls_say_what_is_wrong(method: str, path: str, body: Any, status: int) -> None:
    assert _control(Fortnox(), method, path, body, status)["error"]


def test_index_page_says_what_this_is() -> None:
    page = Fortnox().client.get("/").text
    assert "Demonstration sandbox" in page
    assert "1018318" in page


def test_system_that_is_not_there_is_not_found() -> None:
    assert Fortnox().client.get("/salesforce/services/data").status_code == 404
