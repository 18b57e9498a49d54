"""The rules of a mapping set: fields, match rules, validations, links. Editable in drafts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from integrations.connector import FieldSchema
from mappings.expressions import ExpressionError
from mappings.matching import NORMALISERS
from mappings.models.mapping_set import PUBLISHED_IS_FINAL, MappingSet

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

NORMALISER_CHOICES = [(name, normaliser.label) for name, normaliser in NORMALISERS.items()]


class Scope(models.TextChoices):
    """Once per record, or once per line."""

    HEADER = "header", _("Record")
    LINE = "line", _("Each line")


class RuleQuerySet(models.QuerySet[Any]):
    """Rules, as seen by a person."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        if not user.pk:
            return self.none()
        return self.filter(mapping_set__integration__organization__memberships__user_id=user.pk)


class Rule(models.Model):
    """What all rules share: their mapping set, their order, and the guard that published versions are final."""

    mapping_set = models.ForeignKey(MappingSet, models.CASCADE, verbose_name=_("mapping"))
    position = models.PositiveSmallIntegerField(
        _("order"), default=0, help_text=_("Rules are listed, and match rules tried, in this order.")
    )

    objects = RuleQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["position", "pk"]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Guards the invariant for code that does not validate."""
        if not self.mapping_set.editable:
            raise ValidationError(PUBLISHED_IS_FINAL, code="published")
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuses changes to published versions."""
        super().clean()
        if self.mapping_set_id and not self.mapping_set.editable:
            raise ValidationError(PUBLISHED_IS_FINAL, code="published")

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """As for `save`. Deleting the whole mapping set does not pass here."""
        if not self.mapping_set.editable:
            raise ValidationError(PUBLISHED_IS_FINAL, code="published")
        return super().delete(*args, **kwargs)

    def _check(self, errors: dict[str, Any], name: str, scope: str = "header") -> None:
        source = getattr(self, name)
        if source and self.mapping_set.integration_id:
            try:
                self.mapping_set.compile(source, scope)
            except ExpressionError as error:
                errors[name] = str(error)


class FieldMapping(Rule):
    """Source expression → target field, with its conditions."""

    class When(models.TextChoices):
        ALWAYS = "always", _("Always")
        CREATE = "create", _("Only when the record is created")
        IF_EMPTY = "if_empty", _("Only when the field is empty")

    class Precedence(models.TextChoices):
        SOURCE = "source", _("The source decides")
        TARGET = "target", _("The target decides, once somebody changed it there")
        NEWEST = "newest", _("The newest change decides")
        ASK = "ask", _("Ask a person when both changed")

    class Blank(models.TextChoices):
        KEEP = "keep", _("Keep the target's value")
        CLEAR = "clear", _("Clear the target's value")

    target_field = models.CharField(
        _("target field"), max_length=100, help_text=_("Internal name of the field that is written.")
    )
    expression = models.TextField(
        _("source"), help_text=_('Field or expression, such as customer.Name or concat(contact.firstname, " ").')
    )
    label = models.CharField(
        _("label"), max_length=120, blank=True, help_text=_("What people call this field in plans and errors.")
    )
    scope = models.CharField(
        _("scope"),
        max_length=10,
        choices=Scope.choices,
        default=Scope.HEADER,
        help_text=_("Once per record, or for each of its lines."),
    )
    when = models.CharField(
        _("when"),
        max_length=10,
        choices=When.choices,
        default=When.ALWAYS,
        help_text=_("In which situations the field is written."),
    )
    precedence = models.CharField(
        _("precedence"),
        max_length=10,
        choices=Precedence.choices,
        default=Precedence.SOURCE,
        help_text=_("Who wins when the field was changed at the target."),
    )
    blank = models.CharField(
        _("blank source"),
        max_length=10,
        choices=Blank.choices,
        default=Blank.KEEP,
        help_text=_("What an empty source value does to a value at the target."),
    )
    required = models.BooleanField(
        _("required"), default=False, help_text=_("Without a value the record is not written but shown for review.")
    )
    value_map = models.ForeignKey(
        "mappings.ValueMap",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="field_mappings",
        verbose_name=_("value map"),
        help_text=_("Translates the value, after the expression."),
    )
    hint = models.CharField(
        _("hint"),
        max_length=300,
        blank=True,
        help_text=_("What to do when the target refuses the value; {value} stands for it."),
    )
    history = HistoricalRecords()

    class Meta(Rule.Meta):
        verbose_name = _("field")
        verbose_name_plural = _("fields")
        default_related_name = "field_mappings"
        constraints = [
            models.UniqueConstraint(fields=["mapping_set", "scope", "target_field"], name="field_mapping_once"),
            models.CheckConstraint(
                condition=Q(scope__in=["header", "line"])
                & Q(when__in=["always", "create", "if_empty"])
                & Q(precedence__in=["source", "target", "newest", "ask"])
                & Q(blank__in=["keep", "clear"]),
                name="field_mapping_choices_known",
            ),
            models.CheckConstraint(condition=~Q(target_field="") & ~Q(expression=""), name="field_mapping_complete"),
        ]

    def __str__(self) -> str:
        return f"{self.label or self.target_field} ← {self.expression}"[:120]

    def clean(self) -> None:
        """The expression compiles and the target field exists and is writable, as far as is known."""
        super().clean()
        if self.mapping_set_id is None and not hasattr(self, "mapping_set"):
            return
        errors: dict[str, Any] = {}
        self._check(errors, "expression", self.scope)
        problem = target_field_problem(self.mapping_set, self.scope, self.target_field)
        if problem:
            errors["target_field"] = problem
        if self.value_map and self.value_map.name not in self.mapping_set.table_names:
            errors["value_map"] = _("This value map belongs to another integration or mapping.")
        if errors:
            raise ValidationError(errors)


def target_field_problem(mapping_set: MappingSet, scope: str, name: str) -> str:
    """Why this field cannot be written; "" when it can, or when the target has not described itself yet."""
    schema = mapping_set.target_schema
    if schema is None or not name:
        return ""
    fields = schema.parts.get(schema.lines, {}) if scope == Scope.LINE else schema.fields
    found: FieldSchema | None = fields.get(name)
    if found is None:
        return _("“%(object)s” has no field “%(field)s”.") % {"object": schema.label, "field": name}
    return "" if found.writable else _("“%(field)s” cannot be written.") % {"field": found.label}


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
    history = HistoricalRecords()

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
        if self.mapping_set_id is None and not hasattr(self, "mapping_set"):
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

    class Meta(Rule.Meta):
        verbose_name = _("validation")
        verbose_name_plural = _("validations")
        default_related_name = "validations"
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["block", "skip", "skip_create"]), name="validation_outcome_known"
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
        if self.mapping_set_id is None and not hasattr(self, "mapping_set"):
            return
        errors: dict[str, Any] = {}
        self._check(errors, "expression", self.scope)
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
        if self.mapping_set_id is None and not hasattr(self, "mapping_set"):
            return
        errors: dict[str, Any] = {}
        self._check(errors, "expression")
        if errors:
            raise ValidationError(errors)
