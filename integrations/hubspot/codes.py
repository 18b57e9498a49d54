"""What HubSpot's error codes mean: of the API, and of its token endpoint.

Sources, in words: HubSpot's error pages and changelog, and texts seen in published traffic. The invariant: every code
that the documentation names has an entry.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_noop as _

from integrations.catalogue import Entry, Repair, Responsible, table
from integrations.errors import ErrorClass

_VALUE = Entry(
    ErrorClass.DATA,
    _("HubSpot does not accept this value."),
    _("Correct the value, or its mapping."),
    Responsible.CRM_USER,
)
_REQUIRED = Entry(
    ErrorClass.CONFIGURATION,
    _("The portal demands a value for this property when a record is created."),
    _("Map the property, or change the rule in HubSpot under Settings, Objects."),
    Responsible.CONSULTANT,
)
_TOKEN = Entry(
    ErrorClass.AUTHENTICATION, _("HubSpot does not accept our token."), _("Reconnect HubSpot."), Responsible.CONSULTANT
)
_SCOPE = Entry(
    ErrorClass.PERMISSION,
    _("The connection was not granted this part of HubSpot."),
    _("Reconnect HubSpot and approve all permissions."),
    Responsible.CONSULTANT,
)
_GONE = Entry(
    ErrorClass.MISSING,
    _("HubSpot has no such record."),
    _("It may be archived or merged; link it again."),
    Responsible.CRM_USER,
)
_LIMIT = Entry(
    ErrorClass.RATE_LIMITED, _("HubSpot's rate limit is reached."), _("Nothing; it is tried again."), Responsible.NOBODY
)
_EXISTS = Entry(
    ErrorClass.CONFLICT,
    _("Something of the same name exists in HubSpot."),
    _("Use the existing one."),
    Responsible.CONSULTANT,
)
_IN_USE = Entry(
    ErrorClass.CONFLICT,
    _("HubSpot refuses to remove what is in use."),
    _("Stop using it first."),
    Responsible.CONSULTANT,
)

# By `subCategory`, `errors[].code`, `policyName` or `category`; the first of these that is listed decides.
_CODES: Mapping[str, Entry] = {
    "INVALID_AUTHENTICATION": _TOKEN,
    "EXPIRED_AUTHENTICATION": _TOKEN,
    "MISSING_SCOPES": _SCOPE,
    "OBJECT_NOT_FOUND": _GONE,
    "crm.associations.NO_ASSOCIATIONS_FOUND": _GONE,
    "PROPERTY_DOESNT_EXIST": Entry(
        ErrorClass.CONFIGURATION,
        _("HubSpot has no property of this name."),
        _("Create the property in HubSpot, or remove it from the mapping."),
        Responsible.CONSULTANT,
    ),
    "INVALID_OPTION": Entry(
        ErrorClass.DATA,
        _("The value is not among the options of the property."),
        _("Add the option in HubSpot, or translate the value with a value map."),
        Responsible.CONSULTANT,
        repair=Repair.VALUE_MAP,
    ),
    "CURRENCY": Entry(
        ErrorClass.CONFIGURATION,
        _("The currency is not enabled in HubSpot."),
        _("Add the currency in HubSpot under Settings, Account defaults, Currency."),
        Responsible.CONSULTANT,
        repair=Repair.CURRENCY,
    ),
    "INVALID_LONG": _VALUE,
    "INVALID_INTEGER": _VALUE,
    "INVALID_NUMBER": _VALUE,
    "INVALID_DATE": _VALUE,
    "INVALID_EMAIL": _VALUE,
    "VALUE_TOO_LONG": _VALUE,
    "READ_ONLY_VALUE": Entry(
        ErrorClass.CONFIGURATION,
        _("HubSpot calculates this property itself; it cannot be written."),
        _("Remove the property from the mapping."),
        Responsible.CONSULTANT,
    ),
    "CONFLICTING_UNIQUE_VALUE": Entry(
        ErrorClass.CONFLICT,
        _("Another record already has this unique value."),
        _("Link to that record, or merge the two in HubSpot."),
        Responsible.CRM_USER,
    ),
    "CONFLICT": Entry(
        ErrorClass.CONFLICT,
        _("A record of the same identity exists."),
        _("Link to the existing record."),
        Responsible.CRM_USER,
    ),
    "OBJECT_ALREADY_EXISTS": _EXISTS,
    "Properties.PROPERTY_WITH_NAME_EXISTS": _EXISTS,
    "PropertyValidationError.CANNOT_DELETE_PROPERTY_IN_USE": _IN_USE,
    "PropertyGroupError.GROUP_WITH_ACTIVE_PROPERTIES": _IN_USE,
    "PipelineError.STAGE_ID_IN_USE": _IN_USE,
    "NON_UNIQUE_KEY": Entry(
        ErrorClass.CONFIGURATION,
        _("The property used as key is not unique in HubSpot."),
        _("Let the set-up create the key property; an existing one cannot be made unique."),
        Responsible.CONSULTANT,
    ),
    "ASSOCIATION_TYPE": Entry(
        ErrorClass.CONFIGURATION,
        _("HubSpot has no such kind of association between these objects."),
        _("Check the association in the mapping."),
        Responsible.CONSULTANT,
    ),
    "BAD_JSON": Entry(
        ErrorClass.CONFIGURATION,
        _("HubSpot cannot read the request we made."),
        _("Report this with the code."),
        Responsible.CONSULTANT,
    ),
    "SEARCH_LIMIT": Entry(
        ErrorClass.TOO_LARGE,
        _("A search reached more than HubSpot gives."),
        _("Nothing; it is split."),
        Responsible.NOBODY,
    ),
    "MISSING_REQUIRED_PROPERTY": _REQUIRED,
    "MISSING_CONDITIONAL_REQUIRED_PROPERTY": _REQUIRED,
    "EDIT_ASSOCIATIONS": Entry(
        ErrorClass.PERMISSION,
        _("The HubSpot user behind the connection may not edit associations."),
        _("Reconnect as a user who may, or give the permission."),
        Responsible.CONSULTANT,
    ),
    "RATE_LIMITS": _LIMIT,
    "RATE_LIMIT": _LIMIT,
    "TEN_SECONDLY_ROLLING": _LIMIT,
    "SECONDLY": _LIMIT,
    "DAILY": _LIMIT,
    "LOCKED": Entry(
        ErrorClass.TRANSIENT,
        _("The record is locked for a moment."),
        _("Nothing; it is tried again."),
        Responsible.NOBODY,
    ),
    "MIGRATION_IN_PROGRESS": Entry(
        ErrorClass.TRANSIENT,
        _("HubSpot is moving the account to another data centre."),
        _("Nothing; it waits."),
        Responsible.NOBODY,
    ),
}

CODES = table("hubspot", _CODES)

_GRANT = Entry(
    ErrorClass.AUTHENTICATION,
    _("HubSpot ended the connection: the app was removed, or its permission withdrawn."),
    _("Reconnect HubSpot."),
    Responsible.CONSULTANT,
)
_APP = Entry(
    ErrorClass.CONFIGURATION,
    _("HubSpot does not accept this installation: its app id, secret, address or scopes are wrong."),
    _("Compare the app's settings in HubSpot with this installation's settings."),
    Responsible.SUPPORT,
)

# What the token endpoint answers, in `status` or `error`.
SIGN_IN = table(
    "hubspot",
    {
        "BAD_REFRESH_TOKEN": _GRANT,
        "BAD_HUB": _GRANT,
        "BAD_AUTH_CODE": _GRANT,
        "BAD_CLIENT_ID": _APP,
        "BAD_CLIENT_SECRET": _APP,
        "BAD_REDIRECT_URI": _APP,
        "BAD_CODE_VERIFIER": _APP,
        "BAD_SCOPES": _APP,
        "BAD_GRANT_TYPE": _APP,
    },
)

# Too general to decide a class when something more precise is given, but not unknown.
GENERAL = table("hubspot", {"VALIDATION_ERROR": _VALUE, "VALIDATION": _VALUE})
