"""The alphabet of failure: every error a vendor or we ourselves produce, by what must happen next.

One tree, chosen by *recovery*. Vendor replies are mapped onto it in exactly one function per vendor
(`fortnox/errors.py`, `hubspot/errors.py`); anything that is not a `SyncError` is a bug. The invariant: an error that
leaves this room says which record, field and value it is about as far as the vendor told us.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class ErrorClass(TextChoices):
    """What must happen next (trust A5). Stored on changes, so the values never change."""

    TRANSIENT = "transient", _("Temporary fault")
    RATE_LIMITED = "rate_limited", _("Rate limit")
    OUTCOME_UNKNOWN = "outcome_unknown", _("Outcome unknown")
    AUTHENTICATION = "authentication", _("Connection")
    PERMISSION = "permission", _("Permission")
    DATA = "data", _("Data")
    CONFIGURATION = "configuration", _("Configuration")
    CONFLICT = "conflict", _("Conflict")
    MISSING = "missing", _("Missing record")
    DEPENDENCY = "dependency", _("Waiting for another record")
    TOO_LARGE = "too_large", _("Too large or unreadable")
    BUG = "bug", _("Internal fault")


class SyncError(Exception):
    """Base of all classified errors.

    `message` is the vendor's or our own text (already redacted), `code` the vendor's code or our own name for the
    case. `record`, `field` and `value` say what it is about; empty when the vendor did not say.
    """

    error_class: ErrorClass = ErrorClass.BUG

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        record: str = "",
        field: str = "",
        value: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.record = record
        self.field = field
        self.value = value[:500]
        self.status = status
        self.retry_after = retry_after
        self.context = dict(context or {})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code or '-'}: {self.message[:120]})"


class Transient(SyncError):
    """Will probably work later: network trouble, 5xx on a read. Retried with backoff."""

    error_class = ErrorClass.TRANSIENT


class RateLimited(SyncError):
    """The vendor asks us to wait `retry_after` seconds. Not an attempt; the whole account pauses."""

    error_class = ErrorClass.RATE_LIMITED


class OutcomeUnknown(SyncError):
    """A write that may or may not have happened. Never retried directly when the write is not idempotent."""

    error_class = ErrorClass.OUTCOME_UNKNOWN


class AuthenticationFailed(SyncError):
    """The connection is dead until a person reconnects. The account is paused, its changes wait."""

    error_class = ErrorClass.AUTHENTICATION


class PermissionMissing(SyncError):
    """A scope, right or licence is missing. A person must change it at the vendor."""

    error_class = ErrorClass.PERMISSION


class InvalidData(SyncError):
    """The vendor refuses this value. Repeating it would only fail again."""

    error_class = ErrorClass.DATA


class Misconfigured(SyncError):
    """Our own settings, a mapping, or a setting at the vendor must change."""

    error_class = ErrorClass.CONFIGURATION


class Conflict(SyncError):
    """Something of the same identity exists, or both sides changed. A person decides."""

    error_class = ErrorClass.CONFLICT


class Missing(SyncError):
    """The record is gone, or was never there."""

    error_class = ErrorClass.MISSING


class DependencyMissing(SyncError):
    """Something that this record needs is not there yet; it continues by itself when it is."""

    error_class = ErrorClass.DEPENDENCY


class TooLarge(SyncError):
    """Too big for one request, or a reply that cannot be read."""

    error_class = ErrorClass.TOO_LARGE


class IncompleteRead(Transient):
    """A list that does not add up to the total it announced (Q-21): the run fails, nothing is concluded from it."""
