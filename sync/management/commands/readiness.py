"""`manage.py readiness INTEGRATION_ID`: check now, keep what is found, print it; exit code 1 when a line is red."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.models import Integration, ReadinessEntry
from sync.board import check_now

_MARKS = {"ok": "ok     ", "warning": "WARNING", "error": "ERROR  "}


class Command(BaseCommand):
    """Prints the readiness board of one integration."""

    help = "What is missing before an integration can work. Exit code 1 when a line is an error."

    def add_arguments(self, parser: CommandParser) -> None:
        """The integration, and how to print."""
        parser.add_argument("integration_id", type=int)
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, keep, print, and exit 1 when it is not ready."""
        accounts = Integration.objects.select_related("organization", "crm_account", "ledger_account")
        integration = accounts.filter(pk=options["integration_id"]).first()
        if integration is None:
            raise CommandError(f"There is no integration {options['integration_id']}")
        stored = check_now(integration)
        if stored is None:
            raise CommandError("Another process is checking it now. Try again in a minute.", returncode=2)
        lines = list(stored.report.lines.all())
        if options["json"]:
            rows = [_plain(line) for line in lines]
            self.stdout.write(json.dumps({"ready": stored.report.ready, "lines": rows}, ensure_ascii=False))
        else:
            for line in lines:
                words = line.words
                self.stdout.write(f"{_MARKS[line.level]} {words['title']}  {words['detail']}".rstrip())
                if words["fix"]:
                    self.stdout.write(f"        -> {words['fix']}")
        if not stored.report.ready:
            sys.exit(1)


def _plain(line: ReadinessEntry) -> dict[str, str]:
    known = {"code": line.code, "side": line.side, "level": line.level, "since": line.first_seen.isoformat()}
    return known | line.words
