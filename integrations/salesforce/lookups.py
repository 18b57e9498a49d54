"""Which record is gone, when Salesforce only says that one is: the record itself, or one that it points at.

"Invalid cross reference id" and "entity is deleted" name nothing. What the refused records point at is looked up then,
one call per object, and a record that was merged away names the one that it became. The invariant: this only makes
errors say more; a look-up that fails leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from integrations.errors import Missing, PermissionMissing, SyncError
from integrations.salesforce import soql
from integrations.salesforce.client import RETRIEVED, Salesforce, list_of, rows_of
from integrations.salesforce.described import Described
from integrations.salesforce.ids import same

GONE = frozenset({"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "NOT_FOUND"})
MASTER = "MasterRecordId"


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that Salesforce refused: its id ("" for a new one), what was sent, and the error."""

    id: str
    body: Mapping[str, Any]
    error: SyncError


def explain(client: Salesforce, described: Described, refused: Sequence[Refused]) -> None:
    """Let the errors of records that are gone, or point at such, name field and value."""
    for one in refused:
        if isinstance(one.error, PermissionMissing) and one.error.value:
            _name(one, [pair for pair in _references(described, one.body) if same(pair[1], one.error.value)])
    gone = [one for one in refused if isinstance(one.error, Missing) and one.error.code in GONE]
    if not gone:
        return
    try:
        there = _there(client, _wanted(described, gone))
        for one in gone:
            lost = [pair for pair in _references(described, one.body) if pair[1] not in there]
            if one.id and one.id not in there:
                one.error.record, one.error.value = one.id, one.id
            else:
                _name(one, lost)
        _merged(client, described, [one for one in gone if one.id and one.id not in there])
    except SyncError:
        return


def _name(one: Refused, pairs: Sequence[tuple[str, str]]) -> None:
    if pairs:
        one.error.field, one.error.value = pairs[0]


def _references(described: Described, body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(field, id) of what a record points at; owners may be users or queues and are never deleted."""
    fields = described.fields
    return [
        (name, str(value))
        for name, value in body.items()
        if value and name in fields and fields[name].type == "reference" and len(fields[name].references) == 1
    ]


def _wanted(described: Described, gone: Iterable[Refused]) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {}
    for one in gone:
        if one.id:
            wanted.setdefault(described.name, set()).add(one.id)
        for name, key in _references(described, one.body):
            wanted.setdefault(described.fields[name].references[0], set()).add(key)
    return wanted


def _there(client: Salesforce, wanted: Mapping[str, set[str]]) -> set[str]:
    """The ids that exist."""
    found: set[str] = set()
    for remote, keys in wanted.items():
        listed = sorted(keys)
        for start in range(0, len(listed), RETRIEVED):
            reply = client.api.do(client.retrieve_call(remote, listed[start : start + RETRIEVED], ["Id"]))
            found |= {str(row.get("Id")) for row in list_of(reply) if isinstance(row, Mapping)}
    return found


def _merged(client: Salesforce, described: Described, gone: Sequence[Refused]) -> None:
    """Tell of records that were merged into which ones: `into` in the error's context."""
    if MASTER not in described.fields or not gone:
        return
    literals = sorted({soql.quoted(one.id) for one in gone})
    frame = soql.select(["Id", MASTER], described.name)
    for chunk in soql.chunks(literals, frame):
        query = soql.select(["Id", MASTER], described.name, where=soql.within("Id", chunk))
        rows = rows_of(client.api.do(client.query_call(query, deleted=True)).data).rows
        into = {str(row.get("Id")): str(row[MASTER]) for row in rows if row.get(MASTER)}
        for one in gone:
            if one.id in into:
                one.error.context["into"] = into[one.id]
                one.error.message = f"{one.error.message}: merged into {into[one.id]}"
