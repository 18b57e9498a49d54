"""Routing rules: which company in the ledger a CRM record belongs to, when one CRM account feeds several.

The invariant: a rule never points outside its account: its integration reads the same CRM account and belongs to the
same organization, checked by every save. Rules are tried in order; an empty condition holds for everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Max, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.audit import AuditedQuerySet, ConfigHistory
from integrations.connector import ObjectSchema
from integrations.models import ConnectedAccount, Integration
from mappings.expressions import Compiled, ExpressionError, compile_expression
from mappings.schemas import line_part, load_schema, names_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

UNDECIDED_PARTS = ("target", "setup", "setting")
"""Parts that belong to an integration: a rule that chooses it cannot read them."""


class RoutingRuleQuerySet(AuditedQuerySet["RoutingRule"]):
    """Rules, as seen by a person and by a flow."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        return self.filter(account__organization__memberships__user_id=user.pk) if user.pk else self.none()

    def of(self, account_id: object, object_name: str) -> Self:
        """The rules of one object of a CRM account, in order. A row that was bent to point elsewhere, by whatever
        means, is none of them."""
        return self.filter(
            account_id=account_id,
            object_name=object_name,
            integration__crm_account_id=F("account_id"),
            integration__organization_id=F("account__organization_id"),
        ).order_by("position", "pk")


class RoutingRule(models.Model):
    """A condition on a record of one CRM account, and the integration (the company) that takes those that meet it."""

    account = models.ForeignKey(
        ConnectedAccount, models.CASCADE, related_name="routing_rules", verbose_name=_("CRM account")
    )
    object_name = models.CharField(_("object"), max_length=50)
    position = models.PositiveIntegerField(
        _("order"), default=0, help_text=_("Rules are tried in this order; the first that holds decides.")
    )
    name = models.CharField(_("name"), max_length=120, help_text=_("What people call this rule."))
    expression = models.TextField(
        _("condition"), blank=True,
        help_text=_('Expression over the record, such as account.Region == "North". Empty: always.'),
    )  # fmt: skip
    integration = models.ForeignKey(
        Integration, models.PROTECT, related_name="routing_rules", verbose_name=_("company"),
        help_text=_("Where the records go that meet the condition."),
    )  # fmt: skip
    active = models.BooleanField(_("active"), default=True)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now, editable=False)
    history = ConfigHistory(quiet=["updated_at"])

    objects = RoutingRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("routing rule")
        verbose_name_plural = _("routing rules")
        ordering = ["account", "object_name", "position", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["account", "object_name", "position"], name="routing_rule_position_once"),
            models.CheckConstraint(condition=~Q(object_name="") & ~Q(name=""), name="routing_rule_complete"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Guards the invariant for code that does not validate. Raises `ValidationError`."""
        self.expression = self.expression.strip()
        self.clean()
        self.updated_at = timezone.now()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuses a company of another account or organization, and a condition that cannot work."""
        super().clean()
        errors: dict[str, Any] = {}
        if self.integration_id and self.account_id:
            pair = self.integration
            if (pair.crm_account_id, pair.organization_id) != (self.account_id, self.account.organization_id):
                errors["integration"] = _("This company is not connected to this CRM account.")
        if self.account_id and self.object_name and self.expression:
            try:
                self.compile()
            except ExpressionError as error:
                errors["expression"] = str(error)
        if errors:
            raise ValidationError(errors)

    def compile(self) -> Compiled | None:
        """The condition, compiled against what the account says about the object; None for "always".

        Raises `ExpressionError`, which points at what is wrong.
        """
        if not self.expression:
            return None
        schema = schema_of(self.account, self.object_name)
        known = names_of(schema, self.object_name)
        names = {part: fields for part, fields in known.items() if part not in UNDECIDED_PARTS}
        return compile_expression(self.expression, names, lines=line_part(schema, self.object_name))

    @property
    def always(self) -> bool:
        """Whether it takes every record: the default, when it comes last."""
        return not self.expression

    def put_last(self) -> None:
        """Give the rule, which is not saved yet, its place: the last, but before a default that is last now."""
        rows = RoutingRule.objects.filter(account_id=self.account_id, object_name=self.object_name)
        self.position = (rows.aggregate(last=Max("position"))["last"] or 0) + 1
        last = rows.order_by("-position").first()
        if last is not None and last.always and not self.always:
            self.position, last.position = last.position, self.position
            last.save()

    @transaction.atomic
    def swap(self, up: bool) -> bool:
        """Exchange places with the rule before (`up`) or after it; False when there is none."""
        rows = RoutingRule.objects.filter(account_id=self.account_id, object_name=self.object_name)
        if up:
            other = rows.filter(position__lt=self.position).order_by("-position").first()
        else:
            other = rows.filter(position__gt=self.position).order_by("position").first()
        if other is None:
            return False
        mine, theirs = self.position, other.position
        # Two may not share a place, not even for a moment.
        self.position = (rows.aggregate(last=Max("position"))["last"] or 0) + 1
        self.skip_history_when_saving = True
        self.save()
        del self.skip_history_when_saving
        other.position, self.position = mine, theirs
        other.save()
        self.save()
        return True


def schema_of(account: ConnectedAccount, object_name: str) -> ObjectSchema | None:
    """What the account said about the object; None when it has not been asked yet, or said nothing usable."""
    stored = account.schemas.get(object_name)
    try:
        return load_schema(stored.get("schema", stored)) if isinstance(stored, dict) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def readable(account: ConnectedAccount, object_name: str) -> Sequence[str]:
    """The fields that a condition on this object may name, as it names them; empty when they are not known."""
    schema = schema_of(account, object_name)
    if schema is None:
        return []
    return sorted(f"{part}.{name}" for part, fields in schema.names().items() for name in fields)
