"""What an organization's chat is told, as one text; and the test message that a person sends from the settings."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.fields import DecryptionError, reveal
from sync.models import ChatChannel
from sync.notices import chat
from sync.notices.outbox import Batch, NotSent, Phase, still_true
from sync.notices.words import language, words

SHOWN = 10


def send_chat(batch: Batch) -> set[int]:
    """Post what the batch says; returns the rows that were in it. Raises `NotSent`."""
    channel = ChatChannel.objects.select_related("organization").filter(organization=batch.organization_id).first()
    if channel is None or not channel.url:
        return set()
    valid = [row for row in batch.rows if still_true(row) and row.notice]
    if not valid:
        return set()
    with language(channel.language):
        opened = [words(row.notice) for row in valid if row.phase == Phase.OPENED and row.notice]
        healed = [words(row.notice) for row in valid if row.phase == Phase.RESOLVED and row.notice]
        lines = [f"⚠ {told.headline} ({told.whose})\n{told.cause} {told.remedy}\n{told.url}" for told in opened[:SHOWN]]
        lines += [f"✓ {_('Resolved')}: {told.headline} ({told.whose})" for told in healed[:SHOWN]]
        more = max(len(opened) - SHOWN, 0) + max(len(healed) - SHOWN, 0)
        if more:
            lines.append(ngettext("and %(n)d more", "and %(n)d more", more) % {"n": more})
    try:
        _post(channel, "\n\n".join(lines))
    except chat.ChatRefused as refusal:
        raise NotSent(str(refusal.reason), permanent=refusal.permanent) from None
    return {row.pk for row in valid}


def send_test(channel: ChatChannel, person: str) -> None:
    """Post a test message. Raises `ChatRefused` with a sentence for the person."""
    with language(channel.language):
        text = _("Ledgerbridge · %(organization)s: this is a test, sent by %(person)s. Messages arrive here.")
        _post(channel, text % {"organization": channel.organization, "person": person})


def _post(channel: ChatChannel, text: str) -> None:
    now = timezone.now()
    rows = ChatChannel.objects.filter(pk=channel.pk)
    try:
        address = reveal(channel, "url")
    except DecryptionError:
        refusal = chat.ChatRefused(_("The stored address cannot be read. Enter it again."), permanent=True)
        rows.update(error=str(refusal.reason), error_at=now)
        raise refusal from None
    try:
        chat.post(address, chat.escape(text))
    except chat.ChatRefused as error:
        with language("en"):
            rows.update(error=str(error.reason)[:300], error_at=now)
        raise
    rows.update(sent_at=now, error="", error_at=None)
