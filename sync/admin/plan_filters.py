"""What one looks at on the plan page: a tab, a state, and filters that are also what "approve these" means.

Read from the address only. The invariant: whatever the address says, the rows are of the one run; a filter that cannot
be understood matches nothing, so that nobody approves more than they see.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.http import Http404, QueryDict
from django.utils.translation import gettext as _

from sync.models import Change, ChangeQuerySet, SyncRun
from sync.states import Action, State

SENT = "sent"
"""The tab of what was approved: on its way, or arrived."""
ON_THE_WAY = (State.QUEUED, State.SENDING, State.UNKNOWN, State.RETRYING, State.APPLIED)
LONGEST = 200
MOST = Decimal("999999999999.99")


@dataclass(frozen=True, slots=True)
class PlanFilter:
    """The choices of the address, as they were given."""

    action: str = ""
    state: str = ""
    field: str = ""
    q: str = ""
    reason: str = ""
    over: str = ""
    currency: str = ""

    NAMES = ("action", "state", "field", "q", "reason", "over", "currency")

    @classmethod
    def read(cls, asked: QueryDict) -> PlanFilter:
        """From the address. 404 for a tab or state that does not exist."""
        given = {name: asked.get(name, "").replace("\x00", "").strip()[:LONGEST] for name in cls.NAMES}
        if given["action"] not in ("", SENT, *Action.values) or given["state"] not in ("", *State.values):
            raise Http404
        return cls(**given)

    @property
    def values(self) -> dict[str, str]:
        """What was chosen."""
        chosen = {name: getattr(self, name) for name in self.NAMES}
        return {name: value for name, value in chosen.items() if value}

    @property
    def fine(self) -> bool:
        """Whether anything but tab and state was chosen: then rows must be counted one by one."""
        return bool(self.values.keys() - {"action", "state"})

    def url(self, **changed: str) -> str:
        """The address with some choices changed."""
        chosen = replace(self, **changed).values
        return f"?{urlencode(chosen)}" if chosen else "?"

    def rows(self, run: SyncRun) -> ChangeQuerySet:
        """The changes of `run` that pass; what a newer plan replaced only when it is asked for."""
        rows: ChangeQuerySet = Change.objects.filter(run=run)
        if self.state:
            rows = rows.filter(state=self.state)
        elif self.action == SENT:
            rows = rows.filter(state__in=ON_THE_WAY)
        else:
            rows = rows.exclude(state=State.SUPERSEDED)
        if self.action not in ("", SENT):
            rows = rows.filter(action=self.action)
        if self.field:
            # As JSON text: one spelling on every database, and quotes in the name cannot end it.
            rows = rows.annotate(diff_text=Cast("diff", TextField()))
            rows = rows.filter(diff_text__contains=f'"field": {json.dumps(self.field)}')
        if self.q:
            exact = Q(source_id=self.q) | Q(target_id=self.q)
            rows = rows.filter(Q(source_title__icontains=self.q) | Q(target_title__icontains=self.q) | exact)
        if self.over:
            limit = self.amount()
            rows = rows.filter(Q(amount__gt=limit) | Q(amount__lt=-limit)) if limit is not None else rows.none()
        if self.currency:
            rows = rows.filter(currency=self.currency.upper())
        return self._because(rows) if self.reason else rows

    def _because(self, rows: ChangeQuerySet) -> ChangeQuerySet:
        kind, _colon, text = self.reason.partition(":")
        names = {"code": "error_code", "rule": "match_rule", "text": "reason__en"}
        return rows.filter(**{names[kind]: text}) if kind in names and text else rows.none()

    def amount(self) -> Decimal | None:
        """The limit as a number: `1 000,50` and `1000.50` are the same; None for what is no amount."""
        text = re.sub(r"[\s\u00a0\u202f]", "", self.over).replace(",", ".")
        try:
            value = Decimal(text)
        except InvalidOperation:
            return None
        return value if value.is_finite() and 0 <= value <= MOST else None

    @property
    def problem(self) -> str:
        """What is wrong with the choices, for the person; "" when nothing is."""
        if self.over and self.amount() is None:
            return _("“%(text)s” is not an amount. Write it like 10000 or 10000.50.") % {"text": self.over}
        return ""

    def said(self, labels: Mapping[str, str], reasons: Mapping[str, str]) -> list[tuple[str, str]]:
        """The chosen filters in words, each with the address without it."""
        words: dict[str, Any] = {
            "q": _("“%(text)s”") % {"text": self.q},
            "field": _("changes %(field)s") % {"field": labels.get(self.field) or self.field},
            "reason": reasons.get(self.reason) or self.reason.partition(":")[2],
            "over": _("over %(amount)s") % {"amount": self.over},
            "currency": self.currency.upper(),
        }
        return [(words[name], self.url(**{name: ""})) for name in words if getattr(self, name)]
