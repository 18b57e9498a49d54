"""Keeps secrets out of logs, exchanges and error messages, by key and by shape (SEC-05, SEC-26).

The invariant: nothing that looks like a credential leaves a process through a log line, a traceback or a stored
exchange. Line breaks in logged values are escaped, so that hostile vendor data cannot forge a log line. Codes that
explain an error (`"code": 2000663`, `CountryCode`) stay readable: a log that hides them helps nobody.
"""

from __future__ import annotations

import logging
import re
from typing import Any

MASK = "•••"

# Names of secrets wherever they stand, also as the end of a longer name (`hubspot_client_secret`, `X-Api-Key`).
_STRONG = (
    r"access[_-]?tokens?|refresh[_-]?tokens?|id[_-]?token|client[_-]?secret|code[_-]?verifier|private[_-]?key|"
    r"oauth[_-]?token|signing[_-]?key|api[_-]?key|hapikey|passw(?:or)?d|secret|assertion|signed[_-]?request|"
    r"authorization|set-cookie|cookie|"
    r"session[_-]?id|csrfmiddlewaretoken|csrf[_-]?token|credentials?"
)
# Short names that mean a secret only when they stand alone.
_ALONE = r"token|code|state|ticket|sid|signature|pwd"
# Names start where words start: anything else would make a long text without blanks cost the square of its length.
_KEY = rf"""(?<![A-Za-z0-9_-])(?:[A-Za-z0-9_-]*(?:{_STRONG})|(?:{_ALONE}))"""
# A short or purely numeric `code` is an error code; an authorization code is neither. A masked value stays as it is.
_BARE = r"""(?!•)[^\s"'&,;<>(){}\[\]\\]+"""
_QUOTED = re.compile(
    rf"""(?ix) (?P<key> (?P<name>{_KEY}) \\?["']? \s* (?:[=:]|=>|%3D) \s* b? \\?) (?P<quote>["'])"""
    r"""(?P<value>[^"']*?) (?=\\?(?P=quote))"""
)
_PLAIN = re.compile(rf"""(?ix) (?P<key> (?P<name>{_KEY}) ["']? \s* (?:[=:]|%3D) \s* ) (?P<quote>) (?P<value>{_BARE})""")
_TAGGED = re.compile(rf"""(?ix) (?P<key> < (?:\w+:)? (?P<name>{_KEY}) (?:\s[^<>]*)? > ) (?P<quote>) (?P<value>[^<]+)""")
# A header's value ends with its line: every word of it is secret.
_HEADERS = re.compile(r"""(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)(?!["'])[^\r\n"']+""")
_SHAPES = re.compile(
    r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"  # header values
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,2}"  # JSON web tokens, whole or cut
    r"|\b(?:na|eu|ap)\d-[0-9a-f]{4}(?:-[0-9a-f]{4,}){2,}(?:-[0-9a-f]+)*"  # HubSpot refresh tokens and codes
    r"|\bpat-(?:na|eu|ap)\d-[0-9a-f-]{20,}"  # HubSpot service keys
    r"|\bC[A-Za-z0-9_+/=-]{150,}"  # HubSpot access tokens
    r"|\b00D[A-Za-z0-9]{12,15}(?:!|%21)[A-Za-z0-9._%-]+"  # Salesforce access tokens: the org's id comes first
    r"|(?s:-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z))"
    r"|\bgcm1:[A-Za-z0-9_.-]+:[A-Za-z0-9_=-]{16,}"  # our own ciphertexts
    r"|(?<=[?&]t=)[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"  # tickets of cards
    r"|(?<=/webhooks/salesforce/[0-9a-f-]{36}/)[A-Za-z0-9_-]{20,}"  # secrets of incoming messages
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"  # user:password@ in addresses
)
_SECRET_NAME = re.compile(rf"(?i)(?:[A-Za-z0-9_-]*(?:{_STRONG})|{_ALONE})")


def _is_error_code(name: str, value: str) -> bool:
    return name.lower() in {"code", "state"} and (value.isdigit() or len(value) < 12 or value.isupper() or "_" in value)


def _mask(match: re.Match[str]) -> str:
    if not match["value"] or MASK in match["value"] or _is_error_code(match["name"], match["value"]):
        return match[0]
    return f"{match['key']}{match['quote']}{MASK}"


def redact(text: str) -> str:
    """`text` with everything that looks like a credential masked."""
    text = _HEADERS.sub(rf"\1\2{MASK}", text)
    text = _SHAPES.sub(MASK, text)
    for pattern in (_TAGGED, _QUOTED, _PLAIN):
        text = pattern.sub(_mask, text)
    return text


def redact_data(value: Any, name: str = "") -> Any:
    """JSON-like `value` with the values of secret keys masked and every text redacted."""
    if isinstance(value, dict):
        return {key: redact_data(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_data(item, name) for item in value]
    if not isinstance(value, str):
        return value
    secret = name and _SECRET_NAME.fullmatch(name) and value and not _is_error_code(name, value)
    return MASK if secret else redact(value)


class RedactionFilter(logging.Filter):
    """Redacts the finished message and traceback of every record, and escapes line breaks in the message."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: the record is kept, its text is made safe."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a log call with the wrong arguments must not lose its line
            message = f"{record.msg!r} % {record.args!r}"
        record.msg, record.args = redact(message).replace("\r", "\\r").replace("\n", "\\n"), ()
        if record.exc_info and record.exc_info[0] is not None:
            # Formatters use `exc_text` when it is there.
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        elif record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True
