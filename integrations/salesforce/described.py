"""What an org says about its objects: fields with their types, rights and relationships, parsed and kept for a while.

A describe shows only what our user may see: a field that is hidden by field-level security is simply absent, as if it
did not exist. Descriptions are kept per process for an hour; one that lacks a field that is needed is asked for again
at once. The invariant: nothing of a description is believed that would not pass as a name in a query.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.connector import FieldSchema, FieldType, Option
from integrations.errors import Misconfigured, Missing, SyncError, TooLarge
from integrations.http import Reply
from integrations.salesforce.client import Salesforce, object_of
from integrations.salesforce.values import KINDS, UNREADABLE

TTL = 3_600.0
ASK_AGAIN = 5.0
"""Seconds before a field that is still unknown (a typo in a mapping) is asked for once more."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_CHILD = ("relationshipName", "childSObject", "field")
_LENGTHS = frozenset({FieldType.STRING, FieldType.ENUM})


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `schema` is what leaves this room, the rest is what queries and writes need to know."""

    schema: FieldSchema
    filterable: bool = True
    createable: bool = False
    updateable: bool = False
    external_id: bool = False
    references: tuple[str, ...] = ()
    relationship: str = ""
    type: str = ""
    """Salesforce's own name of the type: `email`, `reference`, `multipicklist`."""
    nillable: bool = True
    restricted: bool = False
    """A picklist that takes no value but its active options."""
    precision: int = 0
    """Digits of a number, those behind the point included; 0 when it does not say."""

    @property
    def kind(self) -> FieldType:
        """The field's type."""
        return self.schema.type


@dataclass(frozen=True, slots=True)
class Described:
    """One object. `children` are (object, field) by the name of the child relationship."""

    name: str
    label: str
    fields: Mapping[str, Field]
    children: Mapping[str, tuple[str, str]]
    title: str = "Id"
    createable: bool = True
    updateable: bool = True

    def reference_to(self, remote: str) -> str:
        """The first field that points at `remote` alone, "" when there is none."""
        return next((name for name, field in self.fields.items() if field.references == (remote,)), "")


_known: dict[tuple[str, str, str, str], tuple[float, Described | None]] = {}


def clear_cache() -> None:
    """Forget what the orgs said about their objects."""
    _known.clear()


def hidden(remote: str, field: str) -> Misconfigured:
    """The error of a field that the describe does not show."""
    if field.startswith("Fortnox_"):
        remedy = "Assign the permission set Fortnox_Integration to the integration user, or deploy the Fortnox package."
    else:
        remedy = "Give the integration user read access to the field, or change the mapping."
    text = f"{remote}.{field} is not there, or hidden from the integration user by field-level security. {remedy}"
    return Misconfigured(text, code="INVALID_FIELD", field=field, context={"object": remote})


class Catalogue:
    """The descriptions of one org."""

    def __init__(self, client: Salesforce) -> None:
        self.client = client
        account = client.api.account
        self._org = (account.api_url, account.remote_id, client.version)

    def get(self, remote: str, needed: Iterable[str] = ()) -> Described:
        """An object; `needed` are fields that should be among its own. Raises `Misconfigured` when it is not there."""
        entry = _known.get((*self._org, remote))
        age = time.monotonic() - entry[0] if entry else TTL
        # An object that is not there yet may be about to be deployed.
        lacking = entry is not None and (entry[1] is None or any(name not in entry[1].fields for name in needed))
        if entry is None or age >= TTL or (lacking and age > ASK_AGAIN):
            self.load([remote])
            entry = _known[(*self._org, remote)]
        if entry[1] is None:
            raise Misconfigured(
                f"Salesforce shows no object {remote}: it is not there, or the integration user may not see it",
                code="INVALID_TYPE",
                value=remote,
            )
        return entry[1]

    def find(self, remote: str) -> Described | None:
        """As `get`, None for an object that is not there."""
        try:
            return self.get(remote)
        except Misconfigured:
            return None

    def field(self, remote: str, name: str) -> Field:
        """One field. Raises `Misconfigured` with the remedy for one that is not there or hidden."""
        found = self.get(remote, [name]).fields.get(name)
        if found is None:
            raise hidden(remote, name)
        return found

    def load(self, remotes: Sequence[str]) -> None:
        """Ask for several objects side by side, and keep what comes."""
        replies = self.client.api.call_many(self.client.describe_call(remote) for remote in remotes)
        for remote, reply in zip(remotes, replies, strict=True):
            _known[(*self._org, remote)] = (time.monotonic(), self._parsed(remote, reply))

    def load_missing(self, remotes: Iterable[str]) -> None:
        """Ask for those that are not known or too old."""
        now = time.monotonic()
        wanted = dict.fromkeys(remotes)
        self.load([r for r in wanted if (e := _known.get((*self._org, r))) is None or now - e[0] >= TTL])

    def forget(self, remotes: Iterable[str]) -> None:
        """Drop what is known of these objects: the org just said otherwise."""
        for remote in remotes:
            _known.pop((*self._org, remote), None)

    @staticmethod
    def _parsed(remote: str, reply: Reply | SyncError) -> Described | None:
        if isinstance(reply, Missing) or (isinstance(reply, SyncError) and reply.code == "INVALID_TYPE"):
            return None
        if isinstance(reply, SyncError):
            raise reply
        return parse(remote, object_of(reply))


def parse(remote: str, data: Mapping[str, Any]) -> Described:
    """A describe as we use it. Raises `TooLarge` when it is none."""
    rows, children = data.get("fields"), data.get("childRelationships") or ()
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise TooLarge(f"Salesforce sent no fields of {remote}", code="unreadable")
    fields = {
        row["name"]: _field(row) for row in rows if _is_name(row.get("name")) and row.get("type") not in UNREADABLE
    }
    if "Id" not in fields:
        raise TooLarge(f"Salesforce sent {remote} without its id", code="unreadable")
    title = next((row["name"] for row in rows if row.get("nameField") is True), "")
    return Described(
        remote,
        str(data.get("label") or remote)[:100],
        fields,
        {
            row["relationshipName"]: (row["childSObject"], row["field"])
            for row in children
            if isinstance(row, Mapping)
            and all(map(_is_name, map(row.get, ("relationshipName", "childSObject", "field"))))
        },
        title or ("Name" if "Name" in fields else "Id"),
        data.get("createable") is not False,
        data.get("updateable") is not False,
    )


def _is_name(text: object) -> bool:
    return isinstance(text, str) and bool(_NAME.fullmatch(text))


def _whole(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 10**6 else None


def _field(row: Mapping[str, Any]) -> Field:
    kind = KINDS.get(str(row.get("type")), FieldType.STRING)
    createable, updateable = row.get("createable") is True, row.get("updateable") is True
    scale = row.get("scale")
    references = row.get("referenceTo") or ()
    relationship = row.get("relationshipName")
    schema = FieldSchema(
        name=row["name"],
        label=str(row.get("label") or row["name"])[:100],
        type=kind,
        max_length=_whole(row.get("length")) if kind in _LENGTHS else None,
        decimals=scale if kind is FieldType.NUMBER and isinstance(scale, int) and 0 <= scale <= 18 else None,
        required=createable and row.get("nillable") is False and row.get("defaultedOnCreate") is not True,
        writable=createable or updateable,
        unique=row.get("unique") is True,
        options=_options(row.get("picklistValues")) if kind is FieldType.ENUM else (),
    )
    return Field(
        schema,
        filterable=row.get("filterable") is not False,
        createable=createable,
        updateable=updateable,
        external_id=row.get("externalId") is True,
        references=tuple(filter(_is_name, references)) if isinstance(references, list) else (),
        relationship=relationship if _is_name(relationship) and isinstance(relationship, str) else "",
        type=str(row.get("type") or ""),
        nillable=row.get("nillable") is not False,
        restricted=row.get("restrictedPicklist") is True,
        precision=_whole(row.get("precision")) or _whole(row.get("digits")) or 0,
    )


def _options(listed: object) -> tuple[Option, ...]:
    """The active values; by value, because labels are renamed and translated."""
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    return tuple(
        Option(str(row["value"])[:255], str(row.get("label") or row["value"])[:255])
        for row in rows
        if isinstance(row.get("value"), str) and row.get("active") is not False
    )
