"""The page of an organization's people: who is here as what; owners invite, change roles, remove, and help out.

The invariants: everybody of the organization may look; what changes something is a POST by an owner, on a membership
of this very organization (another one is 404).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from axes.models import AccessAttempt
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_otp.plugins.otp_totp.models import TOTPDevice

from integrations import people, people_mail
from integrations.models import Membership, Organization
from integrations.rights import require
from integrations.shell import page

SHOWN = 500


class InvitationForm(forms.Form):
    """Whom, and as what."""

    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=150)
    name = forms.CharField(label=gettext_lazy("Name"), max_length=150, required=False)
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Membership.Role.choices)


def urls(wrap: Any) -> list[URLPattern]:
    """The addresses below an organization's page; `wrap` is the site's `admin_view`."""
    return [
        path("<int:pk>/people/", wrap(never_cache(require_safe(listed))), name="integrations_people"),
        path("<int:pk>/people/invite/", wrap(require_POST(invite)), name="integrations_people_invite"),
        path("<int:pk>/people/<int:member>/<slug:step>/", wrap(require_POST(one)), name="integrations_people_step"),
    ]


def _organization(request: HttpRequest, pk: int) -> Organization:
    return get_object_or_404(Organization.objects.for_user(request.user), pk=pk)


def listed(request: HttpRequest, pk: int) -> HttpResponse:
    """Everybody of the organization."""
    organization = _organization(request, pk)
    require(request.user, "integrations.view_membership", organization)
    return _page(request, organization, _empty())


def _page(
    request: HttpRequest,
    organization: Organization,
    form: InvitationForm,
    invited: Membership | None = None,
    path: str = "",
    status: int = 200,
) -> HttpResponse:
    user, link = cast(User, request.user), f"{settings.PUBLIC_URL}{path}" if invited else ""
    members = (
        organization.memberships.select_related("user")
        .annotate(
            has_device=Exists(TOTPDevice.objects.filter(user=OuterRef("user"), confirmed=True)),
            mistakes=Exists(AccessAttempt.objects.filter(username=OuterRef("user__username"))),
        )
        .order_by("user__username")[:SHOWN]
    )
    context = {
        "title": _("People of %(organization)s") % {"organization": organization},
        "organization_shown": organization,
        "members": members,
        "form": form,
        "link": link,
        "mailed": people_mail.send(invited, link, user).name if invited else "",
        "invited": invited,
        "roles": Membership.Role.choices,
        "meanings": MEANINGS,
        "may_invite": user.has_perm("integrations.add_membership", organization),
        "may_change": user.has_perm("integrations.change_membership", organization),
        "may_remove": user.has_perm("integrations.delete_membership", organization),
    }
    return page(request, "integrations/people.html", context, status=status)


def invite(request: HttpRequest, pk: int) -> HttpResponse:
    """Add somebody; the link for somebody new is mailed, and shown on the page that answers, and nowhere else."""
    organization = _organization(request, pk)
    require(request.user, "integrations.add_membership", organization)
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return _page(request, organization, form, status=422)
    data = form.cleaned_data
    try:
        member, path = people.invite(organization, data["email"], data["name"], data["role"])
    except ValueError as error:
        form.add_error("email", str(error))
        return _page(request, organization, form, status=422)
    words = {"person": member.user, "role": member.get_role_display()}
    messages.success(request, _("%(person)s is a member now: %(role)s.") % words)
    if not path:
        text = _(
            "%(person)s could sign in before. Make sure that it is theirs: it was not you who passed on the link under "
            "which the password was chosen."
        )
        messages.warning(request, text % {"person": member.user})
        return redirect("admin:integrations_people", organization.pk)
    return _page(request, organization, _empty(), member, path)


def _empty() -> InvitationForm:
    return InvitationForm(initial={"role": Membership.Role.VIEWER})


def one(request: HttpRequest, pk: int, member: int, step: str) -> HttpResponse:
    """One step on one member: another role, removal, the second factor, the brake, a new invitation."""
    organization = _organization(request, pk)
    if step not in STEPS:
        raise Http404
    permission, take = STEPS[step]
    require(request.user, permission, organization)
    row = get_object_or_404(organization.memberships.select_related("user"), pk=member)
    if step in ASKED and "confirmed" not in request.POST:
        return _ask(request, organization, row, step)
    try:
        done = take(request, row)
    except ValueError as error:
        messages.error(request, str(error))
    else:
        if isinstance(done, HttpResponse):
            return done
        messages.success(request, done)
    if row.user_id == request.user.pk and step == "remove":
        return redirect("admin:index")
    return redirect("admin:integrations_people", organization.pk)


def _ask(request: HttpRequest, organization: Organization, row: Membership, step: str) -> HttpResponse:
    """Once, before somebody loses something."""
    title, sentence = ASKED[step]
    words = {"person": row.user, "organization": organization}
    question = {
        "title": title % words,
        "sentences": [sentence % words],
        "button": title % words,
        "danger": step == "remove",
        "cancel_url": reverse("admin:integrations_people", args=[organization.pk]),
    }
    context = {"title": f"{title % words}?", "question": question, "action_url": request.path}
    return page(request, "sync/confirm.html", context)


def _role(request: HttpRequest, row: Membership) -> str:
    role = request.POST.get("role", "")
    if role not in Membership.Role.values:
        raise ValueError(_("Choose one of the roles."))
    people.change_role(row, role)
    return _("%(person)s is %(role)s now.") % {"person": row.user, "role": row.get_role_display()}


def _remove(request: HttpRequest, row: Membership) -> str:
    people.remove(row)
    return _("%(person)s is no longer a member. Open pages of theirs stop working at once.") % {"person": row.user}


def _reset(request: HttpRequest, row: Membership) -> str:
    if people.reset_second_factor(row.user, cast(User, request.user)):
        return _("%(person)s signs in with the password and sets up a new app.") % {"person": row.user}
    return _("%(person)s had not set up a second step.") % {"person": row.user}


def _unlock(request: HttpRequest, row: Membership) -> str:
    people.unlock(row.user, cast(User, request.user))
    return _("%(person)s may try to sign in again at once.") % {"person": row.user}


def _invite(request: HttpRequest, row: Membership) -> HttpResponse:
    path = people.invite_again(row, cast(User, request.user))
    return _page(request, row.organization, _empty(), row, path)


STEPS: dict[str, tuple[str, Callable[[HttpRequest, Membership], HttpResponse | str]]] = {
    "role": ("integrations.change_membership", _role),
    "remove": ("integrations.delete_membership", _remove),
    "reset": ("integrations.change_membership", _reset),
    "unlock": ("integrations.change_membership", _unlock),
    "invite": ("integrations.add_membership", _invite),
}
"""By name: the right that it needs, and what it does; it says so, or answers with a page."""

ASKED = {
    "remove": (
        gettext_lazy("Remove %(person)s"),
        gettext_lazy("%(person)s sees nothing of %(organization)s any more, also in pages that are open now."),
    ),
    "reset": (
        gettext_lazy("Reset the second step of %(person)s"),
        gettext_lazy(
            "The app and the backup codes of %(person)s stop working. Until a new app is set up, the password is "
            "enough to sign in: make sure that it is %(person)s who asks."
        ),
    ),
}

MEANINGS = [
    (Membership.Role.VIEWER.label, gettext_lazy("sees everything, changes nothing")),
    (Membership.Role.SUPPORT.label, gettext_lazy("also retries, assigns and comments what failed, and starts runs")),
    (Membership.Role.CONSULTANT.label, gettext_lazy("also connects, configures, publishes and approves")),
    (
        Membership.Role.ACCOUNTANT.label,
        gettext_lazy("as support, and approves, books, credits and signs off; configures nothing"),
    ),
    (Membership.Role.OWNER.label, gettext_lazy("everything, and decides who belongs here")),
]
