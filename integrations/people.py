"""The people of an organization: who belongs to it as what, and the second factor of those who lost theirs.

The invariants: an organization keeps an owner; somebody's second factor, and the brake on guessing their password,
are taken away only by a person who owns every organization that somebody belongs to (or a superuser), because it opens
all of them; each step is in a log.
"""

from __future__ import annotations

from secrets import choice

from axes.models import AccessAttempt
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from integrations.models import Membership, Organization
from integrations.second_step_models import seal

CODES, LETTERS = 10, "abcdefghjkmnpqrstuvwxyz23456789"
"""Backup codes: ten, of ten characters that nobody mistakes for others; never digits only, which the app's are."""


# --- The second factor --------------------------------------------------------------------------------------------


def sealed(code: str) -> str:
    """A backup code as it is stored: the database alone does not give it back."""
    return salted_hmac("backup-code", code, algorithm="sha256").hexdigest()[:16]


def enrol(user: User, key: str, at: int) -> tuple[TOTPDevice, list[str]]:
    """A new app in place of any before it, and new backup codes. `at` is the place in time of the code that proved it,
    which is not accepted again."""
    codes = ["a" + "".join(choice(LETTERS) for _each in range(9)) for _code in range(CODES)]
    with transaction.atomic():
        TOTPDevice.objects.filter(user=user).delete()
        StaticDevice.objects.filter(user=user).delete()
        device = TOTPDevice.objects.create(user=user, name="app", confirmed=True, last_t=at)
        seal(device, key)
        backup = StaticDevice.objects.create(user=user, name="backup", confirmed=True)
        backup.token_set.bulk_create(backup.token_set.model(device=backup, token=sealed(code)) for code in codes)
        _note(user, user, _("Second step of signing in set up."))
    return device, codes


def may_reset(person: User, user: User) -> bool:
    """Whether `user` may take away the second factor of `person`, or let their password be guessed at again. Whoever
    has rights of their own has them everywhere: no owner's business."""
    if user.is_superuser:
        return True
    if person.is_superuser or person.user_permissions.exists():
        return False
    own = Membership.objects.filter(user=user, role=Membership.Role.OWNER).values("organization_id")
    return not Membership.objects.filter(user=person).exclude(organization_id__in=own).exists()


def reset_second_factor(person: User, user: User) -> bool:
    """Takes it away, so that `person` enrols a new one; whether there was one. `ValueError` for whoever may not."""
    _require_all(person, user)
    with transaction.atomic():
        found, _rows = TOTPDevice.objects.filter(user=person).delete()
        StaticDevice.objects.filter(user=person).delete()
        if found:
            _note(person, user, _("Second step of signing in taken away by %(user)s.") % {"user": user})
    return bool(found)


def unlock(person: User, user: User) -> int:
    """Forgets the wrong passwords that were given for `person`; how many rows of them there were. `ValueError` for
    whoever may not: an owner could add anybody by e-mail, and guess on and on."""
    _require_all(person, user)
    found = int(AccessAttempt.objects.filter(username=person.get_username()).delete()[0])
    _note(person, user, _("Sign-in unlocked by %(user)s.") % {"user": user})
    return found


def _require_all(person: User, user: User) -> None:
    if not may_reset(person, user):
        raise ValueError(
            _("%(person)s also belongs elsewhere. Ask whoever runs this installation.") % {"person": person}
        )


def _note(person: User, user: User, text: str) -> None:
    """A line in the log of the person's page."""
    LogEntry.objects.log_actions(user.pk, [person], CHANGE, change_message=text, single_object=True)


# --- Memberships ----------------------------------------------------------------------------------------------------


def invite(organization: Organization, email: str, name: str, role: str) -> tuple[Membership, str]:
    """Adds a person by e-mail; a link to choose a password comes back for somebody who is new, or who was here before
    and never came; "" otherwise.

    Raises `ValueError` for somebody who is a member already, or when several people share the e-mail.
    """
    with transaction.atomic():
        known = list(User.objects.filter(email__iexact=email, is_active=True)[:2])
        if len(known) > 1:
            raise ValueError(
                _("Several people have the e-mail %(email)s. Ask whoever runs this installation.") % {"email": email}
            )
        new = not known
        user = known[0] if known else _new_user(email, name)
        if organization.memberships.filter(user=user).exists():
            raise ValueError(_("%(email)s is a member already.") % {"email": email})
        member = Membership.objects.create(organization=organization, user=user, role=role)
        return member, renew(user) if new or _never_came(user, organization) else ""


def _never_came(user: User, organization: Organization) -> bool:
    """Whether the person has neither password nor rights, nor a place that a link would open besides this one."""
    elsewhere = user.memberships.exclude(organization=organization)
    return not (user.has_usable_password() or user.is_staff or elsewhere.exists() or user.user_permissions.exists())


def _new_user(email: str, name: str) -> User:
    if User.objects.filter(username__iexact=email).exists():
        raise ValueError(_("The name %(email)s is taken. Ask whoever runs this installation.") % {"email": email})
    first, _space, last = name.strip().partition(" ")
    user = User(username=email.lower()[:150], email=email, first_name=first[:150], last_name=last[:150])
    user.set_unusable_password()
    user.save()
    return user


def renew(user: User) -> str:
    """A new path for somebody who has no password yet; those that were made before stop working."""
    user.set_unusable_password()
    user.save(update_fields=["password"])
    return invitation(user)


def invite_again(member: Membership, user: User) -> str:
    """A new path for a member who never chose a password: the old one was lost, or its time is over.

    Raises `ValueError` for who has a password, and for whom `user` may not let in everywhere (see `may_reset`).
    """
    if member.user.has_usable_password():
        raise ValueError(_("%(person)s has chosen a password already.") % {"person": member.user})
    _require_all(member.user, user)
    return renew(member.user)


def invitation(user: User) -> str:
    """The path under which somebody who has no password yet chooses one: once, within `PASSWORD_RESET_TIMEOUT`."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("password_reset_confirm", args=[uid, default_token_generator.make_token(user)])


def change_role(member: Membership, role: str) -> None:
    """Another role. Raises `ValueError` when the organization would be without an owner."""
    with transaction.atomic():
        _keep_an_owner(member, stays=role == Membership.Role.OWNER)
        member.role = role
        member.save(update_fields=["role"])


def remove(member: Membership) -> None:
    """The person leaves the organization, at once and in every open session. Raises `ValueError` for the last owner."""
    with transaction.atomic():
        _keep_an_owner(member, stays=False)
        member.delete()


def _keep_an_owner(member: Membership, *, stays: bool) -> None:
    found = Membership.objects.select_for_update().filter(
        organization_id=member.organization_id, role=Membership.Role.OWNER
    )
    owners = [row.pk for row in found]  # as it is now, under lock: what the caller read may be old
    if not stays and owners == [member.pk]:
        raise ValueError(_("An organization keeps at least one owner. Make somebody else an owner first."))
