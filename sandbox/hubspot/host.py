"""The stand-in for HubSpot's own pages: a record with our card in its sidebar, and our app's settings.

Served under ``/hubspot/ui/{portal}/…``. A card asks through ``fetch`` here, which carries the call to the app the way
HubSpot's proxy does; the page that a card opens is framed from the app's own origin. Nothing here holds the world's
lock while the app answers, because the app may ask the sandbox meanwhile.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from . import host_pages
from .host_proxy import Caller, Proxy
from .kinds import COMPANIES, DEALS, Kind, find
from .portal import Portal

if TYPE_CHECKING:
    from sandbox.core.world import World

    from .emulator import HubSpot

STATIC = Path(__file__).parent / "host_static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
LOCALES = ("en", "sv")


class Host:
    """Answers the pages and calls below ``/hubspot/ui``."""

    def __init__(self, world: World) -> None:
        self.world = world
        app = self.hubspot.oauth.app
        self.proxy = Proxy(app.client_secret, app.app_id, time.time)  # the real clock: so has the app

    @property
    def hubspot(self) -> HubSpot:
        """The emulator of the present world; a reset replaces it."""
        found: Any = self.world.emulators["hubspot"]
        emulator: HubSpot = found
        return emulator

    def respond(self, request: Request, path: str) -> Response:
        """Answer one request; ``path`` comes after ``/hubspot/ui``."""
        match path.strip("/").split("/"):
            case ["static", name] if request.method == "GET":
                return _static(name)
            case [portal_id, *rest] if portal_id.isdecimal() and int(portal_id) in self.hubspot.portals:
                return self._portal(request, self.hubspot.portals[int(portal_id)], tuple(rest))
        return _missing()

    def _portal(self, request: Request, portal: Portal, rest: tuple[str, ...]) -> Response:
        if rest == ("fetch",):
            return self._fetch(request, portal) if request.method == "POST" else _missing()
        if request.method != "GET":
            return _missing()
        view = self._view(request, portal)
        with self.world.lock:
            if rest in ((), ("",)):
                return _page(host_pages.records(view))
            if rest == ("settings",):
                return _page(host_pages.settings(view))
            kind, record_id = _record(rest)
            record = portal.store(kind).live(record_id) if kind else None
            if kind is None or record is None:
                return _missing()
            if rest[3:] == ("properties",):
                return Response(host_pages.properties(view, kind, record), content_type="text/html; charset=utf-8")
            return _page(host_pages.record(view, kind, record)) if not rest[3:] else _missing()

    def _view(self, request: Request, portal: Portal) -> host_pages.View:
        wanted = request.args.get("locale", "en")
        user = next((o for o in portal.profile.owners if str(o.user_id) == request.args.get("user")), None)
        return host_pages.View(
            portal=portal,
            user=user or portal.profile.owners[0],
            locale=wanted if wanted in LOCALES else "en",
            app_url=self.world.app_url.rstrip("/"),
            app_name=self.hubspot.oauth.app.name,
        )

    def _fetch(self, request: Request, portal: Portal) -> Response:
        """What the browser's side of a card asks for; identity comes from the page's session, here its address."""
        try:
            asked = json.loads(request.get_data())
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return _json({"status": "error", "category": "VALIDATION_ERROR", "message": "Invalid JSON"}, 400)
        view = self._view(request, portal)
        answer = self.proxy.fetch(Caller(portal.id, view.user), view.app_url, asked)
        return _json(answer.body, answer.status)


def _record(rest: tuple[str, ...]) -> tuple[Kind | None, int]:
    if len(rest) in (3, 4) and rest[0] == "record" and rest[2].isdecimal():
        kind = find(rest[1])
        return (kind if kind in (COMPANIES, DEALS) else None), int(rest[2])
    return None, 0


def _static(name: str) -> Response:
    path = STATIC / name
    if path.suffix not in TYPES or path.parent != STATIC or not path.is_file():
        return _missing()
    return Response(path.read_bytes(), content_type=TYPES[path.suffix])


def _page(html: str) -> Response:
    return Response(html, content_type="text/html; charset=utf-8", headers={"Cache-Control": "no-store"})


def _json(body: Any, status: int) -> Response:
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status=status, content_type="application/json")


def _missing() -> Response:
    return Response("Not found", status=404)
