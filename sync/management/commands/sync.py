"""`manage.py sync FLOW_ID`: one flow now, in this process, with progress."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sync.engine.run import Order
from sync.management.report import find_flow, run_to_end, show, summary
from sync.models import SyncRun


class Command(BaseCommand):
    """Plan and deliver one flow."""

    help = "Run one flow now: plan what changed and deliver what its approval policy allows."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("flow_id", type=int)
        parser.add_argument("--full", action="store_true", help="read everything, not only what changed")
        parser.add_argument("--dry-run", action="store_true", help="plan only; nothing is written to the target")
        parser.add_argument("--subset", default="", help="read a named subset instead, such as unpaid")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        flow = find_flow(options["flow_id"])
        order = Order(
            trigger=SyncRun.Kind.COMMAND,
            full=options["full"],
            dry_run=options["dry_run"],
            subset=options["subset"],
        )
        done = run_to_end(flow, order, self.stdout, as_json=options["as_json"])
        show(summary(done.run, done.delivered), self.stdout, as_json=options["as_json"])
