"""Records of a period: those that carry an invoice's date, and opportunities that were won.

The fields are those of our package. The invariant: the records that were handed out are as many as the query
announced; what is less raises `IncompleteRead`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from integrations.connector import Fields, Page
from integrations.figures import Figures
from integrations.salesforce.scan import Scan, Spot
from integrations.salesforce.shape import shape

if TYPE_CHECKING:
    from integrations.salesforce.read import Reader

_ON_RECORD = Figures(
    number="Fortnox_Invoice_Number__c", day="Fortnox_Invoice_Date__c", status="Fortnox_Status__c",
    currency="Fortnox_Currency__c", net="Fortnox_Net__c", vat="Fortnox_VAT__c", gross="Fortnox_Total__c",
    balance="Fortnox_Balance__c", due="Fortnox_Due_Date__c", rate="Fortnox_Rate__c",
)  # fmt: skip
FIGURES: Mapping[str, Figures] = {
    # The mirror of every invoice comes first: an invoice that is on two records is counted on the first of them.
    "fortnox_invoice": Figures(
        number="Name", day="Invoice_Date__c", status="Status__c", currency="Invoice_Currency__c", net="Net__c",
        vat="VAT__c", gross="Total__c", balance="Balance__c", due="Due_Date__c",
        rate="Rate__c",
    ),
    "opportunity": replace(_ON_RECORD, won="IsWon", won_day="CloseDate", amount="Amount"),
    "order": _ON_RECORD,
}  # fmt: skip


def documents(reader: Reader, name: str, first: date, last: date, fields: Fields, resume: str) -> Iterator[Page]:
    """See `Documents.documents`."""
    day = FIGURES[name].day
    yield from _query(reader, name, f"{day} >= {first.isoformat()} AND {day} <= {last.isoformat()}", fields, resume)


def sold(reader: Reader, name: str, first: date, last: date, fields: Fields, resume: str) -> Iterator[Page]:
    """See `Documents.sold`."""
    figures = FIGURES[name]
    if figures.won:
        day = figures.won_day
        condition = f"{figures.won} = true AND {day} >= {first.isoformat()} AND {day} <= {last.isoformat()}"
        yield from _query(reader, name, condition, fields, resume)


def _query(reader: Reader, name: str, condition: str, fields: Fields, resume: str) -> Iterator[Page]:
    asked = shape(reader.objects, name, fields)
    scan = Scan(reader, asked, condition, fields, deleted=False, spot=Spot.read(resume))
    with ThreadPoolExecutor(1, thread_name_prefix="query") as pool:
        for rows, place in scan.pages(pool):
            records = [reader.record(scan.asked, raw) for raw in rows]
            clock = None if place else scan.spot.clock
            yield Page(records, place.text() if place else "", clock, scan.spot.total)
