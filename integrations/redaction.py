"""Keeps secrets out of logs, exchanges and error messages, by key and by shape (SEC-05, SEC-26).

The invariant: nothing that looks like a credential leaves a process through a log line or a stored exchange. Line
breaks in logged values are escaped, so that hostile vendor data cannot forge a log line.
"""

from __future__ import annotations

import logging
import re
from typing import Any

MASK = "•••"

_SECRET_KEYS = (
    r"access_token|refresh_token|client_secret|code_verifier|id_token|authorization|clientsecret|accesstokens|"
    r"password|secret|assertion|signed_request|cookie|set-cookie|sessionid|csrfmiddlewaretoken|api_key|token|code"
)
_PAIRS = re.compile(
    rf"""(?ix) (?P<key> ["']? (?: {_SECRET_KEYS} ) ["']? \s* [=:] \s* ["']? ) (?P<value> [^\s"'&,;}}\]]+ )"""
)
_SHAPES = re.compile(
    r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"  # header values
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"  # JSON web tokens
    r"|\b(?:na|eu|ap)\d-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f-]{8,}"  # HubSpot refresh tokens
    r"|\bpat-(?:na|eu|ap)\d-[0-9a-f-]{20,}"
)


def redact(text: str) -> str:
    """`text` with everything that looks like a credential masked."""
    text = _SHAPES.sub(MASK, text)
    return _PAIRS.sub(lambda m: m.group("key") + MASK, text)


def redact_data(value: Any) -> Any:
    """JSON-like `value` with the values of secret keys masked and every text redacted."""
    if isinstance(value, dict):
        return {
            k: MASK
            if re.fullmatch(rf"(?i){_SECRET_KEYS}", str(k)) and isinstance(v, str) and v
            else redact_data(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [redact_data(item) for item in value]
    return redact(value) if isinstance(value, str) else value


class RedactionFilter(logging.Filter):
    """Redacts the finished message of every record and escapes line breaks in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: the record is kept, its text is made safe."""
        message = redact(record.getMessage()).replace("\r", "\\r").replace("\n", "\\n")
        record.msg, record.args = message, ()
        return True
