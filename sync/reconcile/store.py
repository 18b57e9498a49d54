"""Beginning, signing and finding reconciliations: what people and the schedule ask for.

The invariant: one is at work per integration; what is signed was done, by somebody who may sign in that organization,
and has a written reason when anything was unexplained.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Integration
from mappings.models.mapping_set import Side
from sync import queue
from sync.models import Flow, Reconciliation
from sync.reconcile import telling

EVERY = timedelta(hours=20)
NIGHT = range(1, 6)
LONGEST = timedelta(days=800)
MOST_TOLERANT = Decimal(1)
"""A total is rounded to whole kronor at most; what is wider is an error that a tolerance must not hide."""


def month_of(day: date) -> tuple[date, date]:
    """The first and the last day of a month."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def default_period(today: date | None = None) -> tuple[date, date]:
    """The previous month and the current one."""
    first, last = month_of(today or timezone.localdate())
    return (first - timedelta(days=1)).replace(day=1), last


def begin(
    integration: Integration, starts: date | None = None, ends: date | None = None, *, user: Any = None,
    trigger: str = Reconciliation.Trigger.MANUAL, tolerance: Decimal = Decimal(0), kick: bool = True,
) -> Reconciliation:  # fmt: skip
    """A new reconciliation, to be carried on by the workers; the one that is at work already when there is one.

    Raises `ValidationError` for a period that is none.
    """
    first, last = default_period()
    starts, ends = starts or first, ends or last
    if ends < starts:
        raise ValidationError(_("The period ends before it begins."))
    if ends - starts > LONGEST:
        raise ValidationError(_("The period is longer than two years. Choose a shorter one."))
    if tolerance < 0 or not tolerance.is_finite() or tolerance > MOST_TOLERANT:
        raise ValidationError(_("The tolerance is an amount between 0 and 1: more is not rounding."))
    new = {"starts": starts, "ends": ends, "user": user, "trigger": trigger, "tolerance": tolerance}
    row = _created(integration, new) or _at_work(integration)
    # None: the one at work ended between the two questions, so that there is room for a new one now.
    row = row or _created(integration, new) or _at_work(integration)
    if row is None:
        raise ValidationError(_("Another comparison ended in this moment. Try again."))
    if kick:
        queue.kick(queue.BULK)
    return row


def _created(integration: Integration, values: dict[str, Any]) -> Reconciliation | None:
    """A new one; None when one is at work."""
    try:
        with transaction.atomic():
            return Reconciliation.objects.create(integration=integration, **values)
    except IntegrityError:
        return None


def _at_work(integration: Integration) -> Reconciliation | None:
    return Reconciliation.objects.filter(integration=integration, state__in=Reconciliation.ACTIVE).first()


def begin_nightly() -> Reconciliation | None:
    """By night: begin the one that is due longest, one a tick; None when there is none."""
    now = timezone.now()
    if timezone.localtime(now).hour not in NIGHT:
        return None
    mine = Reconciliation.objects.filter(integration=OuterRef("pk"))
    lately = mine.filter(trigger=Reconciliation.Trigger.NIGHT, started_at__gte=now - EVERY)
    documents = Flow.objects.filter(integration=OuterRef("pk"), enabled=True, source_side=Side.LEDGER)
    waiting = Integration.objects.filter(
        mode__in=[Integration.Mode.OBSERVE, Integration.Mode.LIVE],
        crm_account__status="connected", ledger_account__status="connected",
    )  # fmt: skip
    waiting = waiting.filter(Exists(documents)).exclude(Exists(lately))
    waiting = waiting.exclude(Exists(mine.filter(state__in=Reconciliation.ACTIVE)))
    chosen = waiting.order_by("pk").first()
    return begin(chosen, trigger=Reconciliation.Trigger.NIGHT, kick=False) if chosen else None


def sign(row: Reconciliation, user: Any, reason: str = "") -> Reconciliation:
    """A person signs for it. Raises `ValidationError` when it is not done, was signed already, or has unexplained
    differences and no reason."""
    with transaction.atomic():
        fresh: Reconciliation = Reconciliation.objects.select_for_update().get(pk=row.pk)
        reason = reason.strip()
        if fresh.signed_at is not None:
            raise ValidationError(_("It was signed already by %(who)s.") % {"who": fresh.signed_name})
        if fresh.state != Reconciliation.State.DONE:
            raise ValidationError(_("It is not finished: there is nothing to sign yet."))
        if fresh.unexplained and not reason:
            raise ValidationError(_("There are unexplained differences. Write why they are acceptable."))
        fresh.signed_by, fresh.signed_at, fresh.signed_reason = user, timezone.now(), reason
        fresh.signed_name = (user.get_full_name() or user.get_username())[:200]
        fresh.save(update_fields=["signed_by", "signed_at", "signed_reason", "signed_name"])
        telling.signed(fresh)
    return fresh


def signed_before(row: Reconciliation) -> Reconciliation | None:
    """The newest signed reconciliation of the same period that is older than this one."""
    rows = Reconciliation.objects.filter(integration_id=row.integration_id, starts=row.starts, ends=row.ends)
    return rows.exclude(signed_at=None).filter(pk__lt=row.pk).order_by("-pk").first()


def differs(row: Reconciliation, before: Reconciliation) -> bool:
    """Whether the figures of either side are no longer those that were signed."""
    sides = ("ledger", "crm")
    return row.state == Reconciliation.State.DONE and any(row.totals.get(s) != before.totals.get(s) for s in sides)
