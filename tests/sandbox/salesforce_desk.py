"""One Salesforce org for tests of single resources: rows are put in without rules, calls go to the resources directly,
and the clock stands still until it is moved."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote

from werkzeug.datastructures import Headers, MultiDict

from sandbox.salesforce import seed_people, times
from sandbox.salesforce.call import Answer, Call
from sandbox.salesforce.errors import SfError
from sandbox.salesforce.options import OrgOptions, OrgProfile
from sandbox.salesforce.org import Org
from sandbox.salesforce.routes import dispatch
from sandbox.salesforce.schema import FieldDef
from sandbox.salesforce.seed_fields import customer_fields
from sandbox.salesforce.table import Row

NOW = 1_795_255_200  # 2026-11-21T10:00:00Z
V = "/services/data/v67.0"


class StillClock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.moment = float(NOW)

    def time(self) -> float:
        return self.moment


class Desk:
    """An org, its integration user, and calls in that user's name."""

    def __init__(self, **options: bool) -> None:
        self.clock = StillClock()
        self.org = Org(OrgProfile(time_zone="Europe/Stockholm"), self.clock, OrgOptions(**options))
        self.user = seed_people.add_user(self.org, seed_people.INTEGRATION)
        self.other_user = seed_people.add_user(self.org, seed_people.ADMIN)
        customer_fields(self.org)

    def number_field(self, object_name: str = "Account", name: str = "Fortnox_Customer_Number__c", **more: Any) -> None:
        """The external id that links records, visible to everybody."""
        values = {"length": 64, "external_id": True, "unique": True, "custom": True, "granted": True, **more}
        granted = values.pop("granted")
        self.org.add_field(object_name, FieldDef(name, name, "string", **values), granted=granted)

    def put(self, object_name: str, *, at: str | None = None, **values: Any) -> str:
        """A row without rules, stamped at a moment; its id."""
        definition = self.org.object(object_name)
        moment = times.to_ms(at) if at else self.org.now_ms()
        assert moment is not None
        stamp = times.wire(moment)
        record_id = self.org.ids.new(definition.prefix)
        audit = {"CreatedDate": stamp, "LastModifiedDate": stamp, "SystemModstamp": stamp}
        row = Row(definition.name, record_id, {"Id": record_id, "IsDeleted": False, **audit, **values}, moment, None)
        self.org.table(definition.name).add(row)
        return record_id

    def bin(self, record_id: str) -> None:
        """Into the recycle bin, without a new stamp."""
        row = self.org.any_row(record_id)
        assert row is not None
        self.org.table(row.object).set_deleted(row, True)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        user: str | None = None,
    ) -> Answer:
        """The answer to a call; ``path`` comes after the version and may be a whole ``nextRecordsUrl``. Refusals leave
        as ``SfError``."""
        path, _, text = path.removeprefix(V).partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return dispatch(
            Call(
                org=self.org,
                user_id=user or self.user,
                version="67.0",
                method=method,
                parts=tuple(unquote(part) for part in path.split("/") if part),
                query=MultiDict([*parse_qsl(text), *(query or {}).items()]),
                raw=raw,
                headers=Headers(headers or {}),
                moment=self.org.now_ms(),
                dispatch=dispatch,
            )
        )

    def soql(self, text: str, resource: str = "query", **headers: str) -> dict[str, Any]:
        """The first page of a query."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = self.call("GET", f"/{resource}", query={"q": text}, headers=named).body
        assert isinstance(body, dict)
        return body

    def names(self, text: str, resource: str = "query") -> list[Any]:
        """The Name of every record a query finds."""
        return [record["Name"] for record in self.soql(text, resource)["records"]]

    def refusal(self, text: str) -> SfError:
        """What a query that must fail is told."""
        try:
            found = self.soql(text)
        except SfError as error:
            return error
        raise AssertionError(f"not refused: {found}")
