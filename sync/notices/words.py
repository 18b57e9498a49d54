"""A notice in words: rendered when somebody reads it, in that person's language; nothing rendered is ever stored.

The invariant: no credential and no personal number leaves through here, whatever a vendor put into its message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone, translation
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from integrations.catalogue import explain_first
from integrations.errors import ErrorClass
from integrations.redaction import MASK, redact
from mappings import presets
from sync.models import Notice, SyncRun
from sync.notices.kinds import KINDS

_MOMENTS = frozenset({"since", "date", "until"})
_NUMBERS = frozenset({"count", "minutes"})
_PLACE = re.compile(r"\{(\w+)\}")
# Ten or twelve digits with a month and a day in them; organisation numbers have no such month. Coordination numbers
# add 60 to the day.
_PERSONAL = re.compile(
    r"(?<!\d)(?:18|19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]|6[1-9]|[78]\d|9[01])[-+ ]?\d{4}(?!\d)"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a person reads about one notice. `url` is the whole address; `whose` names organization and integration."""

    headline: str
    cause: str
    remedy: str
    url: str
    whose: str
    tone: str
    since: str
    healed: str


@contextmanager
def language(code: str) -> Iterator[None]:
    """The reader's language, as far as the product speaks it."""
    known = {name for name, _label in settings.LANGUAGES}
    with translation.override(code if code in known else settings.LANGUAGE_CODE):
        yield


def words(notice: Notice) -> Told:
    """The notice in the active language. Its organization and integration should be loaded."""
    kind = KINDS[notice.kind]
    params = _readable(notice.params)
    whose = [str(row) for row in (notice.organization, notice.integration) if row is not None]
    return Told(
        headline=str(kind.headline),
        cause=_fill(_counted(kind.cause, notice.params), params),
        remedy=_fill(str(kind.remedy), params),
        url=address(notice),
        whose=" · ".join(whose) or _("The whole installation"),
        tone=kind.tone,
        since=moment(notice.opened_at),
        healed=moment(notice.healed_at) if notice.healed_at else "",
    )


def address(notice: Notice) -> str:
    """The whole address of what the notice is about."""
    return f"{settings.PUBLIC_URL}{notice.url or '/admin/notices/'}"


def moment(at: datetime) -> str:
    """`21 Nov, 14:05`."""
    local = timezone.localtime(at)
    return f"{date_format(local, 'MONTH_DAY_FORMAT')}, {local:%H:%M}"


def clean(text: str) -> str:
    """`text` without credentials and personal numbers, on one line."""
    return _PERSONAL.sub(MASK, redact(" ".join(text.split())))


def _readable(params: dict[str, Any]) -> dict[str, str]:
    code = (translation.get_language() or "en").split("-")[0]
    shown: dict[str, str] = {}
    for name, value in params.items():
        text = str(value)
        if name in _MOMENTS and (at := _parsed(text)):
            shown[name] = moment(at)
        elif name in _NUMBERS and text.isdecimal():
            shown[name] = number_format(int(text), use_l10n=True, force_grouping=True)
        elif name == "flow":
            shown[name] = clean(presets.shown(text))
        else:
            shown[name] = clean(text)
    for name in list(shown):
        stem, _underscore, ending = name.rpartition("_")
        if stem and ending == code:
            shown[stem] = shown[name]
        elif stem and ending == "en":
            shown.setdefault(stem, shown[name])
    if params.get("state") in SyncRun.State.values:
        shown["state"] = str(SyncRun.State(params["state"]).label)
    if params.get("class") in ErrorClass.values:
        shown["code"] = str(ErrorClass(params["class"]).label)
    if "systems" in params and "code" in params:
        systems = str(params["systems"]).split(",")
        entry = explain_first(systems, str(params["code"]), str(params.get("message", "")))
        shown["cause"], shown["remedy"] = clean(entry.cause_text), clean(entry.remedy_text)
    return shown


def _parsed(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None


def _counted(text: Any, params: dict[str, Any]) -> str:
    """The text in the number that fits the notice's count; one without singular and plural as it is."""
    count = str(params.get("count", ""))
    return str(text % {"count": int(count) if count.isdecimal() else 0})


def _fill(template: str, params: dict[str, str]) -> str:
    return _PLACE.sub(lambda place: params.get(place[1], "–"), template)
