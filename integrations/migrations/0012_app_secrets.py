"""The secrets of apps for one-time codes move from django-otp's column to an encrypted one of ours.

What they leave behind is a secret that nobody has: a process of the version before, still running, refuses every code
instead of accepting the password alone.
"""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django_otp.util import random_hex

import integrations.fields
from integrations.fields import conceal, reveal


def encrypt(apps: Any, schema_editor: Any) -> None:
    """Each in the transaction of the migration; one that is no secret is left to the person to enrol anew."""
    secrets = apps.get_model("integrations", "AppSecret")
    for device in apps.get_model("otp_totp", "TOTPDevice").objects.order_by("pk").iterator():
        row = secrets(device=device)
        conceal(row, "secret", device.key)
        row.save(force_insert=True)
        device.key = random_hex(20)
        device.save(update_fields=["key"])


def decrypt(apps: Any, schema_editor: Any) -> None:
    """Back into the column where the version before looks."""
    for row in apps.get_model("integrations", "AppSecret").objects.select_related("device").order_by("pk"):
        row.device.key = reveal(row, "secret")
        row.device.save(update_fields=["key"])


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0011_event_of_record"),
        ("otp_totp", "0003_add_timestamps"),
    ]

    operations = [
        migrations.CreateModel(
            name="AppSecret",
            fields=[
                (
                    "device",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="sealed",
                        serialize=False,
                        to="otp_totp.totpdevice",
                    ),
                ),
                ("secret", integrations.fields.EncryptedTextField()),
            ],
            options={"verbose_name": "secret of an app", "verbose_name_plural": "secrets of apps"},
        ),
        migrations.CreateModel(
            name="AuthenticatorApp",
            fields=[],
            options={
                "verbose_name": "app",
                "verbose_name_plural": "apps",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("otp_totp.totpdevice",),
        ),
        migrations.RunPython(encrypt, decrypt, elidable=False),
    ]
