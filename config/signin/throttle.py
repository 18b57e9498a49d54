"""The brake on guessing passwords: django-axes counts, these lines say how much is too much and what is shown.

Within `AXES_COOLOFF_TIME` five wrong passwords for one name from one address are enough; so are twenty from one
address over all names (somebody tries one password on everybody), and fifty for one name from anywhere (many machines
try one person). The numbers differ so that neither an office behind one address nor a person whose name is known is
locked out by somebody else's mistakes. While locked, further attempts neither count nor prolong it.
"""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

WEIGHTS = (1, 4, 10)
"""In the order of `AXES_LOCKOUT_PARAMETERS`: a failure counts in full for name and address together, a quarter for the
address, a tenth for the name; five are too many (`AXES_FAILURE_LIMIT`)."""


class Handler(AxesDatabaseHandler):  # type: ignore[misc]
    """Counts in the database, so that all web processes count together."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """The most telling of the three counts."""
        counts = (
            rows.aggregate(n=Sum("failures_since_start"))["n"] or 0
            for rows in self.get_user_attempts(request, credentials)
        )
        return max(count // weight for count, weight in zip(counts, WEIGHTS, strict=True))

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """After a right password: forgets the mistakes of this name from this address, and no others."""
        given: Any = credentials or {}
        rows = AccessAttempt.objects.filter(username=given.get("username"), ip_address=request.axes_ip_address)  # type: ignore[attr-defined]
        return int(rows.delete()[0])


def locked_out(
    request: HttpRequest, original: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """The page of somebody who is locked out: since when, until when, and what else can be done."""
    handler = Handler()
    newest = [rows.aggregate(at=Max("attempt_time"))["at"] for rows in handler.get_user_attempts(request, credentials)]
    cooloff: timedelta = settings.AXES_COOLOFF_TIME
    since = max((moment for moment in newest if moment is not None), default=get_cool_off_threshold(request) + cooloff)
    minutes = max(1, ceil((since + cooloff - timezone.now()).total_seconds() / 60))
    context = {"minutes": minutes, "until": since + cooloff}
    answer = render(request, "signin/locked.html", context, status=429)
    answer["Retry-After"] = str(minutes * 60)
    answer["Cache-Control"] = "no-store"
    return answer
