"""Customers: /3/customers."""

from __future__ import annotations

import re
from typing import Any

from . import errors
from .countries import EU, NAME_OF_CODE
from .fields import BLANK, as_decimal
from .records import Record
from .resource import Resource
from .search import contains, last_modified
from .tables import CUSTOMER, CUSTOMER_LIST, CUSTOMER_UNSET
from .tenant import Call, Tenant

_COUNTRIES = (
    ("CountryCode", "Country"),
    ("DeliveryCountryCode", "DeliveryCountry"),
    ("VisitingCountryCode", "VisitingCountry"),
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_EMAIL_FIELDS = [name for name in CUSTOMER if name.startswith("Email")]


def valid_vat_number(value: str) -> bool:
    """EU prefix and a plausible rest; Swedish ones are 12 digits that end in 01 and pass the check digit."""
    compact = re.sub(r"[ .-]", "", value).upper()
    if not re.fullmatch(r"[A-Z]{2}[A-Z0-9+*]{2,14}", compact):
        return False
    if not compact.startswith("SE"):
        return compact[:2] in EU | {"EL", "XI", "GB", "NO", "CH", "IS"}
    digits = compact[2:]
    return bool(re.fullmatch(r"\d{10}\d\d", digits)) and _luhn(digits[:10])


def _luhn(digits: str) -> bool:
    doubled = (int(char) * (2 - index % 2) for index, char in enumerate(digits))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


class Customers(Resource):
    """Only Name is required; everything else has a recorded unset value."""

    name, single, plural, scope, key = "customers", "Customer", "Customers", "customer", "CustomerNumber"
    fields, unset = CUSTOMER, CUSTOMER_UNSET
    filters = {
        "active": lambda call: lambda record: record.values.get("Active", True),
        "inactive": lambda call: lambda record: not record.values.get("Active", True),
    }
    searches = {
        "customernumber": contains("CustomerNumber"),
        "name": contains("Name"),
        "zipcode": contains("ZipCode"),
        "city": contains("City"),
        "email": contains("Email"),
        "phone": contains("Phone1"),
        "organisationnumber": contains("OrganisationNumber"),
        "gln": contains("GLN"),
        "glndelivery": contains("GLNDelivery"),
        "lastmodified": last_modified,
    }
    sorts = {"customernumber": "CustomerNumber", "name": "Name"}

    def brief(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Recorded: ten fields, text that is unset is "" here, Phone1 is called Phone."""
        values = record.values
        row = {"@url": self.url(record.key)}
        row.update((shown, values.get(stored) or "") for shown, stored in CUSTOMER_LIST)
        return row

    def detail(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Country names are derived from the codes (recorded: SE → Sverige)."""
        shown = super().detail(tenant, record)
        for code, name in _COUNTRIES:
            shown[name] = NAME_OF_CODE.get(shown[code]) if shown[code] else None
        return shown

    def new_key(self, call: Call, values: dict[str, Any]) -> str:
        """Numbers of deleted customers stay reserved (documented)."""
        table = call.tenant.tables[self.name]
        key = str(values.get(self.key) or table.next_key())
        if key in table or key in table.deleted:
            tail = " Kundnumret har redan använts men blivit raderat." if key in table.deleted else ""
            raise errors.FortnoxError(2000637, f"Kundnummer {key} används redan.{tail}")
        return key

    def check(self, call: Call, values: dict[str, Any], *, creating: bool) -> None:
        """Name, country codes, currency, VAT number and e-mail addresses."""
        if values.get("Name", BLANK if creating else "") is BLANK:
            raise errors.required("Name")
        for code, _ in _COUNTRIES:
            value = values.get(code)
            if isinstance(value, str):
                values[code] = value.upper()
                if value.upper() not in NAME_OF_CODE:
                    raise errors.FortnoxError(2000919, f"Ogiltigt land: {value}")
        if isinstance(values.get("VATNumber"), str) and not valid_vat_number(values["VATNumber"]):
            raise errors.FortnoxError(2004194, "Ogiltigt VAT-nummer.")
        for name in _EMAIL_FIELDS:
            value = values.get(name)
            if isinstance(value, str) and not _EMAIL.fullmatch(value):
                raise errors.own(4, f"Ogiltig e-postadress. ({value})")
        for name in ("InvoiceFreight", "InvoiceAdministrationFee"):
            if isinstance(values.get(name), str):
                as_decimal(values[name])
        number = values.get("OrganisationNumber")
        if call.world.options["strict_organisation_numbers"] and isinstance(number, str):
            self._check_organisation_number(number)
        self._check_registers(call, values)

    def _check_organisation_number(self, number: str) -> None:
        """Documented as validated, recorded as lax: off unless switched on."""
        digits = re.sub(r"\D", "", number)[-10:]
        if len(digits) != 10 or not _luhn(digits):
            raise errors.own(40, f"Ogiltigt organisationsnummer. ({number})")

    def _check_registers(self, call: Call, values: dict[str, Any]) -> None:
        for name, register in (
            ("Currency", "currencies"),
            ("PriceList", "pricelists"),
            ("TermsOfPayment", "termsofpayments"),
        ):
            value = values.get(name)
            if isinstance(value, str) and value not in call.tenant.tables[register]:
                raise errors.unknown_reference(register)
        if isinstance(values.get("SalesAccount"), str):
            call.tenant.require_account(int(values["SalesAccount"]))

    def delete(self, call: Call, record: Record) -> None:
        """Reported: only a customer whose invoices are all cancelled can be deleted."""
        for invoice in call.tenant.tables["invoices"]:
            values = invoice.values
            if values["CustomerNumber"] == record.key and not values.get("Cancelled"):
                raise errors.own(6, "Kunden kan inte tas bort eftersom den används.")
        super().delete(call, record)
