"""The truth journal holds what was committed, whatever the client was told."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.sandbox.fortnox_world import Fortnox
from tests.sandbox.test_core_faults import Served, served  # noqa: F401  (the fixture)

ORDER = {"CustomerNumber": "1", "ExternalInvoiceReference1": "lb1-a-d1-1-abcd", "InvoiceRows": [{"Price": 100}]}


@pytest.fixture
def fortnox() -> Fortnox:
    there = Fortnox()
    there.post("/customers", {"Customer": {"Name": "Ett AB", "CustomerNumber": "1"}})
    return there


def deeds(there: Fortnox, **wanted: str) -> list[dict[str, Any]]:
    query = "&".join(f"{name}={value}" for name, value in wanted.items())
    answer = there.client.get(f"/control/truth?{query}").json
    assert answer is not None
    return list(answer["deeds"])


def test_a_document_is_told_with_its_marker_and_figures(fortnox: Fortnox) -> None:
    made = fortnox.post("/invoices", {"Invoice": ORDER})["Invoice"]
    [deed] = deeds(fortnox, object="invoices")
    assert (deed["key"], deed["action"], deed["marker"]) == (made["DocumentNumber"], "create", "lb1-a-d1-1-abcd")
    assert deed["account"] == fortnox.account and deed["request"] == fortnox.world.journal.total
    assert deed["values"]["CustomerNumber"] == "1"


def test_updates_acts_and_removals_are_told_and_refusals_are_not(fortnox: Fortnox) -> None:
    number = fortnox.post("/invoices", {"Invoice": ORDER})["Invoice"]["DocumentNumber"]
    fortnox.put(f"/invoices/{number}", {"Invoice": {"YourReference": "Eva"}})
    fortnox.put(f"/invoices/{number}/bookkeep")
    fortnox.expect(400, "PUT", f"/invoices/{number}/bookkeep")
    fortnox.expect(400, "POST", "/invoices", {"Invoice": {"CustomerNumber": "77"}})
    assert [deed["action"] for deed in deeds(fortnox, object="invoices")] == ["create", "update", "bookkeep"]
    first = deeds(fortnox, object="invoices")[0]["number"]
    assert [deed["action"] for deed in deeds(fortnox, since=str(first))] == ["update", "bookkeep"]


def test_a_write_whose_answer_was_lost_is_told(served: Served) -> None:  # noqa: F811
    for kind in ("status_500_after_commit", "reset_mid_body", "malformed_json"):
        served.fault(**{kind: 1})
        try:
            served.create()
        except OSError:
            pass
    assert [deed["action"] for deed in deeds(served, object="customers")].count("create") == 3 + 4


def test_a_late_write_is_told_when_it_happens(served: Served) -> None:  # noqa: F811
    served.fault(late_commit=1)
    with pytest.raises(OSError):
        served.create()
    before = len(deeds(served, object="customers"))
    deadline = time.monotonic() + 5
    while len(deeds(served, object="customers")) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(deeds(served, object="customers")) == before + 1


@pytest.mark.parametrize(
    ("kind", "status", "html"),
    [
        ("status_302", 302, True),
        ("status_408", 408, True), ("status_423", 423, True), ("status_477", 477, True),
        ("status_500", 500, False), ("status_500_html", 500, True),
        ("status_502", 502, True), ("status_504", 504, True),
    ],
)  # fmt: skip
def test_more_statuses_can_be_injected_and_commit_nothing(
    served: Served,  # noqa: F811
    kind: str,
    status: int,
    html: bool,
) -> None:
    served.fault(**{kind: 1})
    answer = served.create() if status != 302 else served_without_redirect(served)
    assert (answer.status_code, answer.text.startswith("<html")) == (status, html)
    assert served.count() == 4


def served_without_redirect(there: Served) -> Any:
    import requests

    headers = {"Authorization": f"Bearer {there.access_token}"}
    url = f"{there.server.url}/fortnox/3/customers"
    return requests.post(url, json={"Customer": {"Name": "Ny"}}, headers=headers, timeout=2, allow_redirects=False)


def test_the_reference_search_may_lag_by_itself(fortnox: Fortnox) -> None:
    fortnox.world.configure({"reference_lag": 30})
    fortnox.post("/invoices", {"Invoice": ORDER})
    search = "/invoices?externalinvoicereference1=lb1-a-d1-1-abcd"
    assert fortnox.get(search)["Invoices"] == []
    assert len(fortnox.get("/invoices")["Invoices"]) == 1
    fortnox.world.clock.advance(31)
    assert len(fortnox.get(search)["Invoices"]) == 1
