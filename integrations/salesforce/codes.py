"""What Salesforce's error codes mean: of the API and of single rows. Those of its token endpoint: `sign_in_codes`.

Sources, in words: Salesforce's REST guide (status codes), the StatusCode and ExceptionCode lists of its SOAP interface
description, published open-source clients, and texts seen in public threads. Codes in lower case are names of ours for
cases that Salesforce tells apart only by their text. The invariant: every code that the documentation names for the
calls we make has an entry.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_noop as _

from integrations.catalogue import Entry, Repair, Responsible, table
from integrations.errors import ErrorClass as C

R = Responsible
_AGAIN = _("Nothing; it is tried again.")


def _same(entry: Entry, *codes: str) -> dict[str, Entry]:
    return dict.fromkeys(codes, entry)


_VALUE = Entry(C.DATA, _("Salesforce does not accept this value."), _("Correct the value, or its mapping."), R.CRM_USER)
_PICKLIST = Entry(
    C.DATA,
    _("The value is not among the options of the picklist, or not among those of the record type."),
    _("Add the option in Salesforce (also to the record type), or translate the value with a value map."),
    R.CONSULTANT,
    repair=Repair.VALUE_MAP,
)
_CURRENCY = Entry(
    C.CONFIGURATION,
    _("The currency is not active in Salesforce."),
    _("Add the currency in Salesforce under Setup, Manage Currencies. An org with one currency knows no other."),
    R.CONSULTANT,
    repair=Repair.CURRENCY,
)
_TAKEN = Entry(
    C.CONFLICT,
    _("Another record already has this unique value."),
    _("Link to that record, or merge the two in Salesforce."),
    R.CRM_USER,
)
_GONE = Entry(
    C.MISSING,
    _("The record was deleted in Salesforce, or merged into another one."),
    _("Restore it from the recycle bin, or link to the record that it became."),
    R.CRM_USER,
)
_LOOKUP = Entry(
    C.MISSING,
    _("A record that this one points to was deleted in Salesforce, or is of another kind."),
    _("Restore that record, or link to another one; then retry."),
    R.CRM_USER,
)
_FIELD = Entry(
    C.CONFIGURATION,
    _("Salesforce has no such field or object, or our user may not see it."),
    _("Open the schema check of the connected account, deploy the package, assign the permission set."),
    R.CONSULTANT,
    repair=Repair.SETUP,
)
_RIGHT = Entry(
    C.PERMISSION,
    _("Our Salesforce user may not do this."),
    _("Give the user the permission set and the right to see and edit all records of these objects."),
    R.CONSULTANT,
)
_API = Entry(
    C.PERMISSION,
    _("The Salesforce edition, or the profile of our user, does not allow API access."),
    _("Give the user the right “API Enabled”, or ask Salesforce to enable the API for the org."),
    R.CONSULTANT,
)
_FEATURE = Entry(
    C.CONFIGURATION,
    _("The feature is switched off in Salesforce."),
    _("Switch the feature on in Salesforce under Setup, or take what needs it out of the mapping."),
    R.CONSULTANT,
)
_AUTOMATION = Entry(
    C.DATA,
    _("An automation in Salesforce (a trigger or flow of the customer's own) refused the record."),
    _("Read the text: correct the record, or let whoever made the automation correct it."),
    R.CRM_USER,
)
_TOKEN = Entry(C.AUTHENTICATION, _("Salesforce does not accept our session."), _("Reconnect Salesforce."), R.CONSULTANT)
_SESSION = Entry(
    C.AUTHENTICATION,
    _("The session may not use the REST interface; a new one would not either."),
    _("Check the app's scopes and the user's right “API Enabled” in Salesforce, then reconnect."),
    R.CONSULTANT,
)
_FAULT = Entry(C.TRANSIENT, _("Salesforce did not finish the call."), _AGAIN, R.NOBODY)
_LOCK = Entry(
    C.TRANSIENT,
    _("Somebody else's work held the record, or the account it belongs to, for too long."),
    _AGAIN,
    R.NOBODY,
)
_LIMIT = Entry(
    C.RATE_LIMITED,
    _("The org's allowance of API calls is used up, or too many long calls run at once."),
    _("It goes on by itself in a quarter of an hour. If it happens daily, ask Salesforce for more calls."),
    R.NOBODY,
)
_REQUEST = Entry(
    C.CONFIGURATION,
    _("Salesforce cannot read the request we made."),
    _("Report this with the code."),
    R.SUPPORT,
    repair=Repair.NONE,
)
_PRICE = Entry(
    C.DATA,
    _("The product has no price of this kind in the price book."),
    _("Give the product a standard price in the currency, and an active entry in the record's price book."),
    R.CRM_USER,
)
_STATE = Entry(
    C.CONFLICT,
    _("The record's state in Salesforce does not allow this change."),
    _("Finish or recall the approval or activation in Salesforce, then retry."),
    R.CRM_USER,
)
_OWNER = Entry(
    C.DATA,
    _("The owner of the record is an inactive user."),
    _("Give the record another owner in Salesforce."),
    R.CRM_USER,
)
_MISSING_VALUE = Entry(
    C.DATA,
    _("Salesforce demands a value for this field."),
    _("Map the field or give it a default, or correct the record at its source."),
    R.CONSULTANT,
    repair=Repair.MAPPING,
)

_CODES: Mapping[str, Entry] = {
    # values
    **_same(
        _VALUE,
        "STRING_TOO_LONG", "INVALID_EMAIL_ADDRESS", "NUMBER_OUTSIDE_VALID_RANGE", "FIELD_INTEGRITY_EXCEPTION",
        "INVALID_TYPE_ON_FIELD_IN_RECORD", "FIELD_FILTER_VALIDATION_EXCEPTION", "MALFORMED_ID", "INVALID_ID_FIELD",
    ),
    "REQUIRED_FIELD_MISSING": _MISSING_VALUE,
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": Entry(
        C.DATA,
        _("A validation rule of the customer's own refused the record."),
        _("Do what the text says: correct the record, or the rule in Salesforce."),
        R.CRM_USER,
    ),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": _PICKLIST,
    "country_picklist": Entry(
        C.DATA,
        _("The country or state is not in the org's list of countries and states."),
        _("Map the country code instead of its name, and no state where the country has none."),
        R.CONSULTANT,
        repair=Repair.MAPPING,
    ),
    "INVALID_CURRENCY_ISO": _CURRENCY,
    "STANDARD_PRICE_NOT_DEFINED": _PRICE,
    "price_book": _PRICE,
    **_same(_OWNER, "INACTIVE_OWNER_OR_USER"),
    # identity
    **_same(_TAKEN, "DUPLICATE_VALUE", "DUPLICATE_EXTERNAL_ID"),
    "DUPLICATES_DETECTED": Entry(
        C.CONFLICT,
        _("A duplicate rule in Salesforce holds the record for one that is there already."),
        _("Link to the record that is there, or relax the duplicate rule for the integration's user."),
        R.CRM_USER,
    ),
    "several_matches": Entry(
        C.CONFLICT,
        _("Several records in Salesforce carry this key; nothing was written."),
        _("Merge them, or clear the key in all but one."),
        R.CRM_USER,
    ),
    "412": Entry(
        C.CONFLICT,
        _("Somebody changed the record in Salesforce meanwhile."),
        _("Look at the record, then plan it again."),
        R.CRM_USER,
    ),
    # what is not there
    **_same(_GONE, "ENTITY_IS_DELETED", "NOT_FOUND"),
    **_same(_LOOKUP, "INVALID_CROSS_REFERENCE_KEY", "foreign_key"),
    # rights and schema
    **_same(_FIELD, "INVALID_FIELD", "INVALID_TYPE", "external_id_field", "package_missing"),
    "INVALID_FIELD_FOR_INSERT_UPDATE": Entry(
        C.CONFIGURATION,
        _("The field cannot be written: Salesforce computes it, or our user may only read it."),
        _("Remove the field from the mapping, or give the user the right to edit it."),
        R.CONSULTANT,
    ),
    **_same(
        _RIGHT,
        "INSUFFICIENT_ACCESS_OR_READONLY", "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "INSUFFICIENT_ACCESS",
        "CANNOT_UPDATE_CONVERTED_LEAD",
    ),
    "object_right": Entry(
        C.PERMISSION,
        _("Our Salesforce user lacks the right to create, edit or delete records of this object."),
        _("Give the user the right on the object, best by our permission set; the schema check names what is missing."),
        R.CONSULTANT,
        repair=Repair.SETUP,
    ),
    "API_DISABLED_FOR_ORG": _API,
    "API_CURRENTLY_DISABLED": _API,
    "FUNCTIONALITY_NOT_ENABLED": _FEATURE,
    "record_type": Entry(
        C.CONFIGURATION,
        _("The org has no active record type of this name."),
        _("Map the record type by its developer name as Setup, Object Manager shows it."),
        R.CONSULTANT,
    ),
    "no_currency": Entry(
        C.CONFIGURATION,
        _("It is not known in which currency the amount is."),
        _("Map the currency, or enter the org's own currency on the account's page."),
        R.CONSULTANT,
    ),
    "GONE": Entry(
        C.CONFIGURATION,
        _("Salesforce has retired the version of its interface that we use."),
        _("Set a newer version in this installation's settings."),
        R.SUPPORT,
        repair=Repair.NONE,
    ),
    # the customer's own automation, and states
    **_same(
        _AUTOMATION,
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER", "APEX_ERROR",
        "APEX_DATA_ACCESS_RESTRICTION", "FLOW_EXCEPTION", "CUSTOM_APEX_ERROR",
    ),
    **_same(_STATE, "ENTITY_IS_LOCKED", "FAILED_ACTIVATION", "INVALID_STATUS", "DELETE_FAILED"),
    "STORAGE_LIMIT_EXCEEDED": Entry(
        C.CONFIGURATION,
        _("The org's storage is full."),
        _("Remove records in Salesforce, or order more storage there; then release the group."),
        R.CRM_USER,
        repair=Repair.LEDGER,
    ),
    # passing troubles
    "UNABLE_TO_LOCK_ROW": _LOCK,
    **_same(
        _FAULT,
        "SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION", "QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG", "INVALID_QUERY_LOCATOR",
        "ALL_OR_NONE_OPERATION_ROLLED_BACK", "PROCESSING_HALTED", "job_failed", "job_slow",
    ),
    **_same(
        _LIMIT, "REQUEST_LIMIT_EXCEEDED", "LIMIT_EXCEEDED", "EXCEEDED_ID_LIMIT", "TXN_SECURITY_METERING_ERROR"
    ),
    # the session
    "INVALID_SESSION_ID": _TOKEN,
    "INVALID_AUTH_HEADER": _TOKEN,
    "session_refused": _SESSION,
    # what we ask
    **_same(
        _REQUEST,
        "job_refused", "MALFORMED_QUERY",
        "JSON_PARSER_ERROR", "METHOD_NOT_ALLOWED", "INVALID_REPLICATION_DATE", "INVALIDJOB",
        "415", "428", "431",
    ),
}  # fmt: skip

CODES = table("salesforce", _CODES)
