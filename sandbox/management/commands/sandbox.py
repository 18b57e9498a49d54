"""``manage.py sandbox``: serve the emulated vendors until interrupted."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from sandbox.server import add_options, serve


class Command(BaseCommand):
    """Serves one in-memory world on a local address."""

    help = "Serve the demonstration sandbox: emulated vendors with invented data."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options, with the defaults of a small demonstration company."""
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Build the world, say that it is ready, serve."""
        serve(options, self.stdout.write)
