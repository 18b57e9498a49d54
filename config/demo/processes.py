"""The processes of the demonstration: sandbox, web server, workers; started together, stopped together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import requests
from django.conf import settings

MANAGE = str(Path(settings.BASE_DIR) / "manage.py")


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else a port that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port")


class Processes:
    """A context manager that ends every process it started, whatever happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = dict(os.environ)
        self._running: list[tuple[str, subprocess.Popen[bytes], IO[bytes]]] = []

    def __enter__(self) -> Processes:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_error: object) -> None:
        for _name, process, _log in reversed(self._running):
            if process.poll() is None:
                process.terminate()
        for _name, process, log in reversed(self._running):
            try:
                process.wait(75)
            except subprocess.TimeoutExpired:
                process.kill()
            log.close()

    def start(self, name: str, *command: str) -> None:
        """Start a process whose output goes to `<folder>/<name>.log`."""
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(command, env=self.env, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
        self._running.append((name, process, log))

    def manage(self, name: str, *arguments: str) -> None:
        """Start one of our own management commands."""
        self.start(name, sys.executable, MANAGE, *arguments)

    def check(self) -> None:
        """Raises `RuntimeError` naming the log when a process died."""
        for name, process, _log in self._running:
            if process.poll() is not None:
                raise RuntimeError(f"{name} stopped with code {process.returncode}: see {self.folder / name}.log")

    def wait_for(self, url: str, seconds: float = 60) -> None:
        """Wait until an address answers."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            try:
                requests.get(url, timeout=2)
            except requests.RequestException:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError(f"{url} did not answer within {seconds:.0f} s")
