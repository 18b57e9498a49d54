"""Golden samples: pinned records with the output that a mapping must give, whichever version of it.

A sample belongs to the mapping, not to one version. The invariant: a version for which one of them gives something
else is not published; whoever expects something new says so by changing the sample, which is kept with their name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from integrations.fields import EncryptedTextField
from integrations.models import Integration
from mappings.models.mapping_set import MappingSet

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

MOST = 50
"""Samples of one mapping: each costs one evaluation whenever the mapping is published."""


class GoldenSampleQuerySet(models.QuerySet["GoldenSample"]):
    """Golden samples, as seen by a person and by a mapping."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        if not user.pk:
            return self.none()
        return self.filter(integration__organization__memberships__user_id=user.pk)

    def family(self, mapping_set: MappingSet) -> Self:
        """Those that every version of this mapping must satisfy."""
        return self.filter(integration_id=mapping_set.integration_id, slug=mapping_set.slug)


class GoldenSample(models.Model):
    """One pinned record. `data` is what expressions read, as `mappings.samples.dump` writes it, encrypted; `expected`
    is what `mappings.golden.outcome` must give. Both may hold personal data of the customer's customers."""

    integration = models.ForeignKey(
        Integration, models.CASCADE, related_name="golden_samples", verbose_name=_("integration")
    )
    slug = models.SlugField(_("mapping"), max_length=60, help_text=_("Key of the mapping that must satisfy it."))
    name = models.CharField(
        _("name"), max_length=120, help_text=_("What this record is an example of, such as “credit note in EUR”.")
    )
    note = models.CharField(_("note"), max_length=300, blank=True, help_text=_("Why it must stay as it is."))
    data = EncryptedTextField(_("record"), blank=True, editable=False)
    expected = models.JSONField(_("expected"), default=dict)
    redacted = models.BooleanField(
        _("personal data removed"), default=False, help_text=_("Names, addresses and numbers were replaced.")
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("pinned by")
    )
    created_at = models.DateTimeField(_("pinned"), default=timezone.now)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("changed by")
    )
    updated_at = models.DateTimeField(_("changed"), default=timezone.now)

    objects = GoldenSampleQuerySet.as_manager()
    # The record itself is not copied into the history: what is removed from a sample must be gone.
    history = HistoricalRecords(excluded_fields=["data"])

    class Meta:
        verbose_name = _("golden sample")
        verbose_name_plural = _("golden samples")
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["integration", "slug", "name"], name="golden_sample_name_once"),
            models.CheckConstraint(condition=~Q(name="") & ~Q(slug=""), name="golden_sample_named"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuses more samples than publishing can evaluate at once."""
        super().clean()
        if self._state.adding and self.integration_id:
            rows: Any = GoldenSample.objects.filter(integration_id=self.integration_id, slug=self.slug)
            if rows.count() >= MOST:
                text = _("A mapping has at most %(n)d golden samples. Remove one that another covers.")
                raise ValidationError(text % {"n": MOST}, code="too_many")
