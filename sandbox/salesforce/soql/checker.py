"""From a query's tree to its plan: names are looked up in the org's schema, with the user's rights, and what Salesforce
would refuse is refused."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..schema import FieldDef, ObjectDef
from .aggregates import aggregate_plan
from .conditions import Compiler, Operand, kind_of
from .groups import date_part
from .layout import Child, Layout, choice_label
from .narrowing import narrow
from .parser import AGGREGATES, parse
from .plan import Plan, SortKey, sort_key
from .scope import Column, Scope, no_object
from .tokens import malformed, placed
from .tree import FieldSet, Function, Name, Order, Query, Selected, Term

if TYPE_CHECKING:
    from ..org import Org

UNSORTABLE = {"address", "location", "base64", "multipicklist"}
UNFILTERABLE = {"address", "location", "base64"}
MOST_FIELD_SET_ROWS = 200


def check(org: Org, user_id: str, text: str, *, include_deleted: bool = False) -> Plan:
    """The plan of a query. SfError (400) MALFORMED_QUERY, INVALID_TYPE, INVALID_FIELD and their like."""
    tree = parse(text)
    return Checker(org, user_id, text, include_deleted).top(tree)


class Checker:
    """Makes the plans of one query text, its sub-selects and semi-joins included."""

    def __init__(self, org: Org, user_id: str, source: str, include_deleted: bool) -> None:
        self.org = org
        self.user_id = user_id
        self.source = source
        self.include_deleted = include_deleted
        self.zone = zone_of(org, user_id)
        self._joined: dict[int, frozenset[str]] = {}

    def top(self, query: Query) -> Plan:
        """The plan of a query whose FROM names an object."""
        found = self.org.find_for(self.user_id, query.source.text)
        if found is None or not found.queryable:
            raise no_object(query.source, self.source)
        return self.plan(query, found)

    def plan(self, query: Query, definition: ObjectDef) -> Plan:
        """The plan of a query over one object."""
        scope = Scope(self.org, self.user_id, definition, query.alias, self.source, self.include_deleted)
        plan = Plan(scope, Layout(definition), limit=query.limit, offset=query.offset)
        compiler = self.compiler(scope)
        if query.where is not None:
            plan.test = compiler.test(query.where)
            plan.candidates = narrow(query.where, scope, compiler)
        plan.count = query.is_count
        if plan.count:
            if query.groups:
                raise malformed("Grouped query cannot use COUNT()")
            return plan
        if query.groups or any(_aggregates(entry.term) for entry in query.selected):
            aggregate_plan(self, plan, query)
            return plan
        self._select(plan, query)
        plan.orders = [self._order(scope, order) for order in query.orders]
        return plan

    def compiler(self, scope: Scope) -> Compiler:
        """Compiles conditions on rows of a scope."""
        today = datetime.fromtimestamp(self.org.now_ms() / 1000, self.zone).date()
        return Compiler(self.source, lambda term: self.operand(scope, term), self.joined_ids, today, self.zone)

    def operand(self, scope: Scope, term: Term) -> Operand:
        """A field or a function of one, as it is read from a row."""
        if isinstance(term, Name):
            return self._plain(scope, scope.column(term), term.start)
        if term.name in AGGREGATES or term.argument is None:
            raise malformed(f"Aggregate expressions are not allowed here: {term.text}")
        return self._function(scope, term, scope.column(term.argument))

    def joined_ids(self, query: Query) -> frozenset[str]:
        """What the query of a semi-join finds; it must select one id or reference."""
        found = self._joined.get(id(query))
        if found is None:
            found = self._joined[id(query)] = self._run_join(query)
        return found

    def _run_join(self, query: Query) -> frozenset[str]:
        plan = self.top(query)
        term = query.selected[0].term
        if len(query.selected) != 1 or not isinstance(term, Name):
            text = "semi join sub-selects must select exactly one field"
            raise placed("MALFORMED_QUERY", text, self.source, query.start)
        column = plan.scope.column(term)
        if kind_of(column.field) != "id":
            text = f"The selected field of a semi join must be an id or a reference: {column.field.name}"
            raise placed("MALFORMED_QUERY", text, self.source, term.start)
        read = plan.scope.reader(column)
        return frozenset(str(value) for row in plan.rows() if (value := read(row)) is not None)

    # -- SELECT and ORDER BY

    def _select(self, plan: Plan, query: Query) -> None:
        seen: set[tuple[str, ...]] = set()
        for entry in query.selected:
            if isinstance(entry.term, Query):
                child = self._child(plan.scope, entry.term)
                self._once(seen, (child.name,))
                plan.layout.entries.append(child)
            elif isinstance(entry.term, FieldSet):
                for column in self._field_set(plan.scope, entry.term, query):
                    self._once(seen, column.names)
                    self._show(plan, column)
            else:
                self._one(plan, entry, entry.term, seen)

    def _one(self, plan: Plan, entry: Selected, term: Term, seen: set[tuple[str, ...]]) -> None:
        """One selected field; outside GROUP BY only toLabel may be applied, and only it renamed."""
        label = isinstance(term, Function)
        name = term.argument if isinstance(term, Function) else term
        if name is None or (isinstance(term, Function) and term.name != "TOLABEL"):
            raise malformed(f"Date functions are only allowed in grouped queries: {getattr(term, 'text', '')}")
        if entry.alias and not label:
            raise malformed("only aggregate expressions use field aliasing")
        column = plan.scope.column(name)
        self._once(seen, (*column.names[:-1], entry.alias or column.names[-1]))
        self._show(plan, column, entry.alias, label)

    def _show(self, plan: Plan, column: Column, alias: str | None = None, label: bool = False) -> None:
        plan.layout.add(column, alias, label)
        plan.selects_compound = plan.selects_compound or column.field.type in ("address", "location")

    def _once(self, seen: set[tuple[str, ...]], names: tuple[str, ...]) -> None:
        if names in seen:
            raise malformed(f"duplicate field selected: {'.'.join(names)}")
        seen.add(names)

    def _child(self, scope: Scope, query: Query) -> Child:
        child = scope.child(query.source)
        definition = self.org.object(child.object)
        if query.groups or any(_aggregates(entry.term) for entry in query.selected):
            raise placed("MALFORMED_QUERY", "sub-selects cannot be grouped or aggregated", self.source, query.start)
        return Child(child.name or "", child.field, self.plan(query, definition))

    def _field_set(self, scope: Scope, fields: FieldSet, query: Query) -> list[Column]:
        if fields.which != "STANDARD" and (query.limit is None or query.limit > MOST_FIELD_SET_ROWS):
            text = f"The SOQL FIELDS function must have a LIMIT of at most {MOST_FIELD_SET_ROWS}"
            raise placed("MALFORMED_QUERY", text, self.source, fields.start)
        custom = {"ALL": (False, True), "STANDARD": (False,), "CUSTOM": (True,)}[fields.which]
        visible = self.org.visible_fields(scope.object, self.user_id).values()
        return [Column((), field, (field.name,)) for field in visible if field.custom in custom]

    def _order(self, scope: Scope, order: Order) -> SortKey:
        operand = self.operand(scope, order.term)
        name = order.term if isinstance(order.term, Name) else order.term.argument
        if name is not None and not sortable(scope.column(name).field):
            text = f"field '{operand.label}' can not be sorted in a query call"
            raise placed("INVALID_FIELD", text, self.source, operand.start)
        return sort_key(operand, order)

    # -- operands

    def _plain(self, scope: Scope, column: Column, start: int) -> Operand:
        field = column.field
        filterable = field.filterable and field.type not in UNFILTERABLE
        return Operand(scope.reader(column), kind_of(field), field.name, start, filterable)

    def _function(self, scope: Scope, term: Function, column: Column) -> Operand:
        read, field = scope.reader(column), column.field
        if term.name == "TOLABEL":
            return Operand(lambda row: choice_label(field, read(row)), "text", field.name, term.start, field.filterable)
        if kind_of(field) not in ("date", "datetime") or (
            term.name in ("DAY_ONLY", "HOUR_IN_DAY") and kind_of(field) == "date"
        ):
            text = f"field {field.name} does not support {term.name}"
            raise placed("MALFORMED_QUERY", text, self.source, term.start)
        kind = "date" if term.name == "DAY_ONLY" else "number"
        return Operand(date_part(term.name, read), kind, term.text, term.start)


def sortable(field: FieldDef) -> bool:
    """Long text, compounds and multi-select picklists cannot stand in ORDER BY."""
    return not field.long_text and field.type not in UNSORTABLE


def zone_of(org: Org, user_id: str) -> tzinfo:
    """The user's time zone, which decides when a day begins; UTC when none is known."""
    row = org.rows["User"].get(user_id) if "User" in org.rows else None
    name = None if row is None else row.values.get("TimeZoneSidKey")
    try:
        return ZoneInfo(str(name)) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _aggregates(term: object) -> bool:
    return isinstance(term, Function) and term.name in AGGREGATES
