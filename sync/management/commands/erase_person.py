"""`manage.py erase_person`: erase what is held of a person, and report what stays and why (I-15)."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from integrations.models import Integration, Organization
from sync import erasure
from sync.erasure_texts import Report
from sync.models import EntityLink


class Command(BaseCommand):
    """See the module's docstring. Writes to no remote; the report says what must be erased there first."""

    help = "Erases a person of one organization: by record (everything of it) or by e-mail (wherever it stands)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, where, and whether only to look."""
        parser.add_argument("--organization", required=True, help="Name or id of the organization.")
        parser.add_argument("--email", action="append", default=[], help="Removed wherever it stands. Repeatable.")
        parser.add_argument("--name", action="append", default=[], help="Another text to remove. Repeatable.")
        parser.add_argument(
            "--record", action="append", type=int, default=[], help="Id of a link that is the person. Repeatable."
        )
        parser.add_argument("--reason", default="", help="Why, shown at the record; without the person's name.")
        parser.add_argument("--by", help="Login name of the person who asked for it; kept in the log.")
        parser.add_argument("--dry-run", action="store_true", help="Report, and change nothing.")
        parser.add_argument("--json", action="store_true", help="The report as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises `CommandError` for an unknown organization, record or person, and when nobody is named."""
        organization = self._organization(options["organization"])
        integrations = list(Integration.objects.filter(organization=organization).values_list("pk", flat=True))
        links = list(
            EntityLink.objects.filter(pk__in=options["record"], integration_id__in=integrations).select_related(
                "integration__crm_account", "integration__ledger_account"
            )
        )
        if len(links) != len(set(options["record"])):
            raise CommandError("A record of these ids is not one of this organization.")
        texts = [*options["email"], *options["name"]]
        if not links and not texts:
            raise CommandError("Say who: --record or --email.")
        chosen = {link.pk for link in links}
        found = [link for email in options["email"] for link in erasure.linked_to(email, integrations)]
        same = erasure.same_record(links, integrations) if links else []
        others = list({link.pk: link for link in [*found, *same] if link.pk not in chosen}.values())
        report = erasure.erase(
            links=links, texts=texts, integrations=integrations, user=self._person(options["by"]),
            dry_run=options["dry_run"], reason=options["reason"],
        )  # fmt: skip
        if options["json"]:
            told = {"dry_run": options["dry_run"], **report.as_data(), "other_records": [link.pk for link in others]}
            self.stdout.write(json.dumps(told, ensure_ascii=False))
        else:
            self._print(report, others, options["dry_run"])

    def _print(self, report: Report, others: list[EntityLink], dry: bool) -> None:
        self.stdout.write("Would be erased:" if dry else "Erased:")
        for name, count in sorted(report.erased.items()):
            if count:
                self.stdout.write(f"  {name:<24} {count:>8}")
        for line in report.stopped:
            self.stdout.write(f"  {line}")
        self.stdout.write("Kept:" if report.kept else "Nothing is kept.")
        for kept in report.kept:
            self.stdout.write(f"  {kept.what}: {kept.why}" + (f" Until {kept.until}." if kept.until else ""))
        for link in others:
            self.stdout.write(
                f"  record {link.pk} carried the address or is the same remote record; it is still read: "
                f"if it is the person, add --record {link.pk}"
            )
        for line in report.elsewhere:
            self.stdout.write(f"  {line}")

    def _organization(self, given: str) -> Organization:
        rows = (
            Organization.objects.filter(pk=int(given)) if given.isdigit() else Organization.objects.filter(name=given)
        )
        found = rows.first()
        if found is None:
            raise CommandError(f"There is no organization “{given}”.")
        return found

    def _person(self, login: str | None) -> Any:
        if not login:
            return None
        found = get_user_model().objects.filter(username=login).first()
        if found is None:
            raise CommandError(f"There is no person “{login}”.")
        return found
