"""HubSpot's signature: the published vectors pass, and nothing that differs from them in any way does (SEC-08)."""

from __future__ import annotations

import json
import random
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from integrations.hubspot import signature
from integrations.hubspot.signature import SignatureRefused, public_url, sign, verify, verify_request

VECTORS: list[dict[str, str]] = json.loads(
    (Path(__file__).parent / "payloads" / "hubspot_signature_vectors.json").read_text()
)["vectors"]


def moment(timestamp: str) -> datetime:
    """The time that a header of milliseconds means."""
    return datetime.fromtimestamp(int(timestamp) / 1000, UTC)


def headers(vector: dict[str, str]) -> dict[str, str]:
    """As HubSpot sends them, the older versions beside the third."""
    return {
        "X-HubSpot-Signature-v3": vector["v3"],
        "X-HubSpot-Request-Timestamp": vector["timestamp"],
        "X-HubSpot-Signature": vector["v2"],
        "X-HubSpot-Signature-Version": "v2",
    }


def accepted(vector: dict[str, str], **changed: Any) -> bool:
    """Whether the vector passes with these parts replaced."""
    call: dict[str, Any] = {
        "method": vector["method"],
        "url": vector["uri"],
        "body": vector["body"].encode(),
        "headers": headers(vector),
        "secret": vector["clientSecret"],
        "now": moment(vector["timestamp"]),
    }
    try:
        verify(**(call | changed))
    except SignatureRefused:
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS, ids=[v["source"][:40] for v in VECTORS])
def test_the_published_vectors_pass(vector: dict[str, str]) -> None:
    assert accepted(vector)
    assert accepted(vector, headers={name.lower(): value for name, value in headers(vector).items()})


@pytest.mark.parametrize("vector", VECTORS, ids=[v["source"][:40] for v in VECTORS])
def test_the_third_version_only(vector: dict[str, str]) -> None:
    for version in ("v1", "v2"):
        old = {
            "X-HubSpot-Signature": vector[version],
            "X-HubSpot-Signature-Version": version,
            "X-HubSpot-Request-Timestamp": vector["timestamp"],
        }
        assert not accepted(vector, headers=old)
        assert not accepted(vector, headers=old | {"X-HubSpot-Signature-v3": vector[version]})
        assert not accepted(vector, headers=old | {"X-HubSpot-Signature-v3": ""})


def test_ten_thousand_mutations_and_none_is_accepted() -> None:
    chance = random.Random(8)
    tried = 0
    while tried < 10_000:
        vector = chance.choice(VECTORS)
        changed = _mutation(vector, chance)
        if changed is None:
            continue
        tried += 1
        assert not accepted(vector, **changed), (vector["source"], changed)


def _mutation(vector: dict[str, str], chance: random.Random) -> dict[str, Any] | None:
    """One change of one part; None when it would leave the signed text as it is."""
    kind = chance.choice(["url", "body", "signature", "timestamp", "method", "query order", "secret", "case", "host"])
    head = headers(vector)
    if kind == "url":
        url = _flip(vector["uri"], chance)
        same = sign("GET", url, b"", "1", "x") == sign("GET", vector["uri"], b"", "1", "x")
        return None if same else {"url": url}
    if kind == "body":
        body = vector["body"].encode()
        return {"body": _flip(vector["body"], chance).encode() if body else chance.randbytes(1)}
    if kind == "signature":
        return {"headers": head | {"X-HubSpot-Signature-v3": _flip(vector["v3"], chance)}}
    if kind == "timestamp":
        other = str(int(vector["timestamp"]) + chance.choice([-1, 1]) * chance.randint(1, 299_999))
        return {"headers": head | {"X-HubSpot-Request-Timestamp": other}}
    if kind == "method":
        others = [name for name in ("GET", "POST", "PUT", "PATCH", "DELETE", "") if name != vector["method"]]
        return {"method": chance.choice(others)}
    if kind == "query order":
        base, _mark, query = vector["uri"].partition("?")
        pairs = query.split("&")
        chance.shuffle(pairs)
        url = f"{base}?{'&'.join(pairs)}"
        return None if url == vector["uri"] or not query else {"url": url}
    if kind == "secret":
        return {"secret": _flip(vector["clientSecret"], chance)}
    if kind == "host":
        return {"url": vector["uri"].replace("https://", "https://evil.")}
    return {"headers": head | {"X-HubSpot-Signature-v3": vector["v3"].swapcase()}}


def _flip(text: str, chance: random.Random) -> str:
    """The text with one character replaced, removed or added."""
    place = chance.randrange(len(text))
    letters = string.ascii_letters + string.digits + "/+=%&?"
    way = chance.random()
    if way < 0.7:
        return text[:place] + chance.choice([c for c in letters if c != text[place]]) + text[place + 1 :]
    if way < 0.85:
        return text[:place] + text[place + 1 :]
    return text[:place] + chance.choice(letters) + text[place:]


@pytest.mark.parametrize("seconds", [-301, -3600, 301, 86_400])
def test_more_than_five_minutes_off_is_stale(seconds: int) -> None:
    now = moment(VECTORS[0]["timestamp"]) + timedelta(seconds=seconds)
    with pytest.raises(SignatureRefused, match="stale"):
        verify("POST", VECTORS[0]["uri"], b"REQUEST_BODY", headers(VECTORS[0]), VECTORS[0]["clientSecret"], now)
    assert accepted(VECTORS[0], now=moment(VECTORS[0]["timestamp"]) + timedelta(seconds=299))


@pytest.mark.parametrize(
    "timestamp", ["", "now", "-1632188626483", "1632188626483.0", "١٦٣٢١٨٨٦٢٦٤٨٣", " 1632188626483", "1e12", "9" * 400]
)
def test_a_timestamp_that_is_none_is_refused(timestamp: str) -> None:
    head = headers(VECTORS[0]) | {"X-HubSpot-Request-Timestamp": timestamp}
    assert not accepted(VECTORS[0], headers=head)


def test_a_signature_of_odd_characters_is_refused_not_a_crash() -> None:
    for odd in ("å" * 44, "\udcff", "=" * 10_000):
        assert not accepted(VECTORS[0], headers=headers(VECTORS[0]) | {"X-HubSpot-Signature-v3": odd})


def test_without_a_secret_everything_is_refused() -> None:
    forged = sign("POST", "https://a.example/x", b"", VECTORS[0]["timestamp"], "")
    with pytest.raises(SignatureRefused, match="no_secret"):
        verify(
            "POST",
            "https://a.example/x",
            b"",
            headers(VECTORS[0]) | {"X-HubSpot-Signature-v3": forged},
            "",
            moment(VECTORS[0]["timestamp"]),
        )


def _request(vector: dict[str, str], **extra: str) -> HttpRequest:
    path = "/" + vector["uri"].split("/", 3)[3]
    request = RequestFactory().generic(vector["method"], path, vector["body"], **extra)
    request.META |= {
        "HTTP_X_HUBSPOT_SIGNATURE_V3": vector["v3"],
        "HTTP_X_HUBSPOT_REQUEST_TIMESTAMP": vector["timestamp"],
    }
    return request


@pytest.mark.parametrize("raw", ["RAW_URI", "REQUEST_URI", "absolute", "none"])
@pytest.mark.parametrize("vector", VECTORS, ids=[v["source"][:40] for v in VECTORS])
def test_the_address_is_the_public_one_and_the_target_as_it_was_sent(
    vector: dict[str, str], raw: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PUBLIC_URL = "/".join(vector["uri"].split("/", 3)[:3])
    settings.ALLOWED_HOSTS = ["*"]
    monkeypatch.setattr(signature.timezone, "now", lambda: moment(vector["timestamp"]))
    target = "/" + vector["uri"].split("/", 3)[3]
    extra = {"absolute": {"RAW_URI": f"http://evil.example{target}"}, "none": {}}.get(raw, {raw: target})
    request = _request(vector, HTTP_HOST="evil.example", HTTP_X_FORWARDED_HOST="evil.example", **extra)
    assert "evil" not in public_url(request)
    verify_request(request, vector["clientSecret"])
    settings.PUBLIC_URL = "https://other.example"
    with pytest.raises(SignatureRefused, match="mismatch"):
        verify_request(request, vector["clientSecret"])
