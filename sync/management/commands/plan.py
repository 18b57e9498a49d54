"""`manage.py plan FLOW_ID`: the first half of a sync. Writes nothing to any remote."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from sync.engine.run import Order
from sync.management.report import find_flow, run_to_end, show, summary
from sync.models import SyncRun


class Command(BaseCommand):
    """Plan one flow; `apply` delivers it."""

    help = "Plan one flow: what a sync would create, link, update, skip or hold. `apply RUN_ID` delivers it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("flow_id", type=int)
        parser.add_argument("--full", action="store_true", help="read everything, not only what changed")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        order = Order(trigger=SyncRun.Kind.COMMAND, full=options["full"], dry_run=True)
        done = run_to_end(find_flow(options["flow_id"]), order, self.stdout, as_json=options["as_json"])
        show(summary(done.run, done.delivered), self.stdout, as_json=options["as_json"])
