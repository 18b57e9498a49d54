"""`manage.py recount [--days N]`: count the last days again for the charts of the home page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from sync import daily


class Command(BaseCommand):
    """Replaces the counters of the last days by what changes, log and runs say; may be repeated at any time."""

    help = "Count the last days again for the charts of the home page (idempotent)."

    def add_arguments(self, parser: CommandParser) -> None:
        """How many days back."""
        parser.add_argument("--days", type=int, default=daily.WINDOW, help="how many days, today included")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, and say how many counters changed."""
        changed = 0
        for zone, flows in daily.flows_by_zone().items():
            today = timezone.now().astimezone(zone).date()
            changed += daily.recount(flows, zone, today - timedelta(days=max(options["days"], 1) - 1), today)
        self.stdout.write(f"{changed} counters changed.")
