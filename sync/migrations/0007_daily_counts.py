"""Daily counters, of which the home page is made."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


OUTCOMES = [
    ("created", "Created"),
    ("updated", "Updated"),
    ("linked", "Linked"),
    ("carried", "Carried out"),
    ("review", "Needed a person"),
    ("retried", "Was tried again"),
    ("run", "Run failed"),
    ("calls", "Calls"),
]


class Migration(migrations.Migration):
    dependencies = [("sync", "0006_telling_the_source")]

    operations = [
        migrations.CreateModel(
            name="DailyCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(verbose_name="day")),
                ("outcome", models.CharField(choices=OUTCOMES, max_length=10, verbose_name="outcome")),
                ("n", models.PositiveIntegerField(verbose_name="number")),
                (
                    "flow",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="sync.flow",
                        verbose_name="flow",
                    ),
                ),
                (
                    "integration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="integrations.integration",
                        verbose_name="integration",
                    ),
                ),
            ],
            options={
                "verbose_name": "daily count",
                "verbose_name_plural": "daily counts",
                "default_permissions": (),
                "indexes": [models.Index(fields=["integration", "day"], name="daily_count_by_day")],
                "constraints": [
                    models.UniqueConstraint(fields=("flow", "day", "outcome"), name="daily_count_once"),
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", [value for value, _label in OUTCOMES])),
                        name="daily_count_outcome_known",
                    ),
                    models.CheckConstraint(condition=models.Q(("n__gte", 1)), name="daily_count_something"),
                ],
            },
        ),
    ]  # fmt: skip
