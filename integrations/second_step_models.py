"""The secret of a person's app for one-time codes, encrypted as tokens are.

django-otp keeps it in plain in a column too short for a ciphertext. So its row keeps who, when and how often, with a
secret that is nobody's, and ours stands beside it. The invariant: what no key of the ring opens lets nobody in.
"""

from __future__ import annotations

from binascii import unhexlify

from django.db import models
from django_otp.plugins.otp_totp.models import TOTPDevice

from integrations.fields import EncryptedTextField, conceal, reveal


class AppSecret(models.Model):
    """What the app and we know, in hexadecimal digits, bound to its device."""

    device = models.OneToOneField(TOTPDevice, models.CASCADE, primary_key=True, related_name="sealed")
    secret = EncryptedTextField()

    class Meta:
        verbose_name = "secret of an app"
        verbose_name_plural = "secrets of apps"

    def __str__(self) -> str:
        return f"{self._meta.verbose_name} {self.pk}"


class AuthenticatorApp(TOTPDevice):  # type: ignore[misc]
    """A device as it verifies codes: with the secret that is kept beside it."""

    class Meta:
        proxy = True
        verbose_name = "app"
        verbose_name_plural = "apps"

    @property
    def bin_key(self) -> bytes:
        """The secret. Raises `DecryptionError` when no key of the ring opens it, `AppSecret.DoesNotExist` without."""
        return unhexlify(reveal(AppSecret.objects.get(pk=self.pk), "secret"))


def seal(device: TOTPDevice, key: str) -> None:
    """Keeps `key` as the secret of a device that is stored."""
    row = AppSecret(device=device)
    conceal(row, "secret", key)
    row.save()
