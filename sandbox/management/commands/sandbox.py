"""``manage.py sandbox``: serve the emulated vendors until interrupted."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from sandbox.app import create_app, factories
from sandbox.core.world import Sizes, World
from sandbox.server import Server


class Command(BaseCommand):
    """Serves one in-memory world on a local address."""

    help = "Serve the demonstration sandbox: emulated vendors with invented data."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options, with the defaults of a small demonstration company."""
        defaults = Sizes()
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=9400, help="0 picks a free one")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--customers", type=int, default=defaults.customers)
        parser.add_argument("--articles", type=int, default=defaults.articles)
        parser.add_argument("--invoices", type=int, default=defaults.invoices)
        parser.add_argument("--accounts", type=int, default=defaults.accounts, help="CRM companies")
        parser.add_argument("--empty", action="store_true", help="registers and settings only")
        parser.add_argument("--latency-ms", type=float, default=0.0)
        parser.add_argument("--no-limits", action="store_true", help="no rate limits")
        parser.add_argument("--time-factor", type=float, default=1.0, help="sandbox seconds per second")
        parser.add_argument("--search-lag", type=float, default=0.0, help="seconds until search sees a record")

    def handle(self, *args: Any, **options: Any) -> None:
        """Build the world, say that it is ready, serve."""
        sizes = Sizes(
            customers=options["customers"],
            articles=options["articles"],
            invoices=options["invoices"],
            accounts=options["accounts"],
            empty=options["empty"],
        )
        world = World(
            factories(),
            seed=options["seed"],
            sizes=sizes,
            limits=not options["no_limits"],
            latency=options["latency_ms"] / 1000,
            time_factor=options["time_factor"],
            search_lag=options["search_lag"],
        )
        with Server((options["host"], options["port"]), create_app(world)) as server:
            self.stdout.write(f"sandbox ready on {server.url}")
            self.stdout.flush()
            try:
                server.serve_forever(poll_interval=0.2)
            except KeyboardInterrupt:
                self.stdout.write("sandbox stopped")
