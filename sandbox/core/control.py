"""The control interface: how tests and checks arrange and inspect the world."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from werkzeug import Request, Response

from .world import Disconnectable, Editable, Emulator, Notifying, Sizes, World

_SIZE_NAMES = {field.name for field in fields(Sizes)}


class Refused(Exception):
    """A control call that cannot be carried out; the text says why."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, default=str), status=status, content_type="application/json")


def _body(request: Request) -> dict[str, Any]:
    raw = request.get_data()
    try:
        value = json.loads(raw) if raw.strip() else {}
    except ValueError as error:
        raise Refused(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refused("the body must be a JSON object")
    return value


def _emulator(world: World, system: Any) -> Emulator:
    try:
        return world.emulators[str(system)]
    except KeyError:
        raise Refused(f"no such system {system}; there are {sorted(world.emulators)}", 404) from None


def accounts(world: World, request: Request) -> Any:
    """GET /control/accounts."""
    found = [account for emulator in world.emulators.values() for account in emulator.accounts()]
    return {
        "accounts": [
            {
                "system": account.system,
                "account": account.account,
                "base_url": f"{request.host_url}{account.system}",
                "client_id": account.client_id,
                "client_secret": account.client_secret,
            }
            for account in found
        ]
    }


def reset(world: World, request: Request) -> Any:
    """POST /control/reset."""
    body = _body(request)
    unknown = set(body) - _SIZE_NAMES - {"seed"}
    if unknown:
        raise Refused(f"unknown fields {sorted(unknown)}")
    seed = body.pop("seed", None)
    world.reset(seed=None if seed is None else int(seed), sizes=Sizes(**body) if body else None)
    return accounts(world, request)


def token(world: World, request: Request) -> Any:
    """POST /control/token."""
    body = _body(request)
    emulator = _emulator(world, body.get("system"))
    wanted = body.get("account")
    account, access = emulator.token(None if wanted is None else str(wanted))
    return {
        "access_token": access,
        "account": account,
        "base_url": f"{request.host_url}{emulator.system}",
    }


def faults(world: World, request: Request) -> Any:
    """POST /control/faults."""
    body = _body(request)
    profile = body.pop("profile", {})
    world.faults.load(profile, int(body.pop("seed", 0)), body.pop("match", None), **body)
    return {"profile": world.faults.profile}


def clock(world: World, request: Request) -> Any:
    """POST /control/clock."""
    world.clock.advance(float(_body(request).get("advance_seconds", 0)))
    return {"now": world.clock.now().isoformat()}


def settings(world: World, request: Request) -> Any:
    """POST /control/settings (GET shows them)."""
    return world.configure(_body(request))


def requests(world: World, request: Request) -> Any:
    """GET /control/requests?since=N."""
    return {
        "total": world.journal.total,
        "requests": world.journal.since(int(request.args.get("since", 0))),
    }


def truth(world: World, request: Request) -> Any:
    """GET /control/truth?since=N&system=&account=&object=&action=: every committed write."""
    names = ("system", "account", "object", "action")
    return {
        "deeds": world.truth.since(
            int(request.args.get("since", 0)), **{name: request.args.get(name, "") for name in names}
        )
    }


def state(world: World, system: str, account: str, object_name: str) -> Any:
    """GET /control/state/{system}/{account}/{object}."""
    return {"records": _emulator(world, system).records(account, object_name)}


def records(
    world: World, request: Request, system: str, account: str, object_name: str, record_id: str | None = None
) -> Any:
    """POST and DELETE /control/records/{system}/{account}/{object}[/{id}]: an edit in the vendor's pages."""
    emulator = _emulator(world, system)
    if not isinstance(emulator, Editable):
        raise Refused(f"{system} records cannot be edited from here", 404)
    body = _body(request)
    if record_id is None and body.get("id") is not None:
        record_id = str(body["id"])
    if request.method == "DELETE":
        emulator.delete_record(account, object_name, record_id or "")
        return {"deleted": True}
    edited = emulator.edit_record(account, object_name, record_id, dict(body.get("fields") or {}))
    return {"record": edited}


def webhooks(world: World, request: Request) -> Any:
    """POST /control/webhooks {target_url, ...} begins to send them, GET counts them."""
    body = _body(request) if request.method == "POST" else {}
    emulator = _emulator(world, body.pop("system", "hubspot"))
    if not isinstance(emulator, Notifying):
        raise Refused(f"{emulator.system} sends no webhooks", 404)
    return emulator.send_webhooks(body)


def disconnect(world: World, request: Request) -> Any:
    """POST /control/disconnect {system, account}: the owner removes the integration."""
    body = _body(request)
    emulator = _emulator(world, body.get("system"))
    if not isinstance(emulator, Disconnectable):
        raise Refused(f"{emulator.system} accounts cannot be disconnected from here", 404)
    emulator.disconnect(str(body.get("account")))
    return {"disconnected": True}


_CALLS: dict[tuple[str, str], Callable[[World, Request], Any]] = {
    ("GET", "accounts"): accounts,
    ("POST", "reset"): reset,
    ("POST", "token"): token,
    ("POST", "faults"): faults,
    ("POST", "clock"): clock,
    ("GET", "settings"): settings,
    ("POST", "settings"): settings,
    ("GET", "requests"): requests,
    ("GET", "truth"): truth,
    ("POST", "disconnect"): disconnect,
    ("GET", "webhooks"): webhooks,
    ("POST", "webhooks"): webhooks,
}


def _dispatch(world: World, request: Request, path: str) -> Any:
    parts = path.strip("/").split("/")
    call = _CALLS.get((request.method, parts[0])) if len(parts) == 1 else None
    if call is not None:
        return call(world, request)
    if len(parts) == 4 and parts[0] == "state" and request.method == "GET":
        return state(world, *parts[1:])
    if len(parts) in (4, 5) and parts[0] == "records" and request.method in ("POST", "DELETE"):
        return records(world, request, *parts[1:])
    raise Refused(f"no control call {request.method} /control/{path.strip('/')}", 404)


def respond(world: World, request: Request, path: str) -> Response:
    """Answer one control call; ``path`` comes after ``/control``."""
    try:
        with world.lock:
            return _json(_dispatch(world, request, path))
    except Refused as error:
        return _json({"error": str(error)}, error.status)
    except KeyError as error:
        return _json({"error": f"not found: {error}"}, 404)
    except (TypeError, ValueError) as error:
        return _json({"error": str(error)}, 400)
