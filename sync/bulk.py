"""Many rows, each with values of its own, in one round trip.

Django's `bulk_update` builds one CASE expression per row and column, which costs more than the database does (measured:
a third of the CPU time of a first import). This sends one prepared UPDATE for all rows instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, models


def update_rows(rows: Sequence[models.Model], fields: Sequence[str]) -> None:
    """Save `fields` of saved `rows` of one model, by primary key. Signals and `auto_now` are not involved."""
    if not rows:
        return
    meta = rows[0]._meta
    columns = [field for field in meta.concrete_fields if field.name in fields]
    quote = connection.ops.quote_name
    assignments = ", ".join(f"{quote(str(column.column))} = %s" for column in columns)
    key = quote(str(meta.pk.column))
    statement = f"UPDATE {quote(meta.db_table)} SET {assignments} WHERE {key} = %s"  # noqa: S608  (our own names)
    values = [
        [*(column.get_db_prep_save(getattr(row, column.attname), connection) for column in columns), row.pk]
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)
