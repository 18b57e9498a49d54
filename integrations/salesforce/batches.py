"""Collections of up to 200 records of one object, where one bad record never spoils the others.

Salesforce answers row by row in the order of the request, but refuses a call whole whose form it cannot read (a field
that does not exist is enough), and fails both of two rows with the same key. So twins go into calls of their own, one
after the other; rows of one account stand together, because they lock it; rows that met a lock are tried again here.
The invariant: every record ends with a result or an error of its own, in the order in which it came.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from integrations.errors import Conflict, OutcomeUnknown, SyncError, TooLarge, Transient
from integrations.http import Call, Reply
from integrations.redaction import redact
from integrations.salesforce.client import COLLECTION, Salesforce
from integrations.salesforce.errors import of_row
from integrations.salesforce.ids import SHORT
from integrations.splitting import settle

Body = Mapping[str, Any]
Answer = Mapping[str, Any] | SyncError
"""A row's `{id, success, created?}`, or why it failed."""

OVERLAP = 4
"""Collections under way at once: a few, because each may hold locks for seconds."""
LOCKED = "UNABLE_TO_LOCK_ROW"
DUPLICATE = "DUPLICATES_DETECTED"
LOCK_WAITS = (1.0, 2.0, 4.0)
"""Seconds before each repetition of rows that met a lock; Salesforce itself has waited ten for it."""
ASKED_SINGLY = 10
"""Rows of one write that are sent again alone to learn which records a duplicate rule found."""
OF_ALL = frozenset({"external_id_field", "NOT_FOUND", "INVALID_TYPE", "GONE"})
"""Refusals of a whole call that no record of it can have caused alone."""
PARENTS = ("AccountId", "Account__c")


class Batches:
    """The collection writes of one org."""

    def __init__(self, client: Salesforce) -> None:
        self.client = client

    def write(self, remote: str, action: str, records: Sequence[Body], key_field: str = "") -> list[Answer]:
        """The answer to each record, in order. `action` is "create", "update" (records with `id`) or "upsert" (records
        with `key_field`); a create must not be repeated, so a lost answer to one is `OutcomeUnknown`."""
        answers: dict[int, Answer] = {}
        for wave in waves(records, "id" if action == "update" else key_field):
            answers |= self._wave(remote, action, key_field, records, wave)
        listed = [answers[index] for index in range(len(records))]
        self._ask_for_matches(remote, action, key_field, records, listed)
        return listed

    def _wave(
        self, remote: str, action: str, key_field: str, records: Sequence[Body], indexes: Sequence[int]
    ) -> dict[int, Answer]:
        """Send some of the records; those that met a lock again and again, with growing pauses."""
        answers: dict[int, Answer] = {}
        for wait in (*LOCK_WAITS, None):
            answers |= self._send(remote, action, key_field, records, indexes)
            indexes = [index for index in indexes if _is_locked(answers[index])]
            if not indexes or wait is None:
                break
            time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311  (jitter)
        return answers

    def _send(
        self, remote: str, action: str, key_field: str, records: Sequence[Body], indexes: Sequence[int]
    ) -> dict[int, Answer]:
        chunks = list(_chunks(records, indexes))

        def call(chunk: Sequence[int]) -> Call:
            return self._call(remote, action, key_field, [records[index] for index in chunk])

        def again(chunk: Sequence[int]) -> Reply | SyncError:
            (reply,) = self.client.api.call_many([call(chunk)])
            return reply

        def read(chunk: Sequence[int], reply: Reply) -> list[Answer]:
            return _rows(action, [records[index] for index in chunk], reply)

        def settled(chunk: Sequence[int], reply: Reply | SyncError) -> dict[int, Answer]:
            if isinstance(reply, SyncError) and reply.code in OF_ALL:
                return dict.fromkeys(chunk, reply)
            naming = [i for i in chunk if isinstance(reply, SyncError) and _names(reply, records[i])]
            if not naming:
                return dict(zip(chunk, settle(chunk, reply, again, read), strict=True))
            rest = [index for index in chunk if index not in set(naming)]
            return dict.fromkeys(naming, cast(Answer, reply)) | (settled(rest, again(rest)) if rest else {})

        answers: dict[int, Answer] = {}
        replies = self.client.api.call_many((call(chunk) for chunk in chunks), overlap=OVERLAP)
        for chunk, reply in zip(chunks, replies, strict=True):
            answers |= settled(chunk, reply)
        return answers

    def _call(self, remote: str, action: str, key_field: str, records: Sequence[Body]) -> Call:
        typed = [{"attributes": {"type": remote}, **record} for record in records]
        match action:
            case "create":
                return self.client.create_many_call(remote, typed)
            case "update":
                return self.client.update_many_call(remote, typed)
            case _:
                return self.client.upsert_many_call(remote, key_field, typed)

    # --- Duplicate rules --------------------------------------------------------------------------------------

    def _ask_for_matches(
        self, remote: str, action: str, key_field: str, records: Sequence[Body], answers: list[Answer]
    ) -> None:
        """Rows of a collection do not tell which records a duplicate rule found; a call for one record does."""
        found = [i for i, answer in enumerate(answers) if isinstance(answer, Conflict) and _is_duplicate(answer)]
        for index in found[:ASKED_SINGLY]:
            (reply,) = self.client.api.call_many([self._single(remote, action, key_field, records[index])])
            if isinstance(reply, SyncError):
                answers[index] = reply
            elif isinstance(reply.data, Mapping) and reply.data.get("id"):
                answers[index] = reply.data  # the rule lets it pass by now
            elif action == "update":
                answers[index] = {"id": records[index]["id"], "success": True}

    def _single(self, remote: str, action: str, key_field: str, record: Body) -> Call:
        fields = {name: value for name, value in record.items() if name not in ("id", key_field)}
        match action:
            case "create":
                return self.client.create_call(remote, fields)
            case "update":
                return self.client.update_call(remote, str(record["id"]), fields)
            case _:
                return self.client.upsert_call(remote, key_field, str(record[key_field]), fields)


def _names(error: SyncError, record: Body) -> bool:
    """Whether a call was refused for a field that does not exist, and the record names it."""
    return error.code == "INVALID_FIELD" and error.field.lower() in {name.lower() for name in record}


def _is_duplicate(error: SyncError) -> bool:
    return error.code == DUPLICATE and not error.context.get("matches")


def _is_locked(answer: Answer) -> bool:
    return isinstance(answer, Transient) and answer.code == LOCKED


def waves(records: Sequence[Body], key: str) -> Iterator[list[int]]:
    """Indexes of the records such that no key comes twice in one wave; a later wave has what came later."""
    seen: dict[str, int] = {}
    waves: list[list[int]] = []
    for index, record in enumerate(records):
        value = str(record.get(key) or index)
        text = value[:SHORT] if key == "id" else value.casefold()  # keys are compared without case, ids with it
        number = seen[text] = seen.get(text, -1) + 1
        if number == len(waves):
            waves.append([])
        waves[number].append(index)
    yield from waves


def _parent(record: Body) -> str:
    return next((str(record[name]) for name in PARENTS if record.get(name)), "")


def _chunks(records: Sequence[Body], indexes: Sequence[int]) -> Iterator[list[int]]:
    """Calls of at most 200, by parent account; the rows of one account are not spread over two calls unless they are
    too many for one."""
    ordered = sorted(indexes, key=lambda index: _parent(records[index]))
    families: list[list[int]] = []
    for index in ordered:
        parent = _parent(records[index])
        if families and parent and parent == _parent(records[families[-1][0]]) and len(families[-1]) < COLLECTION:
            families[-1].append(index)
        else:
            families.append([index])
    chunk: list[int] = []
    for family in families:
        if len(chunk) + len(family) > COLLECTION:
            yield chunk
            chunk = []
        chunk += family
    if chunk:
        yield chunk


def _rows(action: str, records: Sequence[Body], reply: Reply) -> list[Answer]:
    """The rows of an answer, or why they failed. An answer that does not match says nothing of any record."""
    rows = reply.data
    if not isinstance(rows, list) or len(rows) != len(records) or not all(isinstance(row, Mapping) for row in rows):
        kind = OutcomeUnknown if action == "create" else TooLarge
        return [kind("Salesforce's answer does not match what was sent", code="unreadable") for _record in records]
    return [_row(record, row) for record, row in zip(records, rows, strict=True)]


def _row(record: Body, row: Body) -> Answer:
    if row.get("success") is True and isinstance(row.get("id"), str):
        return row
    error = of_row(row.get("errors"), str(record.get("id") or ""))
    error.context["exchange"] = {"status": 200, "excerpt": redact(json.dumps(row, default=str))[:2000]}
    return error
