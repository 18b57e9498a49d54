"""Fortnox's REST interface, one method a call. Knows paths, envelopes and parameters; nothing of records.

Source: Fortnox's developer pages and interface description. Methods named `*_call` build a `Call` for `call_many`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from integrations.errors import OutcomeUnknown, TooLarge
from integrations.fortnox.schema import Resource
from integrations.hosts import path_key
from integrations.http import Api, Call, Reply

PAGE_SIZE = 500
"""The largest page Fortnox gives; its default of 100 would cost five times the calls."""


class ListPage:
    """One page of a list: raw rows, the totals it announced and the vendor's clock."""

    __slots__ = ("pages", "remote_time", "rows", "total")

    def __init__(self, reply: Reply, envelope: str) -> None:
        data = reply.data
        meta = data.get("MetaInformation") if isinstance(data, Mapping) else None
        rows = data.get(envelope) if isinstance(data, Mapping) else None
        if not isinstance(meta, Mapping) or not isinstance(rows, list):
            raise TooLarge(f"Fortnox sent a list without {envelope}", code="unreadable")
        if not all(isinstance(row, Mapping) for row in rows):
            raise TooLarge(f"Fortnox sent {envelope} that are no objects", code="unreadable")
        try:
            self.total = int(meta["@TotalResources"])
            self.pages = int(meta["@TotalPages"])
        except (KeyError, TypeError, ValueError):
            raise TooLarge("Fortnox sent a list without totals", code="unreadable") from None
        self.rows: list[Mapping[str, Any]] = rows
        self.remote_time: datetime = reply.remote_time


class Fortnox:
    """The calls of one company."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def list_call(self, it: Resource, page: int, params: Mapping[str, str]) -> Call:
        """A page (from 1) of a register, filtered or searched by `params`."""
        query = {"limit": str(PAGE_SIZE), "page": str(page), **params}
        return Call("GET", it.path, params=query, kind=f"{it.name}.list")

    def list_page(self, it: Resource, page: int, params: Mapping[str, str]) -> ListPage:
        """The page of `list_call`, now."""
        return ListPage(self.api.do(self.list_call(it, page, params)), it.many)

    def detail_call(self, it: Resource, key: str) -> Call:
        """One record in full."""
        return Call("GET", f"{it.path}/{path_key(key)}", kind=f"{it.name}.get")

    def detail(self, it: Resource, key: str) -> Mapping[str, Any]:
        """The record of `detail_call`, now."""
        return self.opened(it, self.api.do(self.detail_call(it, key)))

    def create(self, it: Resource, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """POST a new record: not repeatable, because Fortnox has no idempotency key of any kind."""
        reply = self.api.call("POST", it.path, json={it.one: body}, write=True, kind=f"{it.name}.create")
        try:
            return self.opened(it, reply)
        except TooLarge as error:
            raise OutcomeUnknown(error.message, code=error.code, status=reply.status) from error

    def update_call(self, it: Resource, key: str, body: Mapping[str, Any]) -> Call:
        """PUT the given fields of a record; the others stay. Repeatable: the number in the path decides."""
        return Call("PUT", f"{it.path}/{path_key(key)}", json={it.one: body}, kind=f"{it.name}.update")

    def act(self, it: Resource, key: str, verb: str) -> Mapping[str, Any]:
        """PUT …/{verb} without a body: bookkeep, credit, cancel. Not repeatable; the answer is the record.

        Fortnox wants a JSON content type (else 1000031) although there is nothing to send.
        """
        path = f"{it.path}/{path_key(key)}/{verb}"
        headers = {"Content-Type": "application/json"}
        return self.opened(it, self.api.call("PUT", path, headers=headers, write=True, kind=f"{it.name}.{verb}"))

    def payment_call(self, key: str) -> Call:
        """One payment of a customer invoice."""
        return Call("GET", f"/3/invoicepayments/{path_key(key)}", kind="invoicepayments.get")

    def register(self, path: str, envelope: str, params: Mapping[str, str] | None = None) -> Any:
        """The content of a small register or settings page, e.g. /3/currencies."""
        reply = self.api.call("GET", path, params=params, kind=path.removeprefix("/3/"))
        data = reply.data
        if not isinstance(data, Mapping) or envelope not in data:
            raise TooLarge(f"Fortnox sent no {envelope}", code="unreadable")
        return data[envelope]

    def financial_years(self, day: date) -> Any:
        """The financial years that contain a day."""
        return self.register("/3/financialyears", "FinancialYears", {"date": day.isoformat()})

    @staticmethod
    def opened(it: Resource, reply: Reply) -> Mapping[str, Any]:
        """The record inside its envelope, with its key as text. Raises `TooLarge` when it is not there."""
        record = reply.data.get(it.one) if isinstance(reply.data, Mapping) else None
        if not isinstance(record, Mapping) or record.get(it.key) in (None, ""):
            raise TooLarge(f"Fortnox sent no readable {it.one}", code="unreadable")
        return record
