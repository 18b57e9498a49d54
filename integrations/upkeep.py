"""What this room does every minute by itself: tokens that are due, deployments that run."""

from __future__ import annotations

from django.utils import timezone

from integrations import tokens
from integrations.salesforce import deployments


def every_minute() -> None:
    """Speaks to vendors, so whoever calls does it last. Never raises for a single account."""
    deployments.advance_all()
    tokens.refresh_due_accounts(timezone.now())
