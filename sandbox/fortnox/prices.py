"""Prices: /3/prices, keyed by price list, article and quantity."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

from . import errors, times
from .fields import as_decimal, clean, number, read_only, table, template, text, without_blanks
from .records import Record
from .registers import Register
from .render import BASE
from .resource import store
from .tenant import Call, Tenant


def price_key(price_list: str, article: str, quantity: Decimal | str) -> str:
    """How prices are keyed: A/101/0."""
    amount = as_decimal(quantity)
    whole = amount == amount.to_integral_value()
    return f"{price_list}/{article}/{int(amount) if whole else amount.normalize()}"


def price_parts(key: str) -> tuple[str, str, str]:
    """The reverse; article numbers may contain slashes."""
    price_list, rest = key.split("/", 1)
    article, quantity = rest.rsplit("/", 1)
    return price_list, article, quantity


class Prices(Register):
    """PUT without a quantity means quantity 0, and creates the price when there is none (documented use)."""

    name, single, plural, scope, key = "prices", "Price", "Prices", "price", "ArticleNumber"
    fields = table(
        read_only("@url"),
        text("ArticleNumber", 50),
        read_only("Date"),
        number("FromQuantity", 0),
        number("Percent", 0),
        number("Price", 0),
        text("PriceList", 100),
    )
    unset = template(fields)

    def url(self, key: str) -> str:
        """Three path segments after the collection."""
        return f"{BASE}/3/prices/" + "/".join(quote(part, safe="") for part in price_parts(key))

    def brief(self, tenant: Tenant, record: Record) -> dict[str, Any]:
        """Documented: lists show four fields and the address."""
        full = self.detail(tenant, record)
        return {name: full[name] for name in ("@url", "ArticleNumber", "FromQuantity", "Price", "PriceList")}

    def create(self, call: Call, payload: Any) -> Record:
        """POST needs a price list and an article that exist."""
        values = without_blanks(clean(self.fields, payload))
        for name in ("PriceList", "ArticleNumber"):
            if name not in values:
                raise errors.required(name)
        key = price_key(values["PriceList"], values["ArticleNumber"], values.get("FromQuantity", Decimal(0)))
        if key in call.tenant.tables[self.name]:
            raise errors.own(9, "Priset finns redan.")
        return self.put(call, key, values)

    def replace(self, call: Call, key: str, payload: Any) -> Record:
        """PUT."""
        return self.put(call, key, clean(self.fields, payload))

    def put(self, call: Call, key: str, values: dict[str, Any]) -> Record:
        """Store a price, new or not; the article shows it at once."""
        price_list, article, quantity = price_parts(key)
        if price_list not in call.tenant.tables["pricelists"]:
            raise errors.unknown_reference("pricelists")
        owner = call.tenant.tables["articles"].get(article)
        if owner is None:
            raise errors.unknown_reference("articles")
        prices = call.tenant.tables[self.name]
        record = prices.get(key) or prices.add(Record(key, {}, call.now, call.seq))
        fixed = {
            "PriceList": price_list,
            "ArticleNumber": article,
            "FromQuantity": Decimal(quantity),
            "Date": times.stamp(call.now),
        }
        store(record.values, self.unset, values | fixed)
        record.touch(call.now)
        owner.touch(call.now)
        return record
