"""Writing to Salesforce: checked bodies in collections, then prices, then one look at what Salesforce made of it.

By id where it is known, else by our unique key; both may be repeated. A record with neither is created alone and once.
Lookups to other records travel inside the body. Collections do not return values, so what was written is read back in
calls of 2,000 records. The invariant: every write ends in exactly one outcome, in the order in which it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from integrations.connector import Outcome, Value, Write
from integrations.errors import Misconfigured, OutcomeUnknown, PermissionMissing, SyncError, TooLarge, Transient
from integrations.salesforce import ids, lookups, outgoing, soql, values
from integrations.salesforce import prices as priced
from integrations.salesforce.batches import LOCKED, Answer, Batches
from integrations.salesforce.bulk import JOB_ROWS, Bulk, worth_a_job
from integrations.salesforce.client import RETRIEVED, Salesforce, list_of
from integrations.salesforce.described import Described
from integrations.salesforce.layouts import PRODUCT, ROLES
from integrations.salesforce.outgoing import CREATE, UPDATE, UPSERT, Outgoing
from integrations.salesforce.prices import Price, Prices
from integrations.salesforce.read import Reader
from integrations.salesforce.schema import DERIVED, Objects

INVOICE = "Fortnox_Invoice__c"
OUTDATED = frozenset({"INVALID_FIELD", "INVALID_TYPE", "external_id_field", "INVALID_FIELD_FOR_INSERT_UPDATE"})
SOURCE = "Source_Id__c"
# Lookups besides the parts of an object, by the name that a write gives to the link.
LINKS: Mapping[str, Mapping[str, str]] = {
    "fortnox_invoice": {
        "account": "Account__c",
        "contact": "Contact__c",
        "opportunity": "Opportunity__c",
        "order": "Order__c",
        "credit_of": "Credit_Of__c",
        "credited_by": "Credited_By__c",
    },
}


@dataclass(slots=True)
class Intended:
    """A write that passed the checks: what is sent for it, and the product's price, which is sent apart."""

    write: Write
    action: str
    body: dict[str, Any]
    price: Price | None = None


class Writer:
    """The writing half of the connector."""

    def __init__(self, client: Salesforce, objects: Objects, reader: Reader) -> None:
        self.client = client
        self.objects = objects
        self.reader = reader
        self.batches = Batches(client)
        self.bulk = Bulk(client)
        self.prices = Prices(client, objects, self.batches)
        self._record_types: dict[str, dict[str, str]] = {}

    def upsert(self, name: str, writes: Sequence[Write]) -> Iterator[Outcome]:
        """See `Connector.upsert`, in rounds of as many records as one look back can show, or one bulk job can take."""
        size = JOB_ROWS if worth_a_job(len(writes)) else RETRIEVED
        for start in range(0, len(writes), size):
            round_ = writes[start : start + size]
            outcomes = self._round(name, round_)
            yield from (outcomes[write.key] for write in round_)

    def create(self, name: str, write: Write) -> Outcome:
        """One record, sent once; one that carries our unique key may be sent again and again instead."""
        if write.unique or write.id:
            return next(iter(self.upsert(name, [write])))
        try:
            described = self._described(name, [write])
            intended = self._intended(name, described, write)
            raw = self._created(described, intended)
            outcome = Outcome(write.key, id=raw, created=True, url=self.reader.url(name, raw))
        except SyncError as error:
            return Outcome(write.key, error=error)
        outcomes = {write.key: outcome}
        self._finish(described, [intended], outcomes)
        # It exists, whatever became of the look at it: an error now would have it sent a second time.
        return outcomes[write.key] if intended.price else replace(outcomes[write.key], error=None)

    def _created(self, described: Described, intended: Intended) -> str:
        try:
            reply = self.client.api.do(self.client.create_call(described.name, intended.body))
        except OutcomeUnknown as error:
            if error.code == LOCKED:  # Salesforce says that it did nothing
                raise Transient(error.message, code=error.code, context=error.context, retry_after=5) from None
            raise
        except SyncError as error:
            lookups.explain(self.client, described, [lookups.Refused("", intended.body, error)])
            raise
        key = reply.data.get("id") if isinstance(reply.data, Mapping) else None
        if not isinstance(key, str) or not ids.is_id(key):
            raise OutcomeUnknown("Salesforce sent no id of what it created", code="unreadable")
        return key

    # --- One round --------------------------------------------------------------------------------------------

    def _round(self, name: str, writes: Sequence[Write]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        try:
            described = self._described(name, writes)
        except SyncError as error:
            return {write.key: Outcome(write.key, id=write.id, error=error) for write in writes}
        groups: dict[tuple[str, str], list[Intended]] = {}
        for write in writes:
            if not write.id and not write.unique:
                outcomes[write.key] = self.create(name, write)
                continue
            try:
                intended = self._intended(name, described, write)
            except SyncError as error:
                outcomes[write.key] = Outcome(write.key, id=write.id, error=error)
                continue
            key_field = write.unique[0] if write.unique and intended.action == UPSERT else ""
            groups.setdefault((intended.action, key_field), []).append(intended)
        if any(outcome.error and outcome.error.code == outgoing.UNKNOWN_CURRENCY for outcome in outcomes.values()):
            self.objects.catalogue.forget([described.name])  # it may be made active any minute
        for (action, key_field), group in groups.items():
            self._send(name, described, action, key_field, group, outcomes)
        self._finish(described, [intended for group in groups.values() for intended in group], outcomes)
        return outcomes

    def _described(self, name: str, writes: Iterable[Write]) -> Described:
        """The object, described anew when the writes name a field that it did not have when it was last asked."""
        needed = {field for write in writes for field in (*write.fields, *(write.unique or ())[:1])}
        return self.objects.own(name, frozenset(needed - set(DERIVED) - outgoing.OF_SOME_ORGS))

    def _intended(self, name: str, described: Described, write: Write) -> Intended:
        """What to send for a write. Raises `SyncError` for one that cannot be sent."""
        if write.lines is not None:
            raise Misconfigured(f"Lines of Salesforce's {name} are not written", code="no_lines")
        if write.id:
            ids.checked(write.id)
        action = UPDATE if write.id else UPSERT if write.unique else CREATE
        try:
            outgoing.require_right(described, action)
        except PermissionMissing:
            self.objects.catalogue.forget([described.name])  # it may be given any minute
            raise
        fields = dict(write.fields)
        price = priced.taken(fields) if described.name == PRODUCT else None
        fields |= {self._lookup(name, described, link): key for link, key in write.links.items() if key}
        if write.unique:
            # The key is written too: a record that was matched by another rule becomes findable by ours.
            key_field, key = write.unique
            field = self.objects.catalogue.field(described.name, key_field)
            if not field.external_id and action == UPSERT:
                text = f"{described.name}.{key_field} is no external id; deploy the package again"
                raise Misconfigured(text, code="external_id_field", field=key_field)
            fields[key_field] = key
        maker = Outgoing(self.objects.currency, self.record_types)
        return Intended(write, action, maker.body(described, fields, action), price)

    def _lookup(self, name: str, described: Described, link: str) -> str:
        """The field that points at a linked record. Raises `Misconfigured` when there is none."""
        parts = {part: field for part, field in self.objects.layout(name).parts.items() if field != ROLES}
        found = {**parts, **LINKS.get(name, {})}.get(link) or (INVOICE if link == "invoice" else "")
        if not found and name == "fortnox_invoice" and self.objects.is_own(link):
            found = SOURCE  # a record of the customer's own object: there is no lookup to it
        if not found or found not in described.fields:
            text = f"{described.name} has no lookup for {link!r}, or our user may not see it"
            raise Misconfigured(text, code="INVALID_FIELD", field=found or link)
        return found

    def record_types(self, remote: str) -> Mapping[str, str]:
        """Ids of the active record types of an object by developer name; they differ from org to org."""
        if remote not in self._record_types:
            where = f"SobjectType = {soql.quoted(remote)} AND IsActive = true"
            query = soql.select(["Id", "DeveloperName"], "RecordType", where=where)
            rows = self.client.query(query, kind="recordtypes.query")
            self._record_types[remote] = {str(row.get("DeveloperName")): ids.to18(str(row.get("Id"))) for row in rows}
        return self._record_types[remote]

    def _send(
        self,
        name: str,
        described: Described,
        action: str,
        key_field: str,
        group: Sequence[Intended],
        outcomes: dict[str, Outcome],
    ) -> None:
        """Send what has something to say; what became of it goes into `outcomes`."""
        told = [intended for intended in group if intended.body]
        for intended in group:
            if not intended.body:
                key = intended.write.id
                outcomes[intended.write.key] = Outcome(
                    intended.write.key, id=key, created=False, url=self.reader.url(name, key)
                )
        answers = self._answers(described.name, action, key_field, told)
        self._as_persons(described, action, key_field, told, answers)
        refused = []
        for intended, answer in zip(told, answers, strict=True):
            write = intended.write
            if isinstance(answer, SyncError):
                refused.append(lookups.Refused(write.id, intended.body, answer))
                outcomes[write.key] = Outcome(write.key, id=write.id, error=answer)
                continue
            key = ids.to18(str(answer["id"]))
            made = False if action == UPDATE else answer.get("created")
            outcomes[write.key] = Outcome(
                write.key, id=key, created=made if isinstance(made, bool) else None, url=self.reader.url(name, key)
            )
        lookups.explain(self.client, described, refused)
        if any(one.error.code in OUTDATED for one in refused):  # the org changed after it was described
            self.objects.catalogue.forget([described.name])

    def _answers(self, remote: str, action: str, key_field: str, group: Sequence[Intended]) -> list[Answer]:
        records = [
            intended.body | ({"id": ids.to18(intended.write.id)} if action == UPDATE else {}) for intended in group
        ]
        if worth_a_job(len(records)):
            return self.bulk.write(remote, action, records, key_field)
        return self.batches.write(remote, action, records, key_field)

    def _as_persons(
        self, described: Described, action: str, key_field: str, group: Sequence[Intended], answers: list[Answer]
    ) -> None:
        """Accounts that turned out to be persons refuse a `Name`: they are sent again with first and last name."""
        if "IsPersonAccount" not in described.fields:
            return
        again = [
            index
            for index, answer in enumerate(answers)
            if isinstance(answer, SyncError)
            and answer.code == "INVALID_FIELD_FOR_INSERT_UPDATE"
            and group[index].body.get("Name")
            and answer.field in ("", "Name")
        ]
        for index in again:
            group[index].body = outgoing.as_person(group[index].body)
        for index, answer in zip(
            again,
            self._answers(described.name, action, key_field, [group[i] for i in again]) if again else (),
            strict=True,
        ):
            answers[index] = answer

    # --- Afterwards -------------------------------------------------------------------------------------------

    def _finish(self, described: Described, sent: Sequence[Intended], outcomes: dict[str, Outcome]) -> None:
        """Prices of the products that exist now, and what Salesforce keeps of the fields written."""
        good = [intended for intended in sent if outcomes[intended.write.key].error is None]
        self._look_back(described, [intended for intended in good if intended.write.fields], outcomes)
        wanted = {outcomes[intended.write.key].id: intended.price for intended in good if intended.price}
        try:
            results = self.prices.write(wanted) if wanted else {}
        except SyncError as error:
            results = dict.fromkeys(wanted, error)
        for intended in good:
            outcome = outcomes[intended.write.key]
            result = results.get(outcome.id) if intended.price else None
            if isinstance(result, SyncError):
                outcomes[intended.write.key] = replace(outcome, error=outcome.error or result)
            elif result is not None:
                kept = {name: value for name, value in result.items() if name in intended.write.fields}
                outcomes[intended.write.key] = replace(outcome, returned={**outcome.returned, **kept})

    def _look_back(self, described: Described, sent: Sequence[Intended], outcomes: dict[str, Outcome]) -> None:
        """Put what Salesforce holds now of the fields written into the outcomes, typed; one call per 2,000 records."""
        for start in range(0, len(sent), RETRIEVED):
            part = sent[start : start + RETRIEVED]
            names = sorted({n for one in part for n in one.write.fields if n in described.fields})
            if not names:
                continue
            keys = [outcomes[one.write.key].id for one in part]
            try:
                rows = list_of(self.client.api.do(self.client.retrieve_call(described.name, keys, ["Id", *names])))
                if len(rows) != len(keys):
                    raise TooLarge("Salesforce did not show what was written", code="unreadable")
            except SyncError:
                continue  # it is written; what it holds exactly, the next scan tells
            for one, row in zip(part, rows, strict=True):
                outcomes[one.write.key] = _shown(described, one.write, row, outcomes[one.write.key])


def _shown(described: Described, write: Write, row: object, outcome: Outcome) -> Outcome:
    """The outcome with what the row shows; as it is when the row is not that record's (it may be hidden from us)."""
    if not isinstance(row, Mapping) or not ids.same(str(row.get("Id") or ""), outcome.id):
        return outcome
    try:
        returned: dict[str, Value] = {
            name: values.parse(name, described.fields[name].kind, row.get(name), outcome.id)
            for name in write.fields
            if name in described.fields and name in row
        }
    except SyncError as error:
        return replace(outcome, error=error)
    return replace(outcome, returned=returned)
