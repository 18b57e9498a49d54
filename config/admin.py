"""Takes pages out of the admin that libraries put there and that nobody may have: they would show the secrets of second
factors, or offer groups, which decide nothing here (a membership does)."""

from __future__ import annotations

import django_otp.plugins.otp_static.admin
import django_otp.plugins.otp_totp.admin  # noqa: F401  (both register what is unregistered below)
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.signin.user_admin import PersonAdmin

for model in (StaticDevice, TOTPDevice, Group, User):
    if admin.site.is_registered(model):
        admin.site.unregister(model)
admin.site.register(User, PersonAdmin)
