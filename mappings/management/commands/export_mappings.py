"""`manage.py export_mappings INTEGRATION_ID [--out DIR]`: the mappings in force, as files that review well in git."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from integrations.models import Integration
from mappings.bundle import published


class Command(BaseCommand):
    """Writes one file per mapping; the same mappings always give the same bytes."""

    help = "Export the published mappings of an integration: one JSON file each, without ids, secrets or dates."

    def add_arguments(self, parser: CommandParser) -> None:
        """The integration and, if wanted, a folder."""
        parser.add_argument("integration_id", type=int)
        parser.add_argument("--out", default="", help="folder for the files; without it they are printed")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print or write the files. `CommandError` when there is no such integration."""
        rows = Integration.objects.select_related("crm_account", "ledger_account")
        integration = rows.filter(pk=options["integration_id"]).first()
        if integration is None:
            there = "\n".join(f"  {row.pk}  {row}" for row in rows.order_by("pk")) or "  none"
            raise CommandError(f"There is no integration {options['integration_id']}. Integrations:\n{there}")
        files = published(integration)
        if not options["out"]:
            for content in files.values():
                self.stdout.write(content.decode(), ending="")
            return
        folder = Path(options["out"])
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        self.stdout.write(f"{len(files)} mappings written to {folder}")
