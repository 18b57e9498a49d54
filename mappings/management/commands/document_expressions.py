"""Writes `docs/expressions.md` from the function registry, so that the documentation cannot drift from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mappings.expressions.documentation import document


class Command(BaseCommand):
    """`manage.py document_expressions [--check]`."""

    help = "Write docs/expressions.md from the function registry; --check only says whether it is current."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds --check."""
        parser.add_argument("--check", action="store_true", help="Fail if the file is not current.")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        """Writes or compares."""
        path = Path(settings.BASE_DIR) / "docs" / "expressions.md"
        text = document()
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise CommandError("docs/expressions.md is not current: run manage.py document_expressions")
