"""Reading a few columns by hand-written SQL, for answers that are timed: building a query costs Django more than the
database needs to answer it.

What comes back are instances of the model; its other columns are deferred, so that touching one still works. The
invariant: values are converted by the model's own fields, so that they equal what the ORM would have given.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from django.db import DatabaseError, connection
from django.db.models import Model

ModelT = TypeVar("ModelT", bound=Model)
_Converter = Callable[[Any, Any, Any], Any]


class Columns(Generic[ModelT]):
    """Some columns of a model under an alias, and its primary key: a row without it is no row."""

    def __init__(self, model: type[ModelT], alias: str, names: Sequence[str]) -> None:
        self.model, self.alias = model, alias
        wanted = set(names)
        # In the model's own order, in which Django fills an instance; the key is its first column.
        self._fields = [each for each in model._meta.concrete_fields if each.primary_key or each.attname in wanted]
        self.names = [each.attname for each in self._fields]
        if wanted - set(self.names) or not self._fields[0].primary_key:
            raise TypeError(f"{model} has no such columns, or its key is not the first: {sorted(wanted)}")
        self._converters: dict[str, list[list[tuple[_Converter, Any]]]] = {}

    def __len__(self) -> int:
        return len(self.names)

    @property
    def table(self) -> str:
        """The table with its alias, for FROM and JOIN."""
        return f'"{self.model._meta.db_table}" {self.alias}'

    @property
    def select(self) -> str:
        """The columns, for SELECT."""
        return ", ".join(f'{self.alias}."{field.column}"' for field in self._fields)

    def read(self, row: Sequence[Any]) -> ModelT | None:
        """The instance of these values; None for the empty side of an outer join."""
        if row[0] is None:
            return None
        values = list(row)
        for position, converters in enumerate(self._of_this_database()):
            for convert, expression in converters:
                values[position] = convert(values[position], expression, connection)
        return self.model.from_db(connection.alias, self.names, values)

    def _of_this_database(self) -> list[list[tuple[_Converter, Any]]]:
        known = self._converters.get(connection.vendor)
        if known is None:
            columns = [field.get_col(self.model._meta.db_table) for field in self._fields]
            known = [
                [
                    (convert, column)
                    for convert in (
                        *connection.ops.get_db_converters(column),
                        *column.get_db_converters(connection),
                    )
                ]
                for column in columns
            ]
            self._converters[connection.vendor] = known
        return known


def fetch(sql: str, params: Sequence[Any]) -> list[Sequence[Any]]:
    """The rows of a statement, without transaction of its own."""
    with connection.cursor() as cursor:
        # Inside a transaction a failed attempt would end the caller's work.
        if connection.vendor != "postgresql" or connection.in_atomic_block or not _executed(cursor, sql, params):
            cursor.execute(sql, params)
        return list(cursor.fetchall())


def _executed(cursor: Any, sql: str, params: Sequence[Any]) -> bool:
    """Have PostgreSQL plan the statement once per connection: planning a join of five tables takes it several times as
    long as answering. False when that is not possible, such as behind a pooler that changes connections."""
    name = f"lb_{zlib.crc32(sql.encode()):08x}"
    known = _known.setdefault(connection.connection, set())
    try:
        if name not in known:
            numbers = itertools.count(1)
            cursor.execute(f"PREPARE {name} AS " + re.sub("%s", lambda _match: f"${next(numbers)}", sql))
            known.add(name)
        cursor.execute(f"EXECUTE {name} ({', '.join(['%s'] * len(params))})", params)
    except DatabaseError:
        return False
    return True


_known: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
"""Which statements each connection has prepared; the memory dies with the connection."""


def key_of(instance: Model) -> Any:
    """An instance's primary key as this database stores it."""
    key = instance._meta.pk
    return key.get_db_prep_value(instance.pk, connection) if key is not None else None
