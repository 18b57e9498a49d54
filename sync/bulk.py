"""Many rows in one prepared statement, where Django's bulk methods cost more than the database does.

Django compiles every value of `bulk_create` and `bulk_update` into SQL of its own, which is two thirds of the CPU time
of a first import (measured with cProfile). Here the statement is prepared once and the rows are only data. Signals,
`auto_now` and primary keys of the instances are not involved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


def _prepared(field: models.Field[Any, Any], row: models.Model) -> Any:
    return field.get_db_prep_save(getattr(row, str(field.attname)), connection)


def insert_rows(rows: Iterable[models.Model]) -> None:
    """Insert unsaved `rows` of one model; their primary keys stay unset. `IntegrityError` as usual."""
    batch = list(rows)
    if not batch:
        return
    meta = batch[0]._meta
    fields = [field for field in meta.concrete_fields if field is not meta.auto_field]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    statement = f"INSERT INTO {quote(meta.db_table)} ({columns}) VALUES ({places})"  # noqa: S608  (our own names)
    with connection.cursor() as cursor:
        cursor.executemany(statement, [[_prepared(field, row) for field in fields] for row in batch])


def update_rows(rows: Sequence[models.Model], names: Sequence[str]) -> None:
    """Save the fields `names` of saved `rows` of one model, by primary key."""
    if not rows:
        return
    meta = rows[0]._meta
    fields = [field for field in meta.concrete_fields if field.name in names]
    quote = connection.ops.quote_name
    assignments = ", ".join(f"{quote(str(field.column))} = %s" for field in fields)
    key = quote(str(meta.pk.column))
    statement = f"UPDATE {quote(meta.db_table)} SET {assignments} WHERE {key} = %s"  # noqa: S608  (our own names)
    with connection.cursor() as cursor:
        cursor.executemany(statement, [[*(_prepared(field, row) for field in fields), row.pk] for row in rows])
