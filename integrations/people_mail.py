"""An invitation by e-mail, in the language of who invites; the link on the page stays the way that always works.

The invariants: a mail that cannot go out is said, logged without its link, and loses no invitation; nobody makes this
installation send more than `PER_HOUR` invitations an hour, or more than `PER_PERSON` a day to one person.
"""

from __future__ import annotations

import logging
import smtplib
from datetime import timedelta
from enum import Enum

from django.conf import settings
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.mail import BadHeaderError, EmailMessage
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Membership

logger = logging.getLogger(__name__)

PER_HOUR, PER_PERSON = 30, 3
SILENT = {f"django.core.mail.backends.{name}.EmailBackend" for name in ("console", "dummy")}
"""What development and installations without mail use: nothing reaches anybody."""


class Mail(Enum):
    """What became of the mail."""

    SENT = "sent"
    FAILED = "failed"
    TOO_MANY = "too many"
    NOT_SET_UP = "not set up"


def send(member: Membership, link: str, user: User) -> Mail:
    """Mails `link` (an address in full) to the member, in the name of `user`. Never raises for a mail that fails."""
    if settings.EMAIL_BACKEND in SILENT:
        return Mail.NOT_SET_UP
    if not member.user.email:
        return Mail.FAILED
    if _too_many(member.user, user):
        return Mail.TOO_MANY
    words = {"organization": member.organization, "user": user}
    # Noted before it is tried: whoever invites a dead address again and again is slowed down as well.
    note = _("Invitation to %(organization)s mailed by %(user)s.") % words
    LogEntry.objects.log_actions(user.pk, [member.user], ADDITION, change_message=note, single_object=True)
    context = {"member": member, "link": link, "inviter": user.get_full_name() or user.get_username()}
    message = EmailMessage(
        subject=" ".join((_("Invitation to %(organization)s in Ledgerbridge") % words).split())[:200],
        body=render_to_string("signin/invitation_mail.txt", context),
        to=[member.user.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except (smtplib.SMTPException, OSError, BadHeaderError) as error:
        logger.warning("the invitation of member %s was not mailed: %s", member.pk, type(error).__name__)
        return Mail.FAILED
    return Mail.SENT


def _too_many(person: User, user: User) -> bool:
    """Whether the last hour or day has had enough of them; the log of people's pages is the count."""
    now, kind = timezone.now(), ContentType.objects.get_for_model(User)
    sent = LogEntry.objects.filter(content_type=kind, action_flag=ADDITION)
    hour = sent.filter(user=user, action_time__gt=now - timedelta(hours=1))
    day = sent.filter(object_id=str(person.pk), action_time__gt=now - timedelta(days=1))
    return hour.count() >= PER_HOUR or day.count() >= PER_PERSON
