from django.db import migrations, models

from integrations.live_operations import AddIndex


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("sync", "0016_reconciliation_rate"),
    ]

    operations = [
        AddIndex(
            "change",
            models.Index(condition=models.Q(("state", "queued")), fields=["flow", "id"], name="change_deliverable"),
        ),
    ]
