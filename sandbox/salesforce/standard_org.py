"""The objects that describe an org itself: users, rights, record types, stages, currencies."""

from __future__ import annotations

from typing import Any

from .fields import (
    address,
    day,
    flag,
    moment,
    needed,
    number,
    once,
    picklist,
    reference,
    shown,
    table_of,
    text,
    whole,
)
from .schema import ObjectDef

FIXED: dict[str, Any] = {"createable": False, "updateable": False, "deletable": False, "undeletable": False}


def organization() -> ObjectDef:
    """Organization: one row. In a single-currency org it does not tell the currency."""
    return table_of(
        "Organization",
        "00D",
        [
            shown(needed(text("Name", 80, name_field=True))),
            shown(text("Division", 80)),
            *[shown(part) for part in address("", "")],
            shown(text("Phone", 40, type="phone")),
            shown(text("PrimaryContact", 80)),
            shown(picklist("DefaultLocaleSidKey", 40, label="Locale")),
            shown(picklist("LanguageLocaleKey", 40, label="Language")),
            shown(picklist("TimeZoneSidKey", 40, label="Time Zone")),
            shown(picklist("OrganizationType", 40, label="Edition")),
            shown(text("NamespacePrefix", 15)),
            shown(text("InstanceName", 5)),
            shown(flag("IsSandbox")),
            shown(flag("IsReadOnly")),
            shown(moment("TrialExpirationDate")),
            shown(picklist("FiscalYearStartMonth", 40)),
        ],
        plural="Organizations",
        **FIXED,
    )


def currency_type() -> ObjectDef:
    """CurrencyType: multi-currency orgs only, INVALID_TYPE elsewhere."""
    return table_of(
        "CurrencyType",
        "01L",
        [
            picklist("IsoCode", 3, label="Currency ISO Code", nillable=False),
            number("ConversionRate", 18, 6, nillable=False),
            whole("DecimalPlaces", 1, nillable=False),
            flag("IsActive", label="Active"),
            flag("IsCorporate", label="Corporate Currency"),
        ],
        undeletable=False,
        deletable=False,
        when="multi_currency",
    )


def user() -> ObjectDef:
    """User."""
    return table_of(
        "User",
        "005",
        [
            needed(text("Username", 80, unique=True, id_lookup=True)),
            needed(text("LastName", 80)),
            text("FirstName", 40),
            shown(text("Name", 121, label="Full Name", name_field=True, nillable=False, defaulted=True)),
            text("CompanyName", 80),
            text("Title", 80),
            needed(text("Email", 128, type="email", id_lookup=True)),
            needed(text("Alias", 8, defaulted=True)),
            flag("IsActive", default=True, label="Active"),
            picklist("TimeZoneSidKey", 40, label="Time Zone"),
            picklist("LocaleSidKey", 40, label="Locale"),
            picklist("LanguageLocaleKey", 40, label="Language"),
            picklist("DefaultCurrencyIsoCode", 3, when="multi_currency"),
            shown(picklist("UserType", 40, ("Standard", "PowerPartner", "CSPLitePortal"))),
            reference("ProfileId", "Profile", relationship="Profile"),
            text("FederationIdentifier", 512, label="SAML Federation ID"),
            shown(moment("LastLoginDate", label="Last Login")),
        ],
        deletable=False,
        undeletable=False,
    )


def profile() -> ObjectDef:
    """Profile, as far as users point at one."""
    return table_of("Profile", "00e", [needed(text("Name", 255, name_field=True)), text("Description", 255)], **FIXED)


def record_type() -> ObjectDef:
    """RecordType. ``IsPersonType`` marks the record types of person accounts."""
    return table_of(
        "RecordType",
        "012",
        [
            needed(text("Name", 80, name_field=True)),
            needed(text("DeveloperName", 80)),
            shown(text("NamespacePrefix", 15)),
            text("Description", 255),
            needed(picklist("SobjectType", 40)),
            flag("IsActive", default=True, label="Active"),
            shown(flag("IsPersonType", when="person_accounts")),
        ],
        deletable=False,
        undeletable=False,
    )


def opportunity_stage() -> ObjectDef:
    """OpportunityStage: what each stage means; labels may be renamed, so IsWon is what counts."""
    return table_of(
        "OpportunityStage",
        "01J",
        [
            shown(text("MasterLabel", 255, name_field=True)),
            shown(text("ApiName", 255, label="API Name")),
            shown(flag("IsActive")),
            shown(whole("SortOrder", 9)),
            shown(flag("IsClosed")),
            shown(flag("IsWon")),
            shown(picklist("ForecastCategory", 40)),
            shown(text("ForecastCategoryName", 255)),
            shown(number("DefaultProbability", 3, 0, "percent")),
            shown(text("Description", 255)),
        ],
        **FIXED,
    )


def order_status() -> ObjectDef:
    """OrderStatus: which statuses are drafts."""
    return table_of(
        "OrderStatus",
        "0Wd",
        [
            shown(text("MasterLabel", 255, name_field=True)),
            shown(text("ApiName", 255, label="API Name")),
            shown(whole("SortOrder", 9)),
            shown(flag("IsDefault")),
            shown(picklist("StatusCode", 40, ("Draft", "Activated"))),
        ],
        when="orders_enabled",
        **FIXED,
    )


def permission_set() -> ObjectDef:
    """PermissionSet."""
    return table_of(
        "PermissionSet",
        "0PS",
        [
            needed(text("Name", 80, name_field=True)),
            needed(text("Label", 80)),
            text("Description", 255),
            shown(flag("IsOwnedByProfile")),
            reference("ProfileId", "Profile", relationship="Profile", createable=False, updateable=False),
        ],
        undeletable=False,
    )


def permission_set_assignment() -> ObjectDef:
    """PermissionSetAssignment: gives a user what a permission set grants."""
    return table_of(
        "PermissionSetAssignment",
        "0Pa",
        [
            once(needed(reference("PermissionSetId", "PermissionSet", label="PermissionSet ID",
                                  child_name="Assignments", on_delete="Cascade"))),
            once(needed(reference("AssigneeId", "User", child_name="PermissionSetAssignments"))),
            day("ExpirationDate"),
        ],
        undeletable=False,
        hard_delete=True,
    )  # fmt: skip


def field_permissions() -> ObjectDef:
    """FieldPermissions: one field in one permission set; ``Field`` is ``Object.Field``."""
    return table_of(
        "FieldPermissions",
        "01k",
        [
            once(needed(reference("ParentId", "PermissionSet", label="Parent ID", child_name="FieldPerms",
                                  on_delete="Cascade"))),
            once(needed(picklist("SobjectType", 40, label="Sobject Type Name"))),
            once(needed(picklist("Field", 255, label="Field Name"))),
            flag("PermissionsRead", label="Read Field"),
            flag("PermissionsEdit", label="Edit Field"),
        ],
        label="Field Permissions",
        plural="Field Permissions",
        undeletable=False,
        hard_delete=True,
    )  # fmt: skip


def object_permissions() -> ObjectDef:
    """ObjectPermissions: one object in one permission set, which may be that of a profile."""
    return table_of(
        "ObjectPermissions",
        "110",
        [
            once(needed(reference("ParentId", "PermissionSet", label="Parent ID", child_name="ObjectPerms",
                                  on_delete="Cascade"))),
            once(needed(picklist("SobjectType", 40, label="Sobject Type Name"))),
            flag("PermissionsRead", label="Read Records"),
            flag("PermissionsCreate", label="Create Records"),
            flag("PermissionsEdit", label="Edit Records"),
            flag("PermissionsDelete", label="Delete Records"),
            flag("PermissionsViewAllRecords", label="Read All Records"),
            flag("PermissionsModifyAllRecords", label="Edit All Records"),
        ],
        label="Object Permissions",
        plural="Object Permissions",
        undeletable=False,
        hard_delete=True,
    )  # fmt: skip
