"""`manage.py listen`: hear of changes in the ledger as they happen. SIGTERM stores what has arrived, then ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from integrations.fortnox.listener import Listener
from integrations.locks import process_lock, still_held

STANDBY_SECONDS = 5.0


class Command(BaseCommand):
    """One process listens at a time; a second one stands by and takes over when the first dies."""

    help = "Listen to the ledger's events. One process does, others stand by. SIGTERM or Ctrl-C ends it cleanly."

    def add_arguments(self, parser: CommandParser) -> None:
        """How long a process that stands by waits between looks."""
        parser.add_argument("--standby", type=float, default=STANDBY_SECONDS, help="seconds between looks on standby")

    def handle(self, *args: Any, **options: Any) -> None:
        """Listen until told to stop."""
        stop = threading.Event()

        def end(number: int, frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        self._say("listener ready")
        while not stop.is_set():
            with process_lock("listener") as mine:
                if mine:
                    Listener(stop, self._say, lambda: still_held("listener")).run()
            stop.wait(options["standby"])
        self._say("listener stopped")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
