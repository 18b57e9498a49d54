"""One table for Salesforce's refusals: in arrays, in rows of collections and bulk results, and at sign-in."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses

from integrations import catalogue
from integrations import errors as e
from integrations.catalogue import Responsible
from integrations.http import Api
from integrations.salesforce.errors import CODES, SIGN_IN, TEXTS, classify, of_row, of_text, refreshable
from tests.integrations.clients import connected, set_vendor

ORG = "https://nordkraft.my.salesforce.com"
RULE = "Organisationsnummer saknas"


def _array(code: str, message: str, *fields: str, **extra: Any) -> list[dict[str, Any]]:
    return [{"errorCode": code, "message": message, "fields": list(fields), **extra}]


def _row(code: str, message: str, *fields: str) -> list[dict[str, Any]]:
    return [{"statusCode": code, "message": message, "fields": list(fields)}]


DATA = [
    ("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName, Company]", e.InvalidData, "LastName", ""),
    ("STRING_TOO_LONG", "Account Name: data value too large: Åkeri, (max length=255)", e.InvalidData, "", "Åkeri,"),
    ("INVALID_EMAIL_ADDRESS", "Email: invalid email address: nope@", e.InvalidData, "", "nope@"),
    ("MALFORMED_ID", "Account ID: id value of incorrect type: 003Fx00000LmNoPIAV", e.InvalidData, "",
     "003Fx00000LmNoPIAV"),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "Status: bad value for restricted picklist field: Okänd", e.InvalidData,
     "", "Okänd"),
    ("INVALID_FIELD", "No such column 'CurrencyIsoCode' on sobject of type Account", e.Misconfigured,
     "CurrencyIsoCode", ""),
    ("INVALID_TYPE", "\nSELECT Id FROM X\n ^\nERROR at Row:1:Column:16\nsObject type 'X' is not supported.",
     e.Misconfigured, "X", ""),
    ("DUPLICATE_VALUE", "duplicate value found: Fortnox_Key__c duplicates value on record with id: 001Fx00000AbCdE",
     e.Conflict, "Fortnox_Key__c", ""),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
     "insufficient access rights on cross-reference id: 001Fx00000ZzZzZ", e.PermissionMissing, "", "001Fx00000ZzZzZ"),
    ("ENTITY_IS_DELETED", "entity is deleted", e.Missing, "", ""),
    ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", e.Missing, "", ""),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "AccountTrigger: BeforeUpdate caused by: X", e.InvalidData, "", ""),
    ("STANDARD_PRICE_NOT_DEFINED", "Before creating a custom price, create a standard price.", e.InvalidData, "", ""),
    ("ENTITY_IS_LOCKED", "the entity is locked for editing", e.Conflict, "", ""),
]  # fmt: skip


@pytest.mark.parametrize("code,message,expected,field,value", DATA, ids=[row[0] for row in DATA])
@pytest.mark.parametrize("shape", ["array", "row", "bulk"])
def test_a_refusal_names_field_and_value_in_every_shape(
    code: str, message: str, expected: type[e.SyncError], field: str, value: str, shape: str
) -> None:
    found = {
        "array": lambda: classify(400, {}, _array(code, message), "", None),
        "row": lambda: of_row(_row(code, message)),
        "bulk": lambda: of_text(f"{code}:{message}:--"),
    }[shape]()
    assert (type(found), found.code, found.field, found.value) == (expected, code, field, value)
    assert found.message == message.rpartition("\n")[2]
    assert found.context["remedy"] == CODES[code].remedy


def test_the_fields_that_salesforce_lists_come_before_those_of_the_text() -> None:
    error = classify(400, {}, _array("FIELD_CUSTOM_VALIDATION_EXCEPTION", RULE, "Org_Number__c"), "", None)
    assert (type(error), error.field, error.message) == (e.InvalidData, "Org_Number__c", RULE)
    assert of_text(f"FIELD_CUSTOM_VALIDATION_EXCEPTION:{RULE}:Org_Number__c --").field == "Org_Number__c"


def test_a_customers_message_with_colons_survives_a_bulk_result() -> None:
    error = of_text("FIELD_CUSTOM_VALIDATION_EXCEPTION:Fel: välj bransch, tack:Industry,Type --")
    assert (error.message, error.field) == ("Fel: välj bransch, tack", "Industry")


def test_several_messages_of_one_record_are_all_kept() -> None:
    body = _array("FIELD_CUSTOM_VALIDATION_EXCEPTION", "Ett", "A__c") + _array("STRING_TOO_LONG", "Två", "B__c")
    error = classify(400, {}, body, "", None)
    assert (error.code, error.field, error.message) == ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "A__c", "Ett\nTvå")


def test_a_duplicate_rule_tells_which_records_it_found() -> None:
    matches = [{"record": {"Id": "001Fx00000AbCdFIAV"}}, {"record": {"Id": "001Fx00000AbCdE"}}, {"record": None}]
    result = {"duplicateRule": "R", "matchResults": [{"matchRecords": matches}, "odd"]}
    error = classify(400, {}, _array("DUPLICATES_DETECTED", "Use one of these?", duplicateResult=result), "", None)
    assert isinstance(error, e.Conflict)
    assert error.context["matches"] == ["001Fx00000AbCdFIAV", "001Fx00000AbCdEIAV"]


def test_the_holder_of_a_unique_value_is_named_with_eighteen_characters() -> None:
    error = of_row(
        _row("DUPLICATE_VALUE", "duplicate value found: K__c duplicates value on record with id: 001Fx00000AbCdE")
    )
    assert error.context["matches"] == ["001Fx00000AbCdEIAV"]


def test_a_key_that_several_records_carry_is_a_conflict_with_their_ids() -> None:
    urls = [f"/services/data/v67.0/sobjects/Account/{key}" for key in ("001Fx00000AbCdEIAV", "001Fx00000AbCdFIAV")]
    error = classify(300, {}, urls, "", None)
    assert (type(error), error.code) == (e.Conflict, "several_matches")
    assert error.context["matches"] == ["001Fx00000AbCdEIAV", "001Fx00000AbCdFIAV"]


TOLD_BY_TEXT = [
    (401, "INVALID_SESSION_ID", "Session expired or invalid", e.AuthenticationFailed, "INVALID_SESSION_ID"),
    (401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API", e.AuthenticationFailed,
     "session_refused"),
    (401, "INVALID_SESSION_ID", "Connected app is not attached to Agent", e.AuthenticationFailed, "session_refused"),
    (404, "NOT_FOUND", "The requested resource does not exist", e.Missing, "NOT_FOUND"),
    (404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: Fortnox_Key__c",
     e.Misconfigured, "external_id_field"),
    (404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: Id", e.Missing, "NOT_FOUND"),
    (400, "INVALID_FIELD", "Foreign key external ID: 9999 not found for field Fortnox_Key__c in entity Account",
     e.Missing, "foreign_key"),
    (400, "FIELD_INTEGRITY_EXCEPTION", "There's a problem with this country, even though it may appear correct.",
     e.InvalidData, "country_picklist"),
    (400, "FIELD_INTEGRITY_EXCEPTION", "pricebook entry is in a different pricebook than the one assigned",
     e.InvalidData, "price_book"),
    (400, "FIELD_INTEGRITY_EXCEPTION", "Something else", e.InvalidData, "FIELD_INTEGRITY_EXCEPTION"),
    (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "entity type cannot be inserted: Contact", e.PermissionMissing,
     "object_right"),
    (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "entity type cannot be updated: Konto", e.PermissionMissing,
     "object_right"),
    (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Bill: execution of AfterInsert caused by: entity type cannot be "
     "inserted: Task", e.InvalidData, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"),
    (410, "GONE", "The requested API version is retired", e.Misconfigured, "GONE"),
]  # fmt: skip


@pytest.mark.parametrize("status,code,message,expected,name", TOLD_BY_TEXT)
def test_cases_that_share_a_code_are_told_apart(
    status: int, code: str, message: str, expected: type[e.SyncError], name: str
) -> None:
    error = classify(status, {}, [{"errorCode": code, "message": message}], "", None)
    assert (type(error), error.code, error.status) == (expected, name, status)


@pytest.mark.parametrize(
    "code", ["REQUEST_LIMIT_EXCEEDED", "LIMIT_EXCEEDED", "EXCEEDED_ID_LIMIT", "TXN_SECURITY_METERING_ERROR"]
)
def test_a_used_up_allowance_pauses_for_a_quarter_of_an_hour(code: str) -> None:
    error = classify(403, {}, _array(code, "TotalRequests Limit exceeded."), "", None)
    assert (type(error), error.retry_after) == (e.RateLimited, 900.0)
    assert classify(403, {}, _array(code, "x"), "", 60.0).retry_after == 60.0


@pytest.mark.parametrize(
    "code",
    ["UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION", "QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG"],
)
def test_passing_troubles_are_tried_again(code: str) -> None:
    assert isinstance(of_row(_row(code, "x")), e.Transient)


@pytest.mark.parametrize("status", [408, 500, 502, 503])
def test_a_page_of_html_is_a_fault_of_the_server_and_not_quoted(status: int) -> None:
    error = classify(status, {}, None, "<html><body>Down for maintenance</body></html>", 12.0)
    assert (type(error), error.message, error.retry_after) == (e.Transient, f"HTTP {status}", 12.0)


@pytest.mark.parametrize(
    "status,expected",
    [(401, e.AuthenticationFailed), (403, e.PermissionMissing), (404, e.Missing), (412, e.Conflict),
     (414, e.TooLarge), (431, e.TooLarge), (429, e.RateLimited), (302, e.Transient), (418, e.InvalidData)],
)  # fmt: skip
@pytest.mark.parametrize("body", [None, {}, [], ["odd"], [{"errors": None}], "text"])
def test_answers_without_a_reason_are_judged_by_their_status(
    status: int, expected: type[e.SyncError], body: Any
) -> None:
    error = classify(status, {}, body, "", None)
    assert (type(error), error.code) == (expected, str(status))


def test_an_unknown_code_says_that_it_is_unknown() -> None:
    error = classify(400, {}, _array("SOMETHING_NEW", "what?", "F__c"), "", None)
    assert (type(error), error.code, error.field, error.context["unknown"]) == (
        e.InvalidData, "SOMETHING_NEW", "F__c", True,
    )  # fmt: skip
    assert not catalogue.explain("salesforce", "SOMETHING_NEW", "what?").known


def test_a_row_without_a_reason_is_still_an_error_of_its_record() -> None:
    error = of_row([], "001Fx00000AbCdEIAV")
    assert (type(error), error.record) == (e.InvalidData, "001Fx00000AbCdEIAV")
    assert error.message


SIGN_INS = [
    ("invalid_grant", "expired access/refresh token", e.AuthenticationFailed),
    ("invalid_grant", "expired authorization code", e.AuthenticationFailed),
    ("invalid_grant", "invalid code verifier", e.AuthenticationFailed),
    ("invalid_grant", "user hasn't approved this consumer", e.AuthenticationFailed),
    ("invalid_grant", "audience is invalid", e.AuthenticationFailed),
    ("invalid_grant", "request not supported on this domain", e.AuthenticationFailed),
    ("invalid_grant", "no client credentials user enabled", e.AuthenticationFailed),
    ("invalid_grant", "ip restricted", e.AuthenticationFailed),
    ("inactive_user", "user is inactive", e.AuthenticationFailed),
    ("inactive_org", "organization is locked", e.AuthenticationFailed),
    ("invalid_client_id", "client identifier invalid", e.Misconfigured),
    ("invalid_client_id", "External client app is not installed in this org", e.Misconfigured),
    ("invalid_client", "invalid client credentials", e.Misconfigured),
    ("redirect_uri_mismatch", "redirect_uri must match configuration", e.Misconfigured),
]


@pytest.mark.parametrize("code,text,expected", SIGN_INS)
def test_every_refusal_of_the_token_endpoint_is_explained(code: str, text: str, expected: type[e.SyncError]) -> None:
    error = classify(400, {}, {"error": code, "error_description": text}, "", None)
    assert (type(error), error.code, error.message) == (expected, code, text)
    assert catalogue.explain("salesforce", code, f"The vendor refuses the connection: {text}").known


def test_each_reason_of_invalid_grant_has_a_remedy_of_its_own() -> None:
    texts = [text for code, text, _expected in SIGN_INS if code == "invalid_grant"]
    remedies = {catalogue.explain("salesforce", "invalid_grant", text).remedy for text in texts}
    assert len(remedies) == len(TEXTS) == 7


def test_every_entry_says_cause_remedy_and_who() -> None:
    assert len(CODES) > 50
    for entry in (*CODES.values(), *SIGN_IN.values(), *TEXTS):
        assert entry.cause, entry
        assert entry.remedy, entry
        assert entry.responsible in Responsible.values, entry


def test_some_refusals_are_not_worth_a_new_token() -> None:
    assert refreshable([{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])
    assert refreshable(None)
    assert not refreshable([{"message": "This session is not valid for use with the REST API"}])
    assert not refreshable([{"message": "Connected app is not attached to Agent"}])


@pytest.mark.django_db
@responses.activate
def test_a_session_that_may_not_use_the_interface_is_refused_once_without_a_refresh(settings: Any) -> None:
    set_vendor(settings, "salesforce", rate=(0, 1.0))
    body = [{"message": "This session is not valid for use with the REST API", "errorCode": "INVALID_SESSION_ID"}]
    responses.get(f"{ORG}/services/data/v67.0/limits", status=401, body=json.dumps(body))
    with pytest.raises(e.AuthenticationFailed) as refused:
        Api(connected("salesforce", api_url=ORG)).call("GET", "/services/data/v67.0/limits")
    assert refused.value.code == "session_refused"
    assert len(responses.calls) == 1


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_classified_as_its_entry_says(code: str) -> None:
    if code.islower() or code.isdigit():
        assert CODES[code].kind.error_class == CODES[code].error_class  # a name of ours, told by text or status
        return
    error = classify(400, {}, _array(code, "x"), "", None)
    assert type(error) is CODES[code].kind
    assert catalogue.find("salesforce", code) is not None
