"""A public Fortnox client, unchanged but for the host names, works against the sandbox.

fortpyx 0.0.1a1 pins versions of requests and pydantic that differ from ours, so it lives in an environment of its
own: ``.venv-twin``, or the interpreter named by LEDGERBRIDGE_TWIN_PYTHON.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sandbox.app import Application
from sandbox.core.world import Sizes
from sandbox.fortnox.emulator import CLIENT_ID, CLIENT_SECRET
from sandbox.server import Server

from .fortnox_world import Fortnox

SCRIPT = Path(__file__).with_name("fortpyx_round_trip.py")
TWIN = Path(__file__).resolve().parents[2] / ".venv-twin" / "bin" / "python"


def _interpreter() -> str | None:
    """The interpreter that can import fortpyx."""
    if importlib.util.find_spec("fortpyx") is not None:
        return sys.executable
    named = os.environ.get("LEDGERBRIDGE_TWIN_PYTHON")
    return named or (str(TWIN) if TWIN.exists() else None)


@pytest.mark.skipif(_interpreter() is None, reason="fortpyx==0.0.1a1 is not installed in .venv-twin")
def test_fortnox_public_client_makes_its_round_trips() -> None:
    fortnox = Fortnox(Sizes(customers=12, articles=5, invoices=25))
    server = Server(("127.0.0.1", 0), Application(fortnox.world))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        command = [str(_interpreter()), str(SCRIPT), f"{server.url}/fortnox", CLIENT_ID, CLIENT_SECRET]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr[-2000:]
    assert "round trips done" in done.stdout
