from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

SEALED = (
    "integration_id",
    "starts",
    "ends",
    "state",
    "totals",
    "differences",
    "unexplained",
    "tolerance",
    "signed_name",
    "signed_at",
    "signed_reason",
)
LINE = ("reconciliation_id", "kind", "explained", "explanation", "currency", "count", "net", "vat", "gross", "balance")
TEXT = "a signed reconciliation is never changed"


def seal(apps, editor):
    """What is signed is never changed again, whoever asks; deleting its whole organization is another matter."""
    vendor = editor.connection.vendor
    distinct = "IS NOT" if vendor == "sqlite" else "IS DISTINCT FROM"
    cast = "" if vendor == "sqlite" else "::text"
    moved = " OR ".join(f'OLD."{c}"{cast} {distinct} NEW."{c}"{cast}' for c in SEALED)
    line_moved = " OR ".join(f'OLD."{c}"{cast} {distinct} NEW."{c}"{cast}' for c in LINE)
    signed = (
        'EXISTS (SELECT 1 FROM sync_reconciliation r WHERE r.id = %s."reconciliation_id" AND r.signed_at IS NOT NULL)'
    )
    if vendor == "sqlite":
        stop = f"BEGIN SELECT RAISE(ABORT, '{TEXT}'); END"
        editor.execute(
            f"CREATE TRIGGER reconciliation_sealed BEFORE UPDATE ON sync_reconciliation"
            f" WHEN OLD.signed_at IS NOT NULL AND ({moved}) {stop}"
        )
        editor.execute(
            f"CREATE TRIGGER reconciliation_line_sealed BEFORE UPDATE ON sync_reconciliationline"
            f" WHEN {signed % 'OLD'} AND ({line_moved}) {stop}"
        )
        editor.execute(
            f"CREATE TRIGGER reconciliation_line_added BEFORE INSERT ON sync_reconciliationline"
            f" WHEN {signed % 'NEW'} {stop}"
        )
    elif vendor == "postgresql":
        editor.execute(
            f"CREATE FUNCTION reconciliation_sealed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF OLD.signed_at IS NOT NULL AND ({moved}) THEN RAISE EXCEPTION '{TEXT}'"
            f" USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        )
        editor.execute(
            f"CREATE FUNCTION reconciliation_line_sealed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF TG_OP = 'INSERT' THEN IF {signed % 'NEW'} THEN RAISE EXCEPTION '{TEXT}'"
            f" USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END IF;"
            f" IF ({line_moved}) AND {signed % 'OLD'} THEN RAISE EXCEPTION '{TEXT}'"
            f" USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        )
        editor.execute(
            "CREATE TRIGGER reconciliation_sealed BEFORE UPDATE ON sync_reconciliation"
            " FOR EACH ROW EXECUTE FUNCTION reconciliation_sealed()"
        )
        editor.execute(
            "CREATE TRIGGER reconciliation_line_sealed BEFORE INSERT OR UPDATE ON sync_reconciliationline"
            " FOR EACH ROW EXECUTE FUNCTION reconciliation_line_sealed()"
        )


def unseal(apps, editor):
    """The way back."""
    if editor.connection.vendor == "sqlite":
        for name in ("reconciliation_sealed", "reconciliation_line_sealed", "reconciliation_line_added"):
            editor.execute(f"DROP TRIGGER IF EXISTS {name}")
    elif editor.connection.vendor == "postgresql":
        editor.execute("DROP TRIGGER IF EXISTS reconciliation_sealed ON sync_reconciliation")
        editor.execute("DROP TRIGGER IF EXISTS reconciliation_line_sealed ON sync_reconciliationline")
        editor.execute("DROP FUNCTION IF EXISTS reconciliation_sealed()")
        editor.execute("DROP FUNCTION IF EXISTS reconciliation_line_sealed()")


class Migration(migrations.Migration):
    dependencies = [
        ("sync", "0008_notices"),
        ("integrations", "0007_roles"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Reconciliation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts", models.DateField(verbose_name="from")),
                ("ends", models.DateField(verbose_name="to")),
                (
                    "tolerance",
                    models.DecimalField(decimal_places=6, default=0, max_digits=24, verbose_name="rounding tolerance"),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting to start"),
                            ("reading", "Reading both sides"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                (
                    "trigger",
                    models.CharField(
                        choices=[("night", "Every night"), ("manual", "By hand"), ("command", "Command")],
                        default="manual",
                        max_length=10,
                        verbose_name="started by",
                    ),
                ),
                (
                    "position",
                    models.JSONField(blank=True, default=dict, help_text="Which step it is at, and where in it."),
                ),
                ("seen", models.PositiveIntegerField(default=0, verbose_name="documents read")),
                ("total", models.PositiveIntegerField(null=True, verbose_name="documents to read")),
                ("totals", models.JSONField(blank=True, default=dict, verbose_name="totals")),
                ("differences", models.PositiveIntegerField(default=0, verbose_name="differences")),
                ("unexplained", models.PositiveIntegerField(default=0, verbose_name="unexplained differences")),
                ("api_calls", models.JSONField(blank=True, default=dict, verbose_name="API calls")),
                (
                    "error_class",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("transient", "Temporary fault"),
                            ("rate_limited", "Rate limit"),
                            ("outcome_unknown", "Outcome unknown"),
                            ("authentication", "Connection"),
                            ("permission", "Permission"),
                            ("data", "Data"),
                            ("configuration", "Configuration"),
                            ("conflict", "Conflict"),
                            ("missing", "Missing record"),
                            ("dependency", "Waiting for another record"),
                            ("too_large", "Too large or unreadable"),
                            ("bug", "Internal fault"),
                        ],
                        max_length=30,
                        verbose_name="error class",
                    ),
                ),
                ("error_code", models.CharField(blank=True, max_length=100, verbose_name="error code")),
                ("error_message", models.TextField(blank=True, verbose_name="error")),
                ("failures", models.PositiveSmallIntegerField(default=0, verbose_name="failures in a row")),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="continues")),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="started")),
                (
                    "heartbeat_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="last sign of life"),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True, verbose_name="finished")),
                ("signed_name", models.CharField(blank=True, max_length=200, verbose_name="signed by")),
                ("signed_at", models.DateTimeField(blank=True, null=True, verbose_name="signed")),
                ("signed_reason", models.TextField(blank=True, verbose_name="reason")),
                (
                    "integration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reconciliations",
                        to="integrations.integration",
                        verbose_name="integration",
                    ),
                ),
                (
                    "signed_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="signed by",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "reconciliation",
                "verbose_name_plural": "reconciliations",
                "ordering": ["-pk"],
                "permissions": [
                    ("run_reconciliation", "Can compare both sides"),
                    ("sign_off_reconciliation", "Can sign off reconciliations and close months"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReconciliationDocument",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "side",
                    models.CharField(
                        choices=[("crm", "CRM"), ("ledger", "Fortnox")], max_length=10, verbose_name="side"
                    ),
                ),
                ("object", models.CharField(max_length=50, verbose_name="object")),
                ("record_id", models.CharField(max_length=100, verbose_name="id")),
                ("pair", models.CharField(blank=True, max_length=100, verbose_name="document")),
                ("number", models.CharField(blank=True, max_length=100, verbose_name="number")),
                ("title", models.CharField(blank=True, max_length=300, verbose_name="record")),
                ("url", models.CharField(blank=True, max_length=300)),
                ("customer", models.CharField(blank=True, max_length=300, verbose_name="customer")),
                ("day", models.DateField(null=True, verbose_name="date")),
                ("due", models.DateField(null=True, verbose_name="due")),
                ("status", models.CharField(blank=True, max_length=20, verbose_name="status")),
                ("currency", models.CharField(blank=True, max_length=10, verbose_name="currency")),
                ("net", models.DecimalField(decimal_places=6, max_digits=24, null=True, verbose_name="net")),
                ("vat", models.DecimalField(decimal_places=6, max_digits=24, null=True, verbose_name="VAT")),
                ("gross", models.DecimalField(decimal_places=6, max_digits=24, null=True, verbose_name="total")),
                ("balance", models.DecimalField(decimal_places=6, max_digits=24, null=True, verbose_name="balance")),
                ("credits", models.CharField(blank=True, max_length=100, verbose_name="credits")),
                ("credited_by", models.CharField(blank=True, max_length=100, verbose_name="credited by")),
                ("marker", models.CharField(blank=True, max_length=100, verbose_name="reference")),
                ("version", models.CharField(blank=True, max_length=64)),
                ("complete", models.BooleanField(default=True)),
                ("counted", models.BooleanField(default=True)),
                ("sold", models.BooleanField(default=False, help_text="A record that was won and names no document.")),
                (
                    "changed",
                    models.BooleanField(default=False, help_text="Whether the ledger changed it since the last sync."),
                ),
                (
                    "reconciliation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="documents", to="sync.reconciliation"
                    ),
                ),
            ],
            options={
                "verbose_name": "document read",
                "verbose_name_plural": "documents read",
            },
        ),
        migrations.CreateModel(
            name="ReconciliationLine",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("not_synced", "Not synced yet"),
                            ("in_review", "Needs a person"),
                            ("changed", "Changed since the last sync"),
                            ("filtered", "Left out by the flow"),
                            ("cancelled", "Cancelled"),
                            ("credit", "Credit"),
                            ("by_hand", "Made by hand"),
                            ("period", "Another period"),
                            ("currency", "Currency"),
                            ("rounding", "Rounding"),
                            ("figures", "Figures differ"),
                            ("status", "Status differs"),
                            ("only_ledger", "Only in the ledger"),
                            ("only_crm", "Only in the CRM"),
                        ],
                        max_length=12,
                        verbose_name="kind",
                    ),
                ),
                ("explained", models.BooleanField(verbose_name="explained")),
                ("explanation", models.JSONField(default=dict, help_text="Per language.", verbose_name="explanation")),
                ("currency", models.CharField(blank=True, max_length=10, verbose_name="currency")),
                ("count", models.SmallIntegerField(default=0, verbose_name="documents")),
                ("net", models.DecimalField(decimal_places=6, default=0, max_digits=24, verbose_name="net")),
                ("vat", models.DecimalField(decimal_places=6, default=0, max_digits=24, verbose_name="VAT")),
                ("gross", models.DecimalField(decimal_places=6, default=0, max_digits=24, verbose_name="total")),
                ("balance", models.DecimalField(decimal_places=6, default=0, max_digits=24, verbose_name="balance")),
                ("number", models.CharField(blank=True, max_length=100, verbose_name="number")),
                ("title", models.CharField(blank=True, max_length=300, verbose_name="record")),
                ("ledger_object", models.CharField(blank=True, max_length=50)),
                ("ledger_id", models.CharField(blank=True, max_length=100, verbose_name="ledger id")),
                ("ledger_url", models.CharField(blank=True, max_length=300)),
                ("crm_object", models.CharField(blank=True, max_length=50)),
                ("crm_id", models.CharField(blank=True, max_length=100, verbose_name="CRM id")),
                ("crm_url", models.CharField(blank=True, max_length=300)),
                (
                    "sides",
                    models.JSONField(default=dict, help_text="What each side says, typed.", verbose_name="both sides"),
                ),
                (
                    "change",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="sync.change",
                        verbose_name="change",
                    ),
                ),
                (
                    "link",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="sync.entitylink",
                        verbose_name="link",
                    ),
                ),
                (
                    "reconciliation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="lines", to="sync.reconciliation"
                    ),
                ),
            ],
            options={
                "verbose_name": "difference",
                "verbose_name_plural": "differences",
                "ordering": ["explained", "pk"],
            },
        ),
        migrations.AddIndex(
            model_name="reconciliation",
            index=models.Index(fields=["integration", "starts", "ends", "-id"], name="reconciliation_by_period"),
        ),
        migrations.AddIndex(
            model_name="reconciliation",
            index=models.Index(
                condition=models.Q(("state__in", ["waiting", "reading"])), fields=["due_at"], name="reconciliation_due"
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends__gte", models.F("starts"))), name="reconciliation_period"
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.CheckConstraint(
                condition=models.Q(("tolerance__gte", 0)), name="reconciliation_tolerance"
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "reading", "done", "failed"])),
                name="reconciliation_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.CheckConstraint(
                condition=models.Q(("unexplained__lte", models.F("differences"))),
                name="reconciliation_unexplained_is_some",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("signed_at", None),
                    models.Q(("state", "done"), models.Q(("signed_name", ""), _negated=True)),
                    _connector="OR",
                ),
                name="reconciliation_signed_done",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("signed_at", None),
                    ("unexplained", 0),
                    models.Q(("signed_reason", ""), _negated=True),
                    _connector="OR",
                ),
                name="reconciliation_signed_with_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliation",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["waiting", "reading"])),
                fields=("integration",),
                name="reconciliation_one_at_work",
            ),
        ),
        migrations.AddIndex(
            model_name="reconciliationdocument",
            index=models.Index(fields=["reconciliation", "side", "pair"], name="reconciliation_doc_pair"),
        ),
        migrations.AddIndex(
            model_name="reconciliationdocument",
            index=models.Index(
                condition=models.Q(("complete", False)),
                fields=["reconciliation", "id"],
                name="reconciliation_doc_partial",
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliationdocument",
            constraint=models.UniqueConstraint(
                fields=("reconciliation", "side", "object", "record_id"), name="reconciliation_document_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="reconciliationdocument",
            constraint=models.CheckConstraint(
                condition=models.Q(("side__in", ["crm", "ledger"])), name="reconciliation_document_side"
            ),
        ),
        migrations.AddIndex(
            model_name="reconciliationline",
            index=models.Index(fields=["reconciliation", "explained", "id"], name="reconciliation_line_open"),
        ),
        migrations.AddIndex(
            model_name="reconciliationline",
            index=models.Index(fields=["reconciliation", "kind", "id"], name="reconciliation_line_kind"),
        ),
        migrations.AddConstraint(
            model_name="reconciliationline",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("ledger_id", ""), _negated=True), models.Q(("crm_id", ""), _negated=True), _connector="OR"
                ),
                name="reconciliation_line_has_record",
            ),
        ),
        migrations.RunPython(seal, unseal),
    ]
