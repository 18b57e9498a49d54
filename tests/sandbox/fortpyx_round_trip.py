"""Drives the sandbox with the public client fortpyx, unchanged but for the host names.

Run by the interpreter that has it: ``python fortpyx_round_trip.py BASE_URL CLIENT_ID CLIENT_SECRET``. Its models
are generated from the vendor's OpenAPI file and validate every answer.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests
from fortpyx import fortpyx as library
from fortpyx.error.fortnox_error import FortnoxError

CALLBACK = "http://localhost:9573"
SCOPES = ["customer", "article", "invoice", "payment", "price", "settings", "companyinformation", "currency"]


def connect(base: str, client_id: str, secret: str) -> Any:
    """OAuth as the library does it; the approving person is a form post."""
    library.Fortpyx._Fortpyx__BASE_URL = base
    library.Fortpyx._Fortpyx__AUTHORIZATION_URL = f"{base}/oauth-v1/auth"
    library.Fortpyx._Fortpyx__TOKEN_URL = f"{base}/oauth-v1/token"
    client = library.Fortpyx(client_id=client_id, client_secret=secret, auto_fetch_all_pages=True, page_size=3)
    asked = client.get_authorization_url(redirect_uri=CALLBACK, scopes=SCOPES)
    assert requests.get(asked, timeout=5).status_code == 200
    form = {name: values[0] for name, values in parse_qs(urlsplit(asked).query).items()}
    answer = requests.post(
        asked.partition("?")[0],
        data=urlencode(form | {"company": "1018318", "decision": "approve"}),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        allow_redirects=False,
        timeout=5,
    )
    returned = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert returned["state"] == ["fortpyx_state"]
    client.get_tokens(returned["code"][0], CALLBACK)
    client.refresh_tokens()
    return client


def customers(client: Any) -> str:
    """Create, read, update, search, page; returns a number."""
    api = client.fortnox.customers
    payload = library.FortnoxCustomer(Name="Rundtur Åäö AB", City="Växjö", CountryCode="SE", Email="a@rundtur.example")
    made = api.create_a_customer(library.FortnoxCustomerWrap(Customer=payload)).customer
    number = str(made.customer_number)
    assert made.country == "Sverige"
    assert made.active is True
    changed = library.FortnoxCustomer(Name="Rundtur Nya AB")
    api.update_a_customer(library.FortnoxCustomerWrap(Customer=changed), number)
    read = api.retrieve_a_customer(number).customer
    assert (read.name, read.city) == ("Rundtur Nya AB", "Växjö")
    found = api.retrieve_a_list_of_customers(name="rundtur", city="VÄX").customers
    assert [item.customer_number for item in found] == [number]
    everyone = api.retrieve_a_list_of_customers(filter="active").customers
    assert len(everyone) >= 10
    assert len({item.customer_number for item in everyone}) == len(everyone)
    return number


def articles(client: Any) -> str:
    """Create with a price; returns a number."""
    api = client.fortnox.articles
    # ConstructionAccount is set because the recorded unset value, 0, breaks the library's own model (>= 1000).
    payload = library.FortnoxArticle(
        ArticleNumber="RUND-1", Description="Rundtur", SalesAccount=3001, Unit="st", ConstructionAccount=3231
    )
    api.create_an_article(library.FortnoxArticleWrap(Article=payload))
    price = library.FortnoxPrice(ArticleNumber="RUND-1", PriceList="A", FromQuantity=0, Price=159)
    client.fortnox.prices.create_a_price(library.FortnoxPriceWrap(Price=price))
    assert api.retrieve_an_article("RUND-1").article.sales_price == 159
    assert api.retrieve_a_list_of_articles(description="rundtur").articles[0].article_number == "RUND-1"
    return "RUND-1"


def invoices(client: Any, customer: str, article: str) -> None:
    """Create, change, book, pay, find; every computed amount as documented."""
    api = client.fortnox.invoices
    row = library.FortnoxInvoicePayloadInvoiceRow(ArticleNumber=article, DeliveredQuantity="10")
    payload = library.FortnoxInvoicePayload(
        CustomerNumber=customer, InvoiceRows=[row], Freight=95, ExternalInvoiceReference1="fortpyx-1"
    )
    made = api.create_an_invoice(library.FortnoxInvoicePayloadWrap(Invoice=payload)).invoice
    assert (made.net, made.round_off, made.total) == (1590, -0.25, 2106)
    number = str(made.document_number)
    changed = library.FortnoxInvoicePayload(CustomerNumber=customer, Comments="Ändrad")
    api.update_an_invoice(library.FortnoxInvoicePayloadWrap(Invoice=changed), number)
    assert api.retrieve_a_single_invoice(number).invoice.comments == "Ändrad"
    found = api.retrieve_a_list_of_invoices(externalinvoicereference1="FORTPYX-1").invoices
    assert [item.document_number for item in found] == [number]
    assert api.bookkeep_an_invoice(number).invoice.booked is True
    pay(client, number)
    paid = api.retrieve_a_single_invoice(number).invoice
    assert paid.balance == 0
    assert str(paid.final_pay_date) == str(paid.invoice_date)
    listed = api.retrieve_a_list_of_invoices().invoices
    assert len(listed) >= 20


def pay(client: Any, number: str) -> None:
    """A booked payment in full."""
    api = client.fortnox.invoice_payments
    payload = library.FortnoxInvoicePayment(InvoiceNumber=int(number), Amount=2106, ModeOfPayment="BG")
    wrap = library.FortnoxInvoicePaymentWrap(InvoicePayment=payload)
    made = api.create_an_invoice_payment(wrap).invoice_payment
    assert api.bookkeep_an_invoice_payment(wrap, str(made.number)).invoice_payment.booked is True


def errors(client: Any) -> None:
    """The library reads the documented lower-case keys."""
    payload = library.FortnoxInvoicePayload(CustomerNumber="99999")
    try:
        client.fortnox.invoices.create_an_invoice(library.FortnoxInvoicePayloadWrap(Invoice=payload))
    except FortnoxError as error:
        assert (error.error_code, error.description) == (2000204, "Kunde inte hämta/hitta kund (99999)")
    else:
        raise AssertionError("an unknown customer was accepted")


def main() -> None:
    """All round trips."""
    client = connect(*sys.argv[1:4])
    customer = customers(client)
    invoices(client, customer, articles(client))
    errors(client)
    print("round trips done")


if __name__ == "__main__":
    main()
