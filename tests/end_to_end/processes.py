"""Real worker processes on the test database, and the means to hurt them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from django.db import connection

from sync import tasks
from tests.sandbox_process import ROOT

ResultT = TypeVar("ResultT")


def database_url() -> str:
    """The test database of this run as a child process is told of it."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    login = f"{given['USER']}:{given['PASSWORD']}" if given["PASSWORD"] else given["USER"]
    return f"postgres://{login}@{given['HOST']}:{given['PORT'] or 5432}/{given['NAME']}"


def wait_for(look: Callable[[], ResultT], what: str, *, seconds: float = 120, ticking: bool = True) -> ResultT:
    """Look until there is something to see; meanwhile minutes pass (`ticking`), a second each."""
    deadline, next_tick = time.monotonic() + seconds, 0.0
    while time.monotonic() < deadline:
        if ticking and time.monotonic() > next_tick:
            tasks.tick()
            next_tick = time.monotonic() + 1
        if result := look():
            return result
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


def children(pid: int) -> list[int]:
    """All descendants of a process, nearest first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = list(parents.get(pid, ()))
    for child in found:
        found += parents.get(child, ())
    return found


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Worker:
    """`manage.py worker` in its own process; a context manager that leaves nothing behind."""

    def __init__(self, folder: Path, *options: str, **env: str) -> None:
        self.log = folder / f"worker-{time.monotonic_ns()}.log"
        self.options = options
        self.env = os.environ | {
            "DATABASE_URL": database_url(),
            "EXTRA_ALLOWED_HOSTS": "127.0.0.1",
            "FORTNOX_RATE": "0",
            "HUBSPOT_RATE": "0",
            "HUBSPOT_SEARCH_RATE": "0",
            "SALESFORCE_RATE": "0",
            "HTTP_TIMEOUT_SECONDS": "3",
            "REMOTE_LATENESS_SECONDS": "1",
            "SEARCH_LAG_SECONDS": "1",
            "SETTLE_SECONDS": "5",
            "Q_WORKERS": "1",
            "Q_BULK_WORKERS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self.env |= env
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "worker", "--poll", "0.2", *self.options],
                cwd=ROOT, env=self.env, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        wait_for(lambda: "worker ready" in self.text(), "the worker starts", ticking=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            sys.stderr.write(self.text()[-6000:])
        if self.process is None:
            return
        family = [self.process.pid, *children(self.process.pid)]
        for pid in family:
            self.kill(pid)
        self.process.wait(60)

    @staticmethod
    def kill(pid: int) -> None:
        """SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def text(self) -> str:
        """What it wrote so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM, as a service manager does it; the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(seconds)
