"""Encrypted columns: AES-256-GCM bound to their row and field (SEC-01).

A ciphertext copied to another row, table or column does not decrypt; a missing or wrong key raises instead of
returning something that looks like a token. The key ring is `FIELD_ENCRYPTION_KEYS` (newest first, `id:base64`);
`rotate_keys` re-encrypts what is under older keys.
"""

from __future__ import annotations

import base64
import os
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import models
from django.db.models import CharField
from django.db.models.functions import Substr

_PREFIX = "gcm1"


class DecryptionError(Exception):
    """A stored secret cannot be read: names the row and field, never the value."""


@lru_cache(maxsize=4)
def _ring(keys: tuple[str, ...]) -> dict[str, AESGCM]:
    ring: dict[str, AESGCM] = {}
    for entry in keys:
        key_id, _, encoded = entry.strip().partition(":")
        try:
            raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        except ValueError as error:
            raise ImproperlyConfigured(f"FIELD_ENCRYPTION_KEYS: key {key_id!r} is not base64") from error
        if not key_id or len(raw) != 32:
            raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS: each entry is `id:` and base64 of 32 bytes")
        ring[key_id] = AESGCM(raw)
    if not ring:
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS is empty: tokens cannot be stored")
    return ring


def key_ring() -> dict[str, AESGCM]:
    """The configured keys by id, newest first. Raises `ImproperlyConfigured` when one is not usable."""
    return _ring(tuple(settings.FIELD_ENCRYPTION_KEYS))


def encrypt(plain: str, bound_to: str) -> str:
    """`plain` as `gcm1:<key id>:<base64 of nonce and ciphertext>` under the newest key, bound to `bound_to`."""
    key_id, cipher = next(iter(key_ring().items()))
    nonce = os.urandom(12)
    sealed = cipher.encrypt(nonce, plain.encode(), bound_to.encode())
    return f"{_PREFIX}:{key_id}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def decrypt(stored: str, bound_to: str) -> str:
    """The plain text of `encrypt`'s result. Raises `DecryptionError` for anything else."""
    try:
        prefix, key_id, encoded = stored.split(":", 2)
        sealed = base64.urlsafe_b64decode(encoded)
        # base64 has several spellings of one value (spare bits, ignored characters); only ours is accepted.
        if prefix != _PREFIX or base64.urlsafe_b64encode(sealed).decode() != encoded:
            raise ValueError
        return key_ring()[key_id].decrypt(sealed[:12], sealed[12:], bound_to.encode()).decode()
    except (ValueError, KeyError, InvalidTag):
        # Not chained: the cause could quote a part of what was stored.
        raise DecryptionError(f"{bound_to} cannot be decrypted with the configured keys") from None


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """A text column whose value is a ciphertext. The model attribute holds the ciphertext too; read and write the
    plain text with `reveal(instance, name)` and `conceal(instance, name, plain)`. Look-ups are refused.
    """

    def get_lookup(self, lookup_name: str) -> Any:
        """Comparing ciphertexts never means what it seems to: refused, except for emptiness."""
        if lookup_name in {"isnull", "exact"}:
            return super().get_lookup(lookup_name)
        raise FieldError(f"{self.name} is encrypted and cannot be searched")

    def value_to_string(self, obj: models.Model) -> str:
        """Fixtures and exports never carry ciphertexts."""
        return ""


def _bound_to(instance: models.Model, name: str) -> str:
    return f"{instance._meta.db_table}:{instance.pk}:{name}"


def reveal(instance: models.Model, name: str) -> str:
    """The plain text of an encrypted field; "" when empty. Raises `DecryptionError`."""
    stored = getattr(instance, name)
    return decrypt(stored, _bound_to(instance, name)) if stored else ""


def conceal(instance: models.Model, name: str, plain: str) -> None:
    """Set an encrypted field to the ciphertext of `plain` (not saved)."""
    setattr(instance, name, encrypt(plain, _bound_to(instance, name)) if plain else "")


def not_under_newest_key(rows: models.QuerySet[Any], name: str) -> models.QuerySet[Any]:
    """Those of `rows` whose field `name` holds a ciphertext of an older key."""
    newest = f"{_PREFIX}:{next(iter(key_ring()))}:"
    head = Substr(name, 1, len(newest), output_field=CharField())
    older: models.QuerySet[Any] = rows.exclude(**{name: ""}).annotate(key_head=head).exclude(key_head=newest)
    return older


def recrypt(instance: models.Model, name: str) -> bool:
    """Put one field under the newest key, unless somebody wrote it since it was read. Raises `DecryptionError`."""
    before = getattr(instance, name)
    conceal(instance, name, reveal(instance, name))
    same = type(instance)._default_manager.filter(**{"pk": instance.pk, name: before})
    return same.update(**{name: getattr(instance, name)}) == 1
