"""Emptying the database after a test that commits, without touching what is empty already.

Django flushes every table and then creates all content types and permissions anew: with a hundred tables that takes
longer than most tests, on PostgreSQL seconds. Here one query asks which tables hold rows, and those are emptied in one
transaction (our foreign keys are checked at its end); content types and permissions stay, nobody changes them.
"""

from __future__ import annotations

from functools import cache

from django.db import connections, transaction
from django.test import TransactionTestCase

KEPT = {"django_migrations", "django_content_type", "auth_permission"}


@cache
def _question(alias: str) -> str:
    connection = connections[alias]
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})"
        for table in sorted(set(tables) - KEPT)
    )


def empty(alias: str) -> None:
    """Leave no row behind, in as few statements as there are tables with rows."""
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(_question(alias))
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {connections[alias].ops.quote_name(table)}")


def _fixture_teardown(self: TransactionTestCase) -> None:
    for alias in self._databases_names(include_mirrors=False):  # type: ignore[attr-defined]
        empty(alias)


def use_it() -> None:
    """Every test that commits is followed by this instead of Django's flush."""
    TransactionTestCase._fixture_teardown = _fixture_teardown  # type: ignore[attr-defined,method-assign]
