"""What an account's page says about the remote account: its particulars in words, and how much of its allowance is
used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.dateparse import parse_datetime
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import ConnectedAccount, TokenGeneration

SLOW, FULL = 80, 95
"""Percent of the allowance at which background work slows down, and at which it waits."""

_LABELS: dict[str, Promise] = {
    "edition": gettext_lazy("Edition"),
    "is_sandbox": gettext_lazy("Sandbox"),
    "currency": gettext_lazy("Currency"),
    "multi_currency": gettext_lazy("Several currencies"),
    "person_accounts": gettext_lazy("Person accounts"),
    "state_picklists": gettext_lazy("States and countries as lists"),
    "orders": gettext_lazy("Orders"),
    "rotation": gettext_lazy("Refresh token rotates"),
}


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of the calls that an account has in 24 hours is used."""

    used: int
    max: int
    at: datetime | None

    @property
    def percent(self) -> int:
        """Of the allowance, rounded down; more than 100 is possible where the vendor has headroom."""
        return self.used * 100 // self.max

    @property
    def used_shown(self) -> str:
        """The calls, grouped as the reader's language groups."""
        return number_format(self.used, force_grouping=True)

    @property
    def max_shown(self) -> str:
        """The allowance, likewise."""
        return number_format(self.max, force_grouping=True)

    @property
    def status_class(self) -> str:
        """The colour of its dot."""
        return "failed" if self.percent >= FULL else "held" if self.percent >= SLOW else "ok"


def usage(account: ConnectedAccount) -> Usage | None:
    """What the vendor last said; None when it never did."""
    used, most, at = (account.usage.get(name) for name in ("used", "max", "at"))
    if not isinstance(used, int) or not isinstance(most, int) or most <= 0:
        return None
    return Usage(used, most, parse_datetime(at) if isinstance(at, str) else None)


def grant_name(grant: str) -> str:
    """How a pair of tokens was obtained, in words."""
    names: dict[str, object] = dict(ConnectedAccount.Grant.choices)
    return str(names.get(grant, grant))


def generations(account: ConnectedAccount) -> list[TokenGeneration]:
    """The last attempts at tokens, each with its grant in words."""
    rows = list(account.generations.order_by("-number")[:10])
    for row in rows:
        row.grant_shown = grant_name(row.grant)  # type: ignore[attr-defined]
    return rows


def particulars(account: ConnectedAccount) -> list[tuple[Promise, str]]:
    """(name, value) in a fixed order; yes and no in words."""
    words = {True: _("yes"), False: _("no")}
    found = [(label, account.details.get(name)) for name, label in _LABELS.items()]
    return [
        (label, words[value] if isinstance(value, bool) else str(value))
        for label, value in found
        if value not in {None, ""}
    ]
