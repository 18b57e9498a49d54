"""`manage.py purge`: remove what is kept no longer; accounting evidence stays for its years (Q-23)."""

from __future__ import annotations

import json
import logging
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from sync.retention import left, purge

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """See the module's docstring. Safe to interrupt and to run beside the workers; run it daily."""

    help = (
        "Removes what is kept no longer: payloads, events, log, old changes, messages, reports. "
        "Evidence and what was signed stay for their years."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """`--dry-run` counts only."""
        parser.add_argument("--dry-run", action="store_true", help="Count what would go, and remove nothing.")
        parser.add_argument("--batch", type=int, default=2_000, help="Rows per transaction.")
        parser.add_argument("--json", action="store_true", help="The counts as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints each kind as it is done, so that an interrupted purge has said how far it came."""
        dry, counts = options["dry_run"], {}
        for name, count in purge(dry_run=dry, batch=max(1, options["batch"])):
            counts[name] = count
            if not options["json"]:
                self.stdout.write(f"{name:<18} {count:>10}{'  would go' if dry else ''}")
        kept = list(left())
        if options["json"]:
            told = [{"name": row.name, "count": row.count, "why": row.why} for row in kept]
            self.stdout.write(json.dumps({"dry_run": dry, "counts": counts, "kept": told}))
        else:
            self.stdout.write("Kept beyond its days:" if kept else "Nothing is kept beyond its days.")
            for row in kept:
                self.stdout.write(f"{row.name:<18} {row.count:>10}  {row.why}")
        if not dry:
            logger.info("purged %s", json.dumps(counts))
