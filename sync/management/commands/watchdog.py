"""`manage.py watchdog`: looks each minute whether the work goes on, from outside the queue, and tells people (Q-07).

It needs nothing of the workers: when they are silent it makes and sends the messages itself. When the database is
away it mails to `ALARM_EMAILS`, at most once an hour. With `--once` its exit code is for monitoring: 0 all is well,
1 something stands still, 2 it could not look.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django.utils.translation import override

from sync import watchdog
from sync.models import Notice
from sync.notices.settle import Finding
from sync.notices.words import words

AGAIN_SECONDS = 3600.0


class Command(BaseCommand):
    """Look, tell, wait; until told to stop."""

    help = "Look each minute whether workers, schedules, queue and listener go on, and tell people when they do not."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--once` looks one time and answers by exit code."""
        parser.add_argument("--once", action="store_true", help="look once; exit code 1 when something stands still")
        parser.add_argument("--every", type=float, default=60.0, help="seconds between looks")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises `SystemExit` with the exit code for `--once`."""
        self.stop = threading.Event()
        self.warned = 0.0
        if options["once"]:
            code = self._look()
            if code:
                sys.exit(code)
            return
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        self.stdout.write("watchdog ready")
        self.stdout.flush()
        while not self.stop.is_set():
            close_old_connections()
            self._look()
            self.stop.wait(options["every"])
        self.stdout.write("watchdog stopped")

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()

    def _look(self) -> int:
        try:
            found = watchdog.watch()
        except Exception as error:
            self.stderr.write(f"could not look: {type(error).__name__}: {error}")
            self._warn(f"{type(error).__name__}. Nothing can be synced while the database is away.")
            return 2
        for finding in found:
            self.stdout.write(f"{finding.kind} {finding.key}: {_sentence(finding)}")
        return 1 if found else 0

    def _warn(self, text: str) -> None:
        if self.warned and time.monotonic() - self.warned < AGAIN_SECONDS:
            return
        self.warned = time.monotonic()
        try:
            watchdog.warn_operators("Ledgerbridge: the watchdog could not look", text)
        except OSError as error:  # smtplib's errors are OSErrors
            self.stderr.write(f"the operators could not be told: {type(error).__name__}")


def _sentence(finding: Finding) -> str:
    with override("en"):
        return words(Notice(kind=finding.kind, key=finding.key, params=finding.params)).cause
