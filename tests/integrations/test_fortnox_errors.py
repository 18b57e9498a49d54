"""One table for Fortnox's refusals: every known code, both spellings of the envelope, and honest unknowns."""

from __future__ import annotations

from typing import Any

import pytest

from integrations import errors as e
from integrations.catalogue import Responsible
from integrations.fortnox.errors import CODES, classify, envelope

CASES = [
    (400, 2000663, "Har inte behörighet för scope.", e.PermissionMissing),
    (400, 2001101, "Det finns ingen aktiv licens för önskat scope.", e.PermissionMissing),
    (400, 2001103, "Api-licens saknas.", e.PermissionMissing),
    (400, 2001393, "x", e.PermissionMissing),
    (400, 2003275, "Ej autentiserad", e.PermissionMissing),
    (400, 2000310, "Ogiltig inloggning", e.AuthenticationFailed),
    (401, 2000311, "Kan inte logga in", e.AuthenticationFailed),
    (400, 2000719, "Ogiltig auktoriseringskod.", e.AuthenticationFailed),
    (400, 2004054, "x", e.AuthenticationFailed),
    (500, 1000003, "System exception", e.Transient),
    (400, 1000029, "Internal error", e.Transient),
    (400, 1000030, "Invalid response type", e.Misconfigured),
    (400, 1000031, "Invalid content type", e.Misconfigured),
    *[
        (404, code, "Kan inte hitta", e.Missing)
        for code in (2000433, 2000428, 2000434, 2000439, 2001161, 2000432, 2000429, 2000423)
    ],
    *[(404, code, "x", e.Missing) for code in (2000427, 2000430, 2000431, 2000435)],
    (400, 2000637, "Kundnummer 1 används redan.", e.Conflict),
    (400, 2000013, 'Artikelnummer "X" används redan.', e.Conflict),
    (400, 2000204, "Kunde inte hämta/hitta kund (17)", e.InvalidData),
    (400, 2001302, "Kunde inte hitta artikel", e.InvalidData),
    (400, 2001304, "Kunde inte hitta konto", e.Misconfigured),
    (400, 2000550, "x", e.Misconfigured),
    (400, 2000919, "Ogiltigt land: South Korea", e.InvalidData),
    (400, 2004194, "Ogiltigt VAT-nummer.", e.InvalidData),
    (400, 2000359, "Värdet innehåller ej tillåtna tecken. (<b>)", e.InvalidData),
    *[(400, code, "Värdet måste vara (x)", e.InvalidData) for code in (2000106, 2000108, 2000134, 2000107)],
    *[(400, code, "x", e.Misconfigured) for code in (2000587, 2000588, 2000729, 2001392, 2002115, 2001740, 2002649)],
    (400, 2001399, "Felaktigt fältnamn (nosuch)", e.Misconfigured),
    (400, 2000401, "… har låst perioden t.o.m. 2026-01-31.", e.Misconfigured),
    *[(400, code, "x", e.Misconfigured) for code in (2004167, 2001265, 2002462, 2004052, 2001403)],
    (400, 2000499, "x", e.Conflict),
    (400, 2001243, "x", e.InvalidData),
    *[
        (400, code, "x", e.InvalidData)
        for code in (2003124, 2003125, 2003126, 2003127, 2003277, 2003399, 2003241, 2000755, 2003095, 2003115)
    ],
    *[
        (400, code, "x", e.InvalidData)
        for code in (2004019, 2004021, 2002980, 2003151, 2003157, 2000600, 2001600, 2001896, 2003977)
    ],
]


@pytest.mark.parametrize("status,code,message,expected", CASES)
@pytest.mark.parametrize("keys", [("Error", "Message", "Code"), ("error", "message", "code")])
def test_every_known_code_has_its_class(
    status: int, code: int, message: str, expected: type[e.SyncError], keys: tuple[str, str, str]
) -> None:
    body = {"ErrorInformation": {keys[0]: 1, keys[1]: message, keys[2]: code}}
    error = classify(status, {}, body, "", None)
    assert (type(error), error.code, error.message) == (expected, str(code), message)


def test_the_cases_cover_the_table() -> None:
    assert {str(code) for _status, code, _message, _class in CASES} == set(CODES)


def test_every_entry_says_cause_remedy_and_who() -> None:
    for entry in CODES.values():
        assert entry.cause
        assert entry.remedy
        assert entry.responsible in Responsible.values


def test_field_and_value_are_taken_from_the_text() -> None:
    def of(code: int, message: str) -> e.SyncError:
        return classify(400, {}, {"ErrorInformation": {"message": message, "code": code}}, "", None)

    assert of(2001399, "Felaktigt fältnamn (nosuch)").field == "nosuch"
    assert of(2000204, "Kunde inte hämta/hitta kund (17)").value == "17"
    assert of(2000919, "Ogiltigt land: South Korea").value == "South Korea"


def test_an_unknown_code_is_data_and_says_that_it_is_unknown() -> None:
    error = classify(400, {}, {"ErrorInformation": {"message": "Något nytt", "code": 2999999}}, "", None)
    assert type(error) is e.InvalidData
    assert error.code == "2999999"
    assert error.context["unknown"] is True


@pytest.mark.parametrize(
    "message,expected",
    [
        ("Kunde inte hämta/hitta moms", e.Misconfigured),
        ("Kunde inte hämta/hitta valuta", e.Misconfigured),
        ("Konto 3001 är inte aktivt", e.Misconfigured),
        ("Bankuppgifter saknas", e.Misconfigured),
        ("OCR-numret används redan", e.Conflict),
        ("Feature inte tillgänglig", e.PermissionMissing),
        ("The payment date cannot precede the invoice date", e.InvalidData),
        ("Felaktig action på faktura (PUT).", e.Misconfigured),
    ],
)
def test_texts_without_a_known_code_are_recognised(message: str, expected: type[e.SyncError]) -> None:
    body = {"ErrorInformation": {"message": message, "code": 2990001}}
    assert type(classify(400, {}, body, "", None)) is expected


@pytest.mark.parametrize(
    "status,data,expected",
    [
        (401, {"message": "unauthorized"}, e.AuthenticationFailed),
        (403, None, e.PermissionMissing),
        (404, None, e.Missing),
        (410, None, e.Missing),
        (409, None, e.Conflict),
        (413, None, e.TooLarge),
        (429, None, e.RateLimited),
        (502, None, e.Transient),
        (504, None, e.Transient),
        (302, None, e.Transient),
        (400, ["odd"], e.InvalidData),
        (400, {"ErrorInformation": "odd"}, e.InvalidData),
    ],
)
def test_answers_without_an_envelope_go_by_status(status: int, data: Any, expected: type[e.SyncError]) -> None:
    assert type(classify(status, {}, data, "<html>", None)) is expected


def test_a_rate_limit_waits_five_seconds_unless_told_otherwise() -> None:
    assert classify(429, {}, None, "", None).retry_after == 5.0
    assert classify(429, {}, None, "", 30.0).retry_after == 30.0


def test_the_support_reference_is_kept() -> None:
    assert classify(400, {"X-Uid": "3688af83"}, None, "", None).context["uid"] == "3688af83"


def test_an_envelope_in_any_case_is_read() -> None:
    assert envelope({"errorinformation": {"CODE": 1, "MESSAGE": "x"}}) == ("1", "x")
    assert envelope("x") == ("", "")
