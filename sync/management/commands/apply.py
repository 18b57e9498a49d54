"""`manage.py apply RUN_ID`: approve what a run holds and deliver it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sync.engine.approve import approve
from sync.management.report import run_to_end, show, summary
from sync.models import SyncRun


class Command(BaseCommand):
    """Approve and deliver one planned run."""

    help = "Approve a held run and deliver it. What moved since it was planned is planned again and stays held."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run_id", type=int)
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run = SyncRun.objects.select_related("flow__integration").get(pk=options["run_id"])
        except SyncRun.DoesNotExist as error:
            raise CommandError(f"There is no run {options['run_id']}.") from error
        if run.state != SyncRun.State.HELD:
            raise CommandError(f"Run {run.pk} is {run.state}, not held: there is nothing to approve.")
        try:
            approve(run, None)
        except ValueError as error:
            raise CommandError(str(error)) from error
        done = run_to_end(run.flow, None, self.stdout, as_json=options["as_json"])
        show(summary(run, done.delivered), self.stdout, as_json=options["as_json"])
