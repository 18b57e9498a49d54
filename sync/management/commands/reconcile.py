"""`manage.py reconcile INTEGRATION_ID [--from DAY] [--to DAY] [--tolerance N] [--json]`: both sides compared, now."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from integrations.models import Integration
from sync.models import Reconciliation
from sync.reconcile.amounts import NAMES, Totals
from sync.reconcile.store import begin
from sync.reconcile.work import work


class Command(BaseCommand):
    """Compares both sides over a period; exits 1 when anything is unexplained, 2 when it could not be read."""

    help = "Compare both sides of an integration; the previous and the current month unless told otherwise."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The integration and its period."""
        parser.add_argument("integration_id", type=int)
        parser.add_argument("--from", dest="starts", type=date.fromisoformat, help="first invoice date, YYYY-MM-DD")
        parser.add_argument("--to", dest="ends", type=date.fromisoformat, help="last invoice date, YYYY-MM-DD")
        parser.add_argument("--tolerance", default="0", help="rounding that counts as explained, such as 0.50")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *args: Any, **options: Any) -> None:
        """Runs in this process, to its end."""
        integration = Integration.objects.filter(pk=options["integration_id"]).first()
        if integration is None:
            there = "\n".join(f"  {row.pk}  {row}" for row in Integration.objects.all()) or "  none"
            raise CommandError(f"There is no integration {options['integration_id']}. Integrations:\n{there}")
        try:
            row = begin(
                integration, options["starts"], options["ends"], trigger=Reconciliation.Trigger.COMMAND,
                tolerance=Decimal(options["tolerance"]), kick=False,
            )  # fmt: skip
        except (ValidationError, InvalidOperation) as error:
            raise CommandError("; ".join(getattr(error, "messages", ["--tolerance is no amount"]))) from error
        quiet = options["as_json"]
        if not work(row.pk, progress=None if quiet else self._progress):
            raise CommandError("Another process is reconciling this integration. Try again in a moment.")
        row.refresh_from_db()
        self.stdout.write(json.dumps(summary(row), ensure_ascii=False) if quiet else _words(row))
        if row.state != Reconciliation.State.DONE:
            sys.exit(2)
        if row.unexplained:
            sys.exit(1)

    def _progress(self, row: Reconciliation) -> None:
        self.stdout.write(f"  {row.seen} of {row.total or '?'} documents read")


def summary(row: Reconciliation) -> dict[str, Any]:
    """The outcome as plain data; amounts are text."""
    return {
        "reconciliation": row.pk,
        "integration": row.integration_id,
        "from": row.starts.isoformat(),
        "to": row.ends.isoformat(),
        "state": row.state,
        "ledger": row.totals.get("ledger", []),
        "crm": row.totals.get("crm", []),
        "explained": row.totals.get("explained", []),
        "unexplained": row.totals.get("unexplained", []),
        "kinds": row.totals.get("kinds", {}),
        "differences": row.differences,
        "unexplained_count": row.unexplained,
        "api_calls": row.api_calls,
        "error": {"code": row.error_code, "message": row.error_message} if row.error_message else None,
    }


def _words(row: Reconciliation) -> str:
    if row.state != Reconciliation.State.DONE:
        again = "" if row.state == Reconciliation.State.FAILED else " It is tried again by the workers."
        return f"It could not be read: {row.error_message} [{row.error_code}]{again}"
    lines = [f"{row.integration}, {row.starts} to {row.ends}"]
    for side in ("ledger", "crm"):
        for currency, amounts in sorted(Totals.load(row.totals[side]).currencies().items()):
            figures = ", ".join(f"{name} {getattr(amounts, name):.2f}" for name in NAMES)
            lines.append(f"  {side:<6} {currency or '-':<3} {amounts.count} documents, {figures}")
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(row.totals["kinds"].items())) or "none"
    return "\n".join([*lines, f"Differences: {kinds}. Unexplained: {row.unexplained}."])
