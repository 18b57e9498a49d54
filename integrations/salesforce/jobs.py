"""Waiting for a job of the Bulk API 2.0: by looks that grow rarer, each a call of the org's allowance."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from integrations.salesforce.client import Salesforce, object_of

FIRST_LOOK = 1.0
LONGEST_LOOK = 20.0
PATIENCE = 600.0
"""Seconds to wait for a job; then the work is put off."""
COMPLETE = "JobComplete"
ENDED_BADLY = frozenset({"Failed", "Aborted"})


def wait(client: Salesforce, kind: str, key: str) -> Mapping[str, Any]:
    """The state of a job when it has ended, or when our patience has; `kind` is "ingest" or "query"."""
    pause, waited = FIRST_LOOK, 0.0
    while True:
        state = object_of(client.api.do(client.job_call(kind, key)))
        if state.get("state") == COMPLETE or state.get("state") in ENDED_BADLY or waited >= PATIENCE:
            return state
        time.sleep(pause)
        waited += pause
        pause = min(pause * 2, LONGEST_LOOK)
