"""What HubSpot's answers say about its limit of calls."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from integrations import budget
from integrations.models import ConnectedAccount
from integrations.transport import Call, Raw


def observe(account: ConnectedAccount, call: Call, raw: Raw) -> None:
    """Lower the budget to what the headers announce (they describe the burst limit, never search)."""
    if call.bucket != "default" or "X-HubSpot-RateLimit-Max" not in raw.headers:
        return
    with contextlib.suppress(ValueError):
        count = int(raw.headers["X-HubSpot-RateLimit-Max"])
        seconds = int(raw.headers.get("X-HubSpot-RateLimit-Interval-Milliseconds", "10000")) / 1000
        budget.observe(budget.key_of(account), replace(budget.limit_of(account.system)), count, seconds)
