"""`manage.py import_mappings INTEGRATION_ID FILE… [--dry-run]`: drafts of mapping files; nothing is published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from integrations.models import Integration
from mappings.bundle_diff import Edit
from mappings.bundle_import import make_draft
from mappings.bundle_reading import MAX_BYTES, read


class Command(BaseCommand):
    """All files become drafts, or none does: one that is refused leaves nothing of the others."""

    help = "Make drafts of exported mapping files. Shows what would differ; --dry-run makes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """The integration, the files, and whether to only look."""
        parser.add_argument("integration_id", type=int)
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--dry-run", action="store_true", help="say what would differ and make nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """`CommandError` with every reason when a file is refused."""
        rows = Integration.objects.select_related("crm_account", "ledger_account")
        integration = rows.filter(pk=options["integration_id"]).first()
        if integration is None:
            there = "\n".join(f"  {row.pk}  {row}" for row in rows.order_by("pk")) or "  none"
            raise CommandError(f"There is no integration {options['integration_id']}. Integrations:\n{there}")
        with transaction.atomic():
            for name in options["files"]:
                self._take(integration, Path(name), dry_run=options["dry_run"])
            if options["dry_run"]:
                transaction.set_rollback(True)

    def _take(self, integration: Integration, path: Path, *, dry_run: bool) -> None:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        try:
            made = make_draft(integration, read(data), None, note=f"Imported from {path.name}")
        except ValidationError as error:
            raise CommandError("\n".join(f"{path}: {message}" for message in error.messages)) from error
        told = f"would become version {made.draft.version}" if dry_run else f"is draft {made.draft.pk}"
        self.stdout.write(f"{path}: {made.draft.slug} {told}, {len(made.edits)} differences")
        for edit in made.edits:
            self.stdout.write(f"  {_line(edit)}")


def _line(edit: Edit) -> str:
    mark = {"added": "+", "removed": "-", "changed": "~", "moved": "~"}[edit.kind]
    values = f": {edit.before or '∅'} → {edit.after or '∅'}" if edit.kind == "changed" else ""
    return f"{mark} {edit.sentence}{values}"
