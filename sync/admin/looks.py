"""What somebody asked to look at, on the page of its change: the plan is shown, and goes out when it is pressed.

The invariant: what goes out is what was shown, as on a card, and whoever presses may approve in that organization.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from integrations.models import ConnectedAccount
from sync import interactive
from sync.admin import show
from sync.admin.base import ScopedAdmin
from sync.cards.show import PRESSED
from sync.models import Change
from sync.states import LOOK, Action, State


def looked_at(change: Change) -> bool:
    """Whether it is a plan that waits for a press: no run releases it."""
    return bool(change.state == State.PLANNED and change.decision == LOOK)


def being_read(change: Change) -> bool:
    """Whether its record is being read for somebody who asked."""
    return bool(change.state == State.RETRYING and change.decision == LOOK and change.replan)


def successor(change: Change) -> Change | None:
    """The newest plan of the record of a change that was replaced; None when there is none."""
    if change.state != State.SUPERSEDED:
        return None
    return Change.objects.filter(flow=change.flow, source_id=change.source_id, pk__gt=change.pk).order_by("-pk").first()


def look_context(request: HttpRequest, change: Change, target: ConnectedAccount) -> dict[str, Any]:
    """What the page of a change shows of this."""
    newer = successor(change)
    place = {"place": target.get_system_display()}
    return {
        "may_press": looked_at(change) and request.user.has_perm("sync.approve_flow", change),
        "press_button": (_("Create it in %(place)s") if change.action == Action.CREATE else _("Write it to %(place)s"))
        % place,
        "looking": being_read(change),
        "looked": change.decision == LOOK,
        "only_asked": being_read(change) or (change.decision == LOOK and newer is not None),  # no plan of its own
        "newer_url": show.page_url(newer) if newer else "",
    }


def press(page: ScopedAdmin, request: HttpRequest, change: Change) -> HttpResponse:
    """The button: what the person saw goes out, once; what moved since is refused."""
    back = HttpResponseRedirect(show.page_url(change))
    if change.state == State.PLANNED and change.decision != LOOK:  # its run decides about it
        page.message_user(request, _("It does not wait for this. Its run decides about it."), messages.WARNING)
        return back
    name, seen = request.user.get_username(), request.POST.get("fingerprint", "")
    status = interactive.press(change.pk, actor=name, fingerprint=seen, user=request.user).status
    if status == "queued":
        page.message_user(request, _("It is written as soon as a worker is free."), messages.SUCCESS)
        return back
    own = {
        "not_allowed": _("The integration only observes: switch it to live before approving."),
        "off": _("The flow is off: nothing is written until you switch it on."),
    }
    page.message_user(request, own.get(status) or str(PRESSED[status]), messages.WARNING)
    return back
