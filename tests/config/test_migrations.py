"""Migrations are small, go both ways with rows in the tables, and keep nobody waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections
from django.db.migrations import operations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.utils import timezone

from integrations import live_operations as live

OURS = ("integrations", "mappings", "sync")
FIRST = [(app, "0001_initial") for app in OURS]
LARGE = {
    ("integrations", "inboundevent"),
    ("sync", "change"),
    ("sync", "entitylink"),
    ("sync", "searchkey"),
    ("sync", "synclogentry"),
    ("sync", "syncrun"),
}
"""What grows with the records, and is read and written all day."""

LOCKING = (
    operations.AddConstraint,
    operations.AddIndex,
    operations.AlterIndexTogether,
    operations.AlterUniqueTogether,
    operations.RemoveIndex,
)
BESIDE = (live.AddCheck, live.AddIndex, live.RemoveIndex)
AGAIN = (live.AddIndex, live.IndexForeignKey, live.RemoveIndex, live.ValidateCheck, operations.RunPython)
"""What may be run a second time after an interruption: all that a migration without a transaction may consist of."""


def migrations() -> Iterator[Migration]:
    """Ours, oldest first within their room."""
    found = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    yield from (migration for (app, _name), migration in sorted(found.items()) if app in OURS)


def created(migration: Migration) -> set[tuple[str, str]]:
    """The tables that this migration makes: nobody uses them yet."""
    return {
        (migration.app_label, operation.name_lower)
        for operation in migration.operations
        if isinstance(operation, operations.CreateModel)
    }


def waits(operation: Operation) -> bool:
    """Whether PostgreSQL would keep everybody off the table while it looks at each of its rows."""
    if isinstance(operation, operations.AddField):
        column: Any = operation.field
        indexed = column.db_index or column.unique  # a foreign key has an index unless it is told not to
        return bool(indexed) or (not column.null and not (column.has_default() or column.empty_strings_allowed))
    return isinstance(operation, LOCKING) and not isinstance(operation, BESIDE)


def test_nobody_waits_while_a_large_table_gets_an_index_or_a_check() -> None:
    for migration in migrations():
        for operation in migration.operations:
            table = (migration.app_label, str(getattr(operation, "model_name", "")).lower())
            if table in LARGE - created(migration):
                assert not waits(operation), f"{migration}: {operation.describe()}: see integrations/live_operations.py"


def test_every_check_of_a_large_table_is_proven_for_the_rows_that_were_there() -> None:
    checks = {
        (migration.app_label, operation.model_name_lower, operation.constraint.name)
        for migration in migrations()
        for operation in migration.operations
        if isinstance(operation, live.AddCheck)
    }
    proven = {
        (migration.app_label, operation.model_name.lower(), operation.name)
        for migration in migrations()
        for operation in migration.operations
        if isinstance(operation, live.ValidateCheck)
    }
    assert checks and checks == proven


def test_every_migration_goes_back_and_one_without_a_transaction_may_be_run_again() -> None:
    for migration in migrations():
        for operation in migration.operations:
            assert operation.reversible, f"{migration}: {operation.describe()}"
            assert migration.atomic or isinstance(operation, AGAIN), f"{migration}: {operation.describe()}"
            assert not (isinstance(operation, live.AddIndex) and migration.atomic), migration


@pytest.fixture
def elsewhere(django_db_blocker: Any) -> Iterator[Any]:
    """A database of its own beside that of the tests: one that stops half-way hurts no other test."""
    alias, name = "elsewhere", ":memory:"
    with django_db_blocker.unblock():
        if connection.vendor == "postgresql":
            name = f"{connection.creation._get_test_db_name()}_moved"
            with connection._nodb_cursor() as cursor:
                cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
                cursor.execute(f'CREATE DATABASE "{name}"')
        connections.databases[alias] = connections["default"].settings_dict | {"NAME": name}
        try:
            yield connections[alias]
        finally:
            connections[alias].close()
            del connections[alias], connections.databases[alias]
            if connection.vendor == "postgresql":
                with connection._nodb_cursor() as cursor:
                    cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def go(database: Any, targets: list[tuple[str, str]]) -> Any:
    """Migrate there and give the models as they were then, bound to that database by `using`."""
    executor = MigrationExecutor(database)
    executor.migrate(targets)
    return MigrationExecutor(database).loader.project_state(targets).apps


def as_released(apps: Any, using: str) -> None:
    """Rows as the version before left them."""

    def make(app: str, model: str, **fields: Any) -> Any:
        return apps.get_model(app, model).objects.using(using).create(**fields)

    user = make("auth", "User", username="anna")
    organization = make("integrations", "Organization", name="Berg")
    make("integrations", "Membership", organization=organization, user=user, role="owner")
    crm = make("integrations", "ConnectedAccount", organization=organization, system="hubspot", name="CRM")
    ledger = make("integrations", "ConnectedAccount", organization=organization, system="fortnox", name="Ledger")
    integration = make(
        "integrations", "Integration", organization=organization, name="Berg", crm_account=crm, ledger_account=ledger
    )
    make("integrations", "InboundEvent", account=crm, dedupe_key="1", object="company", record_id="7", kind="changed")
    mapping = make(
        "mappings", "MappingSet", integration=integration, slug="customers", version=1, state="draft",
        source_side="ledger", source_object="customer", target_side="crm", target_object="company",
    )  # fmt: skip
    make("mappings", "ValidationRule", mapping_set=mapping, expression="name", outcome="block")
    flow = make(
        "sync", "Flow", integration=integration, slug="customers", name="Customers", source_side="ledger",
        source_object="customer", target_side="crm", target_object="company",
    )  # fmt: skip
    run = make("sync", "SyncRun", integration=integration, flow=flow, state="done", trigger="schedule")
    change = make(
        "sync", "Change", integration=integration, flow=flow, run=run, source_id="1", action="create", state="applied"
    )
    make("sync", "SyncLogEntry", integration=integration, run=run, change=change, event="sending→applied")
    for number, remembered in enumerate(({}, {"print": "p", "ids": {"1": "11"}, "links": {"company": ["3"]}})):
        make(
            "sync", "EntityLink", integration=integration, crm_object="company", crm_id=str(number),
            ledger_object="customer", ledger_id=str(number), line_ids=remembered,
        )  # fmt: skip


def as_it_became(apps: Any, using: str) -> None:
    """What only the new version knows, in rows that the old one must live with afterwards."""

    def rows(app: str, model: str) -> Any:
        return apps.get_model(app, model).objects.using(using)

    assert rows("sync", "EntityLink").get(crm_id="1").line_ids["crm"]["ids"] == {"1": "11"}
    assert rows("sync", "EntityLink").get(crm_id="0").line_ids == {}
    rows("integrations", "Membership").update(role="accountant")
    rows("mappings", "ValidationRule").create(
        mapping_set=rows("mappings", "MappingSet").get(), expression="x", outcome="note"
    )
    rows("sync", "Flow").update(takes="known")
    made = rows("sync", "Change").get()
    for source, state in (("2", "queued"), ("3", "applied")):
        rows("sync", "Change").create(
            integration_id=made.integration_id, flow_id=made.flow_id, source_id=source, action="act", state=state,
            due_at=timezone.now(),
        )  # fmt: skip


def check_what_is_left(apps: Any, using: str) -> None:
    """The old version finds its rows, and none that it would misunderstand."""

    def rows(app: str, model: str) -> Any:
        return apps.get_model(app, model).objects.using(using)

    kept = rows("sync", "EntityLink").get(crm_id="1").line_ids
    assert kept == {"print": "p", "ids": {"1": "11"}, "links": {"company": ["3"]}}
    assert rows("integrations", "Membership").get().role == "viewer"
    assert rows("mappings", "ValidationRule").get().outcome == "block"
    changes = {change.source_id: (change.action, change.state) for change in rows("sync", "Change").all()}
    assert changes == {"1": ("create", "applied"), "2": ("skip", "superseded"), "3": ("skip", "applied")}
    for app, model in (("sync", "SyncLogEntry"), ("sync", "SyncRun"), ("integrations", "InboundEvent")):
        assert rows(app, model).count() == 1


def there(database: Any) -> list[tuple[str, str]]:
    """How far: through all that moves rows; to the end when asked for (MIGRATE_ALL, a minute's work)."""
    if "MIGRATE_ALL" in os.environ:
        leaves = MigrationLoader(database).graph.leaf_nodes()
        return [leaf for leaf in leaves if leaf[0] in OURS]
    return [("integrations", "0007_roles"), ("mappings", "0002_checks_and_lookups"), ("sync", "0004_two_way")]


@pytest.mark.database
def test_rows_of_the_version_before_go_there_and_back(elsewhere: Any) -> None:
    using = elsewhere.alias
    as_released(go(elsewhere, FIRST), using)
    as_it_became(go(elsewhere, there(elsewhere)), using)
    check_what_is_left(go(elsewhere, FIRST), using)
