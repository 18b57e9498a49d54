"""Writing to HubSpot: upserts by our unique key in batches, then lines, associations, and the deal's amount again.

All of it may be repeated: records and line items are found by their unique keys, associations are sets. The
invariants: a line item that does not carry a key of ours is never archived (a person made it); after lines were
written the deal's amount is what we meant, because HubSpot may recalculate it from the lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from integrations.connector import FieldType, Outcome, Value, Write
from integrations.errors import Misconfigured, Missing, OutcomeUnknown, SyncError
from integrations.hubspot import values
from integrations.hubspot.batches import Answer, Batches
from integrations.hubspot.client import BATCH, HubSpot
from integrations.hubspot.read import Reader
from integrations.hubspot.schema import Properties

LINE_KEY = "line_key"
"""In a line: its key, when the line does not name the unique property itself."""
LINE_KEY_PROPERTY = "fortnox_key"
ROUND = 500


class Writer:
    """The writing half of the connector."""

    def __init__(self, client: HubSpot, properties: Properties, reader: Reader) -> None:
        self.client = client
        self.properties = properties
        self.reader = reader
        self.batches = Batches(client)

    def create(self, name: str, write: Write) -> Outcome:
        """One record without a unique key, sent once."""
        try:
            raw = self.client.create(name, values.wire_all(write.fields))
            if not isinstance(raw, Mapping) or not raw.get("id"):
                raise OutcomeUnknown("HubSpot sent no readable record", code="unreadable")
            return self._outcome(name, write, raw, created=True)
        except SyncError as error:
            return Outcome(write.key, error=error)

    def upsert(self, name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """See `Connector.upsert`, in rounds of 500 writes so that lines and associations fill their batches."""
        for start in range(0, len(writes), ROUND):
            round_ = writes[start : start + ROUND]
            outcomes = self._records(name, round_)
            self._lines(name, round_, outcomes)
            self._links(name, round_, outcomes)
            yield from (outcomes[write.key] for write in round_)

    # --- Records ----------------------------------------------------------------------------------------------

    def _records(self, name: str, writes: Sequence[Write]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        groups: dict[str, list[tuple[Write, dict[str, Any]]]] = {"update": [], "upsert": [], "create": []}
        for write in writes:
            try:
                action, entry = self._entry(write)
            except SyncError as error:
                outcomes[write.key] = Outcome(write.key, id=write.id, error=error)
                continue
            if action == "update" and not entry["properties"]:
                outcomes[write.key] = Outcome(
                    write.key, id=write.id, created=False, url=self.reader.url(name, write.id)
                )
            else:
                groups[action].append((write, entry))
        for action, pairs in groups.items():
            answers = self.batches.write(name, action, [entry for _write, entry in pairs]) if pairs else []
            for (write, _entry), answer in zip(pairs, answers, strict=True):
                outcomes[write.key] = self._answered(name, action, write, answer)
        return outcomes

    @staticmethod
    def _entry(write: Write) -> tuple[str, dict[str, Any]]:
        """(action, batch input) of a write: by id when it is known, else by our unique key, else a plain create."""
        properties = values.wire_all(write.fields)
        if write.id:
            # The key is written too: a record that was matched by another rule becomes findable by ours.
            extra = {write.unique[0]: write.unique[1]} if write.unique else {}
            return "update", {"id": write.id, "properties": extra | properties}
        if write.unique:
            name, value = write.unique
            return "upsert", {"id": value, "idProperty": name, "properties": {name: value} | properties}
        return "create", {"properties": properties}

    def _answered(self, name: str, action: str, write: Write, answer: Answer) -> Outcome:
        if isinstance(answer, SyncError):
            return Outcome(write.key, id=write.id, error=answer)
        created = True if action == "create" else False if action == "update" else answer.get("new")
        try:
            return self._outcome(name, write, answer, created)
        except SyncError as error:
            return Outcome(write.key, id=str(answer.get("id") or write.id), error=error)

    def _outcome(self, name: str, write: Write, raw: Mapping[str, Any], created: object) -> Outcome:
        """What HubSpot holds now of the fields written, in its own spelling, typed."""
        key = str(raw.get("id") or "")
        given = raw.get("properties") or {}
        types = self.properties.types(name, write.fields)
        returned: dict[str, Value] = {
            n: values.parse(n, types.get(n, FieldType.STRING), given.get(n), key) for n in write.fields if n in given
        }
        known = created if isinstance(created, bool) else None
        return Outcome(write.key, id=key, created=known, returned=returned, url=self.reader.url(name, key))

    # --- Lines ------------------------------------------------------------------------------------------------

    def _lines(self, name: str, writes: Sequence[Write], outcomes: dict[str, Outcome]) -> None:
        """Replace the line items of every write that has lines; errors and ids go into `outcomes`."""
        mine = {
            w.key: w for w in writes if w.lines is not None and outcomes[w.key].error is None and outcomes[w.key].id
        }
        if not mine:
            return
        if name != "deal":
            for key in mine:
                error = Misconfigured(f"HubSpot's {name} has no lines", code="no_lines")
                outcomes[key] = _failed(outcomes[key], error)
            return
        try:
            amounts = self._amounts(mine, outcomes)
            mine = {key: write for key, write in mine.items() if outcomes[key].error is None}
            ids = self._upsert_lines(mine, outcomes)
            before = self._attached([key for key in mine if outcomes[key].created is not True], outcomes)
            self._attach(ids, before, outcomes)
            self._archive_rest(ids, before, outcomes)
            self._assert_amounts(amounts, outcomes)
        except SyncError as error:
            for key in mine:
                outcomes[key] = _failed(outcomes[key], error)

    def _amounts(self, mine: Mapping[str, Write], outcomes: dict[str, Outcome]) -> dict[str, str]:
        """The amount each deal must have afterwards: what we write, else what it has now. A deal whose amount cannot be
        read fails before its lines are touched; the write is repeatable."""
        amounts = {key: values.wire("amount", w.fields["amount"]) for key, w in mine.items() if "amount" in w.fields}
        others = {outcomes[k].id: k for k in mine if k not in amounts and outcomes[k].created is not True}
        for deal_id, record in self.reader.batch("deal", list(others), ["amount"]).items() if others else ():
            if isinstance(record, SyncError):
                outcomes[others[deal_id]] = _failed(outcomes[others[deal_id]], record)
            elif record.fields["amount"] is not None:
                amounts[others[deal_id]] = values.wire("amount", record.fields["amount"])
        return amounts

    def _upsert_lines(self, mine: Mapping[str, Write], outcomes: dict[str, Outcome]) -> dict[str, dict[str, str]]:
        """Line key → line item id, by write. A write with a failing line fails, its other lines stay."""
        entries: list[dict[str, Any]] = []
        owners: list[tuple[str, str]] = []
        ids: dict[str, dict[str, str]] = {key: {} for key in mine}
        for key, write in mine.items():
            try:
                inputs = [self._line_entry(line) for line in write.lines or ()]
            except SyncError as error:
                outcomes[key] = _failed(outcomes[key], error)
                continue
            entries += inputs
            owners += [(key, entry["id"]) for entry in inputs]
        for (key, line_key), answer in zip(owners, self.batches.write("line_item", "upsert", entries), strict=True):
            if isinstance(answer, SyncError):
                outcomes[key] = _failed(outcomes[key], answer)
            else:
                ids[key][line_key] = str(answer.get("id"))
        return {key: line_ids for key, line_ids in ids.items() if outcomes[key].error is None}

    def _line_entry(self, line: Mapping[str, Value]) -> dict[str, Any]:
        fields = dict(line)
        given = fields.pop(LINE_KEY, None)
        name, key = LINE_KEY_PROPERTY, given
        if key is None:
            unique = self.properties.unique("line_item", fields) & set(fields)
            name = LINE_KEY_PROPERTY if LINE_KEY_PROPERTY in unique else min(unique, default="")
            key = fields.get(name)
        if not name or not key:
            raise Misconfigured("A line item needs its own unique key", code="no_key", field=LINE_KEY_PROPERTY)
        properties = values.wire_all(fields) | {name: str(key)}
        return {"id": str(key), "idProperty": name, "properties": properties}

    def _attached(self, keys: Iterable[str], outcomes: Mapping[str, Outcome]) -> dict[str, list[str]]:
        """The line items on the deals now; deals just made have none and are not asked."""
        deals = {outcomes[key].id: key for key in keys}
        found = self.reader.links.all("deal", "line_item", list(deals)) if deals else {}
        return {deals[deal_id]: line_ids for deal_id, line_ids in found.items()}

    def _attach(
        self, ids: Mapping[str, Mapping[str, str]], before: Mapping[str, Sequence[str]], outcomes: dict[str, Outcome]
    ) -> None:
        owner = {line_id: key for key, line_ids in ids.items() for line_id in line_ids.values()}
        pairs = [
            (outcomes[key].id, line_id) for line_id, key in owner.items() if line_id not in set(before.get(key, ()))
        ]
        for (_deal, line_id), error in self.reader.links.set("deal", "line_item", pairs).items():
            outcomes[owner[line_id]] = _failed(outcomes[owner[line_id]], error)
        for key, line_ids in ids.items():
            outcome = outcomes[key]
            outcomes[key] = _changed(outcome, line_ids=dict(line_ids))

    def _archive_rest(
        self, ids: Mapping[str, Mapping[str, str]], before: Mapping[str, Sequence[str]], outcomes: dict[str, Outcome]
    ) -> None:
        """Archive our line items that are no longer among the lines; those without our key are a person's. A line that
        cannot be read, unless it is gone, fails its deal's write, which is repeatable."""
        owner = {
            line_id: key
            for key, line_ids in before.items()
            if key in ids
            for line_id in line_ids
            if line_id not in ids[key].values()
        }
        if not owner:
            return
        ours = []
        for line_id, record in self.reader.batch("line_item", list(owner), [LINE_KEY_PROPERTY]).items():
            if isinstance(record, Missing):
                continue
            if isinstance(record, SyncError):
                outcomes[owner[line_id]] = _failed(outcomes[owner[line_id]], record)
            elif record.fields.get(LINE_KEY_PROPERTY):
                ours.append(record.id)
        for start in range(0, len(ours), BATCH):
            self.client.api.do(self.client.archive_call("line_item", ours[start : start + BATCH]))

    def _assert_amounts(self, amounts: Mapping[str, str], outcomes: dict[str, Outcome]) -> None:
        keys = [key for key in amounts if outcomes[key].error is None]
        inputs = [{"id": outcomes[key].id, "properties": {"amount": amounts[key]}} for key in keys]
        for key, answer in zip(keys, self.batches.write("deal", "update", inputs), strict=True):
            if isinstance(answer, SyncError):
                outcomes[key] = _failed(outcomes[key], answer)

    # --- Associations -----------------------------------------------------------------------------------------

    def _links(self, name: str, writes: Sequence[Write], outcomes: dict[str, Outcome]) -> None:
        """Set the associations of every write that has them, one batch per kind of target."""
        targets = sorted({target for write in writes for target in write.links})
        for target in targets:
            pairs = {
                (outcomes[w.key].id, w.links[target]): w.key
                for w in writes
                if w.links.get(target) and outcomes[w.key].error is None and outcomes[w.key].id
            }
            try:
                failed = self.reader.links.set(name, target, pairs)
            except SyncError as error:
                failed = dict.fromkeys(pairs, error)
            for pair, why in failed.items():
                outcomes[pairs[pair]] = _failed(outcomes[pairs[pair]], why)


def _changed(outcome: Outcome, **changes: Any) -> Outcome:
    return Outcome(**{name: changes.get(name, getattr(outcome, name)) for name in Outcome.__slots__})


def _failed(outcome: Outcome, error: SyncError) -> Outcome:
    """The outcome with its first error; the id stays, because the record exists and the repeat will update it."""
    return outcome if outcome.error else _changed(outcome, error=error)
