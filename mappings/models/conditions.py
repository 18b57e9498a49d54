"""Match rules, validations and links of a mapping set. Editable in drafts only."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.audit import ConfigHistory
from mappings.matching import NORMALISERS
from mappings.models.rules import Rule, Scope, target_field_problem

NORMALISER_CHOICES = [(name, normaliser.label) for name, normaliser in NORMALISERS.items()]


class MatchRule(Rule):
    """One way to find the counterpart of a record; tried in order, the first that finds decides."""

    class Outcome(models.TextChoices):
        LINK = "link", _("Link when exactly one is found")
        SUGGEST = "suggest", _("Only suggest to a person")

    label = models.CharField(_("name"), max_length=120, help_text=_("What people call this rule."))
    expression = models.TextField(_("source"), help_text=_("Field or expression whose value is looked for."))
    target_field = models.CharField(
        _("target field"), max_length=100, help_text=_("The field of the target that must hold the value.")
    )
    normaliser = models.CharField(
        _("compared as"),
        max_length=20,
        choices=NORMALISER_CHOICES,
        default="exact",
        help_text=_("How both values are made comparable."),
    )
    outcome = models.CharField(
        _("outcome"),
        max_length=10,
        choices=Outcome.choices,
        default=Outcome.LINK,
        help_text=_("Whether one hit is enough, or a person decides."),
    )
    extra_expression = models.TextField(
        _("second source"), blank=True, help_text=_("A second value that must agree as well.")
    )
    extra_field = models.CharField(
        _("second target field"), max_length=100, blank=True, help_text=_("Where the second value is compared.")
    )
    extra_normaliser = models.CharField(
        _("second compared as"),
        max_length=20,
        choices=NORMALISER_CHOICES,
        blank=True,
        help_text=_("How the second values are made comparable."),
    )
    history = ConfigHistory()

    class Meta(Rule.Meta):
        verbose_name = _("match rule")
        verbose_name_plural = _("match rules")
        default_related_name = "match_rules"
        constraints = [
            models.CheckConstraint(condition=Q(outcome__in=["link", "suggest"]), name="match_outcome_known"),
            models.CheckConstraint(condition=Q(normaliser__in=list(NORMALISERS)), name="match_normaliser_known"),
            models.CheckConstraint(
                condition=Q(extra_expression="", extra_field="", extra_normaliser="")
                | (~Q(extra_expression="") & ~Q(extra_field="") & Q(extra_normaliser__in=list(NORMALISERS))),
                name="match_extra_complete",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def clean(self) -> None:
        """Both expressions compile; the second condition is complete or absent."""
        super().clean()
        if not self.has_mapping:
            return
        errors: dict[str, Any] = {}
        self._check(errors, "expression")
        given = [bool(v) for v in (self.extra_expression, self.extra_field, self.extra_normaliser)]
        if any(given) and not all(given):
            errors["extra_expression"] = _("Give all three parts of the second condition, or none.")
        elif all(given):
            self._check(errors, "extra_expression")
        schema = self.mapping_set.target_schema
        for name in ("target_field", "extra_field"):
            value = getattr(self, name)
            if value and schema is not None and value not in schema.fields:
                errors[name] = _("“%(object)s” has no field “%(field)s”.") % {
                    "object": schema.label,
                    "field": value,
                }
        if errors:
            raise ValidationError(errors)


class ValidationRule(Rule):
    """A condition that must hold before a record, or one of its lines, is written."""

    class Outcome(models.TextChoices):
        BLOCK = "block", _("Stop and show for review")
        SKIP = "skip", _("Leave it out")
        SKIP_CREATE = "skip_create", _("Do not create it; update it if it exists")
        NOTE = "note", _("Only note it")

    label = models.CharField(_("name"), max_length=120, help_text=_("What people call this condition."))
    scope = models.CharField(
        _("scope"),
        max_length=10,
        choices=Scope.choices,
        default=Scope.HEADER,
        help_text=_("Checked once per record, or for each of its lines."),
    )
    expression = models.TextField(_("must hold"), help_text=_("Expression that is true for a good record."))
    outcome = models.CharField(
        _("otherwise"),
        max_length=12,
        choices=Outcome.choices,
        default=Outcome.BLOCK,
        help_text=_("What happens when the condition does not hold."),
    )
    message = models.CharField(
        _("message"), max_length=300, blank=True, help_text=_("What is wrong, for the person who reads it.")
    )
    remedy = models.CharField(_("remedy"), max_length=300, blank=True, help_text=_("What that person can do about it."))
    code = models.SlugField(
        _("key"), max_length=60, blank=True, help_text=_("Stable name of the check, such as company_associated.")
    )
    actual = models.TextField(
        _("shows"), blank=True, help_text=_("Expression whose value is shown beside the check; empty: nothing.")
    )
    repair = models.SlugField(
        _("repair"), max_length=40, blank=True, help_text=_("Repair that a card may offer, such as create_customer.")
    )

    history = ConfigHistory()

    class Meta(Rule.Meta):
        verbose_name = _("validation")
        verbose_name_plural = _("validations")
        default_related_name = "validations"
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["block", "skip", "skip_create", "note"]), name="validation_outcome_known"
            ),
            models.CheckConstraint(condition=Q(scope__in=["header", "line"]), name="validation_scope_known"),
            # A line has no existence of its own: it is left out or stops the record.
            models.CheckConstraint(condition=~Q(scope="line", outcome="skip_create"), name="validation_line_outcome"),
        ]

    def __str__(self) -> str:
        return self.label

    def clean(self) -> None:
        """The condition compiles."""
        super().clean()
        if not self.has_mapping:
            return
        errors: dict[str, Any] = {}
        self._check(errors, "expression", self.scope)
        self._check(errors, "actual", self.scope)
        if self.scope == Scope.LINE and self.outcome == self.Outcome.SKIP_CREATE:
            errors["outcome"] = _("A line is left out or stops the record.")
        if errors:
            raise ValidationError(errors)


class LinkRule(Rule):
    """An association to another object, which another mapping of the same integration brings over."""

    name = models.CharField(
        _("target object"), max_length=50, help_text=_("The object to associate with, such as company.")
    )
    expression = models.TextField(
        _("source"), help_text=_("Expression that gives the related record's id on the source side.")
    )
    related_slug = models.SlugField(
        _("related mapping"),
        max_length=60,
        help_text=_("Key of the mapping that brings the related record over, such as customers-to-companies."),
    )
    required = models.BooleanField(
        _("required"), default=False, help_text=_("Without the related record this one waits.")
    )
    target_field = models.CharField(
        _("target field"),
        max_length=100,
        blank=True,
        help_text=_("Field that gets the related record's id; empty: the two are associated."),
    )

    history = ConfigHistory()

    class Meta(Rule.Meta):
        verbose_name = _("link")
        verbose_name_plural = _("links")
        default_related_name = "link_rules"
        constraints = [
            models.UniqueConstraint(fields=["mapping_set", "name"], name="link_rule_once"),
            models.CheckConstraint(condition=~Q(related_slug=""), name="link_rule_related"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ← {self.expression}"[:120]

    def clean(self) -> None:
        """The expression compiles."""
        super().clean()
        if not self.has_mapping:
            return
        errors: dict[str, Any] = {}
        self._check(errors, "expression")
        if problem := target_field_problem(self.mapping_set, Scope.HEADER, self.target_field):
            errors["target_field"] = problem
        if errors:
            raise ValidationError(errors)
