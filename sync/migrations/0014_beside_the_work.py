"""Indexes and checks of large tables, built and proven while the tables are read and written."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from integrations.live_operations import AddIndex, IndexForeignKey, RemoveIndex, ValidateCheck

FAILURES = [
    "→review",
    "planned→review",
    "held→review",
    "queued→review",
    "sending→review",
    "unknown→review",
    "retrying→review",
    "sending→retrying",
]


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("sync", "0013_month_end"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        ValidateCheck("change", "change_action_known"),
        ValidateCheck("entitylink", "link_origin_known"),
        ValidateCheck("syncrun", "run_stopped_at_work"),
        AddIndex(
            "change",
            models.Index(
                condition=models.Q(("action", "create")), fields=["flow", "sent_at"], name="change_creates_sent"
            ),
        ),
        AddIndex(
            "change", models.Index(condition=models.Q(("to_tell", True)), fields=["flow"], name="change_to_tell")
        ),
        AddIndex(
            "change",
            models.Index(
                condition=models.Q(("remote_reference", ""), _negated=True),
                fields=["remote_reference"],
                name="change_by_reference",
            ),
        ),
        AddIndex(
            "change", models.Index(fields=["flow", "state", "error_class"], name="change_flow_state_class")
        ),
        RemoveIndex("change", "change_flow_state"),  # the one above begins with its columns
        AddIndex(
            "change",
            models.Index(
                condition=models.Q(("state", "applied")),
                fields=["finished_at", "flow", "action"],
                name="change_applied_at",
            ),
        ),
        AddIndex(
            "synclogentry",
            models.Index(condition=models.Q(("event__in", FAILURES)), fields=["at"], name="log_failures_at"),
        ),
        AddIndex(
            "syncrun",
            models.Index(
                condition=models.Q(("state__in", ["planning", "held", "delivering"])), fields=["flow"], name="run_open"
            ),
        ),
        AddIndex(
            "syncrun",
            models.Index(
                condition=models.Q(("state", "failed")), fields=["finished_at", "flow"], name="run_failed_at"
            ),
        ),
        IndexForeignKey(
            model_name="change",
            name="assigned_to",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="assigned_changes",
                to=settings.AUTH_USER_MODEL,
                verbose_name="assigned to",
            ),
        ),
        IndexForeignKey(
            model_name="syncrun",
            name="stopped_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="stopped by",
            ),
        ),
    ]
