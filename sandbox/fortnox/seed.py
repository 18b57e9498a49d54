"""Seeded companies: customers, articles and two years of invoices in every state.

Everything is as old as it looks: lastmodified lies in the past, never within the last two hours.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.core.names import business
from sandbox.core.world import World

from . import actions, times
from .defaults import company, fill
from .invoices import Invoices
from .payments import Payments
from .prices import Prices, price_key
from .records import Record
from .tenant import Call, Tenant

TENANTS = ("1018318", "1018319")
DAY = 86_400.0
QUIET = 7_200.0  # nothing changed this recently
PERIOD = 50  # every 50 customers hold each kind of awkward one
_FREEMAIL = ("gmail.com", "hotmail.com", "outlook.com", "telia.com")
_LONG = "Föreningen för främjande av hantverk, hembygd och småföretagande i Östra Göinge, Åsnen och Älvsborg med omnejd"
_GOODS = (
    "Skruv Hammare Måttband Konsulttimme Serviceavtal Kabel Lampa Färg Pensel Spackel Isolering Fönster Dörr "
    "Beslag Lås Kaffe Fika Broschyr Utbildning Licens Frakt Pall Kartong Etikett Räksmörgås Bok Ritning Montering"
)
_GOODS_NAMES = tuple(_GOODS.split())
_FORMS = ("standard", "rostfri", "liten", "stor", "extra", "à 10 st", "röd", "blå", "för utomhusbruk")
_SALES = (3001, 3001, 3001, 3001, 3002, 3003, 3004, 3041)


def build_tenants(world: World) -> dict[str, Tenant]:
    """The big company and one a tenth of its size."""
    tenants: dict[str, Tenant] = {}
    for position, number in enumerate(TENANTS):
        tenant = Tenant(number, company(world.seed, number, position))
        builder = Builder(world, tenant, random.Random(f"{world.seed} {number}"), world.clock.time())
        share = 1 if position == 0 else 10
        empty = world.sizes.empty
        builder.build(
            customers=0 if empty else -(-world.sizes.customers // share),
            articles=0 if empty else -(-world.sizes.articles // share),
            invoices=0 if empty else -(-world.sizes.invoices // share),
            first=0 if position == 0 else 100_000,
        )
        tenants[number] = tenant
    return tenants


@dataclass
class Builder:
    """Fills one company."""

    world: World
    tenant: Tenant
    dice: random.Random
    now: float

    def build(self, *, customers: int, articles: int, invoices: int, first: int) -> None:
        """Registers, then records; ``first`` is the index of the first business."""
        fill(self.tenant, self.now - 800 * DAY, times.local_date(self.now))
        for index in range(customers):
            self.customer(index, first)
        for index in range(articles):
            self.article(index)
        if customers:
            for index in range(invoices):
                self.invoice(index, invoices)

    def past(self, low: float = QUIET, high: float = 720 * DAY) -> float:
        """A moment between two years and two hours ago."""
        return self.now - low - self.dice.random() * (high - low)

    # -- customers -----------------------------------------------------------------------------------------

    def customer(self, index: int, first: int) -> None:
        """One customer; some are awkward."""
        known = business(self.world.seed, first + index)
        values: dict[str, Any] = {
            "CustomerNumber": str(index + 1),
            "Name": known.name,
            "OrganisationNumber": known.organisation_number,
            "Address1": known.address1,
            "ZipCode": known.zip_code,
            "City": known.city,
            "CountryCode": "SE",
            "Phone1": known.phone,
            "Email": known.email,
            "WWW": known.www,
        }
        if known.address2:
            values["Address2"] = known.address2
        change = _AWKWARD.get(index % PERIOD)
        if change is not None:
            change(self, values, first + index)
        record = Record(values["CustomerNumber"], values, self.past())
        if self.dice.random() < 0.3:
            record.updated = record.created + self.dice.random() * (self.now - QUIET - record.created)
        self.tenant.tables["customers"].add(record)

    # -- articles ------------------------------------------------------------------------------------------

    def article(self, index: int) -> None:
        """One article with its price; some inactive, without price, with odd numbers."""
        dice = self.dice
        number = {3: "SKRUV/M6", 4: "Färg-01", 5: "A.B+C_1"}.get(index, str(1001 + index))
        good = _GOODS_NAMES[index % len(_GOODS_NAMES)]
        values: dict[str, Any] = {
            "ArticleNumber": number,
            "Description": f"{good} {_FORMS[index // len(_GOODS_NAMES) % len(_FORMS)]}",
            "Unit": dice.choice(("st", "st", "h", "förp")),
        }
        sales = dice.choice(_SALES)
        if sales != 3001:
            values["SalesAccount"] = sales
        if values["Unit"] == "h":
            values["Type"] = "SERVICE"
        price = Decimal(dice.randrange(500, 500_000)) / 100
        if index % 3:
            price = Decimal(int(price) or 1)
        values["PurchasePrice"] = (price * 6 / 10).quantize(Decimal("0.01"))
        if index % 7 == 0:
            values |= {"QuantityInStock": Decimal(dice.randrange(0, 4000)) / 4, "StockGoods": True}
        if index % 12 == 11:
            values["Active"] = False
        if index % 9 == 0:
            values["EAN"] = f"73{dice.randrange(10**10, 10**11)}"[:13]
        moment = self.past()
        self.tenant.tables["articles"].add(Record(number, values, moment))
        if index % 15 != 14:
            self._price(number, price, moment)

    def _price(self, article: str, price: Decimal, moment: float) -> None:
        values = {"PriceList": "A", "ArticleNumber": article, "Price": price}
        values["Date"] = times.stamp(moment)
        self.tenant.tables[Prices.name].add(Record(price_key("A", article, "0"), values, moment))

    # -- invoices ------------------------------------------------------------------------------------------

    def invoice(self, index: int, total: int) -> None:
        """One invoice in the state that its position gives it, made the way the API makes it."""
        age = 700 * DAY * (total - index) / total + DAY
        call = Call(self.world, self.tenant, {}, self.now - age)
        kind = _KINDS[index % len(_KINDS)]
        payload = self._payload(index, kind)
        record = INVOICES.create(call, payload)
        if kind in ("draft", "unbooked"):
            return
        if kind == "cancelled":
            self._later(call, 2)
            actions.cancel(INVOICES, call, record)
            return
        self._later(call, 0.1)
        actions.bookkeep(INVOICES, call, record)
        if kind != "booked":
            actions.external_print(INVOICES, call, record)
        if kind == "credited":
            self._later(call, 5)
            actions.credit(INVOICES, call, record)
            note = self.tenant.tables["invoices"].get(record.values["CreditInvoiceReference"])
            if note is not None and index % 40 < 20:
                actions.bookkeep(INVOICES, call, note)
        elif kind in ("paid", "partly", "foreign paid", "including"):
            self._pay(call, record, half=kind == "partly")

    def _later(self, call: Call, days: float) -> None:
        call.now = min(call.now + days * DAY, self.now - QUIET)

    def _pay(self, call: Call, record: Record, *, half: bool) -> None:
        self._later(call, self.dice.randrange(5, 45))
        balance = Decimal(record.values["Balance"])
        if balance <= 0:
            return
        amount = (balance / 2).quantize(Decimal("0.01")) if half else balance
        name = "Amount" if record.values.get("Currency", "SEK") == "SEK" else "AmountCurrency"
        payload = {"InvoiceNumber": int(record.key), name: float(amount), "ModeOfPayment": "BG"}
        PAYMENTS.bookkeep(call, PAYMENTS.create(call, payload))

    def _payload(self, index: int, kind: str) -> dict[str, Any]:
        dice = self.dice
        customers = self.tenant.tables["customers"].ordered
        customer = customers[min(_INACTIVE, len(customers) - 1)] if index == 7 else dice.choice(customers)
        payload: dict[str, Any] = {
            "CustomerNumber": customer.key,
            "InvoiceRows": [self._row() for _ in range(dice.randrange(1, 5))],
        }
        if kind == "draft":
            payload["NotCompleted"] = True
        if kind == "text row" or index % 11 == 0:
            payload["InvoiceRows"].append({"Description": "Enligt överenskommelse; leverans vecka 12."})
        if kind.startswith("foreign"):
            payload["Currency"] = ("EUR", "USD", "EUR", "NOK", "GBP")[index // 20 % 5]
        if kind == "including":
            payload["VATIncluded"] = True
        if kind == "cash":
            payload |= {"InvoiceType": "CASHINVOICE", "PaymentWay": "CARD"}
        if index % 6 == 0:
            payload["Freight"] = 95
        if index % 10 == 0:
            payload["AdministrationFee"] = 29.5
        if index % 4 == 0:
            payload |= {"YourOrderNumber": f"PO-{dice.randrange(1000, 9999)}", "OurReference": "Åsa Öberg"}
        return payload

    def _row(self) -> dict[str, Any]:
        dice = self.dice
        articles = self.tenant.tables["articles"].ordered
        quantity = dice.choice((1, 2, 3, 5, 10, 1.5, 0.25))
        if not articles or dice.random() < 0.15:
            return {
                "Description": "Diverse arbete",
                "Price": dice.randrange(100, 9000) / 2,
                "DeliveredQuantity": quantity,
                "VAT": dice.choice((25, 25, 12, 6, 0)),
            }
        article = dice.choice(articles)
        row: dict[str, Any] = {"ArticleNumber": article.key, "DeliveredQuantity": quantity}
        if dice.random() < 0.12:
            row |= {"Discount": 10, "DiscountType": "PERCENT"}
        elif dice.random() < 0.06:
            row |= {"Discount": 25, "DiscountType": "AMOUNT"}
        if f"A/{article.key}/0" not in self.tenant.tables["prices"]:
            row["Price"] = 199
        return row


_KINDS = (
    "paid",
    "paid",
    "draft",
    "booked",
    "sent",
    "paid",
    "credited",
    "paid",
    "cancelled",
    "partly",
    "paid",
    "unbooked",
    "foreign paid",
    "including",
    "paid",
    "cash",
    "text row",
    "foreign sent",
    "sent",
    "paid",
)
_INACTIVE = 13

Change = Callable[[Builder, dict[str, Any], int], None]


def _same_name(builder: Builder, values: dict[str, Any], index: int) -> None:
    values["Name"] = business(builder.world.seed, index - 1).name


def _same_organisation(builder: Builder, values: dict[str, Any], index: int) -> None:
    values["OrganisationNumber"] = business(builder.world.seed, index - 1).organisation_number
    values["Name"] += " filial"


def _without(*names: str) -> Change:
    def change(builder: Builder, values: dict[str, Any], index: int) -> None:
        for name in names:
            values.pop(name, None)

    return change


def _with(**changes: Any) -> Change:
    def change(builder: Builder, values: dict[str, Any], index: int) -> None:
        values.update(changes)

    return change


def _freemail(builder: Builder, values: dict[str, Any], index: int) -> None:
    values["Email"] = f"kontakt.{index}@{_FREEMAIL[index % len(_FREEMAIL)]}"
    values.pop("WWW", None)


def _long_name(builder: Builder, values: dict[str, Any], index: int) -> None:
    values["Name"] = f"{_LONG}, krets {index}"


def _private(builder: Builder, values: dict[str, Any], index: int) -> None:
    values |= {"Name": f"Åke Söderström {index}", "Type": "PRIVATE", "ShowPriceVATIncluded": True}
    for name in ("OrganisationNumber", "WWW"):
        values.pop(name, None)


def _foreign(code: str, vat_type: str, currency: str, city: str, vat_number: str = "") -> Change:
    def change(builder: Builder, values: dict[str, Any], index: int) -> None:
        values |= {"CountryCode": code, "VATType": vat_type, "Currency": currency, "City": city, "ZipCode": "10115"}
        values.pop("OrganisationNumber", None)
        if vat_number:
            values["VATNumber"] = vat_number

    return change


_AWKWARD: dict[int, Change] = {
    5: _same_name,
    7: _same_organisation,
    9: _long_name,
    10: _without("OrganisationNumber"),
    11: _without("Email", "WWW"),
    12: _freemail,
    _INACTIVE: _with(Active=False),
    14: _private,
    16: _foreign("NO", "EXPORT", "NOK", "Oslo"),
    17: _foreign("DE", "EUREVERSEDVAT", "EUR", "Berlin", "DE811907980"),
    18: _foreign("US", "EXPORT", "USD", "New York"),
    19: _foreign("FI", "EUVAT", "EUR", "Helsinki"),
    21: _with(TermsOfPayment="10", InvoiceDiscount=Decimal(5), Comments="Ring före leverans"),
    22: _with(VATType="SEREVERSEDVAT", VATNumber="SE559999001601"),
    23: _without("Address1", "ZipCode", "City", "Phone1"),
}
INVOICES, PAYMENTS = Invoices(), Payments()
