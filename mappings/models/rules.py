"""What all rules of a mapping set share, and the field mapping. Editable in drafts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.audit import AuditedQuerySet, ConfigHistory
from integrations.connector import FieldSchema
from mappings.expressions import ExpressionError
from mappings.models.mapping_set import PUBLISHED_IS_FINAL, MappingSet

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class Scope(models.TextChoices):
    """Once per record, or once per line."""

    HEADER = "header", _("Record")
    LINE = "line", _("Each line")


class RuleQuerySet(AuditedQuerySet[Any]):
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

    @property
    def has_mapping(self) -> bool:
        """Whether it belongs to a mapping set of a known integration, saved or not; else nothing can be checked."""
        return hasattr(self, "mapping_set") and self.mapping_set.integration_id is not None

    def _check(self, errors: dict[str, Any], name: str, scope: str = "header") -> None:
        source = getattr(self, name)
        if source:
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
    history = ConfigHistory()

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
        if not self.has_mapping:
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
