from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0007_roles"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ReadinessReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("asked_at", models.DateTimeField(blank=True, null=True, verbose_name="asked for")),
                ("checked_at", models.DateTimeField(blank=True, null=True, verbose_name="checked")),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="next check")),
                ("errors", models.PositiveSmallIntegerField(default=0, verbose_name="errors")),
                ("warnings", models.PositiveSmallIntegerField(default=0, verbose_name="warnings")),
                (
                    "asked_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
                (
                    "integration",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="readiness_report",
                        to="integrations.integration",
                        verbose_name="integration",
                    ),
                ),
            ],
            options={
                "verbose_name": "readiness report",
                "verbose_name_plural": "readiness reports",
                "permissions": [("check_readiness", "Can have the readiness checked")],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="ReadinessEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("side", models.CharField(blank=True, max_length=10, verbose_name="side")),
                ("code", models.CharField(max_length=60, verbose_name="code")),
                ("subject", models.CharField(blank=True, max_length=60, verbose_name="subject")),
                ("level", models.CharField(max_length=10, verbose_name="level")),
                ("title", models.JSONField(default=dict, verbose_name="title")),
                ("detail", models.JSONField(blank=True, default=dict, verbose_name="detail")),
                ("fix", models.JSONField(blank=True, default=dict, verbose_name="remedy")),
                ("position", models.PositiveSmallIntegerField(default=0)),
                ("first_seen", models.DateTimeField(default=django.utils.timezone.now, verbose_name="since")),
                ("checked_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="checked")),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="lines",
                        to="integrations.readinessreport",
                        verbose_name="readiness report",
                    ),
                ),
            ],
            options={
                "verbose_name": "readiness line",
                "verbose_name_plural": "readiness lines",
                "ordering": ["position"],
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="readinessreport",
            index=models.Index(fields=["due_at"], name="readiness_due"),
        ),
        migrations.AddConstraint(
            model_name="readinessentry",
            constraint=models.UniqueConstraint(
                fields=("report", "side", "code", "subject"), name="readiness_line_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="readinessentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("level__in", ["error", "warning", "ok"])), name="readiness_level_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="readinessentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("side__in", ["", "crm", "ledger"])), name="readiness_side_known"
            ),
        ),
    ]
