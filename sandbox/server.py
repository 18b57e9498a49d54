"""A small threaded HTTP/1.1 server with keep-alive that can also break connections on purpose.

The servers at hand either answer too slowly for load tests or do not let the application send half a body.
Serves tests and demonstrations on a local address only; it is not hardened for the internet.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import socket
import socketserver
import struct
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from sandbox.app import create_app, factories
from sandbox.core.delivery import ENVIRON_KEY, SOCKET_KEY, Delivery
from sandbox.core.world import Sizes, World
from sandbox.fortnox import socket_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

MAX_LINE = 65_536
MAX_BODY = 64 * 1024 * 1024
IDLE_SECONDS = 120.0


class BadRequest(Exception):
    """Bytes that are not an HTTP request we understand."""


class Connection(socketserver.StreamRequestHandler):
    """One client connection: requests in turn until one side closes."""

    rbufsize = 65_536
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        """Answer requests until the connection ends."""
        with contextlib.suppress(OSError, BadRequest):
            while self._one():
                pass

    def _one(self) -> bool:
        line = self.rfile.readline(MAX_LINE)
        if not line.strip():
            return False
        environ, keep = self._environ(line)
        if socket_server.wanted(environ):
            socket_server.converse(vars(self.server.application)["world"], self.connection, environ)
            return False
        status, headers, body = self._run(environ)
        delivery: Delivery = environ.get(ENVIRON_KEY) or Delivery()
        return self._deliver(environ, status, headers, body, delivery, keep)

    def _environ(self, line: bytes) -> tuple[dict[str, Any], bool]:
        try:
            method, target, version = line.decode("latin-1").split()
        except ValueError as error:
            raise BadRequest from error
        path, _, query = target.partition("?")
        if path.startswith("http://"):
            path = "/" + path[7:].partition("/")[2]
        host, port = self.server.server_address[:2]
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "RAW_URI": target,
            "QUERY_STRING": query,
            "SERVER_NAME": str(host),
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": version,
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            SOCKET_KEY: True,
        }
        self._read_headers(environ)
        body = self._read_body(environ)
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        connection = environ.get("HTTP_CONNECTION", "").lower()
        keep = connection != "close" if version == "HTTP/1.1" else connection == "keep-alive"
        return environ, keep

    def _read_headers(self, environ: dict[str, Any]) -> None:
        while (line := self.rfile.readline(MAX_LINE)) not in (b"\r\n", b"\n"):
            if not line:
                raise BadRequest
            name, _, value = line.decode("latin-1").partition(":")
            key = name.strip().upper().replace("-", "_")
            key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
            environ[key] = value.strip()

    def _read_body(self, environ: dict[str, Any]) -> bytes:
        if environ.get("HTTP_EXPECT", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in environ.pop("HTTP_TRANSFER_ENCODING", "").lower():
            return self._read_chunks()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > MAX_BODY:
            raise BadRequest
        return self.rfile.read(length) if length else b""

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(MAX_LINE).split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline(MAX_LINE)
        while self.rfile.readline(MAX_LINE).strip():
            pass
        return b"".join(parts)

    def _run(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        answer: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            answer.update(status=status, headers=headers)
            return None

        try:
            chunks = self.server.application(environ, start_response)
            body = b"".join(chunks)
        except Exception:  # the server's edge: a bug in an emulator must show as 500, not as a lost connection
            traceback.print_exc(file=sys.stderr)
            return "500 INTERNAL SERVER ERROR", [("Content-Type", "text/plain")], b"bug in the sandbox"
        return answer["status"], answer["headers"], body

    def _deliver(
        self,
        environ: dict[str, Any],
        status: str,
        headers: list[tuple[str, str]],
        body: bytes,
        delivery: Delivery,
        keep: bool,
    ) -> bool:
        if delivery.hold:
            self._hold(delivery.hold)
        if delivery.portion != "none":
            head = [f"HTTP/1.1 {status}"]
            bodiless = status.startswith(("204", "304", "1"))
            head += [f"{name}: {value}" for name, value in headers if name.lower() != "content-length"]
            if not bodiless:
                head.append(f"Content-Length: {len(body)}")
            head.append("Connection: keep-alive" if keep else "Connection: close")
            start = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")
            payload = b"" if bodiless or environ["REQUEST_METHOD"] == "HEAD" else body
            self._send(start, payload, delivery)
        if delivery.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.server.forget(self.connection)
            return False
        return keep and delivery.whole and not delivery.close

    def _hold(self, seconds: float) -> None:
        """Stay silent, but notice a client that gives up."""
        self.connection.settimeout(seconds)
        with contextlib.suppress(OSError):
            self.connection.recv(1, socket.MSG_PEEK)
        self.connection.settimeout(IDLE_SECONDS)

    def _send(self, start: bytes, payload: bytes, delivery: Delivery) -> None:
        if delivery.portion == "half":
            self.wfile.write(start + payload[: len(payload) // 2])
            time.sleep(0.05)  # let the half arrive before the reset overtakes it
        elif delivery.drip:
            self.wfile.write(start)
            pieces = 20
            size = max(1, -(-len(payload) // pieces))
            for position in range(0, len(payload), size):
                time.sleep(delivery.drip / pieces)
                self.wfile.write(payload[position : position + size])
        else:
            self.wfile.write(start + payload)


class Server(socketserver.ThreadingTCPServer):
    """Listens and gives every connection its own thread."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], application: WSGIApplication) -> None:
        self.application = application
        self._reset: set[int] = set()
        super().__init__(address, Connection)

    def forget(self, connection: socket.socket) -> None:
        """This connection ends with RST: skip the orderly shutdown."""
        self._reset.add(id(connection))

    def shutdown_request(self, request: Any) -> None:
        """Close; a marked connection without the FIN that a shutdown would send."""
        if id(request) in self._reset:
            self._reset.discard(id(request))
            request.close()
        else:
            super().shutdown_request(request)

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command line of the sandbox, with the defaults of a small demonstration company."""
    sizes = Sizes()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9400, help="0 picks a free one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--customers", type=int, default=sizes.customers)
    parser.add_argument("--articles", type=int, default=sizes.articles)
    parser.add_argument("--invoices", type=int, default=sizes.invoices)
    parser.add_argument("--accounts", type=int, default=sizes.accounts, help="CRM companies")
    parser.add_argument("--deals", type=int, default=sizes.deals, help="CRM deals that somebody wants invoiced")
    parser.add_argument("--empty", action="store_true", help="registers and settings only")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--no-limits", action="store_true", help="no rate limits")
    parser.add_argument("--time-factor", type=float, default=1.0, help="sandbox seconds per second")
    parser.add_argument("--limit-factor", type=float, default=1.0, help="how much faster rate limits recover")
    parser.add_argument("--webhook-url", default="", help="where HubSpot's events are sent; none: nowhere")
    parser.add_argument("--app-url", default="http://localhost:8000", help="the app that the host pages embed")
    parser.add_argument("--search-lag", type=float, default=0.0, help="seconds until search sees a record")


def world_from(options: Mapping[str, Any]) -> World:
    """The world that the command line describes."""
    counted = ("customers", "articles", "invoices", "accounts", "deals", "empty")
    sizes = Sizes(**{name: options[name] for name in counted})
    return World(
        factories(),
        seed=options["seed"],
        sizes=sizes,
        limits=not options["no_limits"],
        latency=options["latency_ms"] / 1000,
        time_factor=options["time_factor"],
        limit_factor=options["limit_factor"],
        search_lag=options["search_lag"],
        app_url=options["app_url"],
        webhook_url=options["webhook_url"],
    )


def serve(options: Mapping[str, Any], say: Callable[[str], object]) -> None:
    """Serve until interrupted; says where it listens as soon as it does."""
    with Server((options["host"], options["port"]), create_app(world_from(options))) as server:
        say(f"sandbox ready on {server.url}")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    command = argparse.ArgumentParser(description="Serve the sandbox without Django.")
    add_options(command)
    serve(vars(command.parse_args()), print)
