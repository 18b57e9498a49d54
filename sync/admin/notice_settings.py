"""How a person wants to be told about each organization, and the chat that an organization hears things in.

The invariant: a person changes nobody's wishes but their own, for organizations they belong to; a chat's address is
never shown again once it is stored.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from integrations.fields import conceal
from integrations.models import Membership, Organization
from sync.admin import show
from sync.models import ChatChannel, NoticePreference
from sync.notices import chat
from sync.notices.chat_message import send_test
from sync.notices.kinds import Group
from sync.notices.people import preference

EVERYWHERE = 0
"""Stands for the whole installation where an organization's id would be."""
HOURS = [(hour, f"{hour:02d}:00") for hour in range(24)]


class PreferenceForm(forms.Form):
    """What one person chooses for one organization."""

    immediate = forms.MultipleChoiceField(
        label=gettext_lazy("By e-mail at once"), choices=Group.choices, required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("What breaks together comes as one message; what heals within a minute is not mailed."),
    )  # fmt: skip
    digest = forms.ChoiceField(
        label=gettext_lazy("Digest of all that is open"), choices=NoticePreference.Digest.choices,
        help_text=gettext_lazy("What healed is not in it; when nothing is open there is none."),
    )  # fmt: skip
    hour = forms.TypedChoiceField(label=gettext_lazy("Hour of the digest"), choices=HOURS, coerce=int)
    language = forms.ChoiceField(label=gettext_lazy("Language of the messages"), choices=settings.LANGUAGES)


class ChatForm(forms.Form):
    """Where an organization's chat takes messages."""

    url = forms.CharField(
        label=gettext_lazy("Address of the incoming webhook"), max_length=chat.LONGEST, required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "vTextField"}),
        help_text=gettext_lazy(
            "Slack, Teams or any other that takes {“text”: …} over https. Whoever has the address can post, so it is "
            "stored encrypted and not shown again. Leave it empty to keep the one that is stored."
        ),
    )  # fmt: skip
    language = forms.ChoiceField(label=gettext_lazy("Language of the messages"), choices=settings.LANGUAGES)

    def clean_url(self) -> str:
        """Refuse an address that would never be used, with the reason."""
        url = str(self.cleaned_data["url"]).strip()
        if url:
            try:
                chat.check(url)
            except chat.ChatRefused as refusal:
                raise forms.ValidationError(refusal.reason) from None
        return url


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of the settings."""
    pages = _Pages(site)
    one = "notices/settings/<int:pk>/"
    return [
        path("notices/settings/", site.admin_view(require_GET(pages.first)), name="notices_settings"),
        path(
            one, site.admin_view(require_http_methods(["GET", "HEAD", "POST"])(pages.one)), name="notices_settings_of"
        ),
        path(f"{one}chat/", site.admin_view(require_POST(pages.chat)), name="notices_chat"),
        path(f"{one}chat/test/", site.admin_view(require_POST(pages.test)), name="notices_chat_test"),
        path(f"{one}chat/remove/", site.admin_view(require_POST(pages.remove)), name="notices_chat_remove"),
    ]


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def first(self, request: HttpRequest) -> HttpResponse:
        """To the person's first organization."""
        memberships = Membership.objects.filter(user=request.user.pk).order_by("organization__name")
        pk = memberships.values_list("organization_id", flat=True).first()
        if pk is None and not request.user.is_superuser:
            raise Http404
        return HttpResponseRedirect(reverse("admin:notices_settings_of", args=[pk or EVERYWHERE]))

    def one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The person's wishes for one organization; POST stores them."""
        organization, role = self._mine(request, pk)
        if request.method == "POST":
            form = PreferenceForm(request.POST)
            if form.is_valid():
                _store(request.user, organization, form.cleaned_data)
                messages.success(request, _("You are told as you chose."))
                return HttpResponseRedirect(request.path)
            return self._page(request, organization, form=form)
        row = preference(request.user, organization.pk if organization else None, role)
        form = PreferenceForm(
            initial={
                "immediate": row.immediate, "digest": row.digest, "hour": row.hour,
                "language": row.language or settings.LANGUAGE_CODE,
            }
        )  # fmt: skip
        return self._page(request, organization, form=form)

    def chat(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Store where the organization's chat takes messages."""
        organization = self._chat_of(request, pk)
        form = ChatForm(request.POST)
        if not form.is_valid():
            return self._page(request, organization, chat_form=form)
        channel = ChatChannel.objects.filter(organization=organization).first() or ChatChannel(
            organization=organization
        )
        url = form.cleaned_data["url"]
        if not url and not channel.url:
            form.add_error("url", _("Enter the address."))
            return self._page(request, organization, chat_form=form)
        if url:
            conceal(channel, "url", url)
            channel.host, channel.error, channel.error_at = chat.check(url)[:200], "", None
        channel.language = form.cleaned_data["language"]
        try:
            with transaction.atomic():
                channel.save()
        except IntegrityError:  # somebody else stored one in the same moment
            messages.error(request, _("Somebody else changed it in the same moment. Look and try again."))
        else:
            messages.success(request, _("The chat is stored. Send a test to see that messages arrive."))
        return HttpResponseRedirect(_settings_of(organization))

    def test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send one message there now."""
        organization = self._chat_of(request, pk)
        channel = ChatChannel.objects.select_related("organization").filter(organization=organization).first()
        if channel is None or not channel.url:
            raise Http404
        try:
            send_test(channel, request.user.get_username())
        except chat.ChatRefused as refusal:
            messages.error(request, _("The test did not arrive: %(reason)s") % {"reason": refusal.reason})
        else:
            messages.success(request, _("The test was sent to %(host)s.") % {"host": channel.host})
        return HttpResponseRedirect(_settings_of(organization))

    def remove(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Forget the chat's address."""
        organization = self._chat_of(request, pk)
        ChatChannel.objects.filter(organization=organization).delete()
        messages.success(request, _("The chat is told nothing more."))
        return HttpResponseRedirect(_settings_of(organization))

    def _mine(self, request: HttpRequest, pk: int) -> tuple[Organization | None, str]:
        """The organization and the person's role there; 404 for one they do not belong to."""
        if pk == EVERYWHERE:
            if not request.user.is_superuser:
                raise Http404
            return None, ""
        member = Membership.objects.filter(user=request.user.pk, organization=pk).select_related("organization").first()
        if member is not None:
            return member.organization, member.role
        if request.user.is_superuser and (found := Organization.objects.filter(pk=pk).first()):
            return found, ""
        raise Http404

    def _chat_of(self, request: HttpRequest, pk: int) -> Organization:
        organization, _role = self._mine(request, pk)
        if organization is None:
            raise Http404
        if not request.user.has_perm("sync.change_chatchannel", organization):
            raise PermissionDenied
        return organization

    def _page(
        self, request: HttpRequest, organization: Organization | None, *, form: PreferenceForm | None = None,
        chat_form: ChatForm | None = None,
    ) -> HttpResponse:  # fmt: skip
        member = organization is None or Membership.objects.filter(
            user=request.user.pk, organization=organization
        ).exists()  # fmt: skip
        if form is None:
            _own, role = self._mine(request, organization.pk if organization else EVERYWHERE)
            row = preference(request.user, organization.pk if organization else None, role)
            form = PreferenceForm(initial={"immediate": row.immediate, "digest": row.digest, "hour": row.hour,
                                           "language": row.language or settings.LANGUAGE_CODE})  # fmt: skip
        may_chat = organization is not None and request.user.has_perm("sync.change_chatchannel", organization)
        channel = ChatChannel.objects.filter(organization=organization).first() if may_chat else None
        if may_chat and chat_form is None:
            chat_form = ChatForm(initial={"language": channel.language if channel else settings.LANGUAGE_CODE})
        context = self.site.each_context(request) | {
            "title": _("What you are told"),
            "form": form,
            "member": member,
            "whose": organization or _("The whole installation"),
            "pk": organization.pk if organization else EVERYWHERE,
            "address": getattr(request.user, "email", ""),
            "choices": _choices(request.user, organization),
            "may_chat": may_chat,
            "chat_form": chat_form,
            "channel": channel,
            "chat_sent": show.when(channel.sent_at, _("nothing yet")) if channel else "",
            "chat_error_at": show.when(channel.error_at) if channel and channel.error_at else "",
        }
        return TemplateResponse(request, "sync/notices_settings.html", context)


def _settings_of(organization: Organization) -> str:
    return reverse("admin:notices_settings_of", args=[organization.pk])


def _choices(user: Any, current: Organization | None) -> list[dict[str, Any]]:
    """Where the person can be told of; nothing when there is only one."""
    rows: list[tuple[int, str]] = list(
        Organization.objects.filter(memberships__user=user.pk).order_by("name").values_list("pk", "name")[:200]
    )
    if user.is_superuser:
        rows.append((EVERYWHERE, _("The whole installation")))
    here = current.pk if current else EVERYWHERE
    return [
        {"name": name, "url": reverse("admin:notices_settings_of", args=[pk]), "current": pk == here}
        for pk, name in rows
    ]


def _store(user: Any, organization: Organization | None, chosen: dict[str, Any]) -> None:
    NoticePreference.objects.update_or_create(
        user=user, organization=organization,
        defaults={
            "immediate": list(chosen["immediate"]), "digest": chosen["digest"], "hour": chosen["hour"],
            "language": chosen["language"], "updated_at": timezone.now(),
        },
    )  # fmt: skip
