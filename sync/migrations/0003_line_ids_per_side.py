"""What a link remembers of lines and associations gets a place per side: both directions now write through one link.

Batch by batch, each committed by itself: no row is locked for longer than its batch takes, and what was done before an
interruption is not done again.
"""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import F, Func, JSONField, Max, Value
from django.db.models.functions import Coalesce, JSONObject

BATCH = 10_000
KEYS = ["print", "ids", "links"]


def _in_batches(apps: Any, schema_editor: Any, **condition: Any) -> Any:
    links = apps.get_model("sync", "EntityLink").objects.using(schema_editor.connection.alias)
    last = links.aggregate(last=Max("pk"))["last"] or 0
    for start in range(0, last, BATCH):
        yield links.filter(pk__gt=start, pk__lte=start + BATCH, **condition)


def forwards(apps: Any, schema_editor: Any) -> None:
    """Until now only flows into the CRM remembered anything here."""
    known: Any = F("line_ids")
    if schema_editor.connection.vendor == "sqlite":  # to which it is a text until told otherwise
        known = Func(known, function="JSON")
    for links in _in_batches(apps, schema_editor, line_ids__has_any_keys=KEYS):
        links.update(line_ids=JSONObject(crm=known))


def backwards(apps: Any, schema_editor: Any) -> None:
    """What flows into the ledger remembered has no place in the version before."""
    nothing = Value({}, output_field=JSONField())
    for links in _in_batches(apps, schema_editor, line_ids__has_any_keys=["crm", "ledger"]):
        links.update(line_ids=Coalesce(F("line_ids__crm"), nothing))


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("sync", "0002_creating_in_the_ledger")]
    operations = [migrations.RunPython(forwards, backwards, elidable=True)]
