"""Looking up Fortnox's records exactly: articles by number, customers by organisation number, invoices by marker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from requests import PreparedRequest

from integrations import http
from integrations.errors import IncompleteRead, Misconfigured, TooLarge
from integrations.fortnox.find import _widest
from tests.integrations.clients import connected, connector, in_sandbox, set_vendor
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
ARTICLES = {"abc": True, "ABC": False, "A/1+B": True, "Å_1-2": True, "ABCD": True, "ORD.1": False}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess("--customers", "700", "--articles", "0", "--invoices", "0", "--no-limits") as process:
        yield process
        process.stop()


@pytest.fixture
def fortnox(settings: Any, sandbox: SandboxProcess) -> Iterator[Any]:
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    found = connector(in_sandbox(sandbox, "fortnox"))
    if not sandbox.control("GET", f"/state/fortnox/{found.api.account.remote_id}/articles")["records"]:
        for number, active in ARTICLES.items():
            fields = {"ArticleNumber": number, "Description": f"Artikel {number}", "Active": active}
            _add(sandbox, found, "articles", fields)
    yield found
    sandbox.control("POST", "/faults", {"profile": {}})


def _add(sandbox: SandboxProcess, fortnox: Any, name: str, fields: dict[str, Any]) -> None:
    sandbox.control("POST", f"/records/fortnox/{fortnox.api.account.remote_id}/{name}", {"fields": fields})


def _articles(fortnox: Any, *numbers: str, fold: bool = False) -> dict[str, list[tuple[str, object]]]:
    read = str.casefold if fold else str
    found = fortnox.find(
        "article", "ArticleNumber", [read(n) for n in numbers], lambda v: [v], read, frozenset({"Active"})
    )
    return {value: sorted((r.id, r.fields["Active"]) for r in records) for value, records in found.items()}


def test_an_article_is_found_exactly_and_says_whether_it_is_active(fortnox: Any) -> None:
    assert _articles(fortnox, "abc") == {"abc": [("abc", True)]}
    assert _articles(fortnox, "ABC") == {"ABC": [("ABC", False)]}
    assert _articles(fortnox, "AB") == {}


def test_candidates_that_differ_only_in_case_are_found_by_folding(fortnox: Any) -> None:
    assert _articles(fortnox, "Abc", fold=True) == {"abc": [("ABC", False), ("abc", True)]}


@pytest.mark.parametrize("number", list(ARTICLES))
def test_every_allowed_character_survives_the_way_to_the_search(fortnox: Any, number: str) -> None:
    assert _articles(fortnox, number) == {number: [(number, ARTICLES[number])]}


def test_one_call_per_value_and_one_for_the_inactive_ones(fortnox: Any) -> None:
    with http.counting() as calls:
        found = _articles(fortnox, "A/1+B", "ORD.1", "missing")
    assert found == {"A/1+B": [("A/1+B", True)], "ORD.1": [("ORD.1", False)]}
    assert calls == {("fortnox", "article.list"): 4}
    with http.counting() as calls:
        _articles(fortnox, "A/1+B")
    assert calls == {("fortnox", "article.list"): 1, ("fortnox", "article.get"): 1}


def test_a_customer_is_found_by_every_spelling_of_its_number_even_when_inactive(
    fortnox: Any, sandbox: SandboxProcess
) -> None:
    stored = {"90001": "556036-0793", "90002": "5560360793", "90003": "165560360793", "90004": "5560360794"}
    for number, spelling in stored.items():
        fields = {
            "CustomerNumber": number, "Name": f"K {number}", "OrganisationNumber": spelling,
            "Active": number != "90002",
        }  # fmt: skip
        _add(sandbox, fortnox, "customers", fields)

    def read(value: str) -> str:
        return "".join(filter(str.isdigit, value))[-10:]

    def spell(value: str) -> list[str]:
        dashed = f"{value[:6]}-{value[6:]}"
        return [value, dashed, f"16{value}", f"16{dashed}"]

    with http.counting() as calls:
        found = fortnox.find("customer", "OrganisationNumber", ["5560360793"], spell, read, frozenset({"Name"}))
    assert {record.id for record in found["5560360793"]} == {"90001", "90002", "90003"}
    assert calls == {("fortnox", "customer.list"): 2}


def test_a_spelling_that_contains_another_needs_no_search_of_its_own() -> None:
    assert _widest(["5560360793", "556036-0793", "165560360793"]) == ["556036-0793", "5560360793"]
    assert _widest(["ABC", "abcd"]) == ["ABC"]
    assert _widest([]) == []


# --- "Not found" must be true ---------------------------------------------------------------------------------------

URL = "https://api.fortnox.se/3/invoices"
MARKER = "lb-1-d1-1"


def _page(*rows: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    count = len(rows) if total is None else total
    meta = {"@TotalResources": count, "@TotalPages": 1, "@CurrentPage": 1}
    return {"MetaInformation": meta, "Invoices": list(rows)}


def _find() -> Any:
    return connector(connected("fortnox")).find(
        "invoice", "ExternalInvoiceReference1", [MARKER], lambda v: [v], str, frozenset({"Total"})
    )


@responses.activate
def test_a_search_that_lost_its_row_is_not_an_answer(settings: Any) -> None:
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    responses.get(URL, json=_page(total=1))
    with pytest.raises(IncompleteRead):
        _find()


@responses.activate
def test_a_hit_that_cannot_be_read_is_looked_at_in_full_and_never_passed_over(settings: Any) -> None:
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    row = {"DocumentNumber": "7", "ExternalInvoiceReference1": MARKER, "Total": "12 kr"}
    responses.get(URL, json=_page(row))
    responses.get(f"{URL}/7", json={"Invoice": {**row, "Total": 12, "Booked": False}})
    assert [record.id for record in _find()[MARKER]] == ["7"]
    responses.replace(responses.GET, f"{URL}/7", json={"Invoice": row})
    with pytest.raises(TooLarge):
        _find()


@responses.activate
def test_a_value_is_encoded_once_in_the_query(settings: Any) -> None:
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    asked: list[str] = []

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        asked.append(parse_qs(urlsplit(str(request.url)).query)["articlenumber"][0])
        meta = {"@TotalResources": 0, "@TotalPages": 0, "@CurrentPage": 1}
        return 200, {}, json.dumps({"MetaInformation": meta, "Articles": []})

    responses.add_callback(responses.GET, "https://api.fortnox.se/3/articles", callback=answer)
    number = "A/1+B&C=å%2F#1"
    assert (
        connector(connected("fortnox")).find("article", "ArticleNumber", [number], lambda v: [v], str, frozenset())
        == {}
    )
    assert asked == [number]


def test_a_person_s_search_is_one_call_whatever_is_there(fortnox: Any) -> None:
    """What contains the text, bounded; hostile text is data."""
    with http.counting() as calls:
        found = fortnox.search("customer", "Name", "a", frozenset({"City"}), 20)
    assert calls == {("fortnox", "customer.list"): 1} and len(found) == 20
    name = found[0].title
    assert found[0].id in {row.id for row in fortnox.search("customer", "Name", name.lower()[:12], frozenset(), 20)}
    for text in ("<", "'; DROP TABLE", "%", "&customernumber=1", "\u202e", "x" * 100):
        assert fortnox.search("customer", "Name", text, frozenset(), 20) == []
    with pytest.raises(Misconfigured):
        fortnox.search("customer", "WWW", "a", frozenset(), 20)
