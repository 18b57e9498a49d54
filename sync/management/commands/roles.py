"""`manage.py roles`: what each role may do, as the table in `docs/security.md`."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from sync.roles import table

PLACE = re.compile(r"(<!-- roles: [^\n]*-->\n).*?(<!-- end of roles -->)", re.DOTALL)


class Command(BaseCommand):
    """Print the table, write it into the documentation, or check that it is there as it is now.

    Who has which role is decided on the organization's page of people.
    """

    help = "Print what each role may do in an organization, as a table."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", action="store_true", help="write it into docs/security.md")
        parser.add_argument("--check", action="store_true", help="fail when docs/security.md says something else")

    def handle(self, *args: Any, **options: Any) -> None:
        page = Path(settings.BASE_DIR) / "docs" / "security.md"
        text = page.read_text(encoding="utf-8")
        current = PLACE.sub(lambda found: f"{found[1]}\n{table()}\n\n{found[2]}", text)
        if options["check"] and current != text:
            raise CommandError("docs/security.md is not current. Run `manage.py roles --write`.")
        if options["write"]:
            page.write_text(current, encoding="utf-8")
        elif not options["check"]:
            self.stdout.write(table())
