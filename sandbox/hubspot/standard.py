"""HubSpot's own properties per object type. Names, types and writability follow property lists of production
accounts; the tables hold what an integration of companies, contacts, products, deals and line items meets."""

from __future__ import annotations

from .definitions import Definition, Group, Option, Schema
from .kinds import COMPANIES, CONTACTS, DEALS, LINE_ITEMS, PRODUCTS, Kind

# Each row: name | label | type fieldType | flags. Flags: calc (calculated), ro (read-only), money (shown with
# the currency), owner (options are the account's owners), or an option set by its name in OPTIONS.
EVERY_KIND = """
hs_object_id | Record ID | number number | ro
hs_createdate | Object create date/time | datetime date | ro
hs_object_source | Record creation source | string text | ro
hs_object_source_id | Record creation source ID | string text | ro
hs_created_by_user_id | Created by user ID | number number | ro
hs_updated_by_user_id | Updated by user ID | number number | ro
hs_unique_creation_key | Unique creation key | string text | ro
"""

ROWS: dict[str, str] = {
    COMPANIES.plural: """
name | Company name | string text
domain | Company Domain Name | string text
hs_additional_domains | Additional Domains | enumeration checkbox | free
website | Website URL | string text
description | Description | string textarea
about_us | About Us | string textarea
phone | Phone Number | string phonenumber
address | Street Address | string text
address2 | Street Address 2 | string text
city | City | string text
state | State/Region | string text
zip | Postal Code | string text
country | Country/Region | string text
hs_country_code | Country/Region Code | string text
timezone | Time Zone | string text
hs_tax_id | Tax Id | enumeration select | free
industry | Industry | enumeration select | industry
type | Type | enumeration radio | company_type
numberofemployees | Number of Employees | number number
annualrevenue | Annual Revenue | number number | money
founded_year | Year Founded | string text
is_public | Is Public | bool booleancheckbox
linkedin_company_page | LinkedIn Company Page | string text
lifecyclestage | Lifecycle Stage | enumeration radio | lifecycle
hs_lead_status | Lead Status | enumeration radio | lead_status
hubspot_owner_id | Company owner | enumeration select | owner
createdate | Create Date | datetime date | ro
hs_lastmodifieddate | Last Modified Date | datetime date | ro
hs_merged_object_ids | Merged Company IDs | enumeration checkbox | ro free
num_associated_deals | Number of Associated Deals | number number | calc
num_associated_contacts | Number of Associated Contacts | number number | calc
""",
    CONTACTS.plural: """
email | Email | string text
firstname | First Name | string text
lastname | Last Name | string text
phone | Phone Number | string phonenumber
mobilephone | Mobile Phone Number | string phonenumber
company | Company Name | string text
jobtitle | Job Title | string text
website | Website URL | string text
address | Street Address | string text
city | City | string text
state | State/Region | string text
zip | Postal Code | string text
country | Country/Region | string text
hs_language | Preferred language | enumeration select | language
date_of_birth | Date of Birth | date date
lifecyclestage | Lifecycle Stage | enumeration radio | lifecycle
hs_lead_status | Lead Status | enumeration radio | lead_status
hubspot_owner_id | Contact owner | enumeration select | owner
associatedcompanyid | Primary Associated Company ID | number number | ro
createdate | Create Date | datetime date | ro
lastmodifieddate | Last Modified Date | datetime date | ro
hs_merged_object_ids | Merged Contact IDs | enumeration checkbox | ro free
num_associated_deals | Number of Associated Deals | number number | calc
""",
    DEALS.plural: """
dealname | Deal Name | string text
description | Deal Description | string textarea
amount | Amount | number number | money
deal_currency_code | Currency | enumeration select | currency
closedate | Close Date | datetime date
createdate | Create Date | datetime date
pipeline | Pipeline | enumeration select | pipeline
dealstage | Deal Stage | enumeration radio | stage
dealtype | Deal Type | enumeration radio | dealtype
hs_priority | Priority | enumeration select | priority
hs_next_step | Next step | string text
hubspot_owner_id | Deal owner | enumeration select | owner
hs_exchange_rate | Exchange rate | number number
hs_deal_amount_calculation_preference | Deal amount calculation preference | enumeration select | amount_rule
closed_lost_reason | Closed Lost Reason | string textarea
closed_won_reason | Closed Won Reason | string textarea
hs_lastmodifieddate | Last Modified Date | datetime date | ro
hs_merged_object_ids | Merged Deal IDs | enumeration checkbox | ro free
amount_in_home_currency | Amount in company currency | number number | calc money
hs_is_closed | Is Deal Closed? | bool booleancheckbox | calc
hs_is_closed_won | Is Closed Won | bool booleancheckbox | calc
hs_closed_amount | Closed Deal Amount | number number | calc money
hs_forecast_amount | Forecast Amount | number number | calc money
hs_deal_stage_probability | Deal probability | number number | calc
num_associated_contacts | Number of Associated Contacts | number number | calc
num_of_associated_line_items | Number of Associated Line Items | number number | calc
days_to_close | Days to close | number number | calc
""",
    PRODUCTS.plural: """
name | Name | string text
description | Description | string textarea
hs_rich_text_description | Rich text description | string html
hs_sku | SKU | string text
hs_url | URL | string text
hs_images | Image URLs | string text
hs_folder | Folder | string text
price | Unit price | number number | money
hs_cost_of_goods_sold | Unit cost | number number | money
tax | Tax | number number | money
hs_tax_category | Tax category | string text
discount | Unit discount | number number | money
hs_discount_percentage | Discount Percentage | number number
recurringbillingfrequency | Recurring billing frequency | enumeration select | billing
hs_recurring_billing_period | Term | string text
hs_recurring_billing_start_date | Billing start date | date date
hs_product_type | Product Type | enumeration select | product_type
hs_status | Status | enumeration select | status
hs_pricing_model | Pricing model | enumeration select | pricing
hs_tier_ranges | Tier ranges | string text
hs_tier_prices | Tier prices | string text
hubspot_owner_id | Owner | enumeration select | owner
createdate | Create Date | datetime date | ro
hs_lastmodifieddate | Last Modified Date | datetime date | ro
""",
    LINE_ITEMS.plural: """
name | Name | string text
description | Description | string textarea
hs_sku | SKU | string text
hs_url | URL | string text
hs_images | Image URL | string text
hs_product_id | Product ID | number number
quantity | Quantity | number number
price | Unit price | number number | money
discount | Unit discount | number number | money
hs_discount_percentage | Discount Percentage | number number
tax | Tax | number number | money
hs_tax_rate_group_id | Tax rate | enumeration select | tax
hs_line_item_currency_code | Currency | enumeration select | currency
recurringbillingfrequency | Recurring billing frequency | enumeration select | billing
hs_recurring_billing_period | Term | string text
hs_recurring_billing_start_date | Billing start date | date date
hs_recurring_billing_end_date | Billing end date | date date | calc
hs_cost_of_goods_sold | Unit cost | number number | money
hs_position_on_quote | Position on quote | number number
createdate | Create Date | datetime date | ro
hs_lastmodifieddate | Last Modified Date | datetime date | ro
amount | Net price | number number | calc money
hs_total_discount | Calculated total discount | number number | calc money
hs_pre_discount_amount | Pre discount amount | number number | calc money
hs_tax_amount | Tax amount | number number | calc money
hs_post_tax_amount | Post tax amount | number number | calc money
hs_acv | Annual contract value | number number | calc money
hs_tcv | Total contract value | number number | calc money
hs_mrr | Monthly recurring revenue | number number | calc money
hs_arr | Annual recurring revenue | number number | calc money
""",
}

# "value:Label" or a bare value, whose label is then the value in title case.
OPTIONS: dict[str, str] = {
    "lifecycle": "subscriber lead marketingqualifiedlead:Marketing_Qualified_Lead "
    "salesqualifiedlead:Sales_Qualified_Lead opportunity customer evangelist other",
    "lead_status": "NEW:New OPEN:Open IN_PROGRESS:In_Progress OPEN_DEAL:Open_Deal UNQUALIFIED:Unqualified "
    "CONNECTED:Connected BAD_TIMING:Bad_Timing",
    "industry": "ACCOUNTING AUTOMOTIVE COMPUTER_SOFTWARE CONSTRUCTION CONSUMER_GOODS EDUCATION_MANAGEMENT "
    "FINANCIAL_SERVICES FOOD_PRODUCTION MACHINERY MANAGEMENT_CONSULTING REAL_ESTATE RETAIL WHOLESALE",
    "company_type": "PROSPECT:Prospect PARTNER:Partner RESELLER:Reseller VENDOR:Vendor OTHER:Other",
    "language": "sv:Swedish sv-se:Swedish_-_Sweden en:English nb:Norwegian_Bokmål da:Danish fi:Finnish de:German",
    "dealtype": "newbusiness:New_Business existingbusiness:Existing_Business",
    "priority": "low medium high",
    "amount_rule": "disabled net_price:Net_price annual_contract_value:ACV total_contract_value:TCV",
    "billing": "weekly biweekly:Every_two_weeks monthly quarterly per_six_months:Every_six_months annually "
    "per_two_years:Every_two_years per_three_years:Every_three_years per_four_years:Every_four_years "
    "per_five_years:Every_five_years",
    "product_type": "inventory non_inventory:Non-inventory service",
    "status": "active inactive",
    "pricing": "flat volume graduated stairstep:Stair-step",
}
FLAGS = {"calc", "ro", "money", "owner", "free"}
GROUP_LABELS = {
    COMPANIES.plural: "Company information",
    CONTACTS.plural: "Contact information",
    DEALS.plural: "Deal information",
    PRODUCTS.plural: "Product information",
    LINE_ITEMS.plural: "Line item information",
}


def schema(kind: Kind, created: int, currencies: list[str]) -> Schema:
    """The properties a new account has; per-currency prices exist only where there are several currencies."""
    result = Schema()
    result.groups[kind.group] = Group(kind.group, GROUP_LABELS[kind.plural], 0)
    rows = ROWS[kind.plural] + EVERY_KIND
    if kind is PRODUCTS and len(currencies) > 1:
        rows += "".join(f"hs_price_{code.lower()} | Unit price {code} | number number | money\n" for code in currencies)
    for row in filter(None, rows.splitlines()):
        result.add(_definition(row, kind, created))
    if len(currencies) == 1:
        # The currency property appears with the second currency; an account with one has nothing to choose.
        result.active.pop("deal_currency_code", None)
    return result


def options(text: str) -> list[Option]:
    """Read an option set."""
    result = []
    for order, item in enumerate(text.split()):
        value, _, label = item.partition(":")
        result.append(Option(value, (label or value.capitalize()).replace("_", " "), order))
    return result


def _definition(row: str, kind: Kind, created: int) -> Definition:
    name, label, types, *rest = (part.strip() for part in row.split("|"))
    type_name, field_type = types.split()
    flags = set(rest[0].split()) if rest else set()
    chosen = flags & OPTIONS.keys()
    return Definition(
        name=name,
        label=label,
        type=type_name,
        field_type=field_type,
        group=kind.group,
        options=_options(type_name, chosen),
        calculated="calc" in flags,
        read_only="ro" in flags,
        standard=True,
        external="owner" in flags,
        form_field=not flags,
        created=created,
        updated=created,
        currency="money" in flags,
        identifying=kind is CONTACTS and name == "email",
    )


def _options(type_name: str, chosen: set[str]) -> list[Option]:
    if type_name == "bool":
        return [Option("true", "Yes", 0), Option("false", "No", 1)]
    return options(OPTIONS[chosen.pop()]) if chosen else []
