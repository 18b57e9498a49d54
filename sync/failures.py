"""Why something failed, for whoever reads it: cause and remedy in their language, the remote's own words second.

The same words as in the notice about the failure: both come from the catalogue, asked in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from integrations.catalogue import explain_first
from integrations.models import Integration


class Failed(Protocol):
    """A run, a comparison, a report: whatever keeps the code and the text of its failure."""

    error_code: str
    error_message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """In the active language. `raw` is what was said itself, where that is not the cause already."""

    cause: str
    remedy: str
    raw: str
    code: str


def systems_of(integration: Integration) -> tuple[str, str]:
    """Whose codes a failure may carry, the ledger's first. The integration comes with both accounts."""
    return integration.ledger_account.system, integration.crm_account.system


def failure_of(row: Failed, systems: Sequence[str]) -> Failure | None:
    """What to say about the failure of `row`; None when it has none."""
    if not row.error_message and not row.error_code:
        return None
    entry = explain_first(systems, row.error_code, row.error_message)
    cause = entry.cause_text
    return Failure(cause, entry.remedy_text, row.error_message if row.error_message != cause else "", row.error_code)
