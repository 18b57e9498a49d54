"""Deals of a period: those that carry an invoice's date, and those that were won.

Search goes on behind the last id, so its cap of 10,000 results never cuts a period off. The invariant: the distinct
deals that were handed out are as many as the first answer announced, or the scan is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from integrations.connector import Fields, Page
from integrations.errors import IncompleteRead
from integrations.figures import Figures
from integrations.hubspot.client import SEARCH_PAGE, after_of, results_of

if TYPE_CHECKING:
    from integrations.hubspot.read import Reader

FIGURES = Figures(
    number="invoice_number_in_fortnox", day="fortnox_invoice_date", status="fortnox_status",
    currency="deal_currency_code", net="fortnox_net", vat="fortnox_vat", gross="fortnox_total",
    balance="fortnox_balance", due="fortnox_due_date", won="hs_is_closed_won", won_day="closedate", amount="amount",
    rate="fortnox_currency_rate",
)  # fmt: skip
"""The properties that the presets keep on a deal with an invoice; `hs_is_closed_won` is HubSpot's own."""
Filters = Sequence[Mapping[str, str]]


def documents(reader: Reader, name: str, first: date, last: date, fields: Fields, resume: str) -> Iterator[Page]:
    """See `Documents.documents`. A date property compares by its day at midnight UTC."""
    filters = [_filter(FIGURES.day, "GTE", _midnight(first)), _filter(FIGURES.day, "LTE", _midnight(last))]
    return _by_id(reader, name, filters, fields, resume)


def sold(reader: Reader, name: str, first: date, last: date, fields: Fields, resume: str) -> Iterator[Page]:
    """See `Documents.sold`."""
    filters = [
        _filter(FIGURES.won, "EQ", "true"),
        _filter(FIGURES.won_day, "GTE", _midnight(first)),
        _filter(FIGURES.won_day, "LT", _midnight(last + timedelta(days=1))),
    ]
    return _by_id(reader, name, filters, fields, resume)


def _filter(name: str, operator: str, value: str) -> Mapping[str, str]:
    return {"propertyName": name, "operator": operator, "value": value}


def _midnight(day: date) -> str:
    return str(int(datetime.combine(day, time(), UTC).timestamp() * 1000))


def _by_id(reader: Reader, name: str, filters: Filters, fields: Fields, resume: str) -> Iterator[Page]:
    """Pages in order of id; `resume` is "clock|last id|seen|total"."""
    wanted = fields.get(name, frozenset())
    asked, complete = reader.asked(name, wanted), set(fields) <= {name}
    clock, after, seen_before, announced = ([*resume.split("|"), "", "", "", ""])[:4]
    seen, total = int(seen_before or 0), int(announced) if announced else None
    while True:
        body = {
            "filterGroups": [{"filters": [*filters, _filter("hs_object_id", "GT", after or "0")]}],
            "properties": asked,
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "limit": SEARCH_PAGE,
        }
        reply = reader.client.api.do(reader.client.search_call(name, body))
        rows = results_of(reply)
        clock = clock or reply.remote_time.isoformat()
        total = int(reply.data.get("total") or 0) if total is None else total
        seen += len(rows)
        more = bool(after_of(reply.data)) and bool(rows)
        if not more and seen != total:
            raise IncompleteRead(f"HubSpot announced {total} {name} records and gave {seen}", code="incomplete")
        after = str(rows[-1].get("id")) if rows else after
        records = [reader.record(name, raw, wanted, complete=complete) for raw in rows]
        yield Page(records, f"{clock}|{after}|{seen}|{total}" if more else "", None if more else clock, total)
        if not more:
            return
