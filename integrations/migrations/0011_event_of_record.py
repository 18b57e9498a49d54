"""The events of one record, for the pages of another room: the inbox is large and always in use."""

from __future__ import annotations

from django.db import migrations, models

from integrations.live_operations import AddIndex


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("integrations", "0010_former_secrets")]

    operations = [AddIndex("inboundevent", models.Index(fields=["account", "record_id"], name="event_of_record"))]
