"""The WSGI application: sends every request to its emulator, through the faults, into the journal."""

from __future__ import annotations

import importlib
import importlib.util
import threading
import time
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Protocol

from werkzeug import Request, Response

from sandbox.core import control
from sandbox.core.bodies import spoil
from sandbox.core.delivery import (
    ARRIVED_KEY,
    ENVIRON_KEY,
    SEQ_KEY,
    SOCKET_KEY,
    ConnectionLost,
    Delivery,
)
from sandbox.core.faults import AFTER_COMMIT, BODY, HTML, STATUSES
from sandbox.core.journal import Entry
from sandbox.core.world import Account, Emulator, Factory, FaultVoice, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SYSTEMS = ("fortnox", "hubspot", "salesforce")


def _present(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def factories() -> dict[str, Factory]:
    """The emulators that are there: ``EMULATOR`` of ``sandbox.<system>.emulator``."""
    return {
        system: importlib.import_module(f"sandbox.{system}.emulator").EMULATOR
        for system in SYSTEMS
        if _present(f"sandbox.{system}.emulator")
    }


class HostPages(Protocol):
    """A vendor's own pages, in which the app's cards are embedded."""

    def respond(self, request: Request, path: str) -> Response:
        """Answer one request; ``path`` comes after ``/<system>/ui/``. Called without the world's lock."""
        ...


def has_pages(system: str) -> bool:
    """Whether a system has host pages: ``Host`` of ``sandbox.<system>.host``."""
    return system in SYSTEMS and _present(f"sandbox.{system}.host")


class Application:
    """One world behind HTTP; use ``werkzeug.test.Client(Application(world))`` in-process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._hosts: dict[str, HostPages] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        response, delivery = self._respond(request)
        environ[ENVIRON_KEY] = delivery
        if not delivery.whole and not environ.get(SOCKET_KEY):
            raise ConnectionLost(104, "the sandbox broke this connection on purpose")
        return response(environ, start_response)

    def _respond(self, request: Request) -> tuple[Response, Delivery]:
        system, _, path = request.path.lstrip("/").partition("/")
        if system == "control":
            return control.respond(self.world, request, "/" + path), Delivery()
        if system not in SYSTEMS:
            if request.path == "/":
                return index_page(self.world, request), Delivery()
            return Response("Not found", status=404), Delivery()
        if path.startswith("ui/") and system in self.world.emulators and has_pages(system):
            return self._host(system).respond(request, path[3:]), Delivery()
        return self._vendor(request, system, "/" + path)

    def _host(self, system: str) -> HostPages:
        """The host pages of a system, made when they are first asked for."""
        if system not in self._hosts:
            self._hosts[system] = importlib.import_module(f"sandbox.{system}.host").Host(self.world)
        return self._hosts[system]

    def _vendor(self, request: Request, system: str, path: str) -> tuple[Response, Delivery]:
        started = time.perf_counter()
        world = self.world
        body = request.get_data()
        request.environ[ARRIVED_KEY] = world.clock.time()
        with world.lock:
            seq = request.environ[SEQ_KEY] = world.journal.next_number()
            emulator = world.emulators.get(system)
            fault = world.faults.draw(system, request.method, path, request.query_string.decode("latin-1"), body)
        if world.latency:
            time.sleep(world.latency)
        if emulator is None:
            response, delivery, fault = Response("Not found", status=404), Delivery(), None
        else:
            response, delivery, fault = self._answer(emulator, request, path, fault)
        world.journal.add(
            Entry(
                seq=seq,
                system=system,
                account=emulator.account_of(request) if emulator else None,
                method=request.method,
                path=path,
                query=request.query_string.decode("latin-1"),
                status=response.status_code if delivery.portion != "none" else 0,
                ms=round((time.perf_counter() - started) * 1000, 3),
                fault=fault,
            )
        )
        return response, delivery

    def _commit(self, emulator: Emulator, request: Request, path: str) -> Response:
        with self.world.lock:
            return emulator.respond(request, path)

    def _answer(
        self, emulator: Emulator, request: Request, path: str, fault: str | None
    ) -> tuple[Response, Delivery, str | None]:
        """The answer, how it leaves, and the fault that really took effect."""
        faults = self.world.faults
        if fault is None:
            return self._commit(emulator, request, path), Delivery(), None
        if fault in STATUSES:
            return injected(emulator, request, STATUSES[fault], fault), Delivery(), fault
        if fault == "reset_before":
            return Response(), Delivery(portion="none", reset=True), fault
        if fault == "late_commit":
            timer = threading.Timer(faults.late_seconds, self._commit, (emulator, request, path))
            timer.daemon = True
            timer.start()
            return Response(), Delivery(portion="none", close=True), fault
        response = self._commit(emulator, request, path)
        if fault in BODY:
            spoiled = spoil(fault, response)
            return (response, Delivery(), None) if spoiled is None else (spoiled, Delivery(), fault)
        if fault in AFTER_COMMIT:
            if fault == "timeout_after_commit":
                return response, Delivery(hold=faults.timeout_seconds, portion="none", close=True), fault
            return injected(emulator, request, 500, fault), Delivery(), fault
        if fault == "reset_mid_body":
            return response, Delivery(portion="half", reset=True), fault
        if fault == "slow_drip":
            return response, Delivery(drip=faults.drip_seconds), fault
        return response, Delivery(portion="none", close=True), fault  # lost_refresh


def injected(emulator: Emulator, request: Request, status: int, fault: str) -> Response:
    """An injected error status, worded by the vendor when it has words for it."""
    if isinstance(emulator, FaultVoice) and fault not in HTML:
        response = emulator.fault_response(status, request)
    else:
        response = Response(f"<html><body>{status}</body></html>", status=status, content_type="text/html")
    if status == 302:
        response.headers["Location"] = "/elsewhere"
    if fault == "status_429_retry_after":
        response.headers["Retry-After"] = "1"
    return response


def _account(account: Account) -> str:
    """The account's id, as a link where it has pages for people."""
    name = escape(account.account)
    return f'<a href="/{account.system}/ui/{name}/">{name}</a>' if has_pages(account.system) else name


def index_page(world: World, request: Request) -> Response:
    """What a person sees who opens the sandbox in a browser."""
    rows = "".join(
        f"<tr><td>{escape(account.system)}</td><td>{_account(account)}</td>"
        f"<td><code>{escape(request.host_url + account.system)}</code></td>"
        f"<td><code>{escape(account.client_id)}</code></td></tr>"
        for emulator in world.emulators.values()
        for account in emulator.accounts()
    )
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Demonstration sandbox</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:3rem auto;padding:0 1rem}}
td,th{{text-align:left;padding:.3rem 1rem .3rem 0}}</style></head><body>
<h1>Demonstration sandbox</h1>
<p>These are emulated services with invented companies. Nothing here is real, nothing leaves this computer,
and everything is forgotten when it stops.</p>
<table><thead><tr><th>System</th><th>Account</th><th>Address</th><th>Client id</th></tr></thead>
<tbody>{rows}</tbody></table></body></html>"""
    return Response(page, content_type="text/html; charset=utf-8")


def create_app(world: World | None = None) -> Application:
    """The application over ``world``, or over a new one with every emulator there is."""
    return Application(world or World(factories()))
