"""Creating, changing and removing records: every rule a value must pass before it is stored.

A write has two halves: ``plan`` checks and normalises without touching anything, ``apply`` cannot fail. Batches
that are all-or-nothing plan every entry before applying the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from . import calculated, errors, times, values
from .definitions import Definition
from .errors import Problem
from .kinds import CONTACTS, DEALS, LINE_ITEMS, PRODUCTS, Kind
from .portal import Portal
from .rules import copied_from_product, missing_properties, rule_problems, stage_problems
from .store import Record, Source

CURRENCY_PROPERTIES = {"deal_currency_code", "hs_line_item_currency_code"}
TIMESTAMPS = {"createdate"}  # kept on the record itself, not among its values


@dataclass(slots=True)
class Plan:
    """A checked write. ``changes`` maps names to stored values, "" where a value is cleared."""

    changes: dict[str, str] = field(default_factory=dict)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    record: Record | None = None
    silent: set[str] = field(default_factory=set)  # values that followed from others; answers leave them out


@dataclass(slots=True)
class Writer:
    """Writes to one object type on behalf of one caller at one moment."""

    portal: Portal
    kind: Kind
    source: Source
    moment: int
    validating: bool = True  # 2026-09: dates are normalised and the administrator's rules apply
    request: int | None = None
    claims: set[tuple[str, str]] = field(default_factory=set)  # unique values earlier entries of a batch took

    def plan(self, raw: Mapping[str, Any], record: Record | None = None) -> Plan:
        """Check a create (no record) or an update."""
        plan = Plan(record=record)
        problems = self._normalise(raw, plan)
        if record is None:
            self._complete(plan)
        problems += stage_problems(self.portal, self.kind, plan.changes, record)
        problems += self._unique_problems(plan)
        if problems:
            raise errors.bad_values(problems, self.portal.id)
        if record is None:
            missing = missing_properties(self.portal, self.kind, plan.changes)
            if missing:
                raise errors.required(self.kind.upper, missing)
        if self.validating:
            broken = rule_problems(self.portal, self.kind, plan.changes, record)
            if broken:
                raise errors.missing_values(broken)
        self._check_email(plan)
        return plan

    def create(self, plan: Plan) -> Record:
        """Store a planned new record."""
        store = self.portal.store(self.kind)
        index = self.portal.indexes[self.kind.type_id]
        record_id = store.new_id()
        moment = times.parse(plan.changes.get("createdate", "")) or self.moment
        stored = {name: value for name, value in plan.changes.items() if value and name not in TIMESTAMPS}
        record = Record(record_id, stored, moment, self.source, self.request)
        record.updated = self.moment
        index.before(record_id)
        self._calculate(record)
        store.add(record)
        index.after(record_id)
        self._tell("create", record)
        self._notify("creation", record, changeFlag="CREATED")
        for name, value in stored.items():
            self._notify("propertyChange", record, propertyName=name, propertyValue=value, isSensitive=False)
        return record

    def _notify(self, what: str, record: Record, **rest: Any) -> None:
        """An event of this record, for whoever subscribed."""
        self.portal.notify(what, self.kind.type_id, self.source, self.moment, {"objectId": record.id, **rest})

    def _tell(self, action: str, record: Record) -> None:
        self.portal.witness(self.kind.plural, action, str(record.id), self.request)

    def update(self, record: Record, plan: Plan) -> None:
        """Store planned changes. Values that stay as they were leave the modification date alone."""
        stored = record.values
        changed = {n: v for n, v in plan.changes.items() if v != stored.get(n, "") and n not in TIMESTAMPS}
        moved = times.parse(plan.changes.get("createdate", ""))
        if not changed and moved in (None, record.created):
            return
        store = self.portal.store(self.kind)
        index = self.portal.indexes[self.kind.type_id]
        index.before(record.id)
        for name, value in changed.items():
            old = stored.get(name)
            record.remember(name, value, self.moment, self.source)
            if value:
                stored[name] = value
            else:
                stored.pop(name, None)
            store.claim(record, name, old, value or None)
        record.created = moved or record.created
        record.updated = self.moment
        self._calculate(record)
        index.after(record.id)
        self._tell("update", record)
        for name, value in changed.items():
            self._notify("propertyChange", record, propertyName=name, propertyValue=value, isSensitive=False)

    def archive(self, record: Record) -> None:
        """Into the recycle bin. Links stay, hidden, because a restore brings them back."""
        index = self.portal.indexes[self.kind.type_id]
        index.before(record.id)
        self.portal.store(self.kind).archive(record, self.moment)
        index.after(record.id)
        self._tell("delete", record)
        self._notify("deletion", record, changeFlag="DELETED")

    def forget(self, record: Record) -> None:
        """A privacy deletion: gone for good, links included."""
        index = self.portal.indexes[self.kind.type_id]
        index.before(record.id)
        self.portal.links.forget(self.kind.type_id, record.id)
        self.portal.store(self.kind).forget(record)
        index.after(record.id)
        self._tell("forget", record)

    def merge(self, primary: Record, other: Record) -> None:
        """The primary keeps its id and values and takes what it lacked; the other's id leads to it from now on."""
        store = self.portal.store(self.kind)
        schema = self.portal.schema(self.kind)
        gained = {
            name: value
            for name, value in other.values.items()
            if name not in primary.values and _is_writable(schema.active.get(name))
        }
        self.archive(other)
        other.archived = self.moment
        primary.merged = [*(primary.merged or []), *(other.merged or []), other.id]
        for record_id in (other.id, *(other.merged or [])):
            store.successor[record_id] = primary.id
        ids = ";".join(str(record_id) for record_id in primary.merged)
        self.update(primary, Plan({**gained, "hs_merged_object_ids": ids}))
        self.portal.links.move(self.kind.type_id, other.id, primary.id)
        pair = {"primaryObjectId": primary.id, "mergedObjectIds": [other.id], "newObjectId": None}
        self._notify("merge", primary, **pair, numberOfPropertiesMoved=len(gained))

    def _normalise(self, raw: Mapping[str, Any], plan: Plan) -> list[Problem]:
        known = self.portal.schemas[self.kind.type_id].active
        problems: list[Problem] = []
        for name, given in raw.items():
            definition = known.get(name)
            if definition is None:
                text = f'Property "{name}" does not exist'
                problems.append(Problem(name, "PROPERTY_DOESNT_EXIST", text))
                continue
            try:
                plan.changes[definition.name] = self._one(definition, values.text(given), plan)
            except values.BadValue as bad:
                problems.append(bad.problem(name))
        self._follow(plan)
        return problems

    def _one(self, definition: Definition, value: str, plan: Plan) -> str:
        name = definition.name
        if not definition.writable:
            what = "calculated" if definition.calculated else "read only"
            message = f'"{name}" is a {what} property; its value cannot be set.'
            raise values.BadValue("READ_ONLY_VALUE", message)
        if value == "":
            return ""
        if name in CURRENCY_PROPERTIES and value not in definition.allowed:
            message = f'"{value}" is not a part of the current effective currency codes for portal {self.portal.id}'
            raise values.BadValue("INVALID_OPTION", message)
        stored = values.normalise(definition, value, self.validating, plan.warnings)
        record = plan.record
        if definition.multiple and stored.startswith(";"):
            return values.appended(record.values.get(name) if record else None, stored)
        if name == "lifecyclestage" and record is not None:
            return _forward_only(definition, record.values.get(name), stored)
        return stored

    def _follow(self, plan: Plan) -> None:
        """Values that drag another along: a website its domain, a price the price in company currency."""
        changes = plan.changes
        record_values: Mapping[str, str] = plan.record.values if plan.record else {}
        website = changes.get("website")
        if website and self.kind.plural == "companies" and not changes.get("domain", record_values.get("domain")):
            changes["domain"] = values.domain_of(website)
            plan.silent.add("domain")
        if self.kind is PRODUCTS and len(self.portal.currencies) > 1:
            twin = f"hs_price_{self.portal.profile.currency.lower()}"
            for given, follower in (("price", twin), (twin, "price")):
                if given in changes and follower not in changes:
                    changes[follower] = changes[given]
                    plan.silent.add(follower)

    def _complete(self, plan: Plan) -> None:
        """What a create fills in: the only pipeline, and a product's values on its line item."""
        if self.kind is DEALS and not plan.changes.get("pipeline") and len(self.portal.pipelines) == 1:
            plan.changes["pipeline"] = next(iter(self.portal.pipelines))
        if self.kind is LINE_ITEMS:
            for name, value in copied_from_product(self.portal, plan.changes).items():
                plan.changes.setdefault(name, value)

    def _unique_problems(self, plan: Plan) -> list[Problem]:
        store = self.portal.stores[self.kind.type_id]
        problems: list[Problem] = []
        for name in store.unique:
            value = plan.changes.get(name)
            if not value or (name == "email" and self.kind is CONTACTS):
                continue
            holder = store.holder(name, value)
            if holder is not None and holder is not plan.record:
                text = f"{holder.id} already has that value."
                problems.append(Problem(name, "CONFLICTING_UNIQUE_VALUE", text))
            elif holder is None and (name, value) in self.claims:
                problems.append(Problem(name, "CONFLICTING_UNIQUE_VALUE", f"{value} is used twice in this request."))
            self.claims.add((name, value))
        return problems

    def _check_email(self, plan: Plan) -> None:
        """Contacts are kept apart by e-mail address alone; a clash is a 409 with the holder's id."""
        email = plan.changes.get("email") if self.kind is CONTACTS else None
        if not email:
            return
        holder = self.portal.store(self.kind).holder("email", email)
        if holder is not None and holder is not plan.record:
            raise errors.conflict(f"Contact already exists. Existing ID: {holder.id}")
        if holder is None and ("email", email) in self.claims:
            raise errors.conflict("Contact already exists.")
        self.claims.add(("email", email))

    def _calculate(self, record: Record) -> None:
        if self.kind is LINE_ITEMS:
            rate = record.values.get("hs_tax_rate_group_id")
            percent = next((t.percentage for t in self.portal.profile.tax_rates if t.id == rate), None)
            _replace(record, calculated.LINE_ITEM_NAMES, calculated.line_item(record.values, _decimal(percent)))
        elif self.kind is DEALS:
            _replace(record, calculated.DEAL_NAMES, self._deal_values(record))

    def _deal_values(self, record: Record) -> dict[str, str]:
        pipeline = self.portal.pipelines.get(record.values.get("pipeline", ""))
        stage = pipeline.stages.get(record.values.get("dealstage", "")) if pipeline else None
        rate = self.portal.rate(record.values.get("deal_currency_code", self.portal.profile.currency))
        closing = times.parse(record.values.get("closedate", ""))
        days = (closing - record.created) // times.DAY if closing is not None else None
        return calculated.deal(record.values, stage, rate, days)


def _decimal(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))


def _replace(record: Record, names: tuple[str, ...], fresh: dict[str, str]) -> None:
    for name in names:
        record.values.pop(name, None)
    record.values.update(fresh)


def _is_writable(definition: Definition | None) -> bool:
    return definition is not None and definition.writable and not definition.unique


def _forward_only(definition: Definition, present: str | None, wanted: str) -> str:
    """A lifecycle stage moves forward only; a step back is ignored unless the value was cleared first."""
    order = [option.value for option in definition.options]
    if present in order and wanted in order and order.index(wanted) < order.index(present):
        return present or wanted
    return wanted
