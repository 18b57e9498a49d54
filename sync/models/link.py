"""Links: which two remote records are the same, and what both sides last agreed on."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from mappings import presets
from mappings.models.mapping_set import Side
from sync.models.scope import ScopedQuerySet

ERASED = "erased:"
"""What the frozen reason of a link begins with whose person was erased: date, who asked and why follow."""


class EntityLink(models.Model):
    """The binding of two remote records: the authority on "these two are the same".

    `agreed_*` hold, per field, what each remote last *returned* (normalised by it): the third leg of the compare and
    the reason why our own echo is silent. `*_fingerprint` are hashes of the mapped source fields when that side was
    last the source; `*_version` the hash of the record as a list showed it.
    """

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="links", verbose_name=_("integration"))
    crm_object = models.CharField(_("CRM object"), max_length=50)
    crm_id = models.CharField(_("CRM id"), max_length=100)
    ledger_object = models.CharField(_("ledger object"), max_length=50)
    ledger_id = models.CharField(_("ledger id"), max_length=100)
    title = models.CharField(_("name"), max_length=300, blank=True)
    agreed_crm = models.JSONField(_("agreed CRM values"), default=dict, blank=True)
    agreed_ledger = models.JSONField(_("agreed ledger values"), default=dict, blank=True)
    agreed_under = models.JSONField(
        default=dict,
        blank=True,
        help_text=_("By source side: the version of the mapping that both sides agreed under."),
    )
    sent_crm = models.JSONField(default=dict, blank=True, help_text=_("Where it differs from what was returned."))
    sent_ledger = models.JSONField(default=dict, blank=True, help_text=_("Where it differs from what was returned."))
    crm_fingerprint = models.CharField(max_length=64, blank=True)
    ledger_fingerprint = models.CharField(max_length=64, blank=True)
    crm_version = models.CharField(max_length=64, blank=True)
    ledger_version = models.CharField(max_length=64, blank=True)
    line_ids = models.JSONField(_("line ids"), default=dict, blank=True)
    crm_url = models.CharField(max_length=300, blank=True)
    ledger_url = models.CharField(max_length=300, blank=True)
    origin = models.CharField(
        _("began in"), max_length=10, choices=Side.choices, default=Side.LEDGER,
        help_text=_("The side whose record was there first; the other was created from it."),
    )  # fmt: skip
    former = models.JSONField(
        _("earlier counterparts"), default=list, blank=True,
        help_text=_("Documents that were credited and replaced, oldest first."),
    )  # fmt: skip
    linked_by = models.CharField(_("linked by"), max_length=200, blank=True)
    frozen_reason = models.CharField(_("frozen because"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("linked"), default=timezone.now)
    synced_at = models.DateTimeField(_("last synced"), null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "crm_object", "crm_id", "ledger_object"], name="link_once_per_crm_record"
            ),
            models.UniqueConstraint(
                fields=["integration", "ledger_object", "ledger_id", "crm_object"], name="link_once_per_ledger_record"
            ),
            models.CheckConstraint(condition=~Q(crm_id="") & ~Q(ledger_id=""), name="link_has_both_ids"),
            models.CheckConstraint(condition=Q(origin__in=["crm", "ledger"]), name="link_origin_known"),
        ]

    def __str__(self) -> str:
        crm, ledger = presets.shown_object(self.crm_object), presets.shown_object(self.ledger_object)
        return f"{self.title or self.ledger_id} ({crm} {self.crm_id} ↔ {ledger} {self.ledger_id})"

    @property
    def erased(self) -> str:
        """When, by whom and why the person of this record was erased; "" when nobody was."""
        return self.frozen_reason.removeprefix(ERASED).strip() if self.frozen_reason.startswith(ERASED) else ""
