"""What our page asks and does, each call with its bearer. Every button may be pressed twice, or come twice.

The invariants: the record comes from the bearer and never from the body; an integration's id counts only inside the
bearer's account; what a button does is checked again here and by the engine, whatever the page showed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from integrations.cards import CardCaller
from sync import interactive, queue
from sync.cards import anew, checklist, people, records, repairs, show, summary
from sync.cards.access import NotFound, bearer
from sync.cards.records import Place
from sync.models import Flow, Hint


@bearer("GET")
def state(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`GET api/state?integration=`: everything the page shows."""
    wanted = request.GET.get("integration")
    if wanted:
        _place(caller, {"integration": wanted})
    return JsonResponse(show.state(caller, wanted))


@bearer("POST")
def look(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`POST api/look {integration}`: check the record as it is now."""
    place = _place(caller, body)
    if place.connected:
        interactive.look(place.flow, caller.record_id, actor=people.actor(caller), user=_user(caller))
    return _state(caller, place)


@bearer("POST")
def refresh(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`POST api/refresh {integration}`: the same, and for a linked record its number and state from the ledger."""
    place = _place(caller, body)
    if place.connected:
        _look_at_counterpart(place)
        interactive.look(place.flow, caller.record_id, actor=people.actor(caller), user=_user(caller))
    return _state(caller, place)


def _look_at_counterpart(place: Place) -> None:
    if place.link is None or not place.flow.follow_up:
        return
    back = Flow.objects.filter(integration_id=place.flow.integration_id, slug=place.flow.follow_up, enabled=True)
    for flow in back:
        Hint.objects.get_or_create(flow=flow, source_id=place.link.ledger_id)
        queue.kick(queue.INTERACTIVE)


@bearer("POST")
def create(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`POST api/create {integration, expected}`: the button. `expected` is the fingerprint of what was shown."""
    place = _place(caller, body)
    if reason := summary.why_not(place):
        return _state(caller, place, "off", reason)
    if place.change is None:
        return _state(caller, place, "changed", show.PRESSED["changed"])
    pressed = interactive.press(
        place.change.pk, actor=people.actor(caller), fingerprint=str(body.get("expected") or ""), user=_user(caller)
    )
    return _state(caller, place, pressed.status, show.PRESSED.get(pressed.status, ""))


@bearer("POST")
def repair(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`POST api/repair {integration, repair, value}`: one of the repairs that the checklist offers, and no other."""
    place = _place(caller, body)
    name, value = str(body.get("repair") or ""), str(body.get("value") or "")
    if reason := summary.why_not(place):
        return _state(caller, place, "off", reason)
    if place.change is None or (name, value) not in show.offered(place):
        return _state(caller, place, "not_offered", _("This is not needed any more."))
    if name == checklist.CREATE_NEW and not anew.another(caller, place):
        return _state(caller, place, "not_allowed", show.PRESSED["not_allowed"])
    try:
        repairs.carry_out(place.change, name, value, actor=people.actor(caller), user=_user(caller))
    except ValueError as error:
        return _state(caller, place, "refused", str(error))
    return _state(caller, place, "queued", "")


@bearer("POST")
def credit_and_new(request: HttpRequest, caller: CardCaller, body: Mapping[str, Any]) -> HttpResponse:
    """`POST api/credit_and_new {integration}`: for a locked document, or one that was cancelled in the ledger, which
    needs no credit; the person must have a login with that right."""
    place = _place(caller, body)
    user = people.crediting(caller)
    if user is None:
        return _state(caller, place, "not_allowed", _("You may not credit documents."))
    if reason := summary.why_not(place):
        return _state(caller, place, "off", reason)
    if place.phase != records.LOCKED and not place.cancelled:
        return _state(caller, place, "already", "")
    try:
        interactive.credit_and_new(place.flow, caller.record_id, actor=people.actor(caller), user=user)
    except ValueError as error:
        return _state(caller, place, "refused", str(error))
    return _state(caller, place, "queued", "")


def _place(caller: CardCaller, body: Mapping[str, Any]) -> Place:
    """The integration that is meant, inside the caller's account. Raises `NotFound`."""
    place = records.chosen(records.places(caller), body.get("integration"))
    if place is None:
        raise NotFound
    return place


def _user(caller: CardCaller) -> Any:
    return next(iter(people.members(caller)), None)


def _state(caller: CardCaller, place: Place, outcome: str = "", message: object = "") -> HttpResponse:
    """The page as it is after the button, with what the button did."""
    answer = show.state(caller, place.flow.integration_id)
    if outcome:
        answer["outcome"] = {"status": outcome, "message": str(message)}
    return JsonResponse(answer)
