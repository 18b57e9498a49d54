"""SEC-15: hostile addresses go nowhere; record keys never climb out of the API."""

from __future__ import annotations

import socket
import threading

import pytest
import requests

from integrations.errors import InvalidData
from integrations.hosts import ForbiddenAddress, check_path, check_url, path_key, path_only
from integrations.http import guard

_EVIL_HOSTS = [
    "evil.example",
    "api.fortnox.se.evil.example",
    "evilapi.fortnox.se",
    "apifortnox.se",
    "fortnox.se",
    "api.fortnox.se.",
    "api.fortnox.se%00.evil.example",
    "api.fortnox.se%2eevil.example",
    "api-fortnox.se",
    "аpi.fortnox.se",  # a Cyrillic letter
    "xn--pi-6kc.fortnox.se",
    "api。fortnox。se",
    "api.hubapi.com.evil.example",
    "hubapi.com",
    "app-evil.hubspot.com",
    "hubspot.com",
    "localhost",
    "localtest.me",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "169.254.169.254",
    "metadata.google.internal",
    "10.0.0.1",
    "192.168.1.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[fe80::1]",
    "[fd00::1]",
    "api.fortnox.se@evil.example",
    "evil.example#@api.fortnox.se",
    "evil.example\\@api.fortnox.se",
    "api.fortnox.se\\.evil.example",
    "api.fortnox.se evil.example",
    "api.fortnox.se\tevil.example",
    "api.fortnox.se\nHost: evil.example",
    "user:password@api.fortnox.se",
    ":@api.fortnox.se",
    "@api.fortnox.se",
    "api.fortnox.se:8443",
    "api.fortnox.se:80",
    "api.fortnox.se:22",
    "api.fortnox.se:0",
    "api.fortnox.se:99999",
    "api.fortnox.se:４４３",
    "",
]
_EVIL_FORMS = ["https://{}/3/customers", "http://{}/3/customers", "https://{}", "HTTPS://{}/", "//{}/", "ftp://{}/"]
HOSTILE = [form.format(host) for host in _EVIL_HOSTS for form in _EVIL_FORMS] + [
    "http://api.fortnox.se/3/customers",
    "https://api.fortnox.se/3/customers#fragment",
    "https://api.fortnox.se/3/customers#",
    "file:///etc/passwd",
    "gopher://api.fortnox.se/",
    "javascript:alert(1)",
    "https:api.fortnox.se",
    "https:///api.fortnox.se",
    "api.fortnox.se/3/customers",
    "/3/customers",
    "https://[api.fortnox.se]/",
    "https://[::1",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_address_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        check_url(url)


def test_there_are_three_hundred_hostile_addresses() -> None:
    assert len(HOSTILE) >= 300


@pytest.mark.parametrize(
    "url",
    [
        "https://api.fortnox.se/3/customers?limit=500",
        "https://API.fortnox.se/3/customers",
        "https://api.fortnox.se:443/3/customers",
        "https://apps.fortnox.se/oauth-v1/token",
        "https://api.hubapi.com/crm/objects/2026-09/companies",
        "https://app-eu1.hubspot.com/oauth/authorize",
    ],
)
def test_the_vendors_own_addresses_pass(url: str) -> None:
    assert check_url(url)[3] is False


def test_one_vendors_token_does_not_go_to_the_other_vendor() -> None:
    with pytest.raises(ForbiddenAddress):
        check_url("https://api.hubapi.com/", "fortnox")


def test_settings_may_add_a_sandbox_with_or_without_its_port(settings) -> None:  # type: ignore[no-untyped-def]
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1:9400", "sandbox.test"]
    assert check_url("http://127.0.0.1:9400/fortnox/3/customers", "fortnox")[3] is True
    assert check_url("http://sandbox.test:1234/")[3] is True
    with pytest.raises(ForbiddenAddress):
        check_url("http://127.0.0.1:9401/")


def test_a_refused_address_shows_no_credentials() -> None:
    with pytest.raises(ForbiddenAddress) as caught:
        check_url("https://user:hunter2@evil.example/")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("url", HOSTILE[:60])
def test_no_session_sends_to_a_hostile_address(url: str) -> None:
    with pytest.raises((ForbiddenAddress, requests.RequestException, ValueError)):
        guard(requests.Session()).get(url)


def test_a_name_that_resolves_inwards_gets_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []

    def accept() -> None:
        connection, _ = listener.accept()
        connection.settimeout(2)
        received.append(connection.recv(100))

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    inner = listener.getsockname()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", inner)])
    with pytest.raises(requests.ConnectionError, match="inner address"):
        guard(requests.Session()).get("https://api.fortnox.se/3/customers")
    thread.join(3)
    assert received == [b""]


@pytest.mark.parametrize(
    "url,path",
    [
        ("https://api.fortnox.se/3/customers/1", "/3/customers/1"),
        ("https://evil.example/3/customers/1?x=1", "/3/customers/1?x=1"),
        ("/services/data/next", "/services/data/next"),
        ("//evil.example/x", "/x"),
    ],
)
def test_of_an_address_in_an_answer_only_the_path_is_used(url: str, path: str) -> None:
    assert path_only(url) == path


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_a_key_that_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidData):
        path_key(key)


def test_keys_are_percent_encoded() -> None:
    assert path_key("förp/1 a?#") == "f%C3%B6rp%2F1%20a%3F%23"


@pytest.mark.parametrize(
    "path", ["3/x", "//evil/x", "/3/../x", "/3/%2e%2e/x", "/3/%2E/x", "/3/x?y=1", "/3/x#", "/3\\x", "/ x"]
)
def test_a_path_that_climbs_is_refused(path: str) -> None:
    with pytest.raises(InvalidData):
        check_path(path)
