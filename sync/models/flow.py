"""Flows: one kind of sync inside an integration, and the further looks it takes at subsets."""

from __future__ import annotations

from typing import Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.audit import AuditedQuerySet, ConfigHistory
from integrations.models import Integration
from mappings import presets
from mappings.models import MappingSet
from mappings.models.mapping_set import Side
from sync.models.scope import ScopedQuerySet


class FlowQuerySet(AuditedQuerySet["Flow"], ScopedQuerySet):  # type: ignore[override]
    """Flows, in the words of the scheduler."""

    def startable(self) -> Self:
        """Switched on, in an integration that is not off, with both accounts connected."""
        return self.filter(
            enabled=True,
            integration__mode__in=[Integration.Mode.OBSERVE, Integration.Mode.LIVE],
            integration__crm_account__status="connected",
            integration__ledger_account__status="connected",
        )


class Flow(models.Model):
    """One kind of sync inside an integration: what it reads, what it writes, when, and who must approve."""

    class Approval(models.TextChoices):
        FIRST_RUN = "first_run", _("First run by hand, then automatic")
        AUTOMATIC = "automatic", _("Automatic")
        ALWAYS = "always", _("Always by hand")

    class Takes(models.TextChoices):
        ALL = "all", _("Every record that passes the filter")
        LINKED = "linked", _("Only records that were written before, and those that a person asks for")
        KNOWN = (
            "known",
            _("Only records that are linked, whichever side they began on, and those that a person asks for"),
        )
        RETURNED = "returned", _("Only counterparts of records that began on the other side")
        OWN = "own", _("All but counterparts of records that began on the other side")

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="flows", verbose_name=_("integration"))
    slug = models.SlugField(_("kind"), help_text=_("Names the mapping set that this flow uses."))
    name = models.CharField(_("name"), max_length=200)
    position = models.PositiveSmallIntegerField(_("order"), default=0, help_text=_("Flows run in this order."))
    source_side = models.CharField(_("source side"), max_length=10, choices=Side.choices)
    source_object = models.CharField(_("source object"), max_length=50)
    target_side = models.CharField(_("target side"), max_length=10, choices=Side.choices)
    target_object = models.CharField(_("target object"), max_length=50)

    enabled = models.BooleanField(
        _("on"), default=False, help_text=_("Off: nothing new is planned, and queued changes are held, not lost.")
    )
    takes = models.CharField(_("takes"), max_length=10, choices=Takes.choices, default=Takes.ALL)
    scheduled = models.BooleanField(
        _("runs on schedule"),
        default=True,
        help_text=_("Off: it works only when a person or another flow asks."),
    )
    every_minutes = models.PositiveIntegerField(_("every (minutes)"), default=30)
    follow_up = models.SlugField(
        _("writes back through"),
        blank=True,
        editable=False,
        help_text=_("The flow that carries numbers and states of what this one created back to its source."),
    )
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    approval = models.CharField(_("approval"), max_length=20, choices=Approval.choices, default=Approval.FIRST_RUN)
    first_run_approved_at = models.DateTimeField(_("first run approved"), null=True, blank=True, editable=False)
    may_create = models.BooleanField(_("may create"), default=True)
    may_update = models.BooleanField(_("may update"), default=True)
    filter_expression = models.TextField(
        _("filter"), blank=True, help_text=_("Only records for which this expression is true. Empty: all.")
    )
    amount_field = models.CharField(_("amount field"), max_length=100, blank=True, editable=False)
    currency_field = models.CharField(_("currency field"), max_length=100, blank=True, editable=False)
    brake_amount = models.DecimalField(
        _("brake: amount"), max_digits=14, decimal_places=2, null=True, blank=True,
        help_text=_("A single change over this amount waits for approval. Empty: no limit."),
    )  # fmt: skip
    max_creates_per_hour = models.PositiveIntegerField(
        _("limit: creates per hour"), null=True, blank=True,
        help_text=_("Further creates wait for approval. Empty: no limit."),
    )  # fmt: skip
    seen_currencies = models.JSONField(_("currencies seen"), default=list, blank=True, editable=False)
    setup = models.JSONField(_("what must exist at the target"), default=dict, blank=True, editable=False)
    prepared_at = models.DateTimeField(_("set-up done"), null=True, blank=True, editable=False)

    cursor = models.CharField(_("cursor"), max_length=200, blank=True, editable=False)
    cursor_at = models.DateTimeField(_("cursor moved"), null=True, blank=True, editable=False)
    next_run_at = models.DateTimeField(_("next run"), null=True, blank=True)
    run_requested = models.CharField(_("requested run"), max_length=20, blank=True, editable=False)
    last_success_at = models.DateTimeField(_("last success"), null=True, blank=True, editable=False)
    swept_at = models.DateTimeField(_("last search for duplicates"), null=True, blank=True, editable=False)

    objects = FlowQuerySet.as_manager()
    history = ConfigHistory(
        engine=[
            "first_run_approved_at", "seen_currencies", "setup", "prepared_at", "cursor", "cursor_at", "next_run_at",
            "run_requested", "last_success_at", "swept_at",
        ]
    )  # fmt: skip

    class Meta:
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        ordering = ["integration__organization__name", "integration__name", "position", "pk"]
        permissions = [("run_flow", _("Can plan and run flows")), ("approve_flow", _("Can approve planned changes"))]
        constraints = [
            models.UniqueConstraint(fields=["integration", "slug"], name="flow_once_per_integration"),
            models.CheckConstraint(condition=~Q(source_side=models.F("target_side")), name="flow_crosses_sides"),
            models.CheckConstraint(condition=Q(every_minutes__gte=1), name="flow_every_minutes"),
            models.CheckConstraint(
                condition=Q(approval__in=["first_run", "automatic", "always"]), name="flow_approval_known"
            ),
            models.CheckConstraint(
                condition=Q(takes__in=["all", "linked", "known", "returned", "own"]), name="flow_takes_known"
            ),
        ]
        indexes = [models.Index(fields=["next_run_at"], condition=Q(enabled=True), name="flow_due")]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """The name, in the reader's language while it is the one that the preset gave."""
        return presets.shown(self.name)

    @property
    def first_run_pending(self) -> bool:
        """Whether a person must still approve the first run (Q-01)."""
        return self.approval == self.Approval.FIRST_RUN and self.first_run_approved_at is None

    def mapping_set(self) -> MappingSet:
        """The published mapping; raises `MappingSet.DoesNotExist`."""
        return MappingSet.objects.published(self.integration, self.slug)

    def clean(self) -> None:
        """Refuse a filter expression that cannot work, with the reason."""
        from sync.flows import check_filter

        if self.filter_expression and (problem := check_filter(self)):
            raise ValidationError({"filter_expression": problem})


class FlowPass(models.Model):
    """A further look at a named subset of a flow's source on its own schedule: what delta reading cannot see, such as
    an invoice that became overdue without changing (RB12)."""

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="passes", verbose_name=_("flow"))
    subset = models.CharField(_("subset"), max_length=50)
    name = models.CharField(_("name"), max_length=200)
    every_minutes = models.PositiveIntegerField(_("every (minutes)"), default=1440)
    next_run_at = models.DateTimeField(_("next run"), null=True, blank=True)

    objects = AuditedQuerySet["FlowPass"].as_manager()
    history = ConfigHistory(engine=["next_run_at"])

    class Meta:
        verbose_name = _("pass")
        verbose_name_plural = _("passes")
        constraints = [
            models.UniqueConstraint(fields=["flow", "subset"], name="flow_pass_once"),
            models.CheckConstraint(condition=Q(every_minutes__gte=1), name="flow_pass_every_minutes"),
        ]

    def __str__(self) -> str:
        return f"{self.flow} · {self.name}"
