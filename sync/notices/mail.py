"""E-mail: one message with all that a person is to be told now, as text and as simple HTML, in their language.

One connection serves a pass; when it cannot be opened or breaks, the pass leaves e-mail alone. The same claim has the
same Message-ID, so that mail programs show a message that was sent twice once.
"""

from __future__ import annotations

import hashlib
import smtplib
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.core.mail import BadHeaderError, EmailMultiAlternatives, get_connection
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sync.models import Notice
from sync.notices import digest
from sync.notices.outbox import Batch, NotSent, Phase, still_true
from sync.notices.people import Wish, wishes
from sync.notices.words import Told, language, words

SHOWN = 10
"""Notices that a message spells out; of a storm only the number is told beyond."""


class Mailer:
    """Sends batches over one connection, which it opens when there is the first."""

    def __init__(self) -> None:
        self.connection: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:  # fmt: skip  # noqa: E501
        if self.connection is not None:
            try:
                self.connection.close()
            except (OSError, smtplib.SMTPException):
                pass  # what was sent is sent

    def send(self, batch: Batch) -> set[int]:
        """Send it; returns the ids of the rows that were in the message (the others are not needed any more).
        Raises `NotSent`."""
        found = wishes({batch.organization_id}, users=[batch.user_id] if batch.user_id else [])
        if not found:
            return set()  # the person left the organization, or has no address any more
        message, rows = _compose(found[0], batch)
        if message is not None:
            self._send(message)
        return rows

    def _send(self, message: EmailMultiAlternatives) -> None:
        try:
            if self.connection is None:
                opened = get_connection()
                opened.open()
                self.connection = opened
            message.connection = self.connection
            message.send()
        except smtplib.SMTPRecipientsRefused as error:
            codes = {code for code, _text in error.recipients.values()}
            refused = f"recipient refused ({', '.join(map(str, sorted(codes)))})"
            raise NotSent(refused, permanent=all(code >= 500 for code in codes)) from None
        except BadHeaderError:
            raise NotSent("the subject or an address has a line break", permanent=True) from None
        except (smtplib.SMTPException, OSError) as error:
            self.connection = None
            code = getattr(error, "smtp_code", "")
            raise NotSent(f"{type(error).__name__} {code}".strip(), channel_down=True) from None


def _compose(wish: Wish, batch: Batch) -> tuple[EmailMultiAlternatives | None, set[int]]:
    """The message, and the rows it speaks of; None when there is nothing left to say."""
    if batch.digest:
        if wish.digest == "off" or wish.organization_id is None:
            return None, set()
        opened, healed = digest.content(wish.organization_id), list[Notice]()
        rows = {row.pk for row in batch.rows}
    else:
        valid = [row for row in batch.rows if still_true(row) and row.notice and wish.wants(row.notice.kind)]
        opened = [row.notice for row in valid if row.phase == Phase.OPENED and row.notice]
        healed = [row.notice for row in valid if row.phase == Phase.RESOLVED and row.notice]
        rows = {row.pk for row in valid}
    if not opened and not healed:
        return None, set()
    with language(wish.language):
        return _message(wish, batch, opened, healed), rows


def _message(wish: Wish, batch: Batch, opened: list[Notice], healed: list[Notice]) -> EmailMultiAlternatives:
    said = [words(notice) for notice in opened[:SHOWN]]
    over = [words(notice) for notice in healed[:SHOWN]]
    first = (opened or healed)[0]
    whose = str(first.organization) if first.organization else _("The whole installation")
    context = {
        "name": wish.name,
        "whose": whose,
        "digest": batch.digest,
        "opened": said,
        "more": len(opened) - len(said),
        "healed": over,
        "more_healed": len(healed) - len(over),
        "list_url": f"{settings.PUBLIC_URL}/admin/notices/",
        "settings_url": f"{settings.PUBLIC_URL}/admin/notices/settings/{wish.organization_id or 0}/",
    }
    message = EmailMultiAlternatives(
        subject=" ".join(subject(whose, said, over, len(opened), len(healed), batch.digest).split())[:200],
        body=render_to_string("notices/mail.txt", context),
        to=[wish.email],
        headers={"Message-ID": _message_id(batch), "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(render_to_string("notices/mail.html", context), "text/html")
    return message


def subject(whose: str, said: list[Told], over: list[Told], n_open: int, n_healed: int, is_digest: bool) -> str:
    """What the message is called: the thing itself when it is one, else how many."""
    if is_digest:
        text = ngettext("%(n)d thing is open", "%(n)d things are open", n_open)
        return f"Ledgerbridge · {whose}: {text % {'n': n_open}}"
    if n_open == 1:
        return f"Ledgerbridge · {whose}: {said[0].headline}"
    if n_open:
        text = ngettext("%(n)d thing needs you", "%(n)d things need you", n_open)
        return f"Ledgerbridge · {whose}: {text % {'n': n_open}}"
    if n_healed == 1:
        return _("Ledgerbridge · %(whose)s: resolved: %(what)s") % {"whose": whose, "what": over[0].headline}
    text = ngettext("%(n)d thing is resolved", "%(n)d things are resolved", n_healed)
    return f"Ledgerbridge · {whose}: {text % {'n': n_healed}}"


def _message_id(batch: Batch) -> str:
    names = "\n".join(sorted(row.dedupe for row in batch.rows))
    host = settings.PUBLIC_URL.rpartition("://")[2].partition(":")[0].partition("/")[0] or "ledgerbridge"
    return f"<{hashlib.sha256(names.encode()).hexdigest()[:32]}@{host}>"
