"""Forms of signing in: who may at all, the code of the second factor, and enrolling one."""

from __future__ import annotations

import time
from binascii import unhexlify
from math import ceil
from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_otp.forms import OTPAuthenticationFormMixin
from django_otp.models import Device
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice

from integrations.models import AuthenticatorApp
from integrations.people import sealed

CODE = {"autocomplete": "one-time-code", "inputmode": "text", "autofocus": True, "spellcheck": "false"}


class LoginForm(AdminAuthenticationForm):
    """Name and password of somebody who may sign in: staff, or a member of an organization."""

    def confirm_login_allowed(self, user: Any) -> None:
        """Raises `ValidationError` for an inactive person and for one who belongs nowhere."""
        if user.is_active and not user.is_staff and user.memberships.exists():
            return
        super().confirm_login_allowed(user)


class TokenForm(OTPAuthenticationFormMixin, forms.Form):  # type: ignore[misc]
    """The second step: six digits of the app, or one backup code. Wrong ones make the person wait longer and longer."""

    otp_token = forms.CharField(label=gettext_lazy("Code"), max_length=20, widget=forms.TextInput(attrs=CODE))
    otp_error_messages = OTPAuthenticationFormMixin.otp_error_messages | {
        "token_required": gettext_lazy("Enter the six digits that your app shows now, or a backup code."),
        "device_required": gettext_lazy("You have no backup codes left. Enter the six digits of your app."),
        "invalid_token": gettext_lazy(
            "This code is not right. Wait for the next one in your app: each works once, and for half a minute."
        ),
    }

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_otp_token(self) -> str:
        """Without the blanks that apps show, in small letters."""
        return "".join(str(self.cleaned_data["otp_token"]).split()).replace("-", "").lower()

    def clean(self) -> dict[str, Any]:
        """Verifies the code; the user then has `otp_device`."""
        super().clean()
        if "otp_token" in self.cleaned_data:
            self.clean_otp(self.user)
        return self.cleaned_data

    def _chosen_device(self, user: Any) -> Device | None:
        """The app for digits, the backup codes for anything else: a wrong code slows down one of them only."""
        model = AuthenticatorApp if self.cleaned_data["otp_token"].isdigit() else StaticDevice
        found: Device | None = model.objects.select_for_update().filter(user=user, confirmed=True).first()
        return found

    def _verify_token(self, user: Any, token: str, device: Device | None = None) -> Device:
        """Says for how long, when too many codes were wrong."""
        if device is not None:
            may, why = device.verify_is_allowed()
            if not may and (until := why.get("locked_until")):
                seconds = max(1, ceil((until - timezone.now()).total_seconds()))
                text = _("Too many wrong codes. Wait %(seconds)d seconds, then enter the code that the app shows then.")
                raise ValidationError(text % {"seconds": seconds}, code="wait")
        if isinstance(device, StaticDevice):
            token = sealed(token)
        return super()._verify_token(user, token, device)


class EnrolForm(forms.Form):
    """The first code of a new app, which proves that it has the secret."""

    code = forms.CharField(label=gettext_lazy("Code that the app shows"), max_length=10, widget=forms.TextInput(CODE))

    def __init__(self, key: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key, self.at = key, -1

    def clean_code(self) -> str:
        """Raises `ValidationError` for a code that this secret does not make now; `at` is its place in time."""
        text = "".join(str(self.cleaned_data["code"]).split())
        totp = TOTP(unhexlify(self.key), drift=0)
        totp.time = time.time()
        if not text.isdecimal() or len(text) != 6 or not totp.verify(int(text), tolerance=1):
            raise ValidationError(
                _("The code is not right. Is the clock of your telephone set automatically? Enter the next one.")
            )
        self.at = totp.t()
        return text
