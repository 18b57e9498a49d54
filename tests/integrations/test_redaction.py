"""Secrets do not pass through logs, tracebacks or stored exchanges; what explains an error does."""

from __future__ import annotations

import io
import itertools
import json
import logging
import time

import pytest

from integrations.redaction import MASK, RedactionFilter, redact, redact_data

SECRETS = [
    "s3cr3tCANARYvalue0123456789abcdef",
    "eyJhbGciOiJIUzI1NiJ9CANARY.eyJ0ZW5hbnRJZCI6MTAxODMxOH0.c2lnbmF0dXJl",
    "eu1-6b1e-0f2a-4d1f-9f0a-2d3e4f5a6b7c",
]
KEYS = [
    "access_token",
    "refresh_token",
    "client_secret",
    "HUBSPOT_CLIENT_SECRET",
    "code_verifier",
    "X-Api-Key",
    "password",
    "token",
    "code",
]
FORMS = [
    "{key}={value}",
    "a=b&{key}={value}&c=d",
    '{{"{key}": "{value}"}}',
    "{{'{key}': '{value}', 'next': 1}}",
    '{{\\"{key}\\": \\"{value}\\"}}',
    "{key}: {value}",
    "{key} = '{value}'",
    "https://example.com/connect?{key}={value}#x",
    "<{key}>{value}</{key}>",
]
SHAPES = [form.format(key=k, value=v) for form, k, v in itertools.product(FORMS, KEYS, SECRETS)]
BARE = [
    f"Authorization: Bearer {SECRETS[0]}",
    f"authorization: Token {SECRETS[0]}",
    f"Cookie: sessionid={SECRETS[0]}; other={SECRETS[0]}",
    f"{{'Authorization': 'Basic {SECRETS[0]}'}}",
    f"got {SECRETS[1]} back",
    f"got {SECRETS[2]} back",
    f"https://user:{SECRETS[0]}@example.com/",
    f"gcm1:k1:{SECRETS[0]}",
    'password: "' + SECRETS[0] + ' with blanks"',
]


def test_no_shape_gets_through() -> None:
    assert len(SHAPES) + len(BARE) >= 200
    leaks = [shape for shape in SHAPES + BARE if any(secret in redact(shape) for secret in SECRETS)]
    assert leaks == []


@pytest.mark.parametrize(
    "text",
    [
        '{"error":1,"message":"Kunde inte hitta","code":2000663}',
        '{"ErrorInformation": {"Code": 2001399, "CountryCode": "SE"}}',
        "status_code=500 ZipCode: 352 36 postcode=12345",
        "code: access_denied",
        "state=review",
        "the token endpoint answered 400",
    ],
)
def test_what_explains_an_error_stays(text: str) -> None:
    assert redact(text) == text


def test_redacting_twice_changes_nothing_more() -> None:
    assert all(redact(redact(shape)) == redact(shape) for shape in SHAPES + BARE)


def test_data_is_masked_by_key_and_by_shape() -> None:
    data = {
        "access_token": SECRETS[0],
        "nested": [{"client_secret": SECRETS[0]}, f"Bearer {SECRETS[0]}"],
        "tokens": [SECRETS[1]],
        "code": 2000663,
        "CountryCode": "SE",
    }
    masked = redact_data(data)
    assert not any(secret in json.dumps(masked) for secret in SECRETS)
    assert masked["access_token"] == MASK
    assert (masked["code"], masked["CountryCode"]) == (2000663, "SE")


def log_line(call: str, *args: object, **kwargs: object) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactionFilter())
    logger = logging.getLogger("redaction test")
    logger.propagate = False
    logger.handlers.clear()
    logger.addHandler(handler)
    logger.error(call, *args, **kwargs)  # type: ignore[arg-type]
    return stream.getvalue()


def test_a_traceback_in_the_log_is_redacted_too() -> None:
    try:
        raise ValueError(f"https://example.com/cb?code={SECRETS[0]}")
    except ValueError:
        line = log_line("failed", exc_info=True)
    assert "ValueError" in line
    assert SECRETS[0] not in line


def test_a_value_cannot_forge_a_log_line() -> None:
    line = log_line("vendor said %s", "ok\r\n2026-11-21 INFO admin logged in")
    assert line.count("\n") == 1
    assert "\\r\\n" in line


def test_wrong_log_arguments_keep_their_line() -> None:
    assert "lost %s %s" in log_line("lost %s %s", "one")


@pytest.mark.parametrize("unit", ["a", "a-", "token", '"', "code=", "<", "C/", "eyJ", "https://"])
def test_hostile_text_costs_no_more_than_its_length(unit: str) -> None:
    started = time.thread_time()
    redact((unit * 60_000)[:60_000])
    assert time.thread_time() - started < 4.0
