"""Our own codes in the error catalogue, and what a bare HTTP status means when the vendor says nothing more.

The invariant: every code that our own source gives to an error stands here (a test walks the source).
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from integrations.catalogue import Entry, Repair, Responsible, table
from integrations.errors import ErrorClass as C

R = Responsible


def _same(entry: Entry, *codes: str) -> dict[str, Entry]:
    return dict.fromkeys(codes, entry)


_AGAIN = _("Nothing; it is tried again.")
_TRANSIENT = Entry(C.TRANSIENT, _("The other system did not answer as it should."), _AGAIN, R.NOBODY)
_SPOILT = Entry(
    C.TOO_LARGE,
    _("The answer of the other system could not be read, or was too large."),
    _("Retry. If it happens again, report it with the code."),
    R.SUPPORT,
)
_CONNECT = Entry(
    C.AUTHENTICATION,
    _("The connection to the account is broken."),
    _("Open the account and reconnect it. What waits continues by itself."),
    R.CONSULTANT,
)
_PERMISSION = Entry(
    C.PERMISSION,
    _("The connection may not do this."),
    _("Reconnect and approve all permissions, or give the right at the vendor."),
    R.CONSULTANT,
)
_MAPPING = Entry(
    C.CONFIGURATION,
    _("The mapping does not fit what the target offers."),
    _("Change the mapping, publish it, and release the group."),
    R.CONSULTANT,
)
_SOURCE = Entry(
    C.DATA,
    _("The record lacks a value, or has one that cannot be used."),
    _("Correct the record at its source, or give the mapping a default."),
    R.CRM_USER,
)
_CHOOSE = Entry(
    C.CONFLICT,
    _("It is not certain which record is meant."),
    _("Open each one: use a candidate, or let a new record be created."),
    R.CONSULTANT,
)
_VALUE_MAP = Entry(
    C.CONFIGURATION,
    _("A value is not in its value map."),
    _("Add the value to the value map, and release the group."),
    R.CONSULTANT,
    repair=Repair.VALUE_MAP,
)
_CODE_FAULT = Entry(
    C.BUG, _("A fault in Ledgerbridge itself."), _("Report it with the code; nothing was lost."), R.SUPPORT
)
_UNKNOWN_OUTCOME = Entry(
    C.OUTCOME_UNKNOWN,
    _("It was sent, and nobody knows whether it arrived."),
    _("Look for our reference in the target. Link the record if it is there; retry only if it is not."),
    R.SUPPORT,
)
_REFERENCE = Entry(
    C.CONFLICT,
    _("The document exists, but not exactly once as it should."),
    _("Look at the documents with our reference; cancel the ones too many and link the right one."),
    R.ACCOUNTANT,
)
_TOTALS = Entry(
    C.CONFLICT,
    _("The document was made, but it does not add up to what was sent or promised. It was not booked."),
    _("Compare both records, correct the one that is wrong and retry, or accept the difference."),
    R.ACCOUNTANT,
)
_SETUP = Entry(
    C.CONFIGURATION,
    _("The target is not set up as the flow needs it."),
    _("Do the set-up again from the flow's page."),
    R.CONSULTANT,
    repair=Repair.SETUP,
)
_INSTALLATION = Entry(
    C.CONFIGURATION,
    _("This installation is not configured for the vendor, or its keys are missing."),
    _("Check the installation's settings."),
    R.SUPPORT,
    repair=Repair.NONE,
)
_WAITS = Entry(
    C.DEPENDENCY,
    _("The record waits for another one that is not there yet."),
    _("Approve or repair the other record; this one then continues by itself."),
    R.NOBODY,
)
_RECORD_MISSING = Entry(
    C.DEPENDENCY,
    _("The document names a record that the target does not have."),
    _("Create it or link it, or choose in the flow's settings what becomes of missing ones."),
    R.CONSULTANT,
    repair=Repair.FLOW,
)
_OPTION = Entry(
    C.CONFIGURATION,
    _("The target does not offer this value."),
    _("Switch it on or add it at the target; the record is then planned again by itself. Or translate it."),
    R.CONSULTANT,
    repair=Repair.LEDGER,
)
_LEFT_OUT = Entry(
    C.CONFIGURATION,
    _("The flow may not do this."),
    _("Allow it in the flow's settings, if it should."),
    R.CONSULTANT,
    repair=Repair.FLOW,
)
_STATE = Entry(
    C.CONFLICT,
    _("The document is in a state that does not allow this: booked, cancelled, credited, or not completed yet."),
    _("Open the document at the target and see its state; a booked one can only be credited."),
    R.ACCOUNTANT,
)
_PART_CREDIT = Entry(
    C.CONFLICT,
    _("The invoice is credited already, but not in full, or its credit was cancelled: a new one would bill it twice."),
    _("Credit or bill the rest in the ledger, then dismiss this."),
    R.ACCOUNTANT,
)
_NO_ROUTE = Entry(
    C.CONFIGURATION,
    _("It is not certain which company in the ledger the record belongs to, so nobody takes it."),
    _("Add or mend a routing rule and release the group, or choose the company on the page of the record."),
    R.CONSULTANT,
    repair=Repair.ROUTING,
)

OWN = table(
    "",
    {
        # planning and mapping
        **_same(
            _MAPPING,
            "no_mapping", "target_field", "read_only", "not_searchable", "marker_taken", "too_many_fields",
            "expression",
        ),
        **_same(_OPTION, "option_unknown"),
        **_same(_NO_ROUTE, "no_route"),
        "ignored": Entry(
            C.CONFLICT,
            _("A person left this record out in the match wizard."),
            _("Nothing; take the decision back there to have it planned again."),
            R.NOBODY,
        ),
        **_same(_VALUE_MAP, "unmapped_value", "value_map_missing"),
        **_same(
            _SOURCE,
            "required", "validation", "key_incomplete", "link_missing", "empty_value", "division_by_zero",
            "wrong_type", "too_long", "too_large", "customer", "no_key", "no_lines", "too_many_rows",
            "forbidden_characters", "not_an_option", "not_salesforce",
        ),
        **_same(_WAITS, "not_imported", "need_open"),
        # `<name>_missing` of any other name: a related record that the document needs
        **_same(_RECORD_MISSING, "record_missing"),
        **_same(
            _CHOOSE,
            "ambiguous", "suggested", "taken", "target_gone", "both_changed", "claim_taken", "created_before",
            "merged", "chosen_gone",
        ),
        **_same(
            _LEFT_OUT,
            "create_off", "update_off", "filter", "unknown_object", "unknown_subset", "act_unknown", "left_out",
            "pattern",
        ),
        # delivery, exactly once
        **_same(
            _UNKNOWN_OUTCOME,
            "unknown_twice", "unknown_often", "looked_too_late", "no_marker", "no_id", "network", "lost", "not_shown",
            "other_record",
        ),
        **_same(_STATE, "locked", "booked", "not_booked", "not_completed", "cancelled", "is_credit"),
        **_same(_PART_CREDIT, "credited_in_part"),
        **_same(
            _REFERENCE,
            "reference_not_single", "reference_cancelled", "reference_taken", "found_differs", "marker_not_echoed",
            "duplicate_documents", "document_unlinked", "link_taken",
        ),
        **_same(
            _TOTALS,
            "totals_row", "totals_row_count", "totals_header", "totals_currency", "totals_promise", "totals_vat",
        ),
        **_same(
            Entry(
                C.MISSING,
                _("The document that was just written is not there."),
                _("Look for our reference in the target before anything is sent again."),
                R.SUPPORT,
            ),
            "gone",
        ),
        **_same(_CODE_FAULT, "bug", "no_error", "no_outcome", "forbidden_address", "bad_path", "bad_key"),
        # reading
        **_same(_SPOILT, "unreadable", "body_too_large"),
        **_same(_TRANSIENT, "rules_changed"),
        **_same(_TRANSIENT, "incomplete", "no_last_page", "connect", "not_sent", "busy", "backing_off"),
        **_same(
            Entry(C.RATE_LIMITED, _("Too much is under way at once."), _AGAIN, R.NOBODY),
            "budget",
        ),
        **_same(
            Entry(
                C.RATE_LIMITED,
                _("Nearly all API calls that the account may make in a day are used. Background work waits."),
                _("Nothing; it goes on when calls are free again. See which other integrations use so many."),
                R.NOBODY,
            ),
            "daily_limit",
        ),
        # accounts and set-up
        **_same(
            _CONNECT,
            "refused_again", "lost_twice", "no_refresh_token", "no_identity", "other_account", "invalid_grant",
            "token_type", "bad_signature",
            "access_denied",
        ),
        **_same(
            _INSTALLATION,
            "key_missing", "no_credentials", "no_signing_key", "not_my_domain", "api_version",
            "invalid_client", "invalid_scope", "unauthorized_client",
            "invalid_request", "unsupported_grant_type",
        ),
        "no_documents": Entry(
            C.CONFIGURATION,
            _("No flow of the integration carries documents, so there is nothing to compare."),
            _("Add a flow for invoices."),
            R.CONSULTANT,
            repair=Repair.FLOW,
        ),
        **_same(_SETUP, "unknown_type", "property_type", "property_not_unique", "pipeline_missing"),
    },
)  # fmt: skip

STATUSES = table(
    "",
    {
        "401": _CONNECT,
        "403": _PERMISSION,
        **_same(
            Entry(C.MISSING, _("The record is not there."), _("Check that it still exists in the target."), R.CRM_USER),
            "404", "410",
        ),
        "409": Entry(
            C.CONFLICT, _("Something of the same identity exists."), _("Link to the existing record."), R.CONSULTANT
        ),
        **_same(_SPOILT, "413", "414"),
        **_same(_TRANSIENT, "408", "423", "477", "500", "502", "503", "504", "521", "522", "523", "524", "525", "526"),
        "429": Entry(C.RATE_LIMITED, _("The vendor asks us to wait."), _AGAIN, R.NOBODY),
    },
)  # fmt: skip
