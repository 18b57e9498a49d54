"""What the host's servers call: the card, a ticket for the page, the settings, a toggle. All signed, all POST.

The host repeats a call once when the answer is a 5xx or gets lost, so each of them may come twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.cards import CardCaller
from sync.cards import records, switches, tickets, words
from sync.cards.access import language, signed
from sync.cards.summary import summary as summarise

WIDTH, HEIGHT = 960, 760
VIEWS = ("", "settings")


@signed
def summary(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`POST <system>/summary`: the card of a record."""
    if not caller.record_id:
        return _no_record()
    return JsonResponse(summarise(caller))


@signed
def open_page(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`POST <system>/open`: the address of our page for this record, with a ticket for this person."""
    if not caller.record_id:
        return _no_record()
    found = records.places(caller)
    place = records.chosen(found)
    first = place or next(iter(found), None)
    title = words.create_label(first.flow.target_object, first.system) if first else _("Not set up")
    if place is not None and place.link is not None:
        title = f"{place.system} {place.link.ledger_id}"
    view = body.get("view")
    token = tickets.issue(caller, str(view) if view in VIEWS else "")
    path = reverse("card-page", args=[caller.account.system])
    query = urlencode({"t": token, "l": language(caller.locale)})
    url = f"{django_settings.PUBLIC_URL}{path}?{query}"
    return JsonResponse({"ok": True, "url": url, "title": title, "width": WIDTH, "height": HEIGHT})


@signed
def settings(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`POST <system>/settings`: connections and toggles."""
    return JsonResponse(switches.settings(caller))


@signed
def toggle(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`POST <system>/toggle`: one toggle, on or off."""
    return JsonResponse(switches.toggle(caller, body))


def _no_record() -> HttpResponse:
    text = _("The card did not say which record it is on.")
    return JsonResponse({"ok": False, "error": "no_record", "message": text})
