"""A sandbox in its own process, for tests that need real HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0
READY = "sandbox ready on "


class SandboxProcess:
    """``with SandboxProcess("--invoices", "0") as sandbox: requests.get(sandbox.url)``."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.url = ""
        self._process: subprocess.Popen[str] | None = None
        self._session = requests.Session()

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "sandbox.server", "--port", "0", *self.options]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self.url = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self) -> str:
        """The address of the ready line; everything printed before is in the error when it does not come."""
        assert self._process is not None
        assert self._process.stdout is not None
        timer = threading.Timer(START_SECONDS, self._process.kill)
        timer.start()
        seen: list[str] = []
        try:
            for line in self._process.stdout:
                seen.append(line)
                if line.startswith(READY):
                    threading.Thread(target=self._drain, daemon=True).start()
                    return line.removeprefix(READY).strip()
        finally:
            timer.cancel()
        raise RuntimeError("the sandbox did not start:\n" + "".join(seen[-40:]))

    def _drain(self) -> None:
        """Keep the pipe from filling up."""
        if self._process is not None and self._process.stdout is not None:
            for _ in self._process.stdout:
                pass

    def control(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A control call, e.g. ``control("POST", "/clock", {"advance_seconds": 60})``."""
        answer = self._session.request(
            method,
            f"{self.url}/control/{path.removeprefix('/control').lstrip('/')}",
            data=None if body is None else json.dumps(body),
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        result: dict[str, Any] = answer.json()
        return result

    def account(self, system: str, index: int = 0) -> dict[str, Any]:
        """The n-th account of a system: account, base_url, client_id, client_secret."""
        found = [item for item in self.control("GET", "/accounts")["accounts"] if item["system"] == system]
        result: dict[str, Any] = found[index]
        return result

    def stop(self) -> None:
        """End the process; safe to call twice."""
        self._session.close()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
