"""The catalogue of what people are told: for each kind how urgent it is, whom it concerns, and its words.

A sentence is filled with the notice's particulars when somebody reads it, in that person's language and, where it
counts, in the right number. Its headline says
what is wrong in general, `cause` names the record, field and value, `remedy` what to do and who does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from integrations.models import Membership
from sync.models import Notice

NOW = Notice.Level.IMMEDIATE
LATER = Notice.Level.DIGEST


class Group(TextChoices):
    """What a person switches on and off; a kind belongs to one, and those of one group have the same level."""

    CONNECTION = "connection", _("Connections: lost, about to be lost, paused")
    GUARD = "guard", _("Guards: a brake or the totals check stopped something")
    PROOF = "proof", _("Reconciliation: differences without an explanation")
    WATCHDOG = "watchdog", _("The work stands still: workers, queue, schedules, listener")
    WORK = "work", _("Records, runs, fields and months that need a person")
    READINESS = "readiness", _("Readiness and set-up: what was ready is not any more, calls were refused")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `banner` puts it on every page; `surveyed` ones are opened and healed by comparing, not by calls."""

    level: Notice.Level
    group: Group
    headline: Any
    cause: Any
    remedy: Any
    tone: str = "failed"
    banner: bool = False
    surveyed: bool = False
    watched: bool = False


_RECONNECT = _("Open the account and reconnect it, or ask who may sign in there. It goes on where it stopped.")
_WORKERS = _("Whoever runs the server: see that “manage.py worker” is running, and read its log.")

KINDS: Mapping[str, Kind] = {
    # --- connections -------------------------------------------------------------------------------------------
    "connection_dead": Kind(
        NOW, Group.CONNECTION, _("A connection is lost"),
        _("{account} no longer lets us in: {reason}. Nothing is synced with it; what is new waits."), _RECONNECT,
        banner=True, surveyed=True,
    ),
    "connection_dying": Kind(
        NOW, Group.CONNECTION, _("A connection will be lost soon"),
        _("The sign-in to {account} ends on {date}, because it could not be renewed."),
        _("Open the account and reconnect it before that day."),
        tone="held", banner=True, surveyed=True,
    ),
    "account_paused": Kind(
        NOW, Group.CONNECTION, _("An account is paused"),
        _("{account} refuses our app itself: {reason}. Work with it is paused and tried again by itself."),
        _("Whoever runs the server: check our app's client id and secret for this system."),
        tone="held", banner=True, surveyed=True,
    ),
    # --- guards ------------------------------------------------------------------------------------------------
    "guard_brake": Kind(
        NOW, Group.GUARD, _("The brake stopped a run"),
        ngettext_lazy(
            "{flow}: {reason} {count} change is held; nothing of the run was written.",
            "{flow}: {reason} {count} changes are held; nothing of the run was written.",
            "count",
        ),
        _("Open the run, look at its changes, and approve them or cancel the plan."),
        tone="held", banner=True, surveyed=True,
    ),
    "guard_totals": Kind(
        NOW, Group.GUARD, _("Totals differ"),
        ngettext_lazy(
            "{flow}: {count} document is not what was promised: {record}. It stays unbooked.",
            "{flow}: {count} documents are not what was promised, such as {record}. They stay unbooked.",
            "count",
        ),
        _("Open them: each shows by which part it differs. Correct the source, or credit the document."),
        surveyed=True,
    ),
    "field_paused": Kind(
        LATER, Group.WORK, _("A field is paused"),
        ngettext_lazy(
            "{flow}: the field {field} changed back and forth ({count} time) and is not written any more.",
            "{flow}: the field {field} kept changing back and forth ({count} times) and is not written any more.",
            "count",
        ),
        _("Open the ownership page, decide which side owns the field, and resume it."),
        tone="held",
    ),
    # --- records and runs --------------------------------------------------------------------------------------
    "failures_waiting": Kind(
        LATER, Group.WORK, _("Records need a person"),
        ngettext_lazy(
            "{flow}: {count} record could not be written: {record} ({code}).",
            "{flow}: {count} records could not be written, such as {record} ({code}).",
            "count",
        ),
        _("Open the list: every group says its cause and what to do."), surveyed=True,
    ),
    "conflicts_waiting": Kind(
        LATER, Group.WORK, _("Conflicts wait for a decision"),
        ngettext_lazy(
            "{flow}: {count} record needs a choice: {record}.",
            "{flow}: {count} records need a choice, such as {record}.",
            "count",
        ),
        _("Open them and choose which side is right."), tone="held", surveyed=True,
    ),
    "approval_waiting": Kind(
        LATER, Group.WORK, _("Changes wait for approval"),
        ngettext_lazy(
            "{flow}: {count} planned change has waited since {date}.",
            "{flow}: {count} planned changes have waited since {date}.",
            "count",
        ),
        _("Open them, look, and approve or dismiss."), tone="held", surveyed=True,
    ),
    "run_failed": Kind(
        LATER, Group.WORK, _("A run failed"),
        _("{flow}: the last run failed. {cause}"), _("{remedy} The flow tries again by itself."),
        surveyed=True,
    ),
    # --- proof and readiness (told by those pages) ----------------------------------------------------------------
    "reconciliation_unexplained": Kind(
        NOW, Group.PROOF, _("Reconciliation found differences"),
        ngettext_lazy(
            "{integration}: {count} difference between both sides has no explanation.",
            "{integration}: {count} differences between both sides have no explanation.",
            "count",
        ),
        _("Open the reconciliation: it lists each of them with both values."),
    ),
    "reconciliation_failed": Kind(
        NOW, Group.PROOF, _("Both sides could not be compared"),
        _("{integration}: the comparison from {starts} to {ends} failed. {cause}"),
        _("{remedy} Then compare again; it is tried again every night."),
    ),
    "month_end_open": Kind(
        LATER, Group.WORK, _("The month is not closed"),
        ngettext_lazy(
            "{integration}: {count} row of the month-end page still needs an action.",
            "{integration}: {count} rows of the month-end page still need an action.",
            "count",
        ),
        _("Open the month-end page and work through its rows."), tone="held",
    ),
    "readiness_red": Kind(
        LATER, Group.READINESS, _("No longer ready"),
        ngettext_lazy(
            "{integration}: {count} of the readiness checks is red: {what}.",
            "{integration}: {count} of the readiness checks are red, such as: {what}.",
            "count",
        ),
        _("Open the readiness board: each line says what to do, and where in the menus."),
    ),
    # --- the work stands still -----------------------------------------------------------------------------------
    "workers_silent": Kind(
        NOW, Group.WATCHDOG, _("The workers are silent"),
        _("No worker of the queue “{queue}” has given a sign of life since {since}. Nothing of it is done."), _WORKERS,
        banner=True, watched=True,
    ),
    "workers_missing": Kind(
        NOW, Group.WATCHDOG, _("No worker has started"),
        _("Flows are switched on, and no worker has ever given a sign of life. Nothing is done."), _WORKERS,
        banner=True, watched=True,
    ),
    "scheduler_silent": Kind(
        NOW, Group.WATCHDOG, _("The schedule does not run"),
        _("The minute tick was due at {since} and was not put into the queue: nothing starts by itself."), _WORKERS,
        banner=True, watched=True,
    ),
    "queue_stuck": Kind(
        NOW, Group.WATCHDOG, _("The queue does not drain"),
        ngettext_lazy(
            "{count} task of the queue “{queue}” has waited since {since}.",
            "{count} tasks of the queue “{queue}” wait, the oldest since {since}.",
            "count",
        ), _WORKERS,
        banner=True, watched=True,
    ),
    "listener_silent": Kind(
        NOW, Group.WATCHDOG, _("A listener is silent"),
        _("The listener for {system} was last connected {since}. Changes there are found by the schedules only."),
        _("Whoever runs the server: see that “manage.py listen” is running, and read its log."),
        tone="held", banner=True, watched=True,
    ),
    "watchdog_silent": Kind(
        NOW, Group.WATCHDOG, _("The watchdog is silent"),
        _("The watchdog has not looked since {since}: if the workers stopped, nobody would be told."),
        _("Whoever runs the server: see that “manage.py watchdog” is running."),
        tone="held", banner=True, surveyed=True,
    ),
    "run_stuck": Kind(
        NOW, Group.WATCHDOG, _("A run is stuck"),
        _("{flow}: run {run} is “{state}” and has not moved since {since}."),
        _("Set it going again on the notices page; it continues at its last stored page."), banner=True, watched=True,
    ),
    "cursor_old": Kind(
        NOW, Group.WATCHDOG, _("A flow is behind"),
        _("{flow} should run every {minutes} minutes and last finished {since}."),
        _("Open the flow and see why. If its runs are fine but late, more bulk workers help."),
        tone="held", banner=True, watched=True,
    ),
    "outcome_unknown_old": Kind(
        NOW, Group.WATCHDOG, _("Outcomes are still unknown"),
        ngettext_lazy(
            "{integration}: of {count} write ({record}) nobody knows whether it arrived, since {since}.",
            "{integration}: of {count} writes nobody knows whether they arrived, the oldest ({record}) since {since}.",
            "count",
        ),
        _("Set them going again on the notices page: each is searched for at the remote before anything is sent."),
        banner=True, watched=True,
    ),
    "outbox_stuck": Kind(
        NOW, Group.WATCHDOG, _("Messages do not get out"),
        ngettext_lazy(
            "{count} notice could not be sent since {since}: {error}.",
            "{count} notices could not be sent, the oldest since {since}: {error}.",
            "count",
        ),
        _("Whoever runs the server: check the mail settings (EMAIL_URL)."), tone="held", banner=True, watched=True,
    ),
    "calls_refused": Kind(
        LATER, Group.READINESS, _("Incoming calls were refused"),
        ngettext_lazy(
            "{count} call was refused today, as “{reason}” from {source}.",
            "{count} calls were refused today, most of them as “{reason}” from {source}.",
            "count",
        ),
        _("Compare with “Refused calls” in the operations manual; strangers are harmless, our own vendors are not."),
        tone="held", surveyed=True,
    ),
}  # fmt: skip

SURVEYED = frozenset(name for name, kind in KINDS.items() if kind.surveyed)
WATCHED = frozenset(name for name, kind in KINDS.items() if kind.watched)

MONEY = tuple(str(group) for group in (Group.CONNECTION, Group.GUARD, Group.PROOF, Group.WATCHDOG))
"""The groups of kinds that stop money; those of the others come in the digest unless a person asks for them at once."""
_BY_ROLE: Mapping[str, tuple[tuple[str, ...], str]] = {
    Membership.Role.OWNER: (MONEY, "daily"),
    Membership.Role.CONSULTANT: (MONEY, "daily"),
    Membership.Role.ACCOUNTANT: ((str(Group.PROOF), str(Group.GUARD)), "off"),
    Membership.Role.SUPPORT: ((), "daily"),
    Membership.Role.VIEWER: ((), "off"),
}


def defaults(role: str) -> tuple[tuple[str, ...], str]:
    """Which groups a role is told about at once, and how often it gets the digest, until the person says otherwise."""
    return _BY_ROLE.get(role, ((), "off"))
