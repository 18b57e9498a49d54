"""The two portals at the start of the world: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from sandbox.core.names import FIRST_ARTICLE, PRODUCT_NAMES, Business, business
from sandbox.core.world import Sizes

from . import orders, times
from .kinds import COMPANIES, CONTACTS, DEALS, LINE_ITEMS, PRODUCTS, Kind
from .pipelines import DEFAULT_STAGES
from .portal import Owner, Portal, Profile, TaxRate
from .store import Record, Source
from .writes import Writer

MAIN, SECOND = 145893001, 146201774
FIRST_NAMES = ("Anna", "Erik", "Maria", "Lars", "Karin", "Johan", "Eva", "Anders", "Sara", "Per", "Emma", "Nils")
LAST_NAMES = ("Svensson", "Lindberg", "Nyström", "Ek", "Hallgren", "Sandell", "Åberg", "Öhman", "Wallin", "Dahl")
DEAL_NAMES = ("Serviceavtal", "Nyförsäljning", "Konsultuppdrag", "Leverans", "Installation", "Uppgradering")


def profiles() -> list[Profile]:
    """A Swedish account in the EU with a second currency, and a smaller one with a single currency."""
    rates = [
        TaxRate("2148420997", "Moms 25", "Moms 25 %", 25),
        TaxRate("2148420998", "Moms 12", "Moms 12 %", 12),
        TaxRate("2148420999", "Moms 6", "Moms 6 %", 6),
    ]
    return [
        Profile(
            MAIN,
            "Demobolaget Sverige AB",
            "demobolaget.example",
            "SEK",
            ["EUR"],
            "eu1",
            [
                Owner("41629779", 9274996, "anna.svensson@demobolaget.example", "Anna", "Svensson", "Sälj"),
                Owner("41629780", 9274997, "erik.lindberg@demobolaget.example", "Erik", "Lindberg"),
                Owner("41629781", 9274998, "sara.dahl@demobolaget.example", "Sara", "Dahl", archived=True),
            ],
            rates,
            {"EUR": 11.0215},
        ),
        Profile(
            SECOND,
            "Andra Demobolaget AB",
            "andrademo.example",
            "SEK",
            [],
            "eu1",
            [Owner("41730112", 9310044, "olof.noren@andrademo.example", "Olof", "Norén")],
            rates[:1],
        ),
    ]


class Seeder:
    """Fills one portal with records dated over the year before the world began."""

    def __init__(self, portal: Portal, seed: int, now: int) -> None:
        self._portal = portal
        self._seed = seed
        self._now = now
        self._dice = random.Random(f"hubspot-{portal.id}-{seed}")
        self._source = Source("CRM_UI", f"userId:{portal.profile.owners[0].user_id}")
        self._start = now - 330 * times.DAY

    def fill(self, companies: int, orders_wanted: int = 0) -> None:
        """Companies first; the other types in proportion, with a floor so that small worlds have some of each."""
        if not companies:
            return
        made = self._spread(COMPANIES, companies, self._company)
        contacts = self._spread(CONTACTS, max(3, min(60, companies // 2)), lambda n: self._contact(n, companies))
        self._spread(PRODUCTS, max(4, min(len(PRODUCT_NAMES), companies // 3)), self._product)
        deals = self._spread(DEALS, max(3, min(40, companies // 4)), self._deal)
        for number, contact in enumerate(contacts):
            company = made[number % len(made)]
            self._portal.links.label(CONTACTS.type_id, contact.id, COMPANIES.type_id, company.id, [1])
        for number, deal in enumerate(deals):
            company = made[(number * 3) % len(made)]
            self._portal.links.label(DEALS.type_id, deal.id, COMPANIES.type_id, company.id, [5])
            self._lines(deal)
        if orders_wanted:
            orders.fill(self, self._portal, orders_wanted, made, contacts)

    def open_deal(self, number: int, name: str, order: orders.Order, *, single: bool) -> Record:
        """A deal in the sales pipeline that is not closed yet, made in the last month."""
        properties = {
            "dealname": name,
            "pipeline": "default",
            "dealstage": "contractsent",
            "closedate": times.day(self._now + 10 * times.DAY),
            "hubspot_owner_id": self._portal.profile.owners[0].id,
            **({} if single else {"deal_currency_code": "SEK"}),
            **{key: value for key, value in order.deal if not (single and key == "deal_currency_code")},
        }
        return self._write(DEALS, self._now - 30 * times.DAY + number * times.DAY // 2, properties)

    def line(self, deal: Record, properties: dict[str, Any]) -> Record:
        """A line item of that moment."""
        return self._write(LINE_ITEMS, deal.created, properties)

    def _spread(self, kind: Kind, count: int, describe: Callable[[int], dict[str, Any]]) -> list[Record]:
        """Create records with rising creation dates."""
        step = (300 * times.DAY) // max(count, 1)
        return [
            self._write(kind, self._start + n * step + self._dice.randrange(step), describe(n)) for n in range(count)
        ]

    def _write(self, kind: Kind, moment: int, properties: dict[str, Any]) -> Record:
        writer = Writer(self._portal, kind, self._source, min(moment, self._now - 1))
        return writer.create(writer.plan(properties))

    def _company(self, number: int) -> dict[str, Any]:
        """The same businesses as in the other emulators, as a salesperson typed them."""
        known = business(self._seed, number)
        properties = {
            "name": self._typed(number, known),
            "address": known.address1,
            "city": known.city,
            "zip": known.zip_code,
            "country": "Sverige" if number % 4 else "Sweden",
            "phone": known.phone,
            "lifecyclestage": ("customer", "opportunity", "lead")[number % 3],
        }
        if number % 5 != 3:
            properties["domain"] = known.domain
        if number % 2:
            properties["hubspot_owner_id"] = self._portal.profile.owners[0].id
        return properties

    def _typed(self, number: int, known: Business) -> str:
        """Every fourth name differs a little: without its legal form, in capitals, or with the form in front."""
        if number % 4 != 2:
            return known.name
        stem = known.name.removesuffix(" AB").removesuffix(" HB")
        return (stem, known.name.upper(), f"AB {stem}")[number // 4 % 3]

    def _contact(self, number: int, companies: int) -> dict[str, Any]:
        known = business(self._seed, number % companies)
        first = FIRST_NAMES[number % len(FIRST_NAMES)]
        last = LAST_NAMES[(number * 5 + number // 16) % len(LAST_NAMES)]
        local = f"{first}.{last}{number or ''}".lower().translate(str.maketrans("åäöé", "aaoe"))
        return {
            "firstname": first,
            "lastname": last,
            "email": f"{local}@{known.domain}",
            "company": known.name,
            "jobtitle": ("Inköpare", "VD", "Ekonomichef")[number % 3],
        }

    def _product(self, number: int) -> dict[str, Any]:
        """SKUs are the article numbers the accounting emulator begins with; every fourth product has none."""
        price = self._dice.randrange(100, 4000)
        properties = {
            "name": PRODUCT_NAMES[number],
            "hs_sku": str(FIRST_ARTICLE + number),
            "price": str(price),
            "description": "",
            "hs_product_type": "service" if number in (3, 4) else "inventory",
        }
        if number % 4 == 3:
            del properties["hs_sku"]
        if len(self._portal.currencies) > 1:
            properties["hs_price_eur"] = str(round(price / 11))
        return properties

    def _deal(self, number: int) -> dict[str, Any]:
        stage = DEFAULT_STAGES[number % len(DEFAULT_STAGES)][0]
        closing = self._now + self._dice.randrange(-60, 120) * times.DAY
        properties = {
            "dealname": f"{DEAL_NAMES[number % len(DEAL_NAMES)]} {2027 + number // 6}",
            "pipeline": "default",
            "dealstage": stage,
            "closedate": times.day(closing),
            "amount": str(self._dice.randrange(5, 400) * 500),
            "hubspot_owner_id": self._portal.profile.owners[0].id,
        }
        if len(self._portal.currencies) > 1:
            properties["deal_currency_code"] = "EUR" if number % 7 == 6 else "SEK"
        return properties

    def _lines(self, deal: Record) -> None:
        """One or two line items from the product library."""
        products = list(self._portal.store(PRODUCTS).all_live())
        for _ in range(self._dice.randint(1, 2)):
            product = self._dice.choice(products)
            properties: dict[str, Any] = {
                "hs_product_id": str(product.id),
                "quantity": str(self._dice.randint(1, 12)),
                "hs_line_item_currency_code": deal.values.get("deal_currency_code", "SEK"),
            }
            line = self._write(LINE_ITEMS, deal.created, properties)
            self._portal.links.connect(LINE_ITEMS.type_id, line.id, DEALS.type_id, deal.id)


def fill(portals: dict[int, Portal], seed: int, sizes: Sizes, now: int) -> None:
    """Seed both portals; the second one has a quarter of the companies. Nothing when the world starts empty."""
    if sizes.empty:
        return
    Seeder(portals[MAIN], seed, now).fill(sizes.accounts, sizes.deals)
    Seeder(portals[SECOND], seed, now).fill((sizes.accounts + 3) // 4, sizes.deals)
