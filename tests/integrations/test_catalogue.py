"""The error catalogue knows every documented code and every code of our own, and admits what it does not know."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import translation

from integrations import catalogue
from integrations.catalogue import Responsible
from integrations.errors import ErrorClass

ROOT = Path(__file__).resolve().parents[2]

FORTNOX = """
2000663 2001101 2001103 2001393 2003275 2000310 2000311 2000719 1000003 1000029 1000030 1000031 2000433 2000428 2000434
2000439 2001161 2000432 2000429 2000423 2000427 2000430 2000431 2000435 2000637 2000013 2000204 2001302 2001304 2000550
2000919 2004194 2000359 2000106 2000108 2000134 2000107 2000587 2000588 2000729 2001392 2001399 2002115 2001740 2002649
2000401 2004167 2001265 2002462 2004052 2001403 2000499 2001243 2003124 2003125 2003126 2003127 2003277 2003399 2003241
2000755 2003095 2003115 2004019 2004021 2002980 2003151 2003157 2000600 2004054 2001600 2001896
invalid_client invalid_grant invalid_scope 401 403 404 500 429
"""

FORTNOX_TEXTS = [
    "Kunde inte hämta/hitta moms",
    "Kunde inte hämta/hitta valuta",
    "Kunde inte hämta/hitta kostnadsställe",
    "Kunde inte hämta/hitta leveranssätt",
    "Ogiltig Momskod",
    "Konto 3001 är inte aktivt",
    "Bankuppgifter saknas",
    "Kan inte skicka dokument om inte företaget är registrerat",
    "Kunde inte bokföra fakturanummer 17. Faktura som bokförs måste vara klarmarkerad.",
    "Felaktig action på faktura (PUT).",
    "OCR-numret används redan",
    "Feature inte tillgänglig",
    "The payment date cannot precede the invoice date",
    "Payment and invoice currency mismatch",
    "Räkenskapsår saknas för datumet",
]

HUBSPOT = """
BAD_REFRESH_TOKEN BAD_AUTH_CODE BAD_HUB BAD_CLIENT_ID BAD_CLIENT_SECRET BAD_REDIRECT_URI BAD_CODE_VERIFIER BAD_SCOPES
BAD_GRANT_TYPE invalid_grant access_denied invalid_client
401 403 409 414 423 429 477 500 502 503 504 521 522 523 524 525 526 DAILY TEN_SECONDLY_ROLLING SECONDLY RATE_LIMITS
INVALID_AUTHENTICATION EXPIRED_AUTHENTICATION MISSING_SCOPES OBJECT_NOT_FOUND VALIDATION_ERROR PROPERTY_DOESNT_EXIST
INVALID_OPTION INVALID_LONG INVALID_INTEGER INVALID_NUMBER READ_ONLY_VALUE INVALID_EMAIL CONFLICTING_UNIQUE_VALUE
CONFLICT OBJECT_ALREADY_EXISTS NON_UNIQUE_KEY ASSOCIATION_TYPE BAD_JSON SEARCH_LIMIT MISSING_REQUIRED_PROPERTY
MISSING_CONDITIONAL_REQUIRED_PROPERTY EDIT_ASSOCIATIONS
"""

SALESFORCE = """
REQUIRED_FIELD_MISSING FIELD_CUSTOM_VALIDATION_EXCEPTION STRING_TOO_LONG FIELD_INTEGRITY_EXCEPTION
INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST INVALID_EMAIL_ADDRESS NUMBER_OUTSIDE_VALID_RANGE INVALID_CURRENCY_ISO
STANDARD_PRICE_NOT_DEFINED MALFORMED_ID FIELD_FILTER_VALIDATION_EXCEPTION DUPLICATE_VALUE DUPLICATES_DETECTED
DUPLICATE_EXTERNAL_ID ENTITY_IS_DELETED NOT_FOUND INVALID_CROSS_REFERENCE_KEY INVALID_FIELD
INVALID_FIELD_FOR_INSERT_UPDATE INVALID_TYPE INSUFFICIENT_ACCESS_OR_READONLY
INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY API_DISABLED_FOR_ORG FUNCTIONALITY_NOT_ENABLED
CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY CANNOT_EXECUTE_FLOW_TRIGGER UNABLE_TO_LOCK_ROW SERVER_UNAVAILABLE UNKNOWN_EXCEPTION
QUERY_TIMEOUT REQUEST_RUNNING_TOO_LONG REQUEST_LIMIT_EXCEEDED LIMIT_EXCEEDED EXCEEDED_ID_LIMIT
TXN_SECURITY_METERING_ERROR INVALID_SESSION_ID GONE MALFORMED_QUERY INVALID_QUERY_LOCATOR JSON_PARSER_ERROR
METHOD_NOT_ALLOWED ALL_OR_NONE_OPERATION_ROLLED_BACK PROCESSING_HALTED INACTIVE_OWNER_OR_USER ENTITY_IS_LOCKED
FAILED_ACTIVATION INVALID_REPLICATION_DATE invalid_grant invalid_client_id invalid_client redirect_uri_mismatch
inactive_user access_denied 401 403 404 409 410 412 414 415 428 429 431 500 502 503
"""


@pytest.mark.parametrize(
    ("system", "code"),
    [
        *(("fortnox", code) for code in FORTNOX.split()),
        *(("hubspot", code) for code in HUBSPOT.split()),
        *(("salesforce", code) for code in SALESFORCE.split()),
    ],
)
def test_every_documented_code_is_explained(system: str, code: str) -> None:
    entry = catalogue.explain(system, code, "anything")
    assert entry.known
    assert entry.code == code
    assert entry.error_class in ErrorClass.values


@pytest.mark.parametrize("message", FORTNOX_TEXTS)
def test_every_documented_text_without_a_code_is_recognised(message: str) -> None:
    entry = catalogue.explain("fortnox", "2990001", message)
    assert entry.known
    assert entry.message_pattern


def test_every_entry_says_cause_remedy_and_who_can_do_it() -> None:
    for entry in catalogue.entries():
        assert entry.cause, entry
        assert entry.remedy, entry
        assert entry.responsible in Responsible.values, entry
        assert entry.kind.error_class == entry.error_class


def test_an_unknown_code_is_a_stub_with_the_raw_text() -> None:
    entry = catalogue.explain("fortnox", "2999999", "Något nytt: %s {x}")
    assert not entry.known
    assert (entry.code, entry.cause_text, entry.responsible) == ("2999999", "Något nytt: %s {x}", Responsible.SUPPORT)
    assert entry.remedy_text


def test_the_code_of_one_vendor_means_nothing_for_the_other() -> None:
    assert catalogue.find("hubspot", "2000433") is None
    assert catalogue.find("fortnox", "INVALID_OPTION") is None


def test_a_status_and_a_bug_are_found_whatever_follows_them() -> None:
    assert catalogue.explain("fortnox", "http_503").error_class == ErrorClass.TRANSIENT
    assert catalogue.explain("", "bug:KeyError:3f2a").error_class == ErrorClass.BUG


def test_causes_are_translated_where_they_are_shown() -> None:
    entry = catalogue.explain("fortnox", "2000433")
    with translation.override("sv"):
        assert entry.cause_text != entry.cause


ROOMS = ("integrations", "mappings", "sync")
NO_ERRORS = {"ValidationError", "BundleError", "replace"}
"""Refusals of a form or a file are shown where it was given, never stored with a change."""


def _raised() -> Iterator[tuple[str, str]]:
    """(where, code) of every `code="…"` that our own source gives to an error or a problem."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield from ((f"{path.relative_to(ROOT)}:{node.lineno}", code) for code in _codes(node))


def _codes(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in NO_ERRORS:
        return
    found: list[ast.expr] = [keyword.value for keyword in node.keywords if keyword.arg in ("code", "error_code")]
    if name in ("_conflict", "_add", "Problem"):
        found += node.args[:1]
    for value in found:
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
            yield value.value
        elif isinstance(value, ast.JoinedStr) and value.values and isinstance(value.values[0], ast.Constant):
            yield f"{value.values[0].value}*"


def test_every_code_of_our_own_has_an_entry() -> None:
    raised = list(_raised())
    assert len(raised) > 60
    listed = [entry.code for entry in catalogue.entries()]

    def known(code: str) -> bool:
        """`http_*` and the like: a name that is made of a prefix and what it is about."""
        if code.endswith("*"):
            return bool(catalogue.find("", code)) or any(entry.startswith(code[:-1]) for entry in listed)
        return any(catalogue.find(system, code) for system in ("", "fortnox", "hubspot", "salesforce"))

    assert {f"{where} {code}" for where, code in raised if not known(code)} == set()


def test_every_class_of_error_has_an_entry() -> None:
    assert {entry.error_class for entry in catalogue.entries()} == set(ErrorClass)
