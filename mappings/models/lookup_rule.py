"""Look-ups of a mapping set: values that must exist at the target. Editable in drafts only."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.audit import ConfigHistory
from mappings.models.rules import Rule, Scope, target_field_problem


class LookupRule(Rule):
    """A value that must exist at the target before the record is written, such as the article of each line.

    What happens when it does not is decided by the flow's setting `missing_<name>`.
    """

    name = models.SlugField(
        _("key"), max_length=40, help_text=_("Names the setting that says what happens otherwise, such as article.")
    )
    label = models.CharField(_("name"), max_length=120, help_text=_("What people call this condition."))
    scope = models.CharField(
        _("scope"),
        max_length=10,
        choices=Scope.choices,
        default=Scope.HEADER,
        help_text=_("Looked up once per record, or for each of its lines."),
    )
    expression = models.TextField(_("source"), help_text=_("Field or expression whose value must exist."))
    target_object = models.CharField(
        _("target object"), max_length=50, help_text=_("The object among which it is looked up, such as article.")
    )
    target_field = models.CharField(
        _("target field"), max_length=100, help_text=_("The field of that object that must hold the value.")
    )
    writes = models.CharField(
        _("written to"), max_length=100, blank=True, help_text=_("The field of the record or line that gets the value.")
    )
    text_expression = models.TextField(
        _("description"), blank=True, help_text=_("Expression that describes the value, such as the name of the line.")
    )
    text_field = models.CharField(
        _("description field"),
        max_length=100,
        blank=True,
        help_text=_("The field of the record or line that gets the description when the value cannot be written."),
    )
    code = models.SlugField(
        _("check"), max_length=60, blank=True, help_text=_("Stable name of the check, such as article_exists.")
    )
    message = models.CharField(
        _("message"), max_length=300, blank=True, help_text=_("What is wrong, for the person who reads it.")
    )
    remedy = models.CharField(_("remedy"), max_length=300, blank=True, help_text=_("What that person can do about it."))
    repair = models.SlugField(
        _("repair"), max_length=40, blank=True, help_text=_("Repair that a card may offer, such as create_article.")
    )

    history = ConfigHistory()

    class Meta(Rule.Meta):
        verbose_name = _("look-up")
        verbose_name_plural = _("look-ups")
        default_related_name = "lookups"
        constraints = [
            models.UniqueConstraint(fields=["mapping_set", "name"], name="lookup_rule_once"),
            models.CheckConstraint(condition=Q(scope__in=["header", "line"]), name="lookup_rule_scope_known"),
            models.CheckConstraint(
                condition=Q(text_expression="", text_field="") | (~Q(text_expression="") & ~Q(text_field="")),
                name="lookup_rule_text_complete",
            ),
        ]

    def __str__(self) -> str:
        return self.label

    def clean(self) -> None:
        """Both expressions compile; the fields it writes exist; the description is complete or absent."""
        super().clean()
        if not self.has_mapping:
            return
        errors: dict[str, Any] = {}
        self._check(errors, "expression", self.scope)
        self._check(errors, "text_expression", self.scope)
        if bool(self.text_expression) != bool(self.text_field):
            errors["text_field"] = _("Give both the field and the expression, or neither.")
        for name in ("writes", "text_field"):
            if problem := target_field_problem(self.mapping_set, self.scope, getattr(self, name)):
                errors.setdefault(name, problem)
        if errors:
            raise ValidationError(errors)
