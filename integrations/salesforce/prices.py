"""What a product costs: entries of price books, kept by us as `price`, `currency` and `price_book` of the product.

Salesforce has one entry per product, book and currency, and wants the standard book's first. Only entries that carry
our key are ours in another book than the standard one. The invariants: an entry that exists is changed, never doubled;
a number of calls that does not grow within 200 products; a product that is given no price keeps what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from integrations.connector import Value
from integrations.errors import InvalidData, Misconfigured, SyncError
from integrations.salesforce import ids, soql, values
from integrations.salesforce.batches import Batches
from integrations.salesforce.client import Salesforce
from integrations.salesforce.described import Described
from integrations.salesforce.schema import Objects

ENTRY, BOOK = "PricebookEntry", "Pricebook2"
KEY, CURRENCY = "Fortnox_Key__c", "CurrencyIsoCode"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Price:
    """What a product is to cost. `currency` "": the org's own; `book` is the name of a second price book, or ""."""

    amount: Decimal
    currency: str = ""
    book: str = ""


def taken(fields: dict[str, Value]) -> Price | None:
    """The price among a product's fields, which are without it afterwards; None when there is none to write.

    Raises `InvalidData` for one that is no amount.
    """
    amount, currency, book = (fields.pop(name, None) for name in ("price", "currency", "price_book"))
    if amount is None:
        return None
    if not isinstance(amount, Decimal) or not amount.is_finite() or amount < 0:
        raise InvalidData(f"{amount} is not a price", code="wrong_type", field="price", value=str(amount))
    return Price(amount, str(currency or "").upper(), str(book or "").strip())


class Prices:
    """The entries of one org's price books."""

    def __init__(self, client: Salesforce, objects: Objects, batches: Batches) -> None:
        self.client = client
        self.objects = objects
        self.batches = batches

    def write(self, wanted: Mapping[str, Price]) -> dict[str, Mapping[str, Value] | SyncError]:
        """By product id: what its price is now (`price`, `currency`, `price_book`), or why it could not be set."""
        described = self.objects.catalogue.get(ENTRY)
        results: dict[str, Mapping[str, Value] | SyncError] = {}
        books = self._books({price.book for price in wanted.values() if price.book})
        entries = self._entries(described, wanted)
        plans = {}
        for product, price in wanted.items():
            try:
                plans[product] = self._plan(described, price, books)
                shown = {"price": plans[product][0], "currency": plans[product][1] or None}
                results[product] = shown | ({"price_book": price.book} if price.book else {})
            except SyncError as error:
                results[product] = error
        standard = {product: ("", *plan[:2]) for product, plan in plans.items()}
        self._set(described, standard, books, entries, results)
        second = {p: (wanted[p].book, *plan[:2]) for p, plan in plans.items() if wanted[p].book}
        self._set(described, {p: w for p, w in second.items() if not _failed(results[p])}, books, entries, results)
        return results

    def _plan(self, described: Described, price: Price, books: Mapping[str, Row]) -> tuple[Decimal, str]:
        """(amount as Salesforce keeps it, currency; "" in an org with one) of a price. Raises `SyncError`."""
        own = self.objects.currency
        several = CURRENCY in described.fields
        currency = price.currency or own
        if several and not currency:
            raise Misconfigured("The price has no currency, and the org's own is not known", code="no_currency")
        if not several and own and currency != own:
            raise Misconfigured(
                f"The org has one currency, {own}; a price in {currency} cannot be written",
                code="INVALID_CURRENCY_ISO",
                field="currency",
                value=currency,
            )
        for name in ("", price.book):
            _book(books, name)
        scale = described.fields["UnitPrice"].schema.decimals if "UnitPrice" in described.fields else None
        amount = price.amount.quantize(Decimal(1).scaleb(-(2 if scale is None else scale)), ROUND_HALF_UP)
        return amount, currency if several else own

    # --- What there is ----------------------------------------------------------------------------------------

    def _books(self, names: Iterable[str]) -> dict[str, Row]:
        """The standard price book as "", and those of the given names, without regard to case."""
        where = "IsStandard = true"
        if names := sorted(names):
            where += f" OR {soql.within('Name', [soql.quoted(name) for name in names])}"
        query = soql.select(["Id", "Name", "IsStandard", "IsActive", "IsArchived"], BOOK, where=where, order="Id")
        found: dict[str, Row] = {}
        for row in self.client.query(query, kind="pricebooks.query"):
            name = "" if row.get("IsStandard") is True else str(row.get("Name") or "").casefold()
            if row.get("IsActive") is True or name not in found:
                found[name] = row
        return found

    def _entries(self, described: Described, products: Iterable[str]) -> dict[tuple[str, str, str], Row]:
        """Every entry of the products by (product, book, currency); archived ones do not show."""
        asked = ["Id", "Product2Id", "Pricebook2Id", "UnitPrice", "IsActive", "UseStandardPrice"]
        asked += [name for name in (KEY, CURRENCY) if name in described.fields]
        found = {}
        for chunk in soql.chunks(map(soql.quoted, sorted(products)), soql.select(asked, ENTRY)):
            query = soql.select(asked, ENTRY, where=soql.within("Product2Id", chunk), order="Id")
            for row in self.client.query(query, kind="prices.query"):
                place = str(row.get("Product2Id")), str(row.get("Pricebook2Id")), str(row.get(CURRENCY) or "")
                found[place] = row
        return found

    # --- Writing ----------------------------------------------------------------------------------------------

    def _set(
        self,
        described: Described,
        wanted: Mapping[str, tuple[str, Decimal, str]],
        books: Mapping[str, Row],
        entries: Mapping[tuple[str, str, str], Row],
        results: dict[str, Mapping[str, Value] | SyncError],
    ) -> None:
        """Bring one entry of each product to what is wanted: (book, amount, currency)."""
        several, keyed = CURRENCY in described.fields, KEY in described.fields
        changes: list[tuple[str, dict[str, Any]]] = []
        made: list[tuple[str, dict[str, Any]]] = []
        for product, (name, amount, currency) in wanted.items():
            book = str(_book(books, name)["Id"])
            place = product, book, currency if several else ""
            key = {KEY: f"{product}:{book}:{currency}"} if keyed else {}
            there = entries.get(place)
            if there is not None:
                if change := _change(there, amount, key if name else {}):
                    changes.append((product, {"id": str(there["Id"]), **change}))
                if name and keyed:
                    changes += [
                        (product, {"id": key_of, KEY: None}) for key_of in _others(entries, product, books, book)
                    ]
                continue
            new = {"Pricebook2Id": book, "Product2Id": product, "UnitPrice": values.wire("UnitPrice", amount)}
            new |= {"IsActive": True, **key, **({CURRENCY: currency} if several else {})}
            made.append((product, new | ({"UseStandardPrice": False} if name else {})))
            if name and keyed:
                changes += [(product, {"id": key_of, KEY: None}) for key_of in _others(entries, product, books, book)]
        self._send("update", changes, "", results)
        self._send("upsert" if keyed else "create", made, KEY, results)

    def _send(
        self,
        action: str,
        pairs: Sequence[tuple[str, Mapping[str, Any]]],
        key_field: str,
        results: dict[str, Mapping[str, Value] | SyncError],
    ) -> None:
        answers = self.batches.write(ENTRY, action, [record for _p, record in pairs], key_field) if pairs else []
        for (product, _record), answer in zip(pairs, answers, strict=True):
            if isinstance(answer, SyncError) and not _failed(results[product]):
                results[product] = answer


def _failed(result: Mapping[str, Value] | SyncError) -> bool:
    return isinstance(result, SyncError)


def _book(books: Mapping[str, Row], name: str) -> Row:
    """The price book of a name ("": the standard one). Raises `Misconfigured` for one that cannot be used."""
    book = books.get(name.casefold())
    if book is None or not ids.is_id(str(book.get("Id"))):
        text = f"Salesforce has no price book {name!r}" if name else "Salesforce shows no standard price book"
    elif name and (book.get("IsArchived") is True or book.get("IsActive") is not True):
        text = f"The price book {name!r} is archived or not active"
    else:
        return book
    raise Misconfigured(text, code="price_book", field="price_book", value=name)


def _change(there: Row, amount: Decimal, key: Mapping[str, str]) -> dict[str, Any]:
    """What of an entry must change; one that follows the standard price has no price of its own."""
    change: dict[str, Any] = {}
    follows = there.get("UseStandardPrice") is True and bool(key)
    if not follows and Decimal(str(there.get("UnitPrice") or 0)) != amount:
        change["UnitPrice"] = values.wire("UnitPrice", amount)
    if there.get("IsActive") is not True:
        change["IsActive"] = True
    return change | {name: value for name, value in key.items() if there.get(name) != value}


def _others(
    entries: Mapping[tuple[str, str, str], Row], product: str, books: Mapping[str, Row], book: str
) -> list[str]:
    """Entries that carry our key though the product's second price book is another one by now."""
    standard = str(_book(books, "")["Id"])
    return [
        str(row["Id"])
        for (owner, at, _currency), row in entries.items()
        if owner == product and at not in (book, standard) and row.get(KEY)
    ]
