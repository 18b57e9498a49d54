"""The stand-in for Salesforce's own pages: a record with our card in a frame.

Served under ``/salesforce/ui/{org}/…``; the card comes from the app's own origin. A page posts a signed request into
the frame when it opens; nothing here calls the app itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from . import canvas, dml, host_pages
from .errors import SfError
from .metadata_store import deployed
from .metadata_zip import listed
from .pages import HTML
from .table import Row
from .tenant import Tenant

if TYPE_CHECKING:
    from sandbox.core.world import World

    from .emulator import Salesforce

STATIC = Path(__file__).parent / "host_static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
SCOPES = ("api", "web", "id")


class Host:
    """Answers the pages and buttons below ``/salesforce/ui``."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._tokens: dict[tuple[str, str], str] = {}  # (org, user): the access token of a person's session

    @property
    def salesforce(self) -> Salesforce:
        """The emulator of the present world; a reset replaces it."""
        found: Any = self.world.emulators["salesforce"]
        emulator: Salesforce = found
        return emulator

    def respond(self, request: Request, path: str) -> Response:
        """Answer one request; ``path`` comes after ``/salesforce/ui/``."""
        match path.strip("/").split("/"):
            case ["static", name] if request.method == "GET":
                return _static(name)
            case [account, *rest]:
                with self.world.lock:
                    try:
                        tenant = self.salesforce.tenant(account)
                    except KeyError:
                        return _missing()
                    return self._org(request, tenant, tuple(rest))
        return _missing()

    def _org(self, request: Request, tenant: Tenant, rest: tuple[str, ...]) -> Response:
        view = self._view(request, tenant)
        match rest:
            case ():
                return _page(host_pages.home(view))
            case ("lightning", "r", object_name, record_id, action):
                row = tenant.org.row(record_id)
                known = row is not None and row.object == object_name and object_name in host_pages.SHOWN
                if row is None or not known or tenant.hides(view.user.id, row.id):
                    return _missing()
                if request.method == "GET" and action == "view":
                    return _page(host_pages.record(view, row, self._card(request, view, row)))
                if request.method == "POST":
                    return self._act(request, view, row, action)
        return _missing()

    def _view(self, request: Request, tenant: Tenant) -> host_pages.View:
        user = tenant.org.rows["User"].get(request.args.get("user", "")) or tenant.user(tenant.sellers[0])
        return host_pages.View(
            tenant=tenant,
            user=user,
            locale="sv" if request.args.get("locale", "en") == "sv" else "en",
            quick_actions=_quick_actions(tenant),
        )

    def _card(self, request: Request, view: host_pages.View, row: Row) -> host_pages.Card:
        """How the card's frame is opened: by posting, or, for somebody who has not allowed the app, by its address."""
        policies = view.tenant.app.policies
        app_url = self.world.app_url.rstrip("/")
        address = (policies.canvas_url or _deployed_canvas(view.tenant)).replace("{app_url}", app_url)
        if not address:
            return host_pages.Card("", "")
        viewing = canvas.Viewing(
            tenant=view.tenant,
            user=view.user,
            record=row,
            root=f"{request.host_url}salesforce",
            page=request.url,
            token=self._token(view),
            canvas_url=address,
            language="sv" if view.locale == "sv" else "en_US",
        )
        if policies.self_authorize and not self._approved(view):
            return host_pages.Card(canvas.unapproved(viewing), "")
        return host_pages.Card(address, canvas.signed_request(viewing))

    def _approved(self, view: host_pages.View) -> bool:
        grants = self.salesforce.oauth.grants.values()
        return any(grant.tenant is view.tenant and grant.user_id == view.user.id for grant in grants)

    def _token(self, view: host_pages.View) -> str:
        """A real token of the person, the same while their session lasts."""
        oauth, key = self.salesforce.oauth, (view.tenant.org.id, view.user.id)
        token = self._tokens.get(key, "")
        session = oauth.session(token)
        if session is None or session.tenant is not view.tenant or session.user_id != view.user.id:
            token = self._tokens[key] = oauth.issue_session(view.tenant, view.user.id, SCOPES)
        else:
            oauth.touch(session)
        return token

    # -- buttons

    def _act(self, request: Request, view: host_pages.View, row: Row, action: str) -> Response:
        org, user = view.tenant.org, view.user.id
        form = {name: value for name, value in request.form.items() if name != "other"}
        buttons: dict[str, Callable[[], object]] = {
            "edit": lambda: dml.update(org, user, row.object, row.id, form),
            "won": lambda: dml.update(org, user, row.object, row.id, {"StageName": _won_stage(view.tenant)}),
            "activate": lambda: dml.update(org, user, row.object, row.id, {"Status": "Activated"}),
            "merge": lambda: dml.merge(org, user, row.object, row.id, [request.form.get("other", "")]),
            "delete": lambda: dml.delete(org, user, row.object, row.id),
        }
        for name, fields in view.quick_actions.get(row.object, {}).items():
            buttons[name] = lambda fields=fields: dml.update(org, user, row.object, row.id, fields)  # type: ignore[misc]
        if action not in buttons:
            return _missing()
        try:
            buttons[action]()
        except SfError as error:
            return _page(host_pages.problem(view, row, error.message), 400)
        target = view.address() if action == "delete" else view.record_address(row)
        return Response(status=303, headers={"Location": target})


def _deployed_canvas(tenant: Tenant) -> str:
    """The card's address in the deployed canvas settings of an external client app; "" without any."""
    found = deployed(tenant.org).of("ExtlClntAppCanvasSettings").values()
    return next((str(body["canvasUrl"]) for body in found if body.get("canvasUrl")), "")


def _won_stage(tenant: Tenant) -> str:
    stages = tenant.org.rows["OpportunityStage"].values()
    return next(str(row.values["ApiName"]) for row in stages if row.values.get("IsWon"))


def _quick_actions(tenant: Tenant) -> dict[str, dict[str, dict[str, str]]]:
    """Deployed quick actions that set fields: {object: {action: {field: value}}}."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for full_name, body in deployed(tenant.org).of("QuickAction").items():
        owner, _, name = full_name.partition(".")
        fields = {str(e["field"]): str(e.get("literalValue", "")) for e in listed(body.get("fieldOverrides"))}
        if body.get("type") == "Update" and fields:
            found.setdefault(owner, {})[name] = fields
    return found


def _static(name: str) -> Response:
    path = STATIC / name
    if path.suffix not in TYPES or path.parent != STATIC or not path.is_file():
        return _missing()
    return Response(path.read_bytes(), content_type=TYPES[path.suffix])


def _page(html: str, status: int = 200) -> Response:
    return Response(html, status=status, content_type=HTML, headers={"Cache-Control": "no-store"})


def _missing() -> Response:
    return Response("Not found", status=404)
