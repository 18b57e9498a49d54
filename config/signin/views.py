"""The pages of the second factor: showing the code, enrolling an app, the backup codes.

The invariants: nothing is written on GET; a secret and the backup codes are on one page, once, which nothing caches;
a second factor is replaced only by a session that has shown the old one.
"""

from __future__ import annotations

from base64 import b32encode
from binascii import unhexlify
from typing import Any, cast

import django_otp
import segno
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django_otp.plugins.otp_totp.models import TOTPDevice, default_key

from config.signin.forms import EnrolForm, TokenForm
from config.signin.gate import PENDING, missing
from integrations import people
from sync.roles import roles_of

SALT = "two-factor-set-up"
MINUTES = 15


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses inside the admin; they are open to sessions that lack the second factor."""
    pages = _Pages(site)
    return [
        path("two-factor/", never_cache(pages.token), name="two_factor"),
        path("two-factor/set-up/", never_cache(sensitive_post_parameters("secret")(pages.set_up)),
             name="two_factor_set_up"),
    ]  # fmt: skip


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def _context(self, request: HttpRequest, title: str, **more: Any) -> dict[str, Any]:
        inside = self.site.has_permission(request)
        base = self.site.each_context(request) if inside else {"site_title": self.site.site_title, "user": request.user}
        return base | {"title": title, "next": _next(request), "inside": inside} | more

    def token(self, request: HttpRequest) -> HttpResponse:
        """The second step of signing in."""
        user = cast(Any, request.user)
        if not _belongs(user):
            return HttpResponseRedirect(reverse("admin:login"))
        lacks = missing(request)
        if user.is_verified() or not django_otp.user_has_device(user):
            return self._without(request, lacks)
        form = TokenForm(user, request.POST or None)
        if request.method == "POST" and form.is_valid():
            request.session.cycle_key()
            django_otp.login(request, user.otp_device)
            return HttpResponseRedirect(_next(request))
        context = self._context(request, _("Second step"), form=form)
        return TemplateResponse(request, "signin/token.html", context, status=422 if form.errors else 200)

    def _without(self, request: HttpRequest, lacks: str) -> HttpResponse:
        """Nothing is lacking, or the device was taken away meanwhile: then a new one is enrolled where it must be."""
        if lacks and request.method == "POST":
            request.session.pop(PENDING, None)
            lacks = missing(request)
        if lacks == "token":
            return TemplateResponse(request, "signin/gone.html", self._context(request, _("Second step")))
        return HttpResponseRedirect(reverse("admin:two_factor_set_up") if lacks else _next(request))

    def set_up(self, request: HttpRequest) -> HttpResponse:
        """Enrol an app: a secret to scan, its first code; then the backup codes, once."""
        user = cast(Any, request.user)
        if not _belongs(user):
            return HttpResponseRedirect(f"{reverse('admin:login')}?next={request.path}")
        # Also a session from before the device was enrolled, which no page asks for it.
        if missing(request) == "token" or (not user.is_verified() and django_otp.user_has_device(user)):
            return HttpResponseRedirect(f"{reverse('admin:two_factor')}?{urlencode({'next': request.path})}")
        if not missing(request) and not self.site.has_permission(request):
            return HttpResponseRedirect(reverse("admin:login"))
        key = _opened(request.POST.get("secret", ""), user) or default_key()
        device = TOTPDevice(user=user, key=key)
        form = EnrolForm(key, request.POST if "code" in request.POST else None)
        if request.method == "POST" and form.is_valid():
            device, codes = people.enrol(user, key, form.at)
            request.session.cycle_key()
            request.session[PENDING] = True
            django_otp.login(request, device)
            context = self._context(request, _("Backup codes"), codes=codes)
            return TemplateResponse(request, "signin/codes.html", context)
        context = self._context(
            request, _("Set up the second step"), form=form, secret=signing.dumps([user.pk, key], salt=SALT),
            text=_grouped(b32encode(unhexlify(key)).decode()),
            picture=segno.make(device.config_url, error="m").svg_data_uri(scale=5, border=3, light="#ffffff"),
            has_device=user.is_verified(),
        )  # fmt: skip
        return TemplateResponse(request, "signin/set_up.html", context, status=422 if form.errors else 200)


def _belongs(user: Any) -> bool:
    """Whether this is somebody who may sign in: who was removed meanwhile shows and enrols nothing either."""
    return user.is_authenticated and (user.is_staff or bool(roles_of(user)))


def _opened(secret: str, user: User) -> str:
    """The secret that this person was shown within the last minutes; "" for anything else."""
    try:
        owner, key = signing.loads(secret, salt=SALT, max_age=MINUTES * 60)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(key) if owner == user.pk else ""


def _grouped(text: str) -> str:
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _next(request: HttpRequest) -> str:
    """Where the person wanted to go, when that is a page of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return reverse("admin:index")
