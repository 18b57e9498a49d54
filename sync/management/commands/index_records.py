"""`manage.py index_records`: make records findable that were linked before search keys were kept."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from sync.finding import remember_links
from sync.models import EntityLink

BATCH = 1_000


class Command(BaseCommand):
    """See the module's docstring. May be interrupted and repeated: the same key is stored once."""

    help = "Stores search keys for all linked records. Needed once, after the upgrade that brought the search."

    def handle(self, *args: Any, **options: Any) -> None:
        """Batch by batch, by rising id."""
        last = records = 0
        while True:
            with transaction.atomic():
                rows = list(EntityLink.objects.filter(pk__gt=last).order_by("pk")[:BATCH])
                remember_links(rows)
            if not rows:
                break
            last, records = rows[-1].pk, records + len(rows)
        self.stdout.write(f"{records} records")
