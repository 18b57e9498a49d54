"""`manage.py readiness INTEGRATION_ID`: what is missing before it can work; exit code 1 when something is."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.models import Integration
from integrations.readiness import check, is_ready

_MARKS = {"ok": "ok     ", "warning": "WARNING", "error": "ERROR  "}


class Command(BaseCommand):
    """Prints the readiness board of one integration."""

    help = "What is missing before an integration can work. Exit code 1 when an error line exists."

    def add_arguments(self, parser: CommandParser) -> None:
        """The integration, and how to print."""
        parser.add_argument("integration_id", type=int)
        parser.add_argument("--json", action="store_true", help="machine-readable output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, print, and exit 1 when it is not ready."""
        accounts = Integration.objects.select_related("crm_account", "ledger_account")
        integration = accounts.filter(pk=options["integration_id"]).first()
        if integration is None:
            raise CommandError(f"There is no integration {options['integration_id']}")
        lines = check(integration)
        if options["json"]:
            self.stdout.write(json.dumps({"ready": is_ready(lines), "lines": [asdict(line) for line in lines]}))
        else:
            for line in lines:
                self.stdout.write(f"{_MARKS[line.level]} {line.title}  {line.detail}".rstrip())
                if line.fix and line.level != "ok":
                    self.stdout.write(f"        -> {line.fix}")
        if not is_ready(lines):
            sys.exit(1)
