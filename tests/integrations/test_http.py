"""The one sender: what every odd answer means, what is repeated and what never is."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
import requests
import responses

from integrations import budget, http, transport
from integrations.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidData,
    Missing,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    SyncError,
    TooLarge,
    Transient,
)
from integrations.http import Api, Call
from integrations.models import ConnectedAccount
from tests.integrations.clients import connected, set_vendor

pytestmark = pytest.mark.django_db
BASE = "https://api.fortnox.se"
CUSTOMERS = f"{BASE}/3/customers"


@pytest.fixture(autouse=True)
def _scaled_limits(settings) -> None:  # type: ignore[no-untyped-def]
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    set_vendor(settings, "hubspot", rate=(0, 10.0))


def account(system: str = "fortnox", url: str = BASE) -> ConnectedAccount:
    return ConnectedAccount.objects.filter(system=system, api_url=url).first() or connected(
        system, api_url=url, token="secret-token"
    )


@pytest.fixture
def web() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def test_numbers_arrive_as_decimals_and_the_remote_clock_is_read(web: responses.RequestsMock) -> None:
    web.get(CUSTOMERS, body='{"a": 1.10, "b": 3}', headers={"Date": "Tue, 31 Jan 2023 11:39:51 GMT"})
    reply = Api(account()).call("GET", "/3/customers")
    assert reply.data == {"a": Decimal("1.10"), "b": 3}
    assert reply.remote_time.isoformat() == "2023-01-31T11:39:51+00:00"


def test_the_token_travels_in_the_header_and_stays_out_of_exchanges(web: responses.RequestsMock) -> None:
    web.get(CUSTOMERS, json={"access_token": "abcdefgh"})
    api = Api(account())
    api.call("GET", "/3/customers", params={"token": "zzz"})
    assert web.calls[0].request.headers["Authorization"] == "Bearer secret-token"
    assert "secret-token" not in repr(api.exchanges)
    assert "abcdefgh" not in repr(api.exchanges)


READ_CASES: list[tuple[dict[str, object], type[SyncError]]] = [
    ({"body": requests.ReadTimeout("late")}, Transient),
    ({"body": requests.ConnectionError("reset")}, Transient),
    ({"body": requests.ConnectTimeout("no")}, Transient),
    ({"status": 408}, Transient),
    ({"status": 500, "body": "<html>"}, Transient),
    ({"status": 503}, Transient),
    ({"status": 302, "headers": {"Location": "https://evil.example"}}, Transient),
    ({"status": 200, "body": '{"Customers": [{"Na'}, Transient),
    ({"status": 200, "body": ""}, Transient),
    ({"status": 403, "body": "<html>no"}, PermissionMissing),
    (
        {
            "status": 404,
            "json": {"ErrorInformation": {"Error": 1, "Message": "Kan inte hitta kunden.", "Code": 2000433}},
        },
        Missing,
    ),
    ({"status": 400, "json": {"ErrorInformation": {"error": 1, "message": "x", "code": 2000359}}}, InvalidData),
    (
        {"status": 400, "json": {"ErrorInformation": {"error": 1, "message": "Internal error", "code": 1000029}}},
        Transient,
    ),
    ({"status": 400, "body": "<html>bad"}, InvalidData),
    ({"status": 409, "json": {"message": "x"}}, Conflict),
    ({"status": 413, "json": {}}, TooLarge),
]


@pytest.mark.parametrize("answer,expected", READ_CASES)
def test_a_read_ends_in_a_class_that_says_what_to_do(
    web: responses.RequestsMock, answer: dict[str, object], expected: type[SyncError]
) -> None:
    web.get(CUSTOMERS, **answer)  # type: ignore[arg-type]
    with pytest.raises(SyncError) as caught:
        Api(account()).call("GET", "/3/customers")
    assert type(caught.value) is expected
    assert len(web.calls) == 1


WRITE_CASES: list[tuple[dict[str, object], type[SyncError]]] = [
    ({"body": requests.ReadTimeout("late")}, OutcomeUnknown),
    ({"body": requests.ConnectionError("reset by peer")}, OutcomeUnknown),
    ({"body": requests.exceptions.ChunkedEncodingError("cut")}, OutcomeUnknown),
    ({"body": requests.exceptions.SSLError("broke in mid-air")}, OutcomeUnknown),
    ({"body": requests.ConnectTimeout("no")}, Transient),
    ({"status": 408}, OutcomeUnknown),
    ({"status": 500}, OutcomeUnknown),
    ({"status": 502, "body": "<html>"}, OutcomeUnknown),
    ({"status": 503}, OutcomeUnknown),
    ({"status": 307, "headers": {"Location": "/x"}}, OutcomeUnknown),
    ({"status": 201, "body": '{"Invoice": {"Docu'}, OutcomeUnknown),
    ({"status": 201, "body": ""}, OutcomeUnknown),
    ({"status": 400, "body": "<html>bad gateway"}, OutcomeUnknown),
    ({"status": 404, "body": "<html>"}, OutcomeUnknown),
    ({"status": 400, "json": {"ErrorInformation": {"message": "Internal error", "code": 1000029}}}, OutcomeUnknown),
    ({"status": 403, "body": "<html>no"}, PermissionMissing),
    ({"status": 400, "json": {"ErrorInformation": {"message": "x", "code": 2001302}}}, InvalidData),
    ({"status": 404, "json": {"message": "x"}}, Missing),
    ({"status": 409, "json": {"message": "x"}}, Conflict),
    ({"status": 422, "json": {"message": "x"}}, InvalidData),
]


@pytest.mark.parametrize("answer,expected", WRITE_CASES)
def test_a_write_whose_end_is_unclear_is_unknown_and_sent_once(
    web: responses.RequestsMock, answer: dict[str, object], expected: type[SyncError]
) -> None:
    web.post(CUSTOMERS, **answer)  # type: ignore[arg-type]
    with pytest.raises(SyncError) as caught:
        Api(account()).call("POST", "/3/customers", json={}, write=True)
    assert type(caught.value) is expected
    assert len(web.calls) == 1


def test_a_short_rate_limit_is_waited_out_and_pauses_everybody(web: responses.RequestsMock, settings) -> None:  # type: ignore[no-untyped-def]
    set_vendor(settings, "fortnox", rate=(25, 5.0))
    web.post(CUSTOMERS, status=429, headers={"Retry-After": "0.2"})
    web.post(CUSTOMERS, status=201, json={"ok": True})
    row = account()
    started = time.monotonic()
    # Fortnox's window is seconds wide: less than one second is never believed.
    assert Api(row).call("POST", "/3/customers", json={}, write=True).data == {"ok": True}
    assert time.monotonic() - started >= 0.95


def test_a_long_rate_limit_is_raised_with_the_vendors_wait(web: responses.RequestsMock) -> None:
    web.get(CUSTOMERS, status=429, headers={"Retry-After": "120"})
    row = account()
    with pytest.raises(RateLimited) as caught:
        Api(row).call("GET", "/3/customers")
    assert caught.value.retry_after == 120
    with pytest.raises(RateLimited):
        budget.wait_and_take(budget.key_of(row), budget.Limit(25, 5.0), patience=1)


def test_an_unauthorized_call_is_repeated_once_with_a_new_token(
    web: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from integrations import tokens

    web.post(CUSTOMERS, status=401, json={"message": "unauthorized"})
    web.post(CUSTOMERS, status=201, json={"ok": True})
    rejected: list[str] = []
    monkeypatch.setattr(tokens, "after_unauthorized", lambda row, old: rejected.append(old) or "new")
    assert Api(account()).call("POST", "/3/customers", json={}, write=True).status == 201
    assert rejected == ["secret-token"]


def test_a_second_unauthorized_answer_is_final(web: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch) -> None:
    from integrations import tokens

    web.get(CUSTOMERS, status=401, json={"message": "unauthorized"})
    monkeypatch.setattr(tokens, "after_unauthorized", lambda row, old: "new")
    with pytest.raises(AuthenticationFailed):
        Api(account()).call("GET", "/3/customers")
    assert len(web.calls) == 2


def test_a_body_beyond_the_cap_is_not_read(web: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY", 1000)
    web.get(CUSTOMERS, body="x" * 2000)
    with pytest.raises(TooLarge):
        Api(account()).call("GET", "/3/customers")


def test_answers_come_in_order_and_errors_in_their_place(web: responses.RequestsMock) -> None:
    for number in range(20):
        status = 404 if number == 7 else 200
        web.get(f"{CUSTOMERS}/{number}", status=status, json={"n": number})
    calls = (Call("GET", f"/3/customers/{n}", kind="one") for n in range(20))
    with http.counting() as counted:
        answers = list(Api(account()).call_many(calls))
    assert [a.data["n"] for a in answers if isinstance(a, http.Reply)] == [n for n in range(20) if n != 7]
    assert isinstance(answers[7], Missing)
    assert counted == {("fortnox", "one"): 20}


def test_a_rate_limit_during_many_calls_is_waited_out(web: responses.RequestsMock) -> None:
    web.get(f"{CUSTOMERS}/1", status=429, headers={"Retry-After": "1"})
    web.get(f"{CUSTOMERS}/1", json={})
    web.get(f"{CUSTOMERS}/2", json={})
    answers = list(Api(account()).call_many(Call("GET", f"/3/customers/{n}") for n in (1, 2)))
    assert [a.status for a in answers if isinstance(a, http.Reply)] == [200, 200]


def test_hubspots_announced_limit_lowers_the_budget(web: responses.RequestsMock, settings) -> None:  # type: ignore[no-untyped-def]
    set_vendor(settings, "hubspot", rate=(110, 10.0))
    web.get("https://api.hubapi.com/x", json={}, headers={"X-HubSpot-RateLimit-Max": "100"})
    row = account("hubspot", "https://api.hubapi.com")
    row.remote_id = "lowered"
    Api(row).call("GET", "/x")
    assert budget.limit_of("hubspot", key=budget.key_of(row)).count == 100


# --- Faults that only a real socket can show ------------------------------------------------------------------------


@contextlib.contextmanager
def _server(answer: Callable[[object], None], settings) -> Iterator[str]:  # type: ignore[no-untyped-def]
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline() not in {b"\r\n", b""}:
                pass
            with contextlib.suppress(OSError):
                answer(self.wfile)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        settings.EXTRA_ALLOWED_HOSTS = [f"127.0.0.1:{server.server_address[1]}"]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"


def _dripping(out) -> None:  # type: ignore[no-untyped-def]
    out.write(HEAD + b"Content-Length: 1000\r\n\r\n")
    for _ in range(40):
        out.write(b" ")
        time.sleep(0.1)


@pytest.mark.parametrize(
    "answer",
    [
        lambda out: out.write(HEAD + b'Content-Length: 500\r\n\r\n{"cut": 1}'),
        lambda out: out.write(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"cu'),
        lambda out: out.write(b"not http at all\r\n\r\n"),
        lambda out: None,
        _dripping,
    ],
    ids=["cut", "cut chunk", "nonsense", "hang up", "dripping"],
)
def test_a_broken_answer_makes_a_write_unknown_and_a_read_transient(answer, settings) -> None:  # type: ignore[no-untyped-def]
    settings.HTTP_TIMEOUT_SECONDS = 1
    with _server(answer, settings) as base:
        with pytest.raises(OutcomeUnknown):
            Api(account(url=base)).call("POST", "/3/x", json={}, write=True)
        with pytest.raises(Transient):
            Api(account(url=base)).call("GET", "/3/x")


def test_nobody_listening_means_not_executed(settings) -> None:  # type: ignore[no-untyped-def]
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1:9"]
    with pytest.raises(Transient) as caught:
        Api(account(url="http://127.0.0.1:9")).call("POST", "/3/x", json={}, write=True)
    assert caught.value.code == "connect"


def test_a_failed_tls_handshake_means_not_executed(settings) -> None:  # type: ignore[no-untyped-def]
    with _server(lambda out: out.write(b"I do not speak TLS\r\n"), settings) as base:
        with pytest.raises(Transient) as caught:
            Api(account(url=base.replace("http:", "https:"))).call("POST", "/3/x", json={}, write=True)
        assert caught.value.code == "connect"


def test_no_environment_proxy_is_used(settings, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with _server(lambda out: out.write(HEAD + b"Content-Length: 2\r\n\r\n{}"), settings) as base:
        assert Api(account(url=base)).call("GET", "/3/x").data == {}


def test_a_redirect_is_not_followed_by_any_guarded_session(settings) -> None:  # type: ignore[no-untyped-def]
    with _server(
        lambda out: out.write(b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n"),
        settings,
    ) as base:
        assert http.guard(requests.Session()).get(base).status_code == 302
