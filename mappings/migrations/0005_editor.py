"""The mapping editor: who saved a draft when, and the sample record that a person looks at."""

from __future__ import annotations

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import integrations.fields

_SAVES = "Counts saves, so that two people notice each other."


class Migration(migrations.Migration):
    dependencies = [("mappings", "0004_golden_samples"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.AddField(
            "historicalmappingset",
            "edited_at",
            models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last saved"),
        ),
        migrations.AddField(
            "historicalmappingset",
            "edited_by",
            models.ForeignKey(
                blank=True,
                db_constraint=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="last saved by",
            ),
        ),
        migrations.AddField(
            "historicalmappingset",
            "revision",
            models.PositiveIntegerField(
                db_default=0, default=0, editable=False, help_text=_SAVES, verbose_name="revision"
            ),
        ),
        migrations.AddField(
            "mappingset",
            "edited_at",
            models.DateTimeField(blank=True, editable=False, null=True, verbose_name="last saved"),
        ),
        migrations.AddField(
            "mappingset",
            "edited_by",
            models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="last saved by",
            ),
        ),
        migrations.AddField(
            "mappingset",
            "revision",
            models.PositiveIntegerField(
                db_default=0, default=0, editable=False, help_text=_SAVES, verbose_name="revision"
            ),
        ),
        migrations.CreateModel(
            "EditorSample",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("source_id", models.CharField(max_length=100, verbose_name="record")),
                ("title", models.CharField(blank=True, max_length=300, verbose_name="name")),
                ("data", integrations.fields.EncryptedTextField(blank=True, verbose_name="values")),
                ("expires_at", models.DateTimeField(db_index=True, verbose_name="kept until")),
                (
                    "mapping_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="mappings.mappingset",
                        verbose_name="mapping",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "sample record",
                "verbose_name_plural": "sample records",
                "constraints": [
                    models.UniqueConstraint(fields=("user", "mapping_set"), name="editor_sample_once"),
                ],
            },
        ),
    ]
