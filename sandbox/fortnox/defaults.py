"""What every new company has: registers, chart of accounts, financial years, settings."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from sandbox.core.names import business

from .records import Record
from .tenant import Tenant

# Recorded defaults of a new company.
UNITS = (
    ("förp", "förpackning", "pack"),
    ("h", "timmar", "h"),
    ("km", "Kilometer", "km"),
    ("st", "styck", "pcs"),
    ("utl", "Utlägg", "exp"),
)
TERMS = (
    ("0", "0 dagar"),
    ("10", "10 dagar"),
    ("15", "15 dagar"),
    ("20", "20 dagar"),
    ("30", "30 dagar"),
    ("AG", "Autogiro"),
    ("K", "Kontant"),
    ("PF", "Postförskott"),
)
MODES = (
    ("BG", "Bankgiro", "1920"),
    ("PG", "Plusgiro", "1920"),
    ("K", "Kontant", "1910"),
    ("BANK", "Bankkonto", "1930"),
)
# SEK, EUR and USD exist from the start (reported); the others were added by a person.
CURRENCIES = (
    ("SEK", "Svenska kronor", "1"),
    ("EUR", "Euro", "11.02"),
    ("USD", "US-dollar", "9.48"),
    ("NOK", "Norska kronor", "0.94"),
    ("GBP", "Brittiska pund", "12.61"),
)
ACCOUNTS = (
    (1250, "Datorer", ""),
    (1510, "Kundfordringar", ""),
    (1910, "Kassa", ""),
    (1920, "PlusGiro", ""),
    (1930, "Företagskonto", ""),
    (2611, "Utgående moms på försäljning inom Sverige, 25 %", "U1"),
    (2621, "Utgående moms på försäljning inom Sverige, 12 %", "U2"),
    (2631, "Utgående moms på försäljning inom Sverige, 6 %", "U3"),
    (2641, "Debiterad ingående moms", "I"),
    (3001, "Försäljning inom Sverige, 25 % moms", "MP1"),
    (3002, "Försäljning inom Sverige, 12 % moms", "MP2"),
    (3003, "Försäljning inom Sverige, 6 % moms", "MP3"),
    (3004, "Försäljning inom Sverige, momsfri", "MF"),
    (3011, "Försäljning varor, 25 % moms", "MP1"),
    (3041, "Försäljning tjänster, 25 % moms", "MP1"),
    (3105, "Försäljning varor till land utanför EU", "E"),
    (3106, "Försäljning varor till annat EU-land, momspliktig", "MP1"),
    (3108, "Försäljning varor till annat EU-land, momsfri", "VEU"),
    (3231, "Försäljning inom byggsektorn, omvänd betalningsskyldighet", "OTTU"),
    (3305, "Försäljning tjänster till land utanför EU", "ÖTEU"),
    (3308, "Försäljning tjänster till annat EU-land", "FTEU"),
    (3520, "Frakter", "MP1"),
    (3540, "Faktureringsavgifter", "MP1"),
    (3740, "Öres- och kronutjämning", ""),
    (3960, "Valutakursvinster", ""),
    (4000, "Inköp av varor", ""),
    (6351, "Konstaterade förluster på kundfordringar", ""),
    (7960, "Valutakursförluster", ""),
)
INACTIVE_ACCOUNTS = ((3999, "Övriga rörelseintäkter, gammalt konto", ""),)
PREDEFINED = {
    "BG": 1920,
    "PG": 1920,
    "CASH": 1910,
    "CASHBYCARD": 1910,
    "AG": 1920,
    "CUSTCLAIM": 1510,
    "ADMFEE": 3540,
    "FREIGHT": 3520,
    "ROUNDOFF": 3740,
    "OUTVAT_MP1": 2611,
    "OUTVAT_MP2": 2621,
    "OUTVAT_MP3": 2631,
    "INVAT": 2641,
    "CURRENCYWIN": 3960,
    "CURRENCYLOSS": 7960,
    "SALES_25_SE": 3001,
    "SALES_25_SE2": 3041,
    "SALES_12_SE": 3002,
    "SALES_6_SE": 3003,
    "SALES_0_SE": 3004,
    "SALESCONSTR2": 3231,
    "SALESEUREV": 3108,
    "SALESEUREV2": 3308,
    "SALESEUVAT": 3106,
    "SALESEUVAT2": 3106,
    "SALESEXPORT": 3105,
    "SALESEXPORT2": 3305,
}
PREDEFINED_SERIES = {"INVOICE": "B", "INCOMINGPAYMENT": "C"}
SERIES = (("A", "Redovisning", True), ("B", "Kundfakturor", False), ("C", "Kundinbetalningar", False))


def company(seed: int, number: str, position: int) -> dict[str, Any]:
    """Company settings in the documented shape; TenantId is text here."""
    own = business(seed, 150_000 + position)  # far from the customers
    blank = (
        "BIC BranchCode ContactFirstName ContactLastName Domicile Fax IBAN PG Phone2 VisitAddress VisitCity "
        "VisitCountry VisitCountryCode VisitName VisitZipCode"
    )
    return {
        **dict.fromkeys(blank.split(), ""),
        "Address": own.address1,
        "BG": "5050-1055",
        "City": own.city,
        "Country": "Sverige",
        "CountryCode": "SE",
        "DatabaseNumber": number,
        "Email": own.email,
        "Name": own.name,
        "OrganizationNumber": own.organisation_number,
        "Phone1": own.phone,
        "TaxEnabled": True,
        "VATNumber": f"SE{own.organisation_number.replace('-', '')}01",
        "WWW": own.www,
        "ZipCode": own.zip_code,
    }


def fill(tenant: Tenant, created: float, today: date) -> None:
    """All registers of a company, as old as the company."""

    def add(table: str, key: object, **values: Any) -> None:
        kept = {name: value for name, value in values.items() if value not in (None, "", False)}
        tenant.tables[table].add(Record(str(key), kept, created))

    for code, description, english in UNITS:
        add("units", code, Code=code, Description=description, CodeEnglish=english)
    for code, description in TERMS:
        add("termsofpayments", code, Code=code, Description=description)
    for code, description, account in MODES:
        add("modesofpayments", code, Code=code, Description=description, AccountNumber=account)
    for code, description, rate in CURRENCIES:
        amount = Decimal(rate)
        add(
            "currencies",
            code,
            Code=code,
            Description=description,
            BuyRate=amount,
            SellRate=amount,
            Date=today.isoformat(),
            IsAutomatic=code != "SEK",
        )
    add("pricelists", "A", Code="A", Description="Prislista A", PreSelected=True)
    add("pricelists", "B", Code="B", Description="Återförsäljare")
    for number, description, vat in ACCOUNTS:
        add("accounts", number, Number=number, Description=description, VATCode=vat)
    for number, description, _vat in INACTIVE_ACCOUNTS:
        tenant.tables["accounts"].add(
            Record(str(number), {"Number": number, "Description": description, "Active": False}, created)
        )
    for name, account_number in PREDEFINED.items():
        add("predefinedaccounts", name, Name=name, Account=account_number)
    for index, year in enumerate(range(today.year - 3, today.year + 2), 1):
        add("financialyears", index, Id=index, FromDate=f"{year}-01-01", ToDate=f"{year}-12-31")
    tenant.current_year = 4
    for code, description, manual in SERIES:
        add("voucherseries", code, Code=code, Description=description, Manual=manual, Year=tenant.current_year)
    for purpose, series in PREDEFINED_SERIES.items():
        add("predefinedvoucherseries", purpose, Name=purpose, VoucherSeries=series)
