"""`manage.py rotate_keys`: every encrypted column under the newest key, online (SEC-02).

Put the new key first in FIELD_ENCRYPTION_KEYS, restart, run this, remove the old key when `--check` is content. The
invariant: a row is replaced only while it still holds what was read, so a token refreshed meanwhile is never undone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandParser
from django.db import models

from integrations.fields import DecryptionError, EncryptedTextField, not_under_newest_key, recrypt

BATCH = 500


def encrypted_columns() -> Iterator[tuple[type[models.Model], str]]:
    """Every encrypted column of every installed model."""
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if isinstance(column, EncryptedTextField):
                yield model, column.name


class Command(BaseCommand):
    """Re-encrypts in batches and says how many values of which column it changed."""

    help = "Re-encrypt everything that is not under the newest key. --check only counts; exit code 1 when any is left."

    def add_arguments(self, parser: CommandParser) -> None:
        """`--check` changes nothing."""
        parser.add_argument("--check", action="store_true", help="only count what is under older keys")
        parser.add_argument("--batch", type=int, default=BATCH, help="rows read at a time")

    def handle(self, *args: Any, **options: Any) -> None:
        """All columns in turn; exit code 1 when something stays under an old or missing key."""
        left = 0
        for model, name in encrypted_columns():
            label = f"{model._meta.label}.{name}"
            if options["check"]:
                count = not_under_newest_key(model._default_manager.all(), name).count()
                self.stdout.write(f"{label}: {count} under older keys")
            else:
                done, count = self._rotate(model, name, options["batch"])
                self.stdout.write(f"{label}: {done} re-encrypted, {count} unreadable")
            left += count
        if left:
            sys.exit(1)

    def _rotate(self, model: type[models.Model], name: str, batch: int) -> tuple[int, int]:
        done = unreadable = 0
        last: Any = None
        while True:
            rows = not_under_newest_key(model._default_manager.all(), name).order_by("pk")
            page = list((rows if last is None else rows.filter(pk__gt=last)).only("pk", name)[:batch])
            if not page:
                return done, unreadable
            for row in page:
                try:
                    done += recrypt(row, name)
                except DecryptionError as error:
                    unreadable += 1
                    self.stderr.write(str(error))
            last = page[-1].pk
