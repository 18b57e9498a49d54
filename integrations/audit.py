"""Who changed which setting, from what to what: a row of history for each change of configuration.

`ConfigHistory` keeps a copy of a row when somebody changes one of its settings; `AuditedQuerySet` does the same for
changes of many rows at once, which Django tells nobody about. The invariants: what the engine writes (cursors, tokens,
schemas, times) costs no query and leaves no row; no secret is ever copied; a save that changes nothing leaves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import models, transaction
from django.db.models import Max
from simple_history.models import HistoricalRecords

Row = TypeVar("Row", bound=models.Model)

_actor: ContextVar[tuple[Any, str] | None] = ContextVar("actor", default=None)

REASON = 100
"""As long as the library's column for the reason."""


@contextmanager
def acting(user: Any, reason: str = "") -> Iterator[None]:
    """Changes inside are this person's, where no signed-in session says so (a card); with words on where from."""
    token = _actor.set((user, reason[:REASON]))
    try:
        yield
    finally:
        _actor.reset(token)


class ConfigHistory(HistoricalRecords):  # type: ignore[misc]
    """History of a model's settings.

    `secret` and `engine` columns are not copied; `quiet` ones are copied along, but their change alone is no event.
    """

    def __init__(
        self, *, engine: Collection[str] = (), secret: Collection[str] = (), quiet: Collection[str] = (), **kwargs: Any
    ) -> None:
        self.quiet = frozenset(quiet)
        self._names: dict[Any, frozenset[str]] = {}
        super().__init__(excluded_fields=[*engine, *secret], **kwargs)

    def contribute_to_class(self, cls: Any, name: str) -> None:
        """Also leaves itself where `settings_of` finds it."""
        super().contribute_to_class(cls, name)
        cls._config_history = self

    def settings_of(self, model: Any) -> list[models.Field[Any, Any]]:
        """The columns whose change is an event."""
        return [field for field in self.fields_included(model) if field.name not in self.quiet]

    def touched(self, model: Any, names: Collection[str]) -> bool:
        """Whether one of the columns that are written is a setting."""
        if model not in self._names:
            fields = self.settings_of(model)
            self._names[model] = frozenset(name for field in fields for name in (field.name, field.attname))
        return not self._names[model].isdisjoint(names)

    def post_save(self, instance: Any, created: bool, using: Any = None, **kwargs: Any) -> None:
        """Writes a row when a setting changed."""
        given = kwargs.get("update_fields")
        if not created and given is not None and not self.touched(type(instance), given):
            return
        if not created and not self._changed(instance):
            return
        super().post_save(instance, created, using=using, **kwargs)

    def _changed(self, instance: Any) -> bool:
        fields = self.settings_of(type(instance))
        history = getattr(type(instance), self.manager_name).model._default_manager
        names = [field.attname for field in fields]
        last = history.filter(**{instance._meta.pk.attname: instance.pk}).order_by("-history_id").values(*names).first()
        return last is None or any(
            field.to_python(getattr(instance, field.attname)) != last[field.attname] for field in fields
        )

    def get_history_user(self, instance: Any) -> Any:
        """The person of `acting`, else of the request."""
        actor = _actor.get()
        if actor is not None:
            return actor[0]
        return super().get_history_user(instance)

    def get_change_reason_for_object(self, instance: Any, history_type: str, using: Any) -> Any:
        """The words of `acting`, else what the row carries."""
        actor = _actor.get()
        if actor is not None and actor[1]:
            return actor[1]
        return super().get_change_reason_for_object(instance, history_type, using)


def record(model: Any, pks: Collection[Any], kind: str = "~") -> None:
    """A row of history for each of these rows whose settings differ from what its history says last."""
    history: ConfigHistory = model._config_history
    manager = getattr(model, history.manager_name).model._default_manager
    key = model._meta.pk.attname
    newest = manager.filter(**{f"{key}__in": pks}).order_by().values(key).annotate(at=Max("history_id")).values("at")
    known = {getattr(row, key): row for row in manager.filter(history_id__in=newest)}
    fields = history.settings_of(model)
    for row in model._base_manager.filter(pk__in=pks):
        last = known.get(row.pk)
        if last is None or any(getattr(row, f.attname) != getattr(last, f.attname) for f in fields):
            history.create_historical_record(row, kind if last is None else "~")


class AuditedQuerySet(models.QuerySet[Row]):
    """Rows whose settings have a history, also when many are changed, or made, at once."""

    def update(self, **kwargs: Any) -> int:
        """As Django's; a change of settings is recorded in the same transaction."""
        history: ConfigHistory = self.model._config_history  # type: ignore[attr-defined]
        if not history.touched(self.model, kwargs):
            return super().update(**kwargs)
        with transaction.atomic(using=self.db):
            pks = list(self.order_by().values_list("pk", flat=True))
            changed = super().update(**kwargs)
            record(self.model, pks)
        return changed

    update.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(self, objs: Iterable[Row], *args: Any, **kwargs: Any) -> list[Row]:
        """As Django's; each new row is recorded."""
        with transaction.atomic(using=self.db):
            made = super().bulk_create(objs, *args, **kwargs)
            record(self.model, [row.pk for row in made if row.pk is not None], "+")
        return made

    bulk_create.alters_data = True  # type: ignore[attr-defined]
