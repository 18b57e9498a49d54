"""Secrets of apps for one-time codes: in the database as tokens are, and useless without the key ring."""

from __future__ import annotations

import base64
import importlib
import re
from binascii import unhexlify
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from integrations import people
from integrations.fields import DecryptionError, reveal
from integrations.models import AppSecret, AuthenticatorApp
from tests import factories as make

pytestmark = pytest.mark.django_db

KEY, OTHER = "3132333435363738393031323334353637383930", "4142434445464748494a4b4c4d4e4f5051525354"
NEWEST = f"k9:{base64.urlsafe_b64encode(b'9' * 32).decode()}"
PASSWORD = "correct horse battery"


@pytest.fixture
def anna() -> User:
    user = make.make_user("anna", organization=make.make_organization())
    people.enrol(user, KEY, at=-1)
    return user


def shows_code(key: str = KEY, name: str = "anna") -> int:
    """The answer to the second step, with the code that an app with this secret shows."""
    client = Client(raise_request_exception=False)
    client.post("/admin/login/", {"username": name, "password": PASSWORD})
    TOTPDevice.objects.update(last_t=-1, throttling_failure_count=0, throttling_failure_timestamp=None)
    answer = client.post("/admin/two-factor/", {"otp_token": f"{totp(unhexlify(key)):06d}"})
    assert (client.get("/admin/").status_code == 200) == (answer.status_code == 302)
    return answer.status_code


def stored() -> str:
    """Every row of every table that has to do with second steps, as a dump has it."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            if re.search("otp|secret", table):
                cursor.execute(f'SELECT * FROM "{table}"')
                found += [str(row) for row in cursor.fetchall()]
    return "\n".join(found)


def test_the_database_does_not_give_it_and_the_code_of_the_app_gets_in(anna: User) -> None:
    assert "gcm1:" in stored()
    assert KEY not in stored() and base64.b32encode(unhexlify(KEY)).decode() not in stored()
    assert shows_code() == 302
    assert shows_code(OTHER) == 422
    assert shows_code(TOTPDevice.objects.get().key) == 422  # what stands in the library's own column opens nothing


def test_a_secret_that_is_copied_to_another_device_opens_nothing(anna: User) -> None:
    people.enrol(make.make_user("bo", organization=make.make_organization()), OTHER, at=-1)
    mine, theirs = AppSecret.objects.order_by("pk")
    AppSecret.objects.filter(pk=theirs.pk).update(secret=mine.secret)
    with pytest.raises(DecryptionError):
        _key = AuthenticatorApp.objects.get(pk=theirs.pk).bin_key
    assert shows_code(KEY, "bo") == shows_code(OTHER, "bo") == 500


def test_without_the_key_ring_nobody_gets_in(anna: User, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEWEST]
    assert shows_code() == 500


def test_rotating_keys_takes_them_along(anna: User, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [
        f"k9:{base64.urlsafe_b64encode(b'9' * 32).decode()}",
        *settings.FIELD_ENCRYPTION_KEYS,
    ]
    call_command("rotate_keys")
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    assert AppSecret.objects.get().secret.startswith("gcm1:k9:")
    assert shows_code() == 302


def test_it_goes_with_the_device(anna: User) -> None:
    people.enrol(anna, OTHER, at=-1)
    assert reveal(AppSecret.objects.get(), "secret") == OTHER
    people.reset_second_factor(anna, make.make_superuser())
    assert not AppSecret.objects.exists() and not TOTPDevice.objects.exists()


def test_the_migration_moves_what_was_in_plain_there_and_back(anna: User) -> None:
    migration = importlib.import_module("integrations.migrations.0012_app_secrets")
    migration.decrypt(apps, None)
    assert TOTPDevice.objects.get().key == KEY
    AppSecret.objects.all().delete()
    migration.encrypt(apps, None)
    assert KEY not in stored() and shows_code() == 302
