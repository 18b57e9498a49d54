"""A few columns by hand-written SQL: the values are the ORM's, what was left out can still be touched."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from integrations.columns import Columns, fetch, key_of
from integrations.models import ConnectedAccount
from tests.factories import make_account

COLUMNS = Columns(ConnectedAccount, "a", ("status_at", "name", "granted_scopes", "paused_until"))
SQL = f"SELECT {COLUMNS.select} FROM {COLUMNS.table} WHERE a.id = %s AND a.system = %s"


def read(account: ConnectedAccount) -> ConnectedAccount | None:
    rows = fetch(SQL, [key_of(account), "hubspot"])
    return COLUMNS.read(rows[0]) if rows else None


@pytest.mark.django_db(transaction=True)
def test_values_are_those_of_the_orm_and_the_rest_is_deferred() -> None:
    account = make_account(system="hubspot", granted_scopes=["a", "b"])
    for _again in range(8):  # PostgreSQL changes its plan after the fifth time
        found = read(account)
        assert found == account
        assert (found.name, found.granted_scopes, found.paused_until) == (account.name, ["a", "b"], None)
        assert found.status_at == account.status_at and found.status_at.tzinfo is not None
    assert found is not None and found.get_deferred_fields() >= {"remote_id", "access_token"}
    assert found.remote_id == account.remote_id


@pytest.mark.django_db(transaction=True)
def test_a_statement_that_cannot_be_prepared_is_answered_all_the_same() -> None:
    account = make_account(system="hubspot")
    assert read(account) == account
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("DEALLOCATE ALL")  # as behind a pooler that gives us another connection
    assert read(account) == account


@pytest.mark.django_db
def test_one_statement_is_one_query_inside_a_transaction_too() -> None:
    account = make_account(system="hubspot")
    with CaptureQueriesContext(connection) as captured:
        assert read(account) == account
    assert len(captured) == 1
    assert COLUMNS.read([None] * len(COLUMNS)) is None


def test_a_column_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        Columns(ConnectedAccount, "a", ("name", "colour"))
