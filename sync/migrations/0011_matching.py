from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from integrations.live_operations import AddCheck


class Migration(migrations.Migration):
    """What people decide about matching, how alike records are, and runs that a person stopped."""

    dependencies = [("sync", "0010_field_pauses"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="MatchDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("link", "These two are the same"),
                            ("create", "A new record is created"),
                            ("reject", "These two are not the same"),
                            ("ignore", "Left out"),
                        ],
                        max_length=10,
                        verbose_name="decision",
                    ),
                ),
                ("source_id", models.CharField(max_length=100, verbose_name="source id")),
                ("source_title", models.CharField(blank=True, max_length=300, verbose_name="record")),
                ("target_id", models.CharField(blank=True, max_length=100, verbose_name="target id")),
                ("target_title", models.CharField(blank=True, max_length=300, verbose_name="target")),
                ("score", models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="likeness")),
                ("at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="time")),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True, verbose_name="taken back")),
            ],
            options={
                "verbose_name": "match decision",
                "verbose_name_plural": "match decisions",
                "ordering": ["-pk"],
                "permissions": [("match_record", "Can decide which records are the same")],
                "default_permissions": ("view",),
            },
        ),
        migrations.AddField(
            model_name="change",
            name="score",
            field=models.PositiveSmallIntegerField(
                blank=True,
                help_text="How alike the best counterpart is, from 0 to 100.",
                null=True,
                verbose_name="likeness",
            ),
        ),
        migrations.AddField(
            model_name="syncrun",
            name="stopped_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="stopped"),
        ),
        migrations.AddField(
            model_name="syncrun",
            name="stopped_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="stopped by",
            ),
        ),
        migrations.AlterField(
            model_name="change",
            name="decision",
            field=models.CharField(
                blank=True,
                choices=[
                    ("create", "Create a new record"),
                    ("approve", "Approve"),
                    ("look", "Only look"),
                    ("match", "Matched by a person"),
                ],
                help_text="What a person decided about a conflict; the next plan follows it.",
                max_length=10,
                verbose_name="decision",
            ),
        ),
        AddCheck(
            model_name="syncrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("stopped_at", None), ("state__in", ["planning", "delivering"]), _connector="OR"),
                name="run_stopped_at_work",
            ),
        ),
        migrations.AddField(
            model_name="matchdecision",
            name="by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="by",
            ),
        ),
        migrations.AddField(
            model_name="matchdecision",
            name="flow",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="match_decisions",
                to="sync.flow",
                verbose_name="flow",
            ),
        ),
        migrations.AddField(
            model_name="matchdecision",
            name="integration",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="integrations.integration",
                verbose_name="integration",
            ),
        ),
        migrations.AddField(
            model_name="matchdecision",
            name="withdrawn_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="taken back by",
            ),
        ),
        migrations.AddIndex(
            model_name="matchdecision",
            index=models.Index(fields=["flow", "kind", "-id"], name="match_by_flow"),
        ),
        migrations.AddConstraint(
            model_name="matchdecision",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind__in", ["link", "create", "ignore"]), ("withdrawn_at", None)),
                fields=("flow", "source_id"),
                name="match_one_decision_per_record",
            ),
        ),
        migrations.AddConstraint(
            model_name="matchdecision",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "link"), ("withdrawn_at", None)),
                fields=("flow", "target_id"),
                name="match_target_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="matchdecision",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "reject"), ("withdrawn_at", None)),
                fields=("flow", "source_id", "target_id"),
                name="match_rejected_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="matchdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["link", "create", "reject", "ignore"])), name="match_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="matchdecision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind__in", ["link", "reject"]), models.Q(("target_id", ""), _negated=True)),
                    models.Q(("kind__in", ["create", "ignore"]), ("target_id", "")),
                    _connector="OR",
                ),
                name="match_names_its_target",
            ),
        ),
    ]
