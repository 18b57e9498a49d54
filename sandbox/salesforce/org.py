"""One org: schema, rows, rights, rules and transactions. Rows change through ``dml`` alone.

Invariant: between two calls no transaction is open; inside one, every change has an entry in the undo log, so that a
failed all-or-none call leaves no trace, and listeners hear of writes only once they are committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from . import errors, ids, switches
from .furniture import furnish
from .object_rights import ObjectRights
from .options import OrgOptions, OrgProfile, Rules
from .plan import Plan, make_plan
from .schema import ChildDef, FieldDef, ObjectDef, of_options
from .standard import standard_objects
from .table import Row, Table, Values
from .visibility import Visibility


class Clock(Protocol):
    """Where the org's time comes from."""

    def time(self) -> float:
        """Epoch seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """One committed write. ``action`` is create, update, delete, undelete or purge; ``old`` and ``new`` are the values
    before and after (empty when there were none); ``request`` is the journal number of the call."""

    object: str
    id: str
    action: str
    old: Values
    new: Values
    user: str | None
    request: int | None


class Org:
    """A customer's org. ``profile`` says who, ``options`` which features are on, ``rules`` what the customer's
    administrators configured."""

    def __init__(self, profile: OrgProfile, clock: Clock, options: OrgOptions | None = None) -> None:
        self.profile = profile
        self.clock = clock
        self.options = options or OrgOptions()
        self.rules = Rules()
        self.ids = ids.IdMaker(profile.instance)
        self.id = self.ids.new("00D")
        self.my_domain = profile.my_domain
        self.locked: dict[str, int] = {}  # id → how many more tries meet UNABLE_TO_LOCK_ROW
        self.sharing: Callable[[str], frozenset[str]] | None = None  # user id → ids (15 characters) kept from them
        self.listeners: list[Callable[[Event], None]] = []
        self.counters: dict[str, int] = {}  # auto-numbers, by "Object.Field"
        self.held: dict[object, object] = {}  # what is no data of the org but ends with it: cursors, jobs (``PerOrg``)
        self.record_type_values: dict[tuple[str, str], frozenset[str]] = {}  # (record type id, field) → its values
        self.default_record_types: dict[str, str] = {}  # object → id, the same for every user
        self.casualties: dict[str, list[str]] = {}  # deleted id → what went with it, for undelete
        self.plans: dict[str, Plan] = {}
        self.schema_moment = 0
        self._schema_told = 0
        self._all_objects: dict[str, ObjectDef] = {}
        self._available: dict[str, ObjectDef] | None = None
        self._prefixes: dict[str, ObjectDef] = {}
        self.tables: dict[str, Table] = {}
        self.rows: dict[str, dict[str, Row]] = {}
        self.visibility = Visibility(self)
        self.object_rights = ObjectRights(self)
        self._undo: list[Callable[[], Any]] = []
        self._events: list[Event] = []
        self._depth = 0
        for definition in standard_objects():
            self._enter_object(definition)
        self.schema_changed()
        furnish(self)
        self.object_rights.settle()

    # --- time ---------------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """The org's time in milliseconds."""
        return int(self.clock.time() * 1000)

    # --- schema -------------------------------------------------------------------------------------------------

    @property
    def objects(self) -> dict[str, ObjectDef]:
        """Objects by lower-case name, without those whose feature is off."""
        if self._available is None:
            self._available = {
                name: entry for name, entry in self._all_objects.items() if of_options(self.options, entry.when)
            }
        return self._available

    def find(self, name: str) -> ObjectDef | None:
        """An object by name without regard to case; None when absent or switched off."""
        return self.objects.get(name.lower())

    def find_for(self, user_id: str | None, name: str) -> ObjectDef | None:
        """As ``find``; None also for an object that the user may not read."""
        found = self.find(name)
        return found if found is not None and self.object_rights.may(found, user_id, "read") else None

    def object(self, name: str, user_id: str | None = None) -> ObjectDef:
        """As ``find_for``; 404 NOT_FOUND when there is none (SOQL has its own refusal)."""
        found = self.find_for(user_id, name)
        if found is None:
            raise errors.not_found()
        return found

    def prefix_of(self, object_name: str) -> str:
        """The key prefix of an object by its canonical name, also while its feature is off."""
        return self._all_objects[object_name.lower()].prefix

    def object_of(self, record_id: str) -> ObjectDef | None:
        """The object whose key prefix an id has."""
        found = self._prefixes.get(record_id[:3])
        return found if found is not None and found.name.lower() in self.objects else None

    def visible_fields(self, definition: ObjectDef, user_id: str | None) -> dict[str, FieldDef]:
        """The fields a user may read, by lower-case name; ``None`` stands for the org itself, which sees all."""
        return self.visibility.readable(definition, user_id)

    def plan(self, definition: ObjectDef) -> Plan:
        """What a write must look at in this object, worked out once per schema."""
        found = self.plans.get(definition.name)
        if found is None:
            found = self.plans[definition.name] = make_plan(definition, self.options)
        return found

    def add_object(self, definition: ObjectDef) -> ObjectDef:
        """A new custom object; its key prefix is given when it has none."""
        if not definition.prefix:
            definition.prefix = self._free_prefix()
        self._enter_object(definition)
        self.schema_changed()
        self.object_rights.settle()
        return definition

    def add_field(self, object_name: str, field: FieldDef, *, granted: bool = False) -> None:
        """A new custom field. Nobody sees it until a permission set grants it, unless ``granted``: then everybody does,
        as with the fields the customer has used for years."""
        definition = self.object(object_name)
        definition.fields[field.name.lower()] = field
        self.tables[definition.name].watch(field)
        self._fill(definition, field)
        if granted:
            self.visibility.granted.add(f"{definition.name}.{field.name}".lower())
        self.schema_changed()

    def remove_field(self, object_name: str, field_name: str) -> None:
        """Delete a custom field with everything stored in it."""
        definition = self.object(object_name)
        field = definition.fields.pop(field_name.lower())
        self.tables[definition.name].ignore(field)
        for row in self.rows[definition.name].values():
            row.values.pop(field.name, None)
        self.visibility.granted.discard(f"{definition.name}.{field.name}".lower())
        self.schema_changed()

    def schema_changed(self) -> None:
        """After any change of objects, fields, options or rights: derived tables are made anew."""
        self._schema_moved()
        self._available = None
        self.plans.clear()
        self.visibility.forget()
        self.object_rights.forget()
        for definition in self._all_objects.values():
            definition.children = []
        for definition in self.objects.values():
            for field in definition.fields.values():
                if field.type == "reference" and of_options(self.options, field.when):
                    self._enter_child(definition, field)

    def _schema_moved(self) -> None:
        """A describe is dated to the second: one that was told before must look older than any later change."""
        self.schema_moment = max(self.now_ms(), self._schema_told + 1000)

    def schema_date(self) -> int:
        """When the schema last changed, in milliseconds, for telling a caller."""
        self._schema_told = self.schema_moment
        return self.schema_moment

    def rights_changed(self) -> None:
        """After any change of permission sets; a failing transaction takes the effect back too."""
        self._schema_moved()
        for rights in (self.visibility, self.object_rights):
            rights.forget()
            self.undoable(rights.forget)

    def configure(self, **options: Any) -> None:
        """Switch features while the org runs and put the rules' record types and hidden fields into effect;
        ValueError for an unknown option."""
        self.options.change(options)
        self.schema_changed()
        switches.apply(self)

    def _enter_object(self, definition: ObjectDef) -> None:
        self._all_objects[definition.name.lower()] = definition
        self._prefixes[definition.prefix] = definition
        table = self.tables[definition.name] = Table(definition)
        self.rows[definition.name] = table.rows

    def _enter_child(self, definition: ObjectDef, field: FieldDef) -> None:
        for target in field.reference_to:
            parent = self.find(target)
            if parent is not None:
                parent.children.append(
                    ChildDef(
                        definition.name,
                        field.name,
                        field.child_name,
                        cascade=field.on_delete == "Cascade",
                        restricted=field.on_delete == "Restrict",
                    )
                )

    def _fill(self, definition: ObjectDef, field: FieldDef) -> None:
        """A new checkbox is false on rows that were there before; everything else is empty."""
        if field.type == "boolean":
            for row in self.rows[definition.name].values():
                row.values.setdefault(field.name, bool(field.default))

    def _free_prefix(self) -> str:
        number = sum(1 for entry in self._all_objects.values() if entry.custom)
        return f"a{ids.base62(11 + number, 2)}"

    # --- rows ---------------------------------------------------------------------------------------------------

    def table(self, object_name: str) -> Table:
        """The table of an object by its canonical name."""
        return self.tables[object_name]

    def index(self, object_name: str, field_name: str) -> dict[str, list[str]]:
        """Ids of live rows by the key (``Table.key``) of an external id or unique field."""
        return self.tables[object_name].keyed[field_name]

    def row(self, record_id: str | None) -> Row | None:
        """A live row by eighteen-character id, whatever its object."""
        row = self.any_row(record_id)
        return None if row is None or row.deleted else row

    def any_row(self, record_id: str | None) -> Row | None:
        """A row by id, be it in the recycle bin."""
        if not record_id:
            return None
        definition = self._prefixes.get(record_id[:3])
        return None if definition is None else self.rows[definition.name].get(record_id)

    def hidden_from(self, user_id: str | None) -> frozenset[str]:
        """The records that sharing keeps from a user, as fifteen-character ids."""
        return frozenset() if self.sharing is None or user_id is None else self.sharing(user_id)

    # --- transactions -------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside or none: an exception takes them back. May be nested; listeners hear of the writes when
        the outermost one ends well."""
        undo_mark, event_mark = len(self._undo), len(self._events)
        self._depth += 1
        try:
            yield
        except BaseException:
            while len(self._undo) > undo_mark:
                self._undo.pop()()
            del self._events[event_mark:]
            raise
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._undo.clear()
                self._publish()

    def undoable(self, undo: Callable[[], Any]) -> None:
        """Remember how to take back a change that has just been made."""
        if self._depth:
            self._undo.append(undo)

    def tell(self, event: Event) -> None:
        """Note a write; it is published when the transaction commits."""
        self._events.append(event)
        if not self._depth:
            self._publish()

    def _publish(self) -> None:
        events, self._events = self._events, []
        for event in events:
            for listener in self.listeners:
                listener(event)


__all__ = ["Event", "Org", "OrgOptions", "OrgProfile", "Row", "Rules", "Table"]
