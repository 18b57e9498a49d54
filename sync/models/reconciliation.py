"""Both sides compared: one reconciliation per integration and period, the documents it read, the differences it found.

The invariants, kept by constraints: one at work per integration; what is signed is done, has a reason when anything
was unexplained, and is never changed again (a trigger refuses it, see migration 0009).
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.errors import ErrorClass
from integrations.models import Integration
from mappings.models.mapping_set import Side
from sync.models.change import Change
from sync.models.link import EntityLink
from sync.models.scope import ScopedQuerySet
from sync.texts import in_this_language


def _money(label: object, **options: object) -> models.DecimalField:  # type: ignore[type-arg]
    return models.DecimalField(label, max_digits=24, decimal_places=6, **options)  # type: ignore[arg-type]


class Reconciliation(models.Model):
    """One comparison of both sides over the documents of a period."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting to start")
        READING = "reading", _("Reading both sides")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    class Trigger(models.TextChoices):
        NIGHT = "night", _("Every night")
        MANUAL = "manual", _("By hand")
        COMMAND = "command", _("Command")

    ACTIVE = ("waiting", "reading")

    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="reconciliations", verbose_name=_("integration")
    )
    starts = models.DateField(_("from"))
    ends = models.DateField(_("to"))
    tolerance = _money(_("rounding tolerance"), default=0)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    trigger = models.CharField(_("started by"), max_length=10, choices=Trigger.choices, default=Trigger.MANUAL)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("person")
    )
    position = models.JSONField(default=dict, blank=True, help_text=_("Which step it is at, and where in it."))
    seen = models.PositiveIntegerField(_("documents read"), default=0)
    total = models.PositiveIntegerField(_("documents to read"), null=True)
    totals = models.JSONField(_("totals"), default=dict, blank=True)
    differences = models.PositiveIntegerField(_("differences"), default=0)
    unexplained = models.PositiveIntegerField(_("unexplained differences"), default=0)
    api_calls = models.JSONField(_("API calls"), default=dict, blank=True)
    error_class = models.CharField(_("error class"), max_length=30, blank=True, choices=ErrorClass.choices)
    error_code = models.CharField(_("error code"), max_length=100, blank=True)
    error_message = models.TextField(_("error"), blank=True)
    failures = models.PositiveSmallIntegerField(_("failures in a row"), default=0)
    due_at = models.DateTimeField(_("continues"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    heartbeat_at = models.DateTimeField(_("last sign of life"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+",
        verbose_name=_("signed by"),
    )  # fmt: skip
    signed_name = models.CharField(_("signed by"), max_length=200, blank=True)
    signed_at = models.DateTimeField(_("signed"), null=True, blank=True)
    signed_reason = models.TextField(_("reason"), blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("reconciliation")
        verbose_name_plural = _("reconciliations")
        ordering = ["-pk"]
        permissions = [
            ("run_reconciliation", _("Can compare both sides")),
            ("sign_off_reconciliation", _("Can sign off reconciliations and close months")),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(ends__gte=F("starts")), name="reconciliation_period"),
            models.CheckConstraint(condition=Q(tolerance__gte=0), name="reconciliation_tolerance"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "reading", "done", "failed"]), name="reconciliation_state_known"
            ),
            models.CheckConstraint(
                condition=Q(unexplained__lte=F("differences")), name="reconciliation_unexplained_is_some"
            ),
            models.CheckConstraint(
                condition=Q(signed_at=None) | (Q(state="done") & ~Q(signed_name="")), name="reconciliation_signed_done"
            ),
            models.CheckConstraint(
                condition=Q(signed_at=None) | Q(unexplained=0) | ~Q(signed_reason=""),
                name="reconciliation_signed_with_reason",
            ),
            models.UniqueConstraint(
                fields=["integration"], condition=Q(state__in=["waiting", "reading"]),
                name="reconciliation_one_at_work",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["integration", "starts", "ends", "-id"], name="reconciliation_by_period"),
            models.Index(
                fields=["due_at"], condition=Q(state__in=["waiting", "reading"]), name="reconciliation_due"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.integration} {self.starts:%Y-%m-%d} – {self.ends:%Y-%m-%d}"

    @property
    def moving(self) -> bool:
        """Whether it waits or is at work."""
        return self.state in self.ACTIVE


class ReconciliationDocument(models.Model):
    """One document, or one record that mirrors a document, as it was read. `pair` is the ledger's id of the document
    that it is or speaks of; only those that are `counted` belong to the period."""

    reconciliation = models.ForeignKey(Reconciliation, models.CASCADE, related_name="documents")
    side = models.CharField(_("side"), max_length=10, choices=Side.choices)
    object = models.CharField(_("object"), max_length=50)
    record_id = models.CharField(_("id"), max_length=100)
    pair = models.CharField(_("document"), max_length=100, blank=True)
    number = models.CharField(_("number"), max_length=100, blank=True)
    title = models.CharField(_("record"), max_length=300, blank=True)
    url = models.CharField(max_length=300, blank=True)
    customer = models.CharField(_("customer"), max_length=300, blank=True)
    day = models.DateField(_("date"), null=True)
    due = models.DateField(_("due"), null=True)
    status = models.CharField(_("status"), max_length=20, blank=True)
    currency = models.CharField(_("currency"), max_length=10, blank=True)
    net = _money(_("net"), null=True)
    vat = _money(_("VAT"), null=True)
    gross = _money(_("total"), null=True)
    balance = _money(_("balance"), null=True)
    rate = _money(_("currency rate"), null=True)
    credits = models.CharField(_("credits"), max_length=100, blank=True)
    credited_by = models.CharField(_("credited by"), max_length=100, blank=True)
    marker = models.CharField(_("reference"), max_length=100, blank=True)
    version = models.CharField(max_length=64, blank=True)
    complete = models.BooleanField(default=True)
    counted = models.BooleanField(default=True)
    sold = models.BooleanField(default=False, help_text=_("A record that was won and names no document."))
    changed = models.BooleanField(default=False, help_text=_("Whether the ledger changed it since the last sync."))

    class Meta:
        verbose_name = _("document read")
        verbose_name_plural = _("documents read")
        constraints = [
            models.UniqueConstraint(
                fields=["reconciliation", "side", "object", "record_id"], name="reconciliation_document_once"
            ),
            models.CheckConstraint(condition=Q(side__in=["crm", "ledger"]), name="reconciliation_document_side"),
        ]
        indexes = [
            models.Index(fields=["reconciliation", "side", "pair"], name="reconciliation_doc_pair"),
            models.Index(
                fields=["reconciliation", "id"], condition=Q(complete=False), name="reconciliation_doc_partial"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.title or self.record_id


class ReconciliationLine(models.Model):
    """One difference: ledger minus CRM, in one currency, with what explains it."""

    class Kind(models.TextChoices):
        NOT_SYNCED = "not_synced", _("Not synced yet")
        IN_REVIEW = "in_review", _("Needs a person")
        CHANGED = "changed", _("Changed since the last sync")
        FILTERED = "filtered", _("Left out by the flow")
        CANCELLED = "cancelled", _("Cancelled")
        CREDIT = "credit", _("Credit")
        BY_HAND = "by_hand", _("Made by hand")
        PERIOD = "period", _("Another period")
        CURRENCY = "currency", _("Currency")
        RATE = "rate", _("Currency rate")
        ROUNDING = "rounding", _("Rounding")
        FIGURES = "figures", _("Figures differ")
        STATUS = "status", _("Status differs")
        ONLY_LEDGER = "only_ledger", _("Only in the ledger")
        ONLY_CRM = "only_crm", _("Only in the CRM")

    reconciliation = models.ForeignKey(Reconciliation, models.CASCADE, related_name="lines")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    explained = models.BooleanField(_("explained"))
    explanation = models.JSONField(_("explanation"), default=dict, help_text=_("Per language."))
    currency = models.CharField(_("currency"), max_length=10, blank=True)
    count = models.SmallIntegerField(_("documents"), default=0)
    net = _money(_("net"), default=0)
    vat = _money(_("VAT"), default=0)
    gross = _money(_("total"), default=0)
    balance = _money(_("balance"), default=0)
    number = models.CharField(_("number"), max_length=100, blank=True)
    title = models.CharField(_("record"), max_length=300, blank=True)
    ledger_object = models.CharField(max_length=50, blank=True)
    ledger_id = models.CharField(_("ledger id"), max_length=100, blank=True)
    ledger_url = models.CharField(max_length=300, blank=True)
    crm_object = models.CharField(max_length=50, blank=True)
    crm_id = models.CharField(_("CRM id"), max_length=100, blank=True)
    crm_url = models.CharField(max_length=300, blank=True)
    sides = models.JSONField(_("both sides"), default=dict, help_text=_("What each side says, typed."))
    change = models.ForeignKey(Change, models.SET_NULL, null=True, related_name="+", verbose_name=_("change"))
    link = models.ForeignKey(EntityLink, models.SET_NULL, null=True, related_name="+", verbose_name=_("link"))

    class Meta:
        verbose_name = _("difference")
        verbose_name_plural = _("differences")
        ordering = ["explained", "pk"]
        constraints = [
            models.CheckConstraint(condition=~Q(ledger_id="") | ~Q(crm_id=""), name="reconciliation_line_has_record")
        ]
        indexes = [
            models.Index(fields=["reconciliation", "explained", "id"], name="reconciliation_line_open"),
            models.Index(fields=["reconciliation", "kind", "id"], name="reconciliation_line_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.title or self.number}"

    @property
    def explanation_text(self) -> str:
        """What explains it, in the reader's language."""
        return in_this_language(self.explanation)

    @property
    def integration(self) -> Integration:
        """Whose it is; roles ask for it."""
        return self.reconciliation.integration
