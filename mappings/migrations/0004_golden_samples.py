"""Golden samples, and the records that are planned again after a version was published."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
import simple_history.models
from django.conf import settings
from django.db import migrations, models

import integrations.fields


class Migration(migrations.Migration):
    dependencies = [
        ("mappings", "0003_routing_rules"),
        ("integrations", "0006_attempt_app"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="HistoricalGoldenSample",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                (
                    "slug",
                    models.SlugField(
                        help_text="Key of the mapping that must satisfy it.", max_length=60, verbose_name="mapping"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="What this record is an example of, such as “credit note in EUR”.",
                        max_length=120,
                        verbose_name="name",
                    ),
                ),
                (
                    "note",
                    models.CharField(
                        blank=True, help_text="Why it must stay as it is.", max_length=300, verbose_name="note"
                    ),
                ),
                ("expected", models.JSONField(default=dict, verbose_name="expected")),
                (
                    "redacted",
                    models.BooleanField(
                        default=False,
                        help_text="Names, addresses and numbers were replaced.",
                        verbose_name="personal data removed",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="pinned")),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="changed")),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.CharField(max_length=100, null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="pinned by",
                    ),
                ),
                (
                    "history_user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "integration",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="integrations.integration",
                        verbose_name="integration",
                    ),
                ),
                (
                    "updated_by",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="changed by",
                    ),
                ),
            ],
            options={
                "verbose_name": "historical golden sample",
                "verbose_name_plural": "historical golden samples",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="GoldenSample",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "slug",
                    models.SlugField(
                        help_text="Key of the mapping that must satisfy it.", max_length=60, verbose_name="mapping"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="What this record is an example of, such as “credit note in EUR”.",
                        max_length=120,
                        verbose_name="name",
                    ),
                ),
                (
                    "note",
                    models.CharField(
                        blank=True, help_text="Why it must stay as it is.", max_length=300, verbose_name="note"
                    ),
                ),
                ("data", integrations.fields.EncryptedTextField(blank=True, editable=False, verbose_name="record")),
                ("expected", models.JSONField(default=dict, verbose_name="expected")),
                (
                    "redacted",
                    models.BooleanField(
                        default=False,
                        help_text="Names, addresses and numbers were replaced.",
                        verbose_name="personal data removed",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="pinned")),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="changed")),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="pinned by",
                    ),
                ),
                (
                    "integration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="golden_samples",
                        to="integrations.integration",
                        verbose_name="integration",
                    ),
                ),
                (
                    "updated_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="changed by",
                    ),
                ),
            ],
            options={
                "verbose_name": "golden sample",
                "verbose_name_plural": "golden samples",
                "ordering": ["name", "pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("integration", "slug", "name"), name="golden_sample_name_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("name", ""), _negated=True), models.Q(("slug", ""), _negated=True)
                        ),
                        name="golden_sample_named",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Resync",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("source_ids", models.JSONField(default=list, verbose_name="records")),
                ("total", models.PositiveIntegerField(default=0, verbose_name="number of records")),
                ("until", models.PositiveIntegerField(default=0, verbose_name="may be planned")),
                ("planned", models.PositiveIntegerField(default=0, verbose_name="planned")),
                (
                    "runs",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Numbers of the runs that hold the plans.",
                        verbose_name="runs",
                    ),
                ),
                ("error", models.TextField(blank=True, verbose_name="error")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="asked for")),
                ("stopped_at", models.DateTimeField(blank=True, null=True, verbose_name="stopped")),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="asked for by",
                    ),
                ),
                (
                    "mapping_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="resyncs",
                        to="mappings.mappingset",
                        verbose_name="mapping version",
                    ),
                ),
            ],
            options={
                "verbose_name": "re-sync",
                "verbose_name_plural": "re-syncs",
                "ordering": ["-pk"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("planned__lt", models.F("until")), ("stopped_at", None)),
                        fields=["mapping_set"],
                        name="resync_due",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("planned__lte", models.F("until")), ("until__lte", models.F("total"))),
                        name="resync_in_bounds",
                    )
                ],
            },
        ),
    ]
