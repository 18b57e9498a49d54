"""The emulator: routes API and OAuth requests to the companies of one world."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any
from urllib.parse import unquote

from werkzeug import Request, Response

from sandbox.core.delivery import SEQ_KEY
from sandbox.core.world import Account, World

from . import api, oauth, pages, ui
from .errors import FortnoxError, RateLimited, Unauthorized
from .oauth import Authority, Grant
from .render import dumps, locate
from .seed import build_tenants
from .socket_log import SocketLog
from .tenant import Call, Tenant

CLIENT_ID, CLIENT_SECRET = "ledgerDemo01", "sandboxSecret1"
LIMIT, WINDOW = 25, 5.0  # documented: 25 requests per 5 seconds, sliding, per client and company
ACCOUNT_KEY = "sandbox.fortnox.account"

# Recorded response headers; authentication failures lack X-Build and X-Rack-Responsetime.
_SECURITY = (
    ("Server", "Fortnox"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubdomains"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "sameorigin"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("X-Xss-Protection", "0"),
)


class FortnoxEmulator:
    """Two companies behind one API and one OAuth server."""

    system = "fortnox"

    def __init__(self, world: World) -> None:
        self.world = world
        world.declare(
            visibility_lag=0.0,
            reference_lag=0.0,
            key_casing="recorded",
            refresh_race="last_pair_wins",
            retry_after=None,
            payment_touches_invoice=True,
            credit_copies_external_reference=False,
            strict_organisation_numbers=False,
            missing_licences=[],
            redirect_uris=[],
        )
        self.tenants: dict[str, Tenant] = build_tenants(world)
        self.socket_log = SocketLog(world)
        self.authority = Authority({CLIENT_ID: CLIENT_SECRET}, world.seed)
        self._windows: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)

    # -- the core's interface ------------------------------------------------------------------------------

    def accounts(self) -> list[Account]:
        """The companies, the big one first."""
        return [Account(self.system, number, CLIENT_ID, CLIENT_SECRET) for number in self.tenants]

    def token(self, account: str | None) -> tuple[str, str]:
        """An access token with all scopes."""
        tenant = self.tenants[account or next(iter(self.tenants))]
        grant = Grant(CLIENT_ID, tenant.number, " ".join(sorted(oauth.SCOPES)), 0)
        return tenant.number, self.authority.issue_access(grant, self.world.clock.time())

    def records(self, account: str, object_name: str) -> list[dict[str, Any]]:
        """Every record of a company with its history."""
        return ui.raw_records(self.tenants[account], object_name)

    def edit_record(
        self, account: str, object_name: str, record_id: str | None, fields: dict[str, Any]
    ) -> dict[str, Any]:
        """As if someone had worked in Fortnox's own pages."""
        try:
            return ui.edit(self._call(self.tenants[account]), object_name, record_id, fields)
        except FortnoxError as error:
            raise ValueError(str(error)) from error

    def delete_record(self, account: str, object_name: str, record_id: str) -> None:
        """As if someone had deleted it in Fortnox's own pages."""
        try:
            ui.delete(self._call(self.tenants[account]), object_name, record_id)
        except FortnoxError as error:
            raise (KeyError if error.status == 404 else ValueError)(str(error)) from error

    def disconnect(self, account: str) -> None:
        """The company removes the integration."""
        self.authority.disconnect(self.tenants[account].number)

    def account_of(self, request: Request) -> str | None:
        """The company of the bearer token, or of the OAuth exchange."""
        known: str | None = request.environ.get(ACCOUNT_KEY)
        grant = None if known else self.authority.access.get(_bearer(request))
        return grant.tenant if grant else known

    def fault_response(self, status: int, request: Request) -> Response:
        """Injected errors as the gateway or the API would word them."""
        if status == 401:
            return self._json('{"message":"unauthorized"}', 401, bare=True)
        if status == 403:
            return self._json(dumps(FortnoxError(2000663, "Har inte behörighet för scope.", 403).body()), 403)
        if status == 500:
            return self._json(dumps(FortnoxError(1000003, "System exception", 500).body()), 500)
        return self._gateway(status)

    def respond(self, request: Request, path: str) -> Response:
        """Answer one request."""
        if path.startswith("/oauth-v1/"):
            return pages.respond(self, request, path.removeprefix("/oauth-v1/"))
        if path == "/3" or path.startswith("/3/"):
            return self._api(request, path)
        return self._json('{"message":"not found"}', 404, bare=True)

    # -- the API -------------------------------------------------------------------------------------------

    def _call(self, tenant: Tenant, request: Request | None = None) -> Call:
        args = request.args.to_dict() if request is not None else {}
        seq = request.environ.get(SEQ_KEY) if request is not None else None
        return Call(self.world, tenant, args, self.world.clock.time(), seq)

    def _api(self, request: Request, path: str) -> Response:
        try:
            grant = self._authorize(request)
            self._count(grant)
            call = self._call(self.tenants[grant.tenant], request)
            reply = api.handle(call, request, _segments(request, path), grant.scope.split())
        except Unauthorized:
            return self._json('{"message":"unauthorized"}', 401, bare=True)
        except RateLimited:
            return self._gateway(429)
        except FortnoxError as error:
            return self._json(dumps(error.body(str(self.world.options["key_casing"]))), error.status)
        if isinstance(reply.body, bytes):
            return self._reply(reply.body, 200, reply.content_type)
        response = self._json(locate(reply.body, f"{request.host_url}{self.system}"), reply.status)
        if reply.location:
            response.headers["Location"] = reply.location
        return response

    def _authorize(self, request: Request) -> Grant:
        grant = self.authority.access.get(_bearer(request))
        if grant is None or grant.expires <= self.world.clock.time() or grant.tenant not in self.tenants:
            raise Unauthorized
        return grant

    def _count(self, grant: Grant) -> None:
        if not self.world.limits:
            return
        now = self.world.limit_time()
        window = self._windows[grant.client_id, grant.tenant]
        while window and window[0] <= now - WINDOW:
            window.popleft()
        if len(window) >= LIMIT:
            raise RateLimited
        window.append(now)

    # -- answers -------------------------------------------------------------------------------------------

    def _reply(self, body: str | bytes, status: int, content_type: str, *, bare: bool = False) -> Response:
        response = Response(body, status=status)
        headers = response.headers
        headers["Content-Type"] = content_type
        headers.extend(_SECURITY)
        if not bare:
            now = self.world.clock.time()
            headers["X-Uid"] = f"{hash((now, self.world.journal.total)) & 0xFFFFFFFF:08x}"
            headers["X-Build"] = "5a9d60b0c1"
            headers["X-Rack-Responsetime"] = str(60 + int(now * 1000) % 90)
            headers["Vary"] = "Accept-Encoding"
        headers["Date"] = self.world.clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT")
        return response

    def _json(self, body: str, status: int, *, bare: bool = False) -> Response:
        if status == 204:
            return self._reply("", 204, "application/json")
        return self._reply(body, status, "application/json", bare=bare)

    def _gateway(self, status: int) -> Response:
        """The body of a 429 is not documented; clients see only the reason phrase. No Retry-After by default."""
        text = {429: "Too Many Requests", 503: "Service Unavailable"}.get(status, "Error")
        page = f"<html><head><title>{status} {text}</title></head><body><h1>{text}</h1></body></html>"
        response = self._reply(page, status, "text/html", bare=True)
        if status == 429 and self.world.options["retry_after"] is not None:
            response.headers["Retry-After"] = str(self.world.options["retry_after"])
        return response

    def oauth_json(self, body: dict[str, Any], status: int = 200, content_type: str = "") -> Response:
        """Recorded: token answers must not be stored; their content type varies."""
        response = self._reply(dumps(body), status, content_type or "application/json")
        del response.headers["X-Build"], response.headers["X-Rack-Responsetime"]
        if status != 401:
            response.headers["Cache-Control"] = "no-store"
        if status == 200:
            response.headers["Pragma"] = "no-cache"
        return response


def _bearer(request: Request) -> str:
    header: str = request.environ.get("HTTP_AUTHORIZATION", "")
    return header[7:].strip() if header[:7].lower() == "bearer " else ""


def _segments(request: Request, path: str) -> list[str]:
    """Path segments after /3/, decoded one by one: keys may contain encoded slashes."""
    raw = str(request.environ.get("RAW_URI", "")).partition("?")[0]
    marker = raw.find("/fortnox/3")
    parts = [unquote(part) for part in raw[marker + 10 :].split("/")] if marker >= 0 else path[2:].split("/")
    parts = parts[1:]
    while parts and not parts[-1]:
        parts.pop()  # recorded: a trailing slash on a collection works
    return parts


EMULATOR = FortnoxEmulator
