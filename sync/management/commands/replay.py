"""`manage.py replay`: requeue failed changes, all or filtered."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from integrations.errors import ErrorClass
from sync.models import Change
from sync.repair import retry
from sync.states import State


class Command(BaseCommand):
    """Plan failed changes again."""

    help = "Plan changes that need a person, or wait for a retry, again from their source as it is now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--flow", type=int, help="only this flow")
        parser.add_argument("--class", dest="error_class", choices=ErrorClass.values, help="only this error class")
        parser.add_argument("--code", help="only this error code")
        parser.add_argument("--ids", help="only these changes, separated by commas")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        changes = Change.objects.filter(state__in=[State.REVIEW, State.RETRYING])
        if options["flow"]:
            changes = changes.filter(flow_id=options["flow"])
        if options["error_class"]:
            changes = changes.filter(error_class=options["error_class"])
        if options["code"]:
            changes = changes.filter(error_code=options["code"])
        if options["ids"]:
            changes = changes.filter(pk__in=[int(pk) for pk in options["ids"].split(",")])
        count = retry(changes, None)
        if options["as_json"]:
            self.stdout.write(json.dumps({"replayed": count}))
        else:
            self.stdout.write(f"{count} change(s) will be planned again; a worker, or `manage.py sync`, does it.")
