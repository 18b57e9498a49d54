"""SEC-01, SEC-02: ciphertexts are bound to their place, bit flips are refused, keys rotate online."""

from __future__ import annotations

import base64
import io
import os
import random
from typing import Any

import pytest
from django.core import serializers
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management import call_command

from integrations.fields import DecryptionError, conceal, decrypt, encrypt, not_under_newest_key, recrypt, reveal
from integrations.models import ConnectedAccount
from tests.factories import make_account

pytestmark = pytest.mark.django_db


def key(name: str) -> str:
    return f"{name}:{base64.urlsafe_b64encode(os.urandom(32)).decode()}"


def holding(token: str) -> ConnectedAccount:
    account = make_account()
    conceal(account, "access_token", token)
    conceal(account, "refresh_token", token + "-refresh")
    account.save()
    return account


def test_what_was_concealed_is_revealed() -> None:
    account = ConnectedAccount.objects.get(pk=holding("secret åäö").pk)
    assert reveal(account, "access_token") == "secret åäö"
    assert "secret" not in account.access_token


def test_a_ciphertext_is_worth_nothing_in_another_row_or_field() -> None:
    one, two = holding("one"), holding("two")
    one.access_token, two.access_token = two.access_token, one.access_token
    one.refresh_token, stolen = one.access_token, one.refresh_token
    for account, field in ((one, "access_token"), (two, "access_token"), (one, "refresh_token")):
        with pytest.raises(DecryptionError):
            reveal(account, field)
    two.access_token = stolen
    with pytest.raises(DecryptionError):
        reveal(two, "access_token")


def test_a_thousand_bit_flips_are_refused() -> None:
    dice = random.Random(20261121)
    stored = encrypt("a token of usual length " * 5, "row")
    raw = bytearray(stored.encode())
    refused = 0
    for _ in range(1000):
        changed = bytearray(raw)
        changed[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        with pytest.raises(DecryptionError):
            decrypt(changed.decode("latin-1"), "row")
        refused += 1
    assert refused == 1000


def test_every_single_bit_of_the_last_characters_counts() -> None:
    for length in range(1, 7):
        stored = encrypt("x" * length, "row")
        for back in range(1, 5):
            for bit in range(8):
                changed = bytearray(stored.encode())
                changed[-back] ^= 1 << bit
                with pytest.raises(DecryptionError):
                    decrypt(changed.decode("latin-1"), "row")


def test_the_error_names_the_place_and_never_the_value() -> None:
    account = make_account()
    account.access_token = "plain:CANARY:token"
    with pytest.raises(DecryptionError) as caught:
        reveal(account, "access_token")
    assert str(account.pk) in str(caught.value)
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("bad", ["", "k1", "k1:short", "k1:!!!", ":" + "A" * 43 + "="])
def test_an_unusable_key_stops_everything(settings: Any, bad: str) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [bad] if bad else []
    with pytest.raises(ImproperlyConfigured):
        encrypt("token", "row")


def test_ciphertexts_are_not_searched_and_not_exported() -> None:
    account = holding("token")
    with pytest.raises(FieldError):
        ConnectedAccount.objects.filter(access_token__contains="gcm1").exists()
    dumped = serializers.serialize("json", [account])
    assert "gcm1" not in dumped


def test_rotation_moves_everything_to_the_newest_key(settings: Any) -> None:
    old, new = key("old"), key("new")
    settings.FIELD_ENCRYPTION_KEYS = [old]
    accounts = [holding(f"token {n}") for n in range(25)]
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    assert reveal(accounts[0], "access_token") == "token 0"
    with pytest.raises(SystemExit):
        call_command("rotate_keys", check=True, stdout=io.StringIO())
    out = io.StringIO()
    call_command("rotate_keys", batch=7, stdout=out)
    assert "ConnectedAccount.access_token: 25 re-encrypted, 0 unreadable" in out.getvalue()
    settings.FIELD_ENCRYPTION_KEYS = [new]
    call_command("rotate_keys", check=True, stdout=io.StringIO())
    for number, account in enumerate(accounts):
        account.refresh_from_db()
        assert reveal(account, "access_token") == f"token {number}"


def test_rotation_never_undoes_a_refresh_that_happened_meanwhile(settings: Any) -> None:
    old, new = key("old"), key("new")
    settings.FIELD_ENCRYPTION_KEYS = [old]
    account = holding("first")
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    read_by_rotation = ConnectedAccount.objects.get(pk=account.pk)
    conceal(account, "access_token", "second")
    account.save()
    assert not recrypt(read_by_rotation, "access_token")
    assert reveal(ConnectedAccount.objects.get(pk=account.pk), "access_token") == "second"


def test_rotation_reports_what_it_cannot_read_and_goes_on(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [key("lost")]
    holding("gone")
    settings.FIELD_ENCRYPTION_KEYS = [key("older")]
    kept = holding("kept")
    settings.FIELD_ENCRYPTION_KEYS = [key("new"), *settings.FIELD_ENCRYPTION_KEYS]
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit):
        call_command("rotate_keys", stdout=out, stderr=err)
    assert "access_token: 1 re-encrypted, 1 unreadable" in out.getvalue()
    assert "gone" not in err.getvalue()
    kept.refresh_from_db()
    assert reveal(kept, "access_token") == "kept"
    assert not_under_newest_key(ConnectedAccount.objects.filter(pk=kept.pk), "access_token").count() == 0
