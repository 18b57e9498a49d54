from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sync", "0012_audit"),
        ("integrations", "0007_roles"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="MonthClose",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.DateField(help_text="Its first day.", verbose_name="month")),
                ("closed_name", models.CharField(max_length=200, verbose_name="closed by")),
                ("closed_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="closed")),
                (
                    "closed_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="closed by",
                    ),
                ),
                (
                    "integration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="closed_months",
                        to="integrations.integration",
                        verbose_name="integration",
                    ),
                ),
                (
                    "reconciliation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="closes",
                        to="sync.reconciliation",
                        verbose_name="reconciliation",
                    ),
                ),
            ],
            options={
                "verbose_name": "closed month",
                "verbose_name_plural": "closed months",
                "ordering": ["-month"],
            },
        ),
        migrations.CreateModel(
            name="ShadowReport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts", models.DateField(verbose_name="from")),
                ("ends", models.DateField(verbose_name="to")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting to start"),
                            ("reading", "Reading both sides"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                ("position", models.JSONField(blank=True, default=dict)),
                ("seen", models.PositiveIntegerField(default=0, verbose_name="records read")),
                ("total", models.PositiveIntegerField(null=True, verbose_name="records to read")),
                ("counts", models.JSONField(blank=True, default=dict, verbose_name="counts")),
                (
                    "error_class",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("transient", "Temporary fault"),
                            ("rate_limited", "Rate limit"),
                            ("outcome_unknown", "Outcome unknown"),
                            ("authentication", "Connection"),
                            ("permission", "Permission"),
                            ("data", "Data"),
                            ("configuration", "Configuration"),
                            ("conflict", "Conflict"),
                            ("missing", "Missing record"),
                            ("dependency", "Waiting for another record"),
                            ("too_large", "Too large or unreadable"),
                            ("bug", "Internal fault"),
                        ],
                        max_length=30,
                        verbose_name="error class",
                    ),
                ),
                ("error_code", models.CharField(blank=True, max_length=100, verbose_name="error code")),
                ("error_message", models.TextField(blank=True, verbose_name="error")),
                ("failures", models.PositiveSmallIntegerField(default=0, verbose_name="failures in a row")),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="continues")),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="started")),
                ("finished_at", models.DateTimeField(blank=True, null=True, verbose_name="finished")),
                (
                    "integration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="shadow_reports",
                        to="integrations.integration",
                        verbose_name="integration",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "shadow report",
                "verbose_name_plural": "shadow reports",
                "ordering": ["-pk"],
            },
        ),
        migrations.CreateModel(
            name="ShadowLine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("differs", "Differs"),
                            ("only_ours", "Only ours"),
                            ("only_theirs", "Only theirs"),
                            ("several", "Several fit"),
                            ("blocked", "We would have stopped"),
                            ("identical", "Identical"),
                        ],
                        max_length=12,
                        verbose_name="verdict",
                    ),
                ),
                ("object", models.CharField(max_length=50)),
                ("source_id", models.CharField(blank=True, max_length=100, verbose_name="source id")),
                ("source_title", models.CharField(blank=True, max_length=300, verbose_name="record")),
                ("source_url", models.CharField(blank=True, max_length=300)),
                ("target_id", models.CharField(blank=True, max_length=100, verbose_name="target id")),
                ("target_title", models.CharField(blank=True, max_length=300, verbose_name="target")),
                ("target_url", models.CharField(blank=True, max_length=300)),
                ("matched_by", models.CharField(blank=True, max_length=30, verbose_name="matched by")),
                ("differences", models.JSONField(blank=True, default=list, verbose_name="differences")),
                ("amount", models.DecimalField(decimal_places=6, max_digits=24, null=True, verbose_name="amount")),
                ("currency", models.CharField(blank=True, max_length=10, verbose_name="currency")),
                (
                    "change",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="sync.change",
                        verbose_name="plan",
                    ),
                ),
                (
                    "report",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="lines", to="sync.shadowreport"
                    ),
                ),
            ],
            options={
                "verbose_name": "shadow line",
                "verbose_name_plural": "shadow lines",
                "ordering": ["pk"],
            },
        ),
        migrations.AddConstraint(
            model_name="monthclose",
            constraint=models.UniqueConstraint(fields=("integration", "month"), name="month_closed_once"),
        ),
        migrations.AddConstraint(
            model_name="monthclose",
            constraint=models.CheckConstraint(condition=models.Q(("month__day", 1)), name="month_close_first_day"),
        ),
        migrations.AddIndex(
            model_name="shadowreport",
            index=models.Index(
                condition=models.Q(("state__in", ["waiting", "reading"])), fields=["due_at"], name="shadow_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="shadowreport",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends__gte", models.F("starts"))), name="shadow_period"
            ),
        ),
        migrations.AddConstraint(
            model_name="shadowreport",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "reading", "done", "failed"])), name="shadow_state_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="shadowreport",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["waiting", "reading"])),
                fields=("integration",),
                name="shadow_one_at_work",
            ),
        ),
        migrations.AddIndex(
            model_name="shadowline",
            index=models.Index(fields=["report", "verdict", "id"], name="shadow_line_verdict"),
        ),
        migrations.AddIndex(
            model_name="shadowline",
            index=models.Index(fields=["report", "target_id"], name="shadow_line_target"),
        ),
        migrations.AddConstraint(
            model_name="shadowline",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("source_id", ""), _negated=True),
                    models.Q(("target_id", ""), _negated=True),
                    _connector="OR",
                ),
                name="shadow_line_has_record",
            ),
        ),
    ]
