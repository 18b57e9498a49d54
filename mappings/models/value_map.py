"""Value maps: translation tables, for one mapping version or shared by an integration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.audit import AuditedQuerySet, ConfigHistory
from integrations.models import Integration
from mappings.expressions import ValueTable, key_of, table_of
from mappings.models.mapping_set import MappingSet

if TYPE_CHECKING:
    from typing import Literal

    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class ValueMapQuerySet(AuditedQuerySet["ValueMap"]):
    """Value maps, as seen by a person and by a mapping."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        if not user.pk:
            return self.none()
        return self.filter(integration__organization__memberships__user_id=user.pk)

    def usable_by(self, mapping_set: MappingSet) -> Self:
        """The mapping's own and the integration's shared ones; its own first, which win by name."""
        own = Q(mapping_set_id=mapping_set.pk) if mapping_set.pk else Q(pk__in=[])
        return self.filter(own | Q(mapping_set=None), integration_id=mapping_set.integration_id).order_by(
            "mapping_set_id", "pk"
        )


class ValueMap(models.Model):
    """A translation table and what becomes of values that it does not know.

    Shared maps may be edited while mappings that use them are published; what of that is in force says `pinned`.
    """

    class Unmapped(models.TextChoices):
        BLOCK = "block", _("Stop and show for review")
        DEFAULT = "default", _("Use the default value")
        PASS = "pass", _("Pass the value on as it is")

    integration = models.ForeignKey(
        Integration,
        models.CASCADE,
        related_name="value_maps",
        verbose_name=_("integration"),
        help_text=_("The integration whose mappings may use it."),
    )
    mapping_set = models.ForeignKey(
        MappingSet,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="value_maps",
        verbose_name=_("mapping"),
        help_text=_("Only this mapping version; empty: every mapping of the integration."),
    )
    name = models.CharField(_("name"), max_length=80, help_text=_('As written in lookup(…, "name").'))
    unmapped = models.CharField(
        _("unknown values"),
        max_length=10,
        choices=Unmapped.choices,
        default=Unmapped.BLOCK,
        help_text=_("What happens to a value that is not in the table."),
    )
    default_value = models.CharField(
        _("default value"), max_length=200, blank=True, help_text=_("Used for unknown values, if so chosen.")
    )
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = ValueMapQuerySet.as_manager()
    history = ConfigHistory(engine=["updated_at"])

    class Meta:
        verbose_name = _("value map")
        verbose_name_plural = _("value maps")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "name"], condition=Q(mapping_set=None), name="value_map_shared_once"
            ),
            models.UniqueConstraint(
                fields=["mapping_set", "name"], condition=Q(mapping_set__isnull=False), name="value_map_own_once"
            ),
            models.CheckConstraint(
                condition=Q(unmapped__in=["block", "default", "pass"]), name="value_map_policy_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """A mapping's own map belongs to the mapping's integration."""
        super().clean()
        if self.mapping_set and self.mapping_set.integration_id != self.integration_id:
            raise ValidationError({"mapping_set": _("This mapping belongs to another integration.")})

    def table(self) -> ValueTable:
        """The map as expressions use it."""
        entries = {entry.source_value: entry.target_value for entry in self.entries.all()}
        return table_of(
            self.name, entries, cast("Literal['block', 'default', 'pass']", self.unmapped), self.default_value
        )


class ValueMapEntry(models.Model):
    """One translation. Source values are compared trimmed and without regard to case."""

    value_map = models.ForeignKey(ValueMap, models.CASCADE, related_name="entries", verbose_name=_("value map"))
    source_value = models.CharField(
        _("source value"), max_length=200, blank=True, help_text=_("As the source writes it; empty: no value.")
    )
    source_key = models.CharField(max_length=200, blank=True, editable=False)
    target_value = models.CharField(
        _("target value"), max_length=200, blank=True, help_text=_("What the target gets; empty: nothing.")
    )
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = AuditedQuerySet["ValueMapEntry"].as_manager()
    history = ConfigHistory(engine=["source_key"])

    class Meta:
        verbose_name = _("translation")
        verbose_name_plural = _("translations")
        ordering = ["source_value"]
        constraints = [
            models.UniqueConstraint(fields=["value_map", "source_key"], name="value_map_entry_once"),
        ]

    def __str__(self) -> str:
        return f"{self.source_value or '∅'} → {self.target_value or '∅'}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keeps the compared form beside the written one."""
        self.source_key = key_of(self.source_value)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuses a second translation of the same value, whatever its case."""
        super().clean()
        self.source_key = key_of(self.source_value)
        if self.value_map_id and (
            ValueMapEntry.objects.filter(value_map_id=self.value_map_id, source_key=self.source_key)
            .exclude(pk=self.pk)
            .exists()
        ):
            raise ValidationError({"source_value": _("This value is already translated.")})
