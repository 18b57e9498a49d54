"""Associations: which company, contact and line items belong to a deal, read and set in batches.

Type ids are HubSpot's own and depend on the direction. The invariant: "nothing associated", which HubSpot reports as
an error entry of a 207, is an empty list here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from integrations.errors import SyncError
from integrations.hubspot.client import ASSOCIATION_READ, ASSOCIATION_WRITE, HubSpot, results_of
from integrations.hubspot.errors import classify, is_absence
from integrations.splitting import is_splittable

# The unlabelled type is kept beside "primary": without it HubSpot would drop the association with the label.
TYPES: Mapping[tuple[str, str], tuple[int, ...]] = {
    ("deal", "company"): (5, 341),
    ("deal", "contact"): (3,),
    ("deal", "line_item"): (19,),
    ("contact", "company"): (1, 279),
}
PRIMARY = {5, 1}
_BILLING = ("billing", "invoice", "faktura")


class Links:
    """The associations of one portal."""

    def __init__(self, client: HubSpot) -> None:
        self.client = client

    def _read(self, source: str, target: str, ids: Sequence[str]) -> dict[str, list[Mapping[str, Any]]]:
        """Association entries by source id, following the pages of records with very many. Raises `SyncError` when
        HubSpot could not say all of them: a document is never written with fewer lines than its source has."""
        found: dict[str, list[Mapping[str, Any]]] = {key: [] for key in ids}
        inputs: list[Mapping[str, str]] = [{"id": key} for key in ids]
        while inputs:
            chunks = [inputs[i : i + ASSOCIATION_READ] for i in range(0, len(inputs), ASSOCIATION_READ)]
            calls = (self.client.associations_call(source, target, chunk) for chunk in chunks)
            inputs = []
            for reply in self.client.api.call_many(calls):
                if isinstance(reply, SyncError):
                    raise reply
                if refused := [entry for entry in reply.data.get("errors") or [] if not is_absence(entry)]:
                    raise classify(207, {}, refused[0], "", None)
                for result in results_of(reply):
                    key = str((result.get("from") or {}).get("id"))
                    found.setdefault(key, []).extend(result.get("to") or [])
                    after = ((result.get("paging") or {}).get("next") or {}).get("after")
                    if after:
                        inputs.append({"id": key, "after": str(after)})
        return found

    def all(self, source: str, target: str, ids: Sequence[str]) -> dict[str, list[str]]:
        """The ids of all associated records, in order of id, by source id."""
        found = self._read(source, target, ids)
        return {
            key: sorted({str(entry.get("toObjectId")) for entry in entries}, key=int) for key, entries in found.items()
        }

    def chosen(self, source: str, target: str, ids: Sequence[str]) -> dict[str, str]:
        """The one associated record that counts: labelled for billing, else primary, else the oldest."""
        found = self._read(source, target, ids)
        return {
            key: str(
                min(entries, key=lambda entry: (_rank(entry), int(str(entry.get("toObjectId"))))).get("toObjectId")
            )
            for key, entries in found.items()
            if entries
        }

    def set(self, source: str, target: str, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], SyncError]:
        """Associate the pairs; the errors by pair. Repeatable."""
        pairs = list(pairs)
        failed: dict[tuple[str, str], SyncError] = {}
        for start in range(0, len(pairs), ASSOCIATION_WRITE):
            failed |= self._set(source, target, pairs[start : start + ASSOCIATION_WRITE])
        return failed

    def _set(self, source: str, target: str, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], SyncError]:
        types = TYPES.get((source, target), ())
        (reply,) = self.client.api.call_many([self.client.associate_call(source, target, pairs, types)])
        if isinstance(reply, SyncError):
            if len(pairs) == 1 or not is_splittable(reply):
                return dict.fromkeys(pairs, reply)
            half = len(pairs) // 2
            return self._set(source, target, pairs[:half]) | self._set(source, target, pairs[half:])
        data = reply.data if isinstance(reply.data, Mapping) else {}
        if not data.get("errors"):
            return {}
        if len(pairs) == 1:
            return {pairs[0]: classify(400, {}, data["errors"][0], "", None)}
        half = len(pairs) // 2
        return self._set(source, target, pairs[:half]) | self._set(source, target, pairs[half:])


def _rank(entry: Mapping[str, Any]) -> int:
    types = entry.get("associationTypes") or []
    labels = " ".join(str(t.get("label") or "") for t in types).lower()
    if any(word in labels for word in _BILLING):
        return 0
    return 1 if any(t.get("typeId") in PRIMARY for t in types) else 2
