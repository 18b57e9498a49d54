"""What every org has before anybody works in it: its own description, stages, statuses, currencies, the standard
price book and an administrator's profile."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from . import times
from .schema import Choice
from .table import Row, Values

if TYPE_CHECKING:
    from .org import Org


class Stage(NamedTuple):
    """One opportunity stage: its value and what it means."""

    name: str
    probability: int
    forecast: str
    closed: bool = False
    won: bool = False
    label: str = ""


STAGES = (
    Stage("Prospecting", 10, "Pipeline"),
    Stage("Qualification", 10, "Pipeline"),
    Stage("Needs Analysis", 20, "Pipeline"),
    Stage("Value Proposition", 50, "Pipeline"),
    Stage("Id. Decision Makers", 60, "Pipeline"),
    Stage("Perception Analysis", 70, "Pipeline"),
    Stage("Proposal/Price Quote", 75, "Pipeline"),
    Stage("Negotiation/Review", 90, "Pipeline"),
    Stage("Closed Won", 100, "Closed", closed=True, won=True),
    Stage("Closed Lost", 0, "Omitted", closed=True),
)
RATES = {
    "SEK": "1",
    "EUR": "0.0912",
    "NOK": "1.0712",
    "DKK": "0.6805",
    "USD": "0.1054",
    "GBP": "0.0788",
}


def place(org: Org, object_name: str, values: Values, record_id: str | None = None) -> Row:
    """Put a row in without rules: for what an org is made of, not for data."""
    definition = org.tables[object_name]
    prefix = org.prefix_of(object_name)
    now = org.now_ms() // 1000 * 1000
    stamp = times.wire(now)
    found = record_id or org.ids.new(prefix)
    held: Values = {
        "Id": found,
        **values,
        "IsDeleted": False,
        "CreatedDate": stamp,
        "LastModifiedDate": stamp,
        "SystemModstamp": stamp,
    }
    row = Row(object_name, found, held, now, None)
    definition.add(row)
    return row


def place_profile(org: Org, name: str) -> Row:
    """A profile with the permission set that it owns, under a name that nobody chose."""
    row = place(org, "Profile", {"Name": name})
    owned = {"Name": f"X{row.id}", "Label": f"{row.id}", "IsOwnedByProfile": True, "ProfileId": row.id}
    place(org, "PermissionSet", owned)
    return row


def furnish(org: Org) -> None:
    """The rows of a new org."""
    profile = org.profile
    place(
        org,
        "Organization",
        {
            "Name": profile.name,
            "Country": profile.country,
            "DefaultLocaleSidKey": profile.locale,
            "LanguageLocaleKey": profile.language,
            "TimeZoneSidKey": profile.time_zone,
            "OrganizationType": profile.organization_type,
            "InstanceName": profile.instance_name,
            "IsSandbox": profile.is_sandbox,
            "IsReadOnly": False,
            "FiscalYearStartMonth": "1",
        },
        org.id,
    )
    place_profile(org, "System Administrator")
    place_profile(org, "Minimum Access - API Only Integrations")
    place(org, "Pricebook2", {"Name": "Standard Price Book", "IsActive": True, "IsStandard": True, "IsArchived": False})
    set_stages(org, STAGES)
    for number, (status, code) in enumerate((("Draft", "Draft"), ("Activated", "Activated")), start=1):
        place(
            org,
            "OrderStatus",
            {
                "MasterLabel": status,
                "ApiName": status,
                "SortOrder": number,
                "IsDefault": number == 1,
                "StatusCode": code,
            },
        )
    place_currencies(org)
    place_account_types(org)


def place_account_types(org: Org) -> None:
    """An org with person accounts has a record type for either kind of account."""
    kinds = [row.values.get("IsPersonType") for row in org.rows["RecordType"].values()]
    if not org.options.person_accounts or any(kinds):
        return
    for name, person in (("Business Account", False), ("Person Account", True)):
        values = {"Name": name, "DeveloperName": name.replace(" ", "_"), "SobjectType": "Account", "IsActive": True}
        place(org, "RecordType", {**values, "IsPersonType": person})


def place_currencies(org: Org) -> None:
    """A CurrencyType for each of the org's currencies; those it no longer has become inactive."""
    known = {row.values["IsoCode"]: row for row in org.rows["CurrencyType"].values()}
    for code, row in known.items():
        row.values["IsActive"] = code in org.options.currencies
        row.values["IsCorporate"] = code == org.options.default_currency
    for code in org.options.currencies:
        if code in known:
            continue
        place(
            org,
            "CurrencyType",
            {
                "IsoCode": code,
                "ConversionRate": Decimal(RATES.get(code, "1")),
                "DecimalPlaces": 2,
                "IsActive": True,
                "IsCorporate": code == org.options.default_currency,
            },
        )


def set_stages(org: Org, stages: tuple[Stage, ...]) -> None:
    """Replace the sales process: the picklist of StageName and the rows of OpportunityStage."""
    table = org.tables["OpportunityStage"]
    for row in list(table.rows.values()):
        table.drop(row)
    for number, stage in enumerate(stages, start=1):
        values: dict[str, Any] = {
            "MasterLabel": stage.label or stage.name,
            "ApiName": stage.name,
            "IsActive": True,
            "SortOrder": number,
            "IsClosed": stage.closed,
            "IsWon": stage.won,
            "ForecastCategory": stage.forecast.replace(" ", ""),
            "ForecastCategoryName": stage.forecast,
            "DefaultProbability": Decimal(stage.probability),
        }
        place(org, "OpportunityStage", values)
    field = org.object("Opportunity").fields["stagename"]
    field.choices = tuple(Choice(stage.name, stage.label) for stage in stages)
    org.schema_changed()
