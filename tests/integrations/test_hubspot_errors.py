"""One table for HubSpot's refusals: codes in `errors[]`, only inside the message, or nowhere but in the text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations import errors as e
from integrations.catalogue import Responsible
from integrations.hubspot.errors import CODES, classify, property_failures


def _property(code: str, message: str, name: str = "p", *, listed: bool = True) -> dict[str, Any]:
    inner = [{"isValid": False, "message": message, "error": code, "name": name}]
    body: dict[str, Any] = {
        "status": "error",
        "message": f"Property values were not valid: {json.dumps(inner)}",
        "category": "VALIDATION_ERROR",
    }
    if listed:
        body["errors"] = [{"message": message, "code": code, "context": {"propertyName": [name]}}]
    return body


PROPERTY_CASES = [
    ("PROPERTY_DOESNT_EXIST", 'Property "p" does not exist', e.Misconfigured, ""),
    ("INVALID_OPTION", 'paused was not one of the allowed options: [label: "A"]', e.InvalidData, "paused"),
    ("INVALID_LONG", "abc was not a valid long.", e.InvalidData, "abc"),
    ("INVALID_INTEGER", "x was not a valid integer", e.InvalidData, ""),
    ("INVALID_NUMBER", "discount was not a valid number", e.InvalidData, ""),
    ("READ_ONLY_VALUE", '"p" is a calculated property; its value cannot be set.', e.Misconfigured, ""),
    ("INVALID_EMAIL", "Email address nope is invalid", e.InvalidData, "nope"),
    ("CONFLICTING_UNIQUE_VALUE", "210458813 already has that value.", e.Conflict, ""),
    ("MISSING_REQUIRED_PROPERTY", "A value for firstname must be provided", e.Misconfigured, ""),
    ("MISSING_CONDITIONAL_REQUIRED_PROPERTY", "zip is required because of a conditional rule", e.Misconfigured, ""),
]


@pytest.mark.parametrize("code,message,expected,value", PROPERTY_CASES)
@pytest.mark.parametrize("listed", [True, False], ids=["listed", "in the text"])
def test_a_property_failure_names_its_property(
    code: str, message: str, expected: type[e.SyncError], value: str, listed: bool
) -> None:
    error = classify(400, {}, _property(code, message, listed=listed), "", None)
    assert (type(error), error.code, error.field, error.value) == (expected, code, "p", value)
    assert error.message == message


@pytest.mark.parametrize(
    "status,body,code",
    [
        (
            400,
            _property("INVALID_OPTION", 'big was not one of the allowed options: [label: "10,000+"]'),
            "INVALID_OPTION",
        ),
        (400, _property("INVALID_OPTION", "10000 was not one of the allowed options: [x]"), "INVALID_OPTION"),
        (400, _property("CONFLICTING_UNIQUE_VALUE", "210000458 already has that value."), "CONFLICTING_UNIQUE_VALUE"),
        (409, {"category": "CONFLICT", "message": "Contact already exists. Existing ID: 37710000953"}, "CONFLICT"),
        (403, {"category": "MISSING_SCOPES", "message": "Not granted to app 10000."}, "MISSING_SCOPES"),
    ],
)
def test_a_value_or_an_id_in_a_text_is_not_taken_for_the_limit_of_searches(
    status: int, body: dict[str, Any], code: str
) -> None:
    error = classify(status, {}, body, "", None)
    assert (error.code, type(error)) == (code, CODES[code].kind)


@pytest.mark.parametrize("text", ["only page through the first 10000 results", "The maximum is 10,000 (after 10000)"])
def test_the_limit_of_searches_is_told_by_its_text(text: str) -> None:
    assert classify(400, {}, {"category": "VALIDATION_ERROR", "message": text}, "", None).code == "SEARCH_LIMIT"


def test_a_currency_that_is_not_enabled_is_a_setting_not_a_value() -> None:
    text = '"BRL" is not a part of the current effective currency codes for portal 145893001'
    error = classify(400, {}, _property("INVALID_OPTION", text, "deal_currency_code"), "", None)
    assert (type(error), error.field, error.value) == (e.Misconfigured, "deal_currency_code", "BRL")


@pytest.mark.parametrize(
    "status,body,expected,code",
    [
        (401, {"category": "INVALID_AUTHENTICATION"}, e.AuthenticationFailed, "INVALID_AUTHENTICATION"),
        (401, {"category": "EXPIRED_AUTHENTICATION"}, e.AuthenticationFailed, "EXPIRED_AUTHENTICATION"),
        (401, {}, e.AuthenticationFailed, "401"),
        (403, {"category": "MISSING_SCOPES"}, e.PermissionMissing, "MISSING_SCOPES"),
        (403, None, e.PermissionMissing, "403"),
        (404, {"message": "resource not found"}, e.Missing, "404"),
        (404, {"category": "OBJECT_NOT_FOUND"}, e.Missing, "OBJECT_NOT_FOUND"),
        (409, {"category": "CONFLICT", "message": "Contact already exists."}, e.Conflict, "CONFLICT"),
        (409, {"category": "OBJECT_ALREADY_EXISTS"}, e.Conflict, "OBJECT_ALREADY_EXISTS"),
        (
            409,
            {"subCategory": "Properties.PROPERTY_WITH_NAME_EXISTS"},
            e.Conflict,
            "Properties.PROPERTY_WITH_NAME_EXISTS",
        ),
        (
            400,
            {
                "message": "Unable to perform update/upsert by non-unique 0-2 property domain",
                "category": "VALIDATION_ERROR",
            },
            e.Misconfigured,
            "NON_UNIQUE_KEY",
        ),
        (400, {"message": "One or more associations are invalid"}, e.Misconfigured, "ASSOCIATION_TYPE"),
        (400, {"message": "Invalid input JSON on line 1, column 2"}, e.Misconfigured, "BAD_JSON"),
        (400, {"message": "Missing 'Edit Associations' permission."}, e.PermissionMissing, "EDIT_ASSOCIATIONS"),
        (400, {"subCategory": "PipelineError.STAGE_ID_IN_USE"}, e.Conflict, "PipelineError.STAGE_ID_IN_USE"),
        (414, None, e.TooLarge, "414"),
        (423, {"category": "LOCKED"}, e.Transient, "LOCKED"),
        (477, {"category": "MIGRATION_IN_PROGRESS"}, e.Transient, "MIGRATION_IN_PROGRESS"),
        (500, None, e.Transient, "500"),
        (524, None, e.Transient, "524"),
        (400, {"category": "SOMETHING_NEW", "message": "x"}, e.InvalidData, "SOMETHING_NEW"),
        (400, ["odd"], e.InvalidData, "400"),
    ],
)
def test_every_case_has_its_class(status: int, body: Any, expected: type[e.SyncError], code: str) -> None:
    error = classify(status, {}, body, "", None)
    assert (type(error), error.code) == (expected, code)


@pytest.mark.parametrize("policy,wait", [("TEN_SECONDLY_ROLLING", 10), ("SECONDLY", 1), ("DAILY", 3600), ("", 10)])
def test_each_rate_limit_has_its_wait(policy: str, wait: float) -> None:
    error = classify(429, {}, {"policyName": policy}, "", None)
    assert (type(error), error.retry_after) == (e.RateLimited, wait)
    assert classify(429, {}, {"policyName": policy}, "", 3.0).retry_after == 3.0


def test_a_lock_lasts_two_seconds_and_a_move_as_long_as_told() -> None:
    assert classify(423, {}, {}, "", None).retry_after == 2.0
    assert classify(477, {}, {}, "", 3600.0).retry_after == 3600.0


def test_missing_scopes_are_named() -> None:
    body = {"category": "MISSING_SCOPES", "errors": [{"context": {"requiredGranularScopes": ["crm.x.write"]}}]}
    assert classify(403, {}, body, "", None).context["scopes"] == ["crm.x.write"]


def test_an_unknown_code_says_that_it_is_unknown() -> None:
    assert classify(400, {}, {"category": "NEW"}, "", None).context["unknown"] is True


def test_every_entry_says_cause_remedy_and_who() -> None:
    for entry in CODES.values():
        assert entry.cause
        assert entry.remedy
        assert entry.responsible in Responsible.values


@pytest.mark.parametrize(
    "body",
    [{}, {"errors": None}, {"errors": ["x"]}, {"message": "Property values were not valid: [cut"}, {"errors": [{}]}],
)
def test_odd_bodies_have_no_property_failures(body: dict[str, Any]) -> None:
    assert property_failures(body) == []
