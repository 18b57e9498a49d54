"""How an answer leaves the server: whole, in drops, cut off or not at all.

The application decides, the server carries it out on the socket. Without a socket (in-process tests) an answer
that would not arrive whole becomes ``ConnectionLost``.
"""

from __future__ import annotations

from dataclasses import dataclass


class ConnectionLost(ConnectionResetError):
    """In-process stand-in for a connection that broke before the whole answer was read."""


@dataclass(frozen=True)
class Delivery:
    """``hold`` seconds of silence first, then: send all, half or nothing; then RST or close."""

    hold: float = 0.0
    portion: str = "all"  # all | half | none
    reset: bool = False
    close: bool = False
    drip: float = 0.0  # seconds over which the body is spread

    @property
    def whole(self) -> bool:
        """Does the client get the complete answer?"""
        return self.portion == "all"


ENVIRON_KEY = "sandbox.delivery"
SOCKET_KEY = "sandbox.has_socket"
SEQ_KEY = "sandbox.seq"
ARRIVED_KEY = "sandbox.arrived"
