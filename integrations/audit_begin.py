"""How a history begins for rows that are older than it: with a copy of each as it is. For migrations only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

BATCH = 500


def begin_history(apps: Any, schema_editor: Any, app: str, names: Iterable[str]) -> None:
    """One row of history per row of each model, where there is none yet; columns as the migration knows them."""
    using, now = schema_editor.connection.alias, timezone.now()
    for name in names:
        model, history = apps.get_model(app, name), apps.get_model(app, f"Historical{name}")
        columns = [field.attname for field in history._meta.fields if not field.name.startswith("history_")]
        known = history.objects.using(using).values(model._meta.pk.attname)
        rows = model.objects.using(using).exclude(pk__in=known).values(*columns)
        history.objects.using(using).bulk_create(
            (
                history(history_date=now, history_type="+", history_change_reason="history begins", **row)
                for row in rows.iterator(chunk_size=BATCH)
            ),
            batch_size=BATCH,
        )
