from __future__ import annotations

from django.db import migrations, models

ROLES = [
    ("viewer", "Viewer"),
    ("support", "Support"),
    ("consultant", "Consultant"),
    ("accountant", "Accountant"),
    ("owner", "Owner"),
]


def back(apps, schema_editor):
    """Before this there were no accountants: they keep what every role had, and get no right that they had not."""
    rows = apps.get_model("integrations", "Membership").objects.using(schema_editor.connection.alias)
    rows.filter(role="accountant").update(role="viewer")


class Migration(migrations.Migration):
    """The accountant: approves, books, credits and signs off, and changes no configuration."""

    dependencies = [("integrations", "0006_attempt_app")]

    operations = [
        migrations.AlterField(
            model_name="membership",
            name="role",
            field=models.CharField(choices=ROLES, default="consultant", max_length=20, verbose_name="role"),
        ),
        migrations.RemoveConstraint(model_name="membership", name="membership_role_known"),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(role__in=[name for name, _label in ROLES]), name="membership_role_known"
            ),
        ),
        migrations.RunPython(migrations.RunPython.noop, back),  # last, so that it is the first on the way back
    ]
