"""Batch writes where one bad record never spoils the others.

Every input carries a trace id, so HubSpot answers entry by entry (207) where it can; a batch that is refused whole is
cut in halves until the bad one stands alone. The invariant: every input ends with a result or an error of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from integrations.errors import SyncError, TooLarge
from integrations.http import Reply
from integrations.hubspot.client import BATCH, HubSpot, results_of
from integrations.hubspot.errors import classify
from integrations.redaction import redact
from integrations.splitting import settle

Input = Mapping[str, Any]
Answer = Mapping[str, Any] | SyncError


class Batches:
    """The batch writes of one portal."""

    def __init__(self, client: HubSpot) -> None:
        self.client = client

    def write(self, name: str, action: str, inputs: Sequence[Input]) -> list[Answer]:
        """The result or error of each input, in order. `action` is "create", "update" or "upsert"."""
        traced = [{**entry, "objectWriteTraceId": str(index)} for index, entry in enumerate(inputs)]
        rounds = list(_without_twins(traced))

        def send(chunk: Sequence[Input]) -> Reply | SyncError:
            (reply,) = self.client.api.call_many([self.client.write_call(name, action, chunk)])
            return reply

        answers: list[Answer] = []
        calls = (self.client.write_call(name, action, chunk) for chunk in rounds)
        for chunk, reply in zip(rounds, self.client.api.call_many(calls), strict=True):
            answers += settle(chunk, reply, send, self._read)
        return answers

    def _read(self, inputs: Sequence[Input], reply: Reply) -> list[Answer]:
        found = self._entries(inputs, reply)
        lost = TooLarge("HubSpot's answer lacks an entry", code="unreadable")
        return [found.get(str(entry["objectWriteTraceId"]), lost) for entry in inputs]

    @staticmethod
    def _entries(inputs: Sequence[Input], reply: Reply) -> dict[str, Answer]:
        """Results and errors by trace id; results without one are matched by id or unique value."""
        by_key = {str(entry.get("id")): str(entry["objectWriteTraceId"]) for entry in inputs}
        by_unique = {
            (str(e.get("idProperty")), str(e.get("id")).casefold()): str(e["objectWriteTraceId"]) for e in inputs
        }
        id_property = str(inputs[0].get("idProperty"))
        answers: dict[str, Answer] = {}
        for result in results_of(reply):
            value = str((result.get("properties") or {}).get(id_property) or "").casefold()
            trace = (
                str(result.get("objectWriteTraceId") or "")
                or by_key.get(str(result.get("id")), "")
                or by_unique.get((id_property, value), "")
            )
            answers[trace] = result
        for entry in reply.data.get("errors") or []:
            error = classify(400, {}, entry, "", None)
            error.context["exchange"] = {
                "status": reply.status,
                "excerpt": redact(json.dumps(entry, default=str))[:2000],
            }
            context = entry.get("context") or {}
            for trace in context.get("objectWriteTraceId") or []:
                answers[str(trace)] = error
            for key in context.get("ids") or []:
                answers[by_key.get(str(key), "")] = error
        return answers


def _without_twins(inputs: Sequence[Input]) -> Iterator[list[Input]]:
    """Chunks of at most 100 in which no key appears twice: HubSpot refuses those."""
    chunk: list[Input] = []
    keys: set[str] = set()
    for entry in inputs:
        key = str(entry.get("id") or entry["objectWriteTraceId"])
        if len(chunk) >= BATCH or key in keys:
            yield chunk
            chunk, keys = [], set()
        chunk.append(entry)
        keys.add(key)
    if chunk:
        yield chunk
