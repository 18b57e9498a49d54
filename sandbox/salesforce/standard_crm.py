"""Account, Contact and Opportunity (types and lengths: Salesforce field reference v67)."""

from __future__ import annotations

from typing import Any

from .fields import (
    address,
    area,
    currency_field,
    day,
    flag,
    moment,
    money,
    needed,
    number,
    once,
    owner,
    picklist,
    record_type,
    reference,
    shown,
    table_of,
    text,
    whole,
)
from .schema import FieldDef, ObjectDef

INDUSTRIES = (
    "Agriculture", "Apparel", "Banking", "Biotechnology", "Chemicals", "Communications", "Construction", "Consulting",
    "Education", "Electronics", "Energy", "Engineering", "Entertainment", "Environmental", "Finance", "Government",
    "Healthcare", "Hospitality", "Insurance", "Machinery", "Manufacturing", "Media", "Not For Profit", "Recreation",
    "Retail", "Shipping", "Technology", "Telecommunications", "Transportation", "Utilities", "Other",
)  # fmt: skip
SALUTATIONS = ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.")
SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")
FORECASTS = ("Omitted", "Pipeline", "Best Case", "Commit", "Closed")


def account() -> ObjectDef:
    """Account; the Person* fields exist with person accounts, where Name is computed."""
    return table_of(
        "Account",
        "001",
        [
            reference("MasterRecordId", "Account", label="Master Record ID", createable=False, updateable=False),
            needed(text("Name", 255, label="Account Name", name_field=True)),
            picklist("Type", 255, ("Prospect", "Customer - Direct", "Customer - Channel", "Partner", "Other"),
                     label="Account Type"),
            record_type(),
            reference("ParentId", "Account", label="Parent Account ID", child_name="ChildAccounts"),
            *address("Billing", "Billing"),
            *address("Shipping", "Shipping"),
            text("Phone", 40, type="phone", label="Account Phone"),
            text("Fax", 40, type="phone", label="Account Fax"),
            text("AccountNumber", 40),
            text("Website", 255, type="url"),
            text("Sic", 20, label="SIC Code"),
            picklist("Industry", 255, INDUSTRIES),
            money("AnnualRevenue", 0),
            whole("NumberOfEmployees", label="Employees"),
            picklist("Ownership", 255, ("Public", "Private", "Subsidiary", "Other")),
            area("Description", 32000, label="Account Description"),
            picklist("Rating", 255, ("Hot", "Warm", "Cold"), label="Account Rating"),
            text("Site", 80, label="Account Site"),
            owner(),
            currency_field("Account"),
            picklist("AccountSource", 255, SOURCES),
            shown(day("LastActivityDate", label="Last Activity")),
            *_person_fields(),
        ],
        mergeable=True,
    )  # fmt: skip


def _person_fields() -> list[FieldDef]:
    when: dict[str, Any] = {"when": "person_accounts"}
    return [
        shown(flag("IsPersonAccount", label="Is Person Account", **when)),
        text("FirstName", 40, **when),
        text("LastName", 80, **when),
        picklist("Salutation", 40, SALUTATIONS, **when),
        reference("PersonContactId", "Contact", label="Contact ID", createable=False, updateable=False, **when),
        text("PersonEmail", 80, type="email", label="Email", **when),
        text("PersonMobilePhone", 40, type="phone", label="Mobile", **when),
        text("PersonHomePhone", 40, type="phone", label="Home Phone", **when),
        text("PersonTitle", 80, label="Title", **when),
        day("PersonBirthdate", label="Birthdate", **when),
        flag("PersonHasOptedOutOfEmail", label="Email Opt Out", **when),
        *address("PersonMailing", "Mailing", **when),
    ]


def contact() -> ObjectDef:
    """Contact; an account's contacts go with it."""
    return table_of(
        "Contact",
        "003",
        [
            reference("MasterRecordId", "Contact", label="Master Record ID", createable=False, updateable=False),
            reference("AccountId", "Account", child_name="Contacts", on_delete="Cascade"),
            needed(text("LastName", 80)),
            text("FirstName", 40),
            picklist("Salutation", 40, SALUTATIONS),
            shown(text("Name", 121, label="Full Name", name_field=True, nillable=False, defaulted=True)),
            record_type(),
            *address("Other", "Other"),
            *address("Mailing", "Mailing"),
            text("Phone", 40, type="phone", label="Business Phone"),
            text("Fax", 40, type="phone", label="Business Fax"),
            text("MobilePhone", 40, type="phone"),
            text("HomePhone", 40, type="phone"),
            reference("ReportsToId", "Contact", label="Reports To ID", child_name="ReportsToContacts"),
            text("Email", 80, type="email", id_lookup=True),
            text("Title", 128),
            text("Department", 80),
            picklist("LeadSource", 255, SOURCES),
            day("Birthdate"),
            area("Description", 32000, label="Contact Description"),
            owner(),
            flag("HasOptedOutOfEmail", label="Email Opt Out"),
            currency_field("Contact"),
            shown(flag("IsPersonAccount", label="Is Person Account", when="person_accounts")),
        ],
        mergeable=True,
    )


def opportunity() -> ObjectDef:
    """Opportunity; the stage decides IsClosed, IsWon, the probability and the forecast category."""
    return table_of(
        "Opportunity",
        "006",
        [
            reference("AccountId", "Account", child_name="Opportunities", on_delete="Cascade"),
            record_type(),
            flag("IsPrivate", label="Private"),
            needed(text("Name", 120, name_field=True)),
            area("Description", 32000),
            needed(picklist("StageName", 255, label="Stage")),
            money("Amount"),
            number("Probability", 3, 0, "percent", label="Probability (%)"),
            shown(money("ExpectedRevenue", label="Expected Amount")),
            number("TotalOpportunityQuantity", 18, 2, label="Quantity"),
            needed(day("CloseDate")),
            picklist("Type", 255, ("Existing Business", "New Business"), label="Opportunity Type"),
            text("NextStep", 255),
            picklist("LeadSource", 255, SOURCES),
            shown(flag("IsClosed", label="Closed")),
            shown(flag("IsWon", label="Won")),
            shown(picklist("ForecastCategory", 40, FORECASTS)),
            picklist("ForecastCategoryName", 40, FORECASTS, label="Forecast Category"),
            reference("Pricebook2Id", "Pricebook2", label="Price Book ID", relationship="Pricebook2",
                      child_name="Opportunities"),
            owner(),
            currency_field("Opportunity"),
            shown(flag("HasOpportunityLineItem", label="Has Line Item")),
            once(reference("ContactId", "Contact", label="Contact ID", relationship="Contact")),
            shown(moment("LastStageChangeDate")),
            shown(whole("FiscalYear", 9)),
            shown(whole("FiscalQuarter", 9)),
        ],
    )  # fmt: skip


def contact_role() -> ObjectDef:
    """OpportunityContactRole: who is to be asked about an opportunity; one of them may be the primary one."""
    return table_of(
        "OpportunityContactRole",
        "00K",
        [
            once(needed(reference("OpportunityId", "Opportunity", child_name="OpportunityContactRoles",
                                  on_delete="Cascade"))),
            needed(reference("ContactId", "Contact", child_name="OpportunityContactRoles", on_delete="Cascade")),
            picklist("Role", 40, ("Business User", "Decision Maker", "Evaluator", "Executive Sponsor", "Other")),
            flag("IsPrimary", label="Primary"),
        ],
    )  # fmt: skip
