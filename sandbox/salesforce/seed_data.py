"""The records of an org at the start of the world, dated over the year before it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.core.names import FIRST_ARTICLE, PRODUCT_NAMES, Business, business

from . import dml
from .table import Row
from .tenant import Tenant

if TYPE_CHECKING:
    from .seed import SeedClock

DAY = 86_400.0
FIRST_NAMES = ("Anna", "Erik", "Maria", "Lars", "Karin", "Johan", "Eva", "Anders", "Sara", "Per", "Emma", "Nils")
LAST_NAMES = ("Svensson", "Lindberg", "Nyström", "Ek", "Hallgren", "Sandell", "Åberg", "Öhman", "Wallin", "Dahl")
DEALS = ("Serviceavtal", "Nyförsäljning", "Konsultuppdrag", "Leverans", "Installation", "Uppgradering")
STAGES = ("Prospecting", "Qualification", "Value Proposition", "Proposal/Price Quote", "Negotiation/Review")
TERMS = ("30", "20", "10", "60")
BOOKS = {"Sweden": "SEK", "Norway": "NOK"}


class Seeder:
    """Fills one org. Everything is written through the rules, by the salesperson, at a moment the clock is set to."""

    def __init__(self, tenant: Tenant, seed: int, clock: SeedClock) -> None:
        self._org = tenant.org
        self._seller = tenant.sellers[0]
        self._seed = seed
        self._clock = clock
        self._now = clock.time()
        self._dice = random.Random(f"salesforce-{tenant.org.my_domain}-{seed}")
        self._entries: dict[str, list[tuple[str, float]]] = {}  # book id: (entry, price)
        self._books: dict[str, str] = {}
        self._accounts: list[Row] = []
        self._asked: dict[str, str] = {}  # account: whom to ask there

    def fill(self, accounts: int, deals: int) -> None:
        """Accounts first; the rest in proportion, with a floor so that small orgs have some of each."""
        self._clock.moment = self._now - 330 * DAY
        self._prices(max(4, min(len(PRODUCT_NAMES), accounts // 3)))
        if not accounts:
            return
        self._accounts = self._spread("Account", accounts, self._account)
        contacts = self._spread("Contact", max(3, min(60, accounts // 2)), self._contact)
        self._asked = {str(row.values["AccountId"]): row.id for row in reversed(contacts)}
        for number, row in enumerate(self._spread("Opportunity", max(3, min(40, accounts // 4)), self._opportunity)):
            self._lines(row, 1 + number % 3)
        self._orders(max(2, accounts // 10))
        self._service_orders(max(2, accounts // 8))
        self._near_closing(deals)
        self._clock.moment = self._now

    # -- writing

    def _insert(self, object_name: str, values: Mapping[str, Any]) -> Row:
        if self._org.options.multi_currency and "CurrencyIsoCode" not in values:
            values = {**values, **self._currency(object_name)}
        return dml.insert(self._org, self._seller, object_name, values)

    def _currency(self, object_name: str) -> dict[str, str]:
        """Where a record has a currency of its own; lines have that of what they belong to."""
        field = self._org.object(object_name).field("CurrencyIsoCode")
        return {"CurrencyIsoCode": "SEK"} if field is not None and field.createable else {}

    def _spread(self, object_name: str, count: int, describe: Callable[[int], dict[str, Any]]) -> list[Row]:
        """Records with rising moments of creation."""
        start, step = self._now - 320 * DAY, 300 * DAY / max(count, 1)
        made = []
        for number in range(count):
            self._clock.moment = start + number * step + self._dice.random() * step
            made.append(self._insert(object_name, describe(number)))
        return made

    def _day(self, days: float) -> str:
        return (datetime.fromtimestamp(self._now, UTC) + timedelta(days=days)).date().isoformat()

    # -- what there is

    def _account(self, number: int) -> dict[str, Any]:
        """The same businesses as in the other emulators, as a salesperson typed them."""
        known = business(self._seed, number)
        if self._org.options.person_accounts and number % 8 == 7:
            return self._person(number, known)
        digits = known.organisation_number.replace("-", "")
        values = {
            "Name": self._typed(number, known),
            "BillingStreet": "\r\n".join(part for part in (known.address1, known.address2) if part),
            "BillingPostalCode": known.zip_code,
            "BillingCity": known.city,
            "BillingCountry": "Sweden",
            "Phone": known.phone,
            "Website": known.www,
            "Type": ("Customer - Direct", "Prospect", "Other")[number % 3],
            "Region__c": ("North", "South", "West")[number % 3],
            "Legal_Entity__c": "Nordkraft Norge AS" if number % 9 == 8 else "Nordkraft Sverige AB",
            "Payment_Terms__c": TERMS[number % len(TERMS)],
        }
        if number % 5 != 3:
            values["Organization_Number__c"] = known.organisation_number if number % 2 else digits
            values["VAT_Number__c"] = f"SE{digits}01"
        return values

    def _person(self, number: int, known: Business) -> dict[str, Any]:
        first, last = self._name(number)
        person = next(row for row in self._org.rows["RecordType"].values() if row.values.get("IsPersonType"))
        return {
            "RecordTypeId": person.id,
            "FirstName": first,
            "LastName": last,
            "PersonEmail": f"{_plain(first)}.{_plain(last)}@privat.example",
            "BillingStreet": known.address1,
            "BillingPostalCode": known.zip_code,
            "BillingCity": known.city,
            "BillingCountry": "Sweden",
        }

    def _typed(self, number: int, known: Business) -> str:
        """Every fourth name differs a little: without its legal form, in capitals, or with the form in front."""
        if number % 4 != 2:
            return known.name
        stem = known.name.removesuffix(" AB").removesuffix(" HB")
        return (stem, known.name.upper(), f"AB {stem}")[number // 4 % 3]

    def _name(self, number: int) -> tuple[str, str]:
        return FIRST_NAMES[number % len(FIRST_NAMES)], LAST_NAMES[(number * 5 + number // 16) % len(LAST_NAMES)]

    def _contact(self, number: int) -> dict[str, Any]:
        companies = [row for row in self._accounts if not row.values.get("IsPersonAccount")]
        account = companies[number % len(companies)]
        first, last = self._name(number)
        domain = str(account.values.get("Website") or "www.privat.example").removeprefix("www.")
        return {
            "FirstName": first,
            "LastName": last,
            "Email": f"{_plain(first)}.{_plain(last)}{number or ''}@{domain}",
            "Title": ("Inköpare", "VD", "Ekonomichef")[number % 3],
            "AccountId": account.id,
        }

    def _prices(self, products: int) -> None:
        """Products whose codes are the article numbers the accounting emulator begins with; every fourth has none."""
        standard = next(row for row in self._org.rows["Pricebook2"].values() if row.values.get("IsStandard"))
        books = {name: self._insert("Pricebook2", {"Name": name, "IsActive": True}) for name in BOOKS}
        self._books = {name: row.id for name, row in books.items()}
        for number in range(products):
            name = PRODUCT_NAMES[number]
            values = {"Name": name, "IsActive": True, "Family": "Service" if number in (3, 4) else "Material"}
            if number % 4 != 3:
                values["ProductCode"] = str(FIRST_ARTICLE + number)
            product, price = self._insert("Product2", values), float(self._dice.randrange(100, 4000))
            self._entry(standard.id, product.id, price, "SEK", standard=True)
            if self._org.options.multi_currency:
                self._entry(standard.id, product.id, price, "NOK", standard=True)
            for book, currency in BOOKS.items():
                self._entry(self._books[book], product.id, price, currency)

    def _entry(self, book: str, product: str, price: float, currency: str, *, standard: bool = False) -> None:
        values: dict[str, Any] = {"Pricebook2Id": book, "Product2Id": product, "UnitPrice": price, "IsActive": True}
        if self._org.options.multi_currency:
            values["CurrencyIsoCode"] = currency
        if not standard:
            values["UseStandardPrice"] = False
        entry = self._insert("PricebookEntry", values)
        self._entries.setdefault(book, []).append((entry.id, price))

    def _opportunity(self, number: int) -> dict[str, Any]:
        stage = (*STAGES, "Closed Won", "Closed Lost")[number % 7]
        account = self._accounts[(number * 3) % len(self._accounts)]
        days = self._dice.randrange(-60, -1) if stage.startswith("Closed") else self._dice.randrange(1, 120)
        return {
            "Name": f"{DEALS[number % len(DEALS)]} {2027 + number // 6}",
            "AccountId": account.id,
            "StageName": stage,
            "CloseDate": self._day(days),
            "Pricebook2Id": self._books["Sweden"],
        }

    def _lines(self, opportunity: Row, count: int) -> None:
        for entry, price in self._dice.sample(self._entries[self._books["Sweden"]], count):
            values = {"OpportunityId": opportunity.id, "PricebookEntryId": entry, "Quantity": self._dice.randint(1, 12)}
            self._insert("OpportunityLineItem", {**values, "UnitPrice": price})
        if contact := self._asked.get(str(opportunity.values["AccountId"])):
            role = {"OpportunityId": opportunity.id, "ContactId": contact, "Role": "Decision Maker", "IsPrimary": True}
            self._insert("OpportunityContactRole", role)

    def _near_closing(self, count: int) -> None:
        """Opportunities that somebody will win within days."""
        for number in range(count):
            self._clock.moment = self._now - 30 * DAY + number * DAY / max(count, 1)
            account = self._accounts[number % len(self._accounts)]
            row = self._insert(
                "Opportunity",
                {
                    "Name": f"Order {number + 1}",
                    "AccountId": account.id,
                    "StageName": "Negotiation/Review",
                    "CloseDate": self._day(10),
                    "Pricebook2Id": self._books["Sweden"],
                },
            )
            self._lines(row, 1 + number % 3)

    def _orders(self, count: int) -> None:
        """Orders with items, every other one activated."""
        if not self._org.options.orders_enabled:
            return
        for number in range(count):
            self._clock.moment = self._now - (60 - number % 50) * DAY
            account = self._accounts[(number * 2) % len(self._accounts)]
            values = {"AccountId": account.id, "EffectiveDate": self._day(-number % 30), "Status": "Draft"}
            order = self._insert("Order", {**values, "Pricebook2Id": self._books["Sweden"]})
            for entry, price in self._dice.sample(self._entries[self._books["Sweden"]], 1 + number % 2):
                item = {"OrderId": order.id, "PricebookEntryId": entry, "Quantity": self._dice.randint(1, 5)}
                self._insert("OrderItem", {**item, "UnitPrice": price})
            if number % 2:
                dml.update(self._org, self._seller, "Order", order.id, {"Status": "Activated"})

    def _service_orders(self, count: int) -> None:
        """The customer's own object with its lines."""
        for number in range(count):
            self._clock.moment = self._now - (40 - number % 35) * DAY
            order = self._insert(
                "Service_Order__c",
                {
                    "Account__c": self._accounts[(number * 5) % len(self._accounts)].id,
                    "Order_Date__c": self._day(-number % 30),
                    "Currency__c": "SEK",
                    "Status__c": ("Draft", "Confirmed", "Delivered")[number % 3],
                },
            )
            for line in range(1 + number % 3):
                goods = (number + line) % 4
                values: dict[str, Any] = {
                    "Service_Order__c": order.id,
                    "Product_Code__c": str(FIRST_ARTICLE + goods),
                    "Text__c": f"{PRODUCT_NAMES[goods]} enligt order",
                    "Quantity__c": self._dice.randint(1, 8),
                    "Price__c": self._dice.randrange(50, 900),
                }
                if line == 1:
                    values["Discount__c"] = 10
                self._insert("Service_Order_Line__c", values)


def _plain(text: str) -> str:
    return text.lower().translate(str.maketrans("åäöé", "aaoe"))
