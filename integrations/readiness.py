"""What is missing before an integration can work, asked now: our own rows first, then both connectors (I-06).

The invariant: a side that cannot be asked gives an error line of its own; the board is always complete and never
raises for what it is there to report. What is found is kept by `readiness_store`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation

from integrations.connector import Expected, ReadinessLine
from integrations.errors import SyncError
from integrations.models import ConnectedAccount, Integration
from integrations.words import Text
from integrations.words import every as _

logger = logging.getLogger(__name__)

DYING = timedelta(days=7)
LEVELS = ("error", "warning", "ok")
Found = list[tuple[str, ReadinessLine]]
"""Lines with the side that they are about: "", "crm" or "ledger"."""


def check_sides(integration: Integration, expected: Expected | None = None, *, lane: str = "interactive") -> Found:
    """Every line of the board with its side, worst first. `expected` is what is queued for the ledger; the currencies
    of the CRM are added to it. `lane` decides whether people or bulk work pay with their calls."""
    found: Found = [("", _mode(integration))]
    crm = check_account(integration.crm_account, lane=lane)
    found += [("crm", line) for line in crm]
    currencies = frozenset(code for line in crm if line.code == "currencies" for code in line.facts)
    wanted = replace(expected or Expected(), currencies=currencies)
    found += [("ledger", line) for line in check_account(integration.ledger_account, wanted, lane=lane)]
    return sorted(found, key=lambda entry: LEVELS.index(entry[1].level))


def check(integration: Integration, expected: Expected | None = None) -> list[ReadinessLine]:
    """Every line of the board, worst first."""
    return [line for _side, line in check_sides(integration, expected)]


def check_account(
    account: ConnectedAccount, expected: Expected | None = None, *, lane: str = "interactive"
) -> list[ReadinessLine]:
    """The lines of one side: connection, scopes, token age, and what its connector finds."""
    lines = [_connection(account)]
    if account.status == ConnectedAccount.Status.CONNECTED:
        lines += [_scopes(account), _token_age(account), *_connector_lines(account, expected, lane)]
    return lines


def is_ready(lines: list[ReadinessLine]) -> bool:
    """Whether no line is an error."""
    return all(line.level != "error" for line in lines)


def _mode(integration: Integration) -> ReadinessLine:
    title = _("Mode: %(mode)s") % {"mode": _shown(integration.get_mode_display)}
    if integration.mode == Integration.Mode.OFF:
        detail = _("Nothing runs while the integration is off.")
        return ReadinessLine("mode", "warning", title, detail, _("Set the mode to live or observe."))
    if integration.mode == Integration.Mode.OBSERVE:
        detail = _("Runs plan changes; nothing is delivered.")
        return ReadinessLine("mode", "warning", title, detail, _("Set the mode to live to deliver changes."))
    return ReadinessLine("mode", "ok", title)


def _connection(account: ConnectedAccount) -> ReadinessLine:
    title = _("%(account)s: connection") % {"account": account}
    if account.status == ConnectedAccount.Status.CONNECTED:
        if account.paused_until and account.paused_until > timezone.now():
            until = timezone.localtime(account.paused_until).strftime("%H:%M:%S")
            detail = _("Paused until %(time)s. %(reason)s") % {"time": until, "reason": account.status_reason}
            return ReadinessLine("paused", "warning", title, detail, _("It resumes by itself."))
        return ReadinessLine("connection", "ok", title, _shown(account.get_status_display))
    detail = _shown(account.get_status_display) + f". {account.status_reason}".rstrip()
    return ReadinessLine("connection", "error", title, detail, _press_reauthenticate(account))


def _scopes(account: ConnectedAccount) -> ReadinessLine:
    title = _("%(account)s: rights") % {"account": account}
    if account.missing_scopes:
        detail = _("Not granted: %(scopes)s") % {"scopes": ", ".join(account.missing_scopes)}
        return ReadinessLine("scopes", "error", title, detail, _press_reauthenticate(account))
    return ReadinessLine("scopes", "ok", title, _("Everything that is needed is granted."))


def _token_age(account: ConnectedAccount) -> ReadinessLine:
    title = _("%(account)s: token") % {"account": account}
    now = timezone.now()
    if account.refresh_expires_at and account.refresh_expires_at - now < DYING:
        days = max(0, (account.refresh_expires_at - now).days)
        detail = _("The refresh token dies in %(days)s days and could not be renewed.") % {"days": days}
        return ReadinessLine("token_dying", "error", title, detail, _press_reauthenticate(account))
    if account.access_expires_at is None or account.access_expires_at <= now:
        detail = _("The access token has run out; the next call or the minute tick fetches a new one.")
        fix = _("If this stays, check that the worker is running.")
        return ReadinessLine("token_old", "warning", title, detail + f" {account.status_reason}".rstrip(), fix)
    return ReadinessLine("token", "ok", title, _shown(account.get_grant_display))


def _connector_lines(account: ConnectedAccount, expected: Expected | None, lane: str) -> list[ReadinessLine]:
    from integrations.connectors import connector_for  # the connectors obtain their tokens from this room's tokens

    title = _("%(account)s: remote settings") % {"account": account}
    try:
        connector: Any = connector_for(account, lane=lane)
        check_for = getattr(connector, "check_for", None)
        return list(check_for(expected or Expected()) if check_for else connector.check())
    except SyncError as error:
        fix = _("Run the check again in a minute; if it stays, see the account's page.")
        return [ReadinessLine("not_asked", "error", title, error.message, fix)]


def _press_reauthenticate(account: ConnectedAccount) -> str:
    page = reverse("admin:integrations_connectedaccount_change", args=[account.pk])
    return _("Press Reconnect on the account's page: %(page)s") % {"page": page}


def _shown(display: Callable[[], object]) -> Text:
    """A choice's label in every language."""
    versions = {}
    for code, _name in settings.LANGUAGES:
        with translation.override(code):
            versions[code] = str(display())
    return Text.of(versions)
