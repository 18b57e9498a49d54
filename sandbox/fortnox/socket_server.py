"""The socket at `/fortnox/topics-v1`: commands in, events out, over a connection that the sandbox's server hands over.

Documented: add-tenants-v1, remove-tenants-v1, list-tenants-v1, add-topics-v1, subscribe-v1 with their answers; tokens
with or without "Bearer". Decision: a command with one bad token adds none of its tenants.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from .oauth import Grant
from .socket_log import TOPICS, SocketLog

if TYPE_CHECKING:
    from sandbox.core.world import World

    from .emulator import FortnoxEmulator

PATH = "/fortnox/topics-v1"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
LOOK_SECONDS = 0.05


def wanted(environ: Mapping[str, Any]) -> bool:
    """Whether a request asks for this socket."""
    return environ.get("HTTP_UPGRADE", "").lower() == "websocket" and environ.get("PATH_INFO") == PATH


def converse(world: World, connection: socket.socket, environ: Mapping[str, Any]) -> None:
    """Serve one listener until either side ends it."""
    if not world.options.get("socket_open"):
        connection.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
    key = str(environ.get("HTTP_SEC_WEBSOCKET_KEY", ""))
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324  RFC 6455
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n"
    )
    connection.settimeout(LOOK_SECONDS)
    with contextlib.suppress(OSError):
        Conversation(world, connection).run()


class Conversation:
    """One listener: the companies and topics it asked for, and how far it has been told."""

    def __init__(self, world: World, connection: socket.socket) -> None:
        self.world = world
        self.emulator: FortnoxEmulator = world.emulators["fortnox"]  # type: ignore[assignment]
        self.log: SocketLog = self.emulator.socket_log
        self._connection = connection
        self._protocol = Protocol(SERVER, state=OPEN)
        self._tenants: set[str] = set()
        self._places: dict[str, int] = {}
        self._subscribed = False
        self._sent = 0
        self._dice = random.Random(world.seed)

    def run(self) -> None:
        """Read, answer, announce; ends with the connection, with a reset of the world, or when told to break."""
        while self._protocol.state is OPEN:
            with contextlib.suppress(TimeoutError):
                data = self._connection.recv(65_536)
                if data:
                    self._protocol.receive_data(data)
                else:
                    self._protocol.receive_eof()
            for frame in self._protocol.events_received():
                if isinstance(frame, Frame) and frame.opcode is Opcode.TEXT:
                    self._command(bytes(frame.data))
            options = self.world.options
            if self.world.emulators.get("fortnox") is not self.emulator or not options.get("socket_open"):
                self._protocol.send_close(CloseCode.SERVICE_RESTART, "")
            elif self._subscribed and not self._announce():
                return  # without a word, as a broken line is
            self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._connection.sendall(data)

    def _say(self, message: Mapping[str, Any] | str) -> None:
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
        self._protocol.send_text(text.encode())

    def _announce(self) -> bool:
        """Send what is new; False when the connection is to break."""
        options = self.world.options
        with self.world.lock:
            fresh = [event for topic, place in self._places.items() for event in self.log.since(topic, place)]
            self._places = {topic: self.log.end(topic) for topic in self._places}
        for event in fresh:
            if event.tenant not in self._tenants:
                continue
            if self._dice.random() < options["socket_garbage"]:
                self._say(self._dice.choice(["", "{", "[]", '{"topic":"customers"}', '{"offset":{}}', "null"]))
            for _copy in range(1 + (self._dice.random() < options["socket_duplicates"])):
                self._say(event.to_json())
            self._sent += 1
            if options["socket_drop_after"] and self._sent >= options["socket_drop_after"]:
                self._flush()
                return False
        return True

    def _command(self, data: bytes) -> None:
        try:
            body = json.loads(data)
            name = str(body["command"])
        except (ValueError, KeyError, TypeError):
            self._say({"response": "unknown", "result": "error"})
            return
        calls = {
            "add-tenants-v1": self._add_tenants,
            "remove-tenants-v1": self._remove_tenants,
            "list-tenants-v1": self._list_tenants,
            "add-topics-v1": self._add_topics,
            "subscribe-v1": self._subscribe,
        }
        call = calls.get(name)
        with self.world.lock:
            answer = {"result": "error"} if call is None else call(body)
        self._say({"response": name, **answer})

    def _add_tenants(self, body: Mapping[str, Any]) -> dict[str, Any]:
        given = [str(token) for token in body.get("accessTokens") or ()]
        secrets = set(self.emulator.authority.clients.values())
        grants = {token: self._grant(token) for token in given}
        bad = [token for token, grant in grants.items() if grant is None]
        if bad or body.get("clientSecret") not in secrets:
            return {"result": "error", "invalidTokens": bad or given}
        self._tenants |= {grant.tenant for grant in grants.values() if grant}
        return {"result": "ok", "tenantIds": {token: int(grant.tenant) for token, grant in grants.items() if grant}}

    def _grant(self, token: str) -> Grant | None:
        grant = self.emulator.authority.access.get(token.removeprefix("Bearer "))
        return None if grant is None or grant.expires <= self.world.clock.time() else grant

    def _remove_tenants(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._tenants -= {str(tenant) for tenant in body.get("tenants") or ()}
        return {"result": "ok"}

    def _list_tenants(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"result": "ok", "tenantIds": sorted(int(tenant) for tenant in self._tenants)}

    def _add_topics(self, body: Mapping[str, Any]) -> dict[str, Any]:
        topics = [topic for topic in body.get("topics") or () if isinstance(topic, dict)]
        bad = [str(topic.get("topic")) for topic in topics if topic.get("topic") not in TOPICS]
        if bad:
            return {"result": "error", "invalidTopics": bad}
        for topic in topics:
            name, offset = str(topic["topic"]), topic.get("offset")
            self._places[name] = self.log.place(name, str(offset)) if offset else self.log.end(name)
        return {"result": "ok"}

    def _subscribe(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._subscribed = True
        return {"result": "ok"}
