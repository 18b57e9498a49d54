"""Migration operations for tables that are large and in use: nobody waits while PostgreSQL builds an index or looks
through the rows. For migrations only.

An index is built beside the work (`atomic = False` is needed for that); a check holds for new rows at once and is
proven for the old ones by `ValidateCheck` in a later migration. SQLite has one writer anyway: there they are plain.
The invariant: a migration that was interrupted can simply be run again; what is there is left alone, and what an
interrupted build left behind (an index that PostgreSQL calls invalid) is dropped first.
"""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState
from django.db.models import Index, Model

_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


def _on_postgresql(editor: BaseDatabaseSchemaEditor) -> bool:
    return editor.connection.vendor == "postgresql"


def _build(editor: Any, model: type[Model], index: Index) -> None:
    """The index, unless it is there and whole."""
    if editor.collect_sql:  # `sqlmigrate` shows what a database that has nothing yet would be told
        return _add(editor, model, index)
    with editor.connection.cursor() as cursor:
        if index.name in editor.connection.introspection.get_constraints(cursor, model._meta.db_table):
            if not _on_postgresql(editor):
                return
            cursor.execute(_VALID, [editor.quote_name(index.name)])
            if cursor.fetchone() == (True,):
                return
            editor.remove_index(model, index, concurrently=True)
    _add(editor, model, index)


def _add(editor: Any, model: type[Model], index: Index) -> None:
    if _on_postgresql(editor):
        editor.add_index(model, index, concurrently=True)
    else:
        editor.add_index(model, index)


def _remove(editor: Any, model: type[Model], index: Index) -> None:
    """No index of that name; one that is gone already is fine."""
    if _on_postgresql(editor):
        editor.remove_index(model, index, concurrently=True)
        return
    with editor.connection.cursor() as cursor:
        there = index.name in editor.connection.introspection.get_constraints(cursor, model._meta.db_table)
    if there:
        editor.remove_index(model, index)


class AddIndex(AddIndexConcurrently):
    """An index, built without locking its table."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Build it. Raises NotSupportedError inside a transaction."""
        self._ensure_not_in_transaction(schema_editor)
        _build(schema_editor, to_state.apps.get_model(app_label, self.model_name), self.index)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Drop it."""
        self._ensure_not_in_transaction(schema_editor)
        _remove(schema_editor, from_state.apps.get_model(app_label, self.model_name), self.index)


class RemoveIndex(RemoveIndexConcurrently):
    """An index goes, without locking its table."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Drop it. Raises NotSupportedError inside a transaction."""
        self._ensure_not_in_transaction(schema_editor)
        _remove(
            schema_editor, from_state.apps.get_model(app_label, self.model_name), self._index(app_label, from_state)
        )

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Build it again."""
        self._ensure_not_in_transaction(schema_editor)
        model = to_state.apps.get_model(app_label, self.model_name)
        _build(schema_editor, model, self._index(app_label, to_state))

    def _index(self, app_label: str, state: ProjectState) -> Index:
        index: Index = state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
        return index


class IndexForeignKey(migrations.AlterField):
    """The index of a foreign key that was added without one (`db_index=False`), built without locking its table."""

    atomic = False

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Build it under the name that Django gives it."""
        if _on_postgresql(schema_editor):
            model = to_state.apps.get_model(app_label, self.model_name)
            _build(schema_editor, model, self._index(schema_editor, model))
        else:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Drop it."""
        if _on_postgresql(schema_editor):
            model = from_state.apps.get_model(app_label, self.model_name)
            _remove(schema_editor, model, self._index(schema_editor, model))
        else:
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def _index(self, editor: Any, model: type[Model]) -> Index:
        field: Any = model._meta.get_field(self.name)
        return Index(fields=[self.name], name=editor._create_index_name(model._meta.db_table, [field.column]))


class AddCheck(AddConstraintNotValid):
    """A check that holds for every row that is written from now on; `ValidateCheck` proves the rows that are there."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Without looking at a single row on PostgreSQL; SQLite copies the table, and so looks at all."""
        plain = migrations.AddConstraint if not _on_postgresql(schema_editor) else AddConstraintNotValid
        plain.database_forwards(self, app_label, schema_editor, from_state, to_state)


class ValidateCheck(ValidateConstraint):
    """Looks whether the rows that are there obey a check, while others read and write them."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Raises IntegrityError when a row does not obey. Does nothing on SQLite, where `AddCheck` has looked."""
        if _on_postgresql(schema_editor):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
