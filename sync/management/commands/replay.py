"""`manage.py replay`: requeue failed changes, all or filtered, with their current or their original payload."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from integrations.errors import ErrorClass
from sync.models import Change
from sync.repair import retry
from sync.resend import may_resend, resend
from sync.states import State


class Command(BaseCommand):
    """Plan failed changes again."""

    help = "Plan changes that need a person, or wait for a retry, again from their source as it is now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--flow", type=int, help="only this flow")
        parser.add_argument("--class", dest="error_class", choices=ErrorClass.values, help="only this error class")
        parser.add_argument("--code", help="only this error code")
        parser.add_argument("--ids", help="only these changes, separated by commas")
        parser.add_argument(
            "--payload", choices=["current", "original"], default="current",
            help="current: planned again from the record as it is now; original: sent as planned, where that is safe",
        )  # fmt: skip
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
        count = retry(changes, None) if options["payload"] == "current" else self._send_again(changes)
        if options["as_json"]:
            self.stdout.write(json.dumps({"replayed": count}))
        else:
            what = "planned again" if options["payload"] == "current" else "sent again as planned"
            self.stdout.write(f"{count} change(s) will be {what}; a worker, or `manage.py sync`, does it.")

    @staticmethod
    def _send_again(changes: Any) -> int:
        """Those whose refusal was definite; the others stay as they are."""
        count = 0
        for change in changes.filter(state=State.REVIEW).order_by("pk").iterator():
            if may_resend(change):
                resend(change, {}, None)
                count += 1
        return count
