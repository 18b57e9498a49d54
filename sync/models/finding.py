"""What makes records findable: the words and numbers that a caller may read out, as they are compared.

A key belongs to a record of one side, not to a link: a record that was never linked is found too. Written by the engine
when it plans (`sync.finding`), one row per record and value.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from integrations.models import Integration
from mappings.models.mapping_set import Side
from sync.models.scope import ScopedQuerySet


class SearchKey(models.Model):
    """One value under which one record is found, normalised (see `sync.finding`)."""

    class Kind(models.TextChoices):
        NAME = "name", _("name")
        ORGANIZATION = "org", _("organisation number")
        EMAIL = "email", _("e-mail")
        NUMBER = "number", _("number")

    integration = models.ForeignKey(Integration, models.CASCADE, related_name="+", verbose_name=_("integration"))
    side = models.CharField(_("side"), max_length=10, choices=Side.choices)
    object = models.CharField(_("object"), max_length=50)
    record_id = models.CharField(_("record id"), max_length=100)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    value = models.CharField(_("value"), max_length=120)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        verbose_name = _("search key")
        verbose_name_plural = _("search keys")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "side", "object", "record_id", "kind", "value"], name="search_key_once"
            ),
            models.CheckConstraint(condition=~Q(value="") & ~Q(record_id=""), name="search_key_complete"),
            models.CheckConstraint(
                condition=Q(kind__in=["name", "org", "email", "number"]), name="search_key_kind_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["integration", "value"], name="search_key_value",
                opclasses=["int8_ops", "varchar_pattern_ops"],  # prefixes, whatever the database's collation
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"
