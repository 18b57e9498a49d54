"""What makes records findable, and which fields went back and forth (counters, pauses)."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sync", "0009_reconciliation"),
        ("integrations", "0007_roles"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="FieldCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("field", models.CharField(max_length=100, verbose_name="target field")),
                ("day", models.DateField(verbose_name="day")),
                ("writes", models.PositiveIntegerField(default=0, verbose_name="writes")),
                ("blanks", models.PositiveIntegerField(default=0, verbose_name="blanks refused")),
                ("conflicts", models.PositiveIntegerField(default=0, verbose_name="conflicts")),
            ],
            options={
                "verbose_name": "field count",
                "verbose_name_plural": "field counts",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="FieldPause",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("field", models.CharField(max_length=100, verbose_name="target field")),
                ("since", models.DateTimeField(default=django.utils.timezone.now, verbose_name="since")),
                ("reason", models.JSONField(default=dict, help_text="Per language.", verbose_name="reason")),
                (
                    "fight",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="The rules on both sides, and the values in turn.",
                        verbose_name="what fights",
                    ),
                ),
                ("resumed_at", models.DateTimeField(blank=True, null=True, verbose_name="resumed")),
            ],
            options={
                "verbose_name": "paused field",
                "verbose_name_plural": "paused fields",
                "ordering": ["-pk"],
                "permissions": [("resume_fieldpause", "Can resume fields that were paused")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="SearchKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "side",
                    models.CharField(
                        choices=[("crm", "CRM"), ("ledger", "Fortnox")], max_length=10, verbose_name="side"
                    ),
                ),
                ("object", models.CharField(max_length=50, verbose_name="object")),
                ("record_id", models.CharField(max_length=100, verbose_name="record id")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("name", "name"),
                            ("org", "organisation number"),
                            ("email", "e-mail"),
                            ("number", "number"),
                        ],
                        max_length=8,
                        verbose_name="kind",
                    ),
                ),
                ("value", models.CharField(max_length=120, verbose_name="value")),
            ],
            options={
                "verbose_name": "search key",
                "verbose_name_plural": "search keys",
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="fieldcount",
            name="flow",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="field_counts",
                to="sync.flow",
                verbose_name="flow",
            ),
        ),
        migrations.AddField(
            model_name="fieldcount",
            name="integration",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="integrations.integration",
                verbose_name="integration",
            ),
        ),
        migrations.AddField(
            model_name="fieldpause",
            name="flow",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="field_pauses",
                to="sync.flow",
                verbose_name="flow",
            ),
        ),
        migrations.AddField(
            model_name="fieldpause",
            name="integration",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="field_pauses",
                to="integrations.integration",
                verbose_name="integration",
            ),
        ),
        migrations.AddField(
            model_name="fieldpause",
            name="link",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="field_pauses",
                to="sync.entitylink",
                verbose_name="link",
            ),
        ),
        migrations.AddField(
            model_name="fieldpause",
            name="resumed_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="resumed by",
            ),
        ),
        migrations.AddField(
            model_name="searchkey",
            name="integration",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="integrations.integration",
                verbose_name="integration",
            ),
        ),
        migrations.AddIndex(
            model_name="fieldcount",
            index=models.Index(fields=["integration", "day"], name="field_count_recent"),
        ),
        migrations.AddConstraint(
            model_name="fieldcount",
            constraint=models.UniqueConstraint(fields=("flow", "field", "day"), name="field_count_once_per_day"),
        ),
        migrations.AddConstraint(
            model_name="fieldcount",
            constraint=models.CheckConstraint(
                condition=models.Q(("field", ""), _negated=True), name="field_count_names_field"
            ),
        ),
        migrations.AddIndex(
            model_name="fieldpause",
            index=models.Index(
                condition=models.Q(("resumed_at", None)), fields=["integration"], name="field_pause_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="fieldpause",
            constraint=models.UniqueConstraint(
                condition=models.Q(("resumed_at", None)), fields=("flow", "link", "field"), name="field_pause_one_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="fieldpause",
            constraint=models.CheckConstraint(
                condition=models.Q(("field", ""), _negated=True), name="field_pause_names_field"
            ),
        ),
        migrations.AddConstraint(
            model_name="fieldpause",
            constraint=models.CheckConstraint(
                condition=models.Q(("resumed_by", None), ("resumed_at__isnull", False), _connector="OR"),
                name="field_pause_resumed_has_time",
            ),
        ),
        migrations.AddIndex(
            model_name="searchkey",
            index=models.Index(
                fields=["integration", "value"], name="search_key_value", opclasses=["int8_ops", "varchar_pattern_ops"]
            ),
        ),
        migrations.AddConstraint(
            model_name="searchkey",
            constraint=models.UniqueConstraint(
                fields=("integration", "side", "object", "record_id", "kind", "value"), name="search_key_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="searchkey",
            constraint=models.CheckConstraint(
                condition=models.Q(models.Q(("value", ""), _negated=True), models.Q(("record_id", ""), _negated=True)),
                name="search_key_complete",
            ),
        ),
        migrations.AddConstraint(
            model_name="searchkey",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["name", "org", "email", "number"])), name="search_key_kind_known"
            ),
        ),
    ]
