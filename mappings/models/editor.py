"""What the mapping editor keeps: the sample record that a person looks at, encrypted and for a short while."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.fields import EncryptedTextField
from mappings.models.mapping_set import MappingSet

KEPT_FOR = timedelta(minutes=30)


class EditorSample(models.Model):
    """The last record that a person loaded into the editor of one mapping. One per person and mapping; it is gone
    when it is older than `KEPT_FOR`, for it may be about people."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user"))
    mapping_set = models.ForeignKey(MappingSet, models.CASCADE, related_name="+", verbose_name=_("mapping"))
    source_id = models.CharField(_("record"), max_length=100)
    title = models.CharField(_("name"), max_length=300, blank=True)
    data = EncryptedTextField(_("values"), blank=True)
    expires_at = models.DateTimeField(_("kept until"), db_index=True)

    class Meta:
        verbose_name = _("sample record")
        verbose_name_plural = _("sample records")
        constraints = [models.UniqueConstraint(fields=["user", "mapping_set"], name="editor_sample_once")]

    def __str__(self) -> str:
        return self.title or self.source_id


def forget_old_samples() -> int:
    """Deletes samples whose time is over; returns how many."""
    return EditorSample.objects.filter(expires_at__lte=timezone.now()).delete()[0]


def touched(mapping_set: MappingSet, user: object) -> None:
    """Notes that a draft was changed, when and by whom: a form that was opened before this is refused."""
    pk = getattr(user, "pk", None)
    MappingSet.objects.drafts().filter(pk=mapping_set.pk).update(
        revision=models.F("revision") + 1, edited_at=timezone.now(), edited_by=pk
    )


@transaction.atomic
def locked_revision(mapping_set_id: int) -> int:
    """The revision as of now; the row stays locked until the caller's transaction ends."""
    row = MappingSet.objects.select_for_update().filter(pk=mapping_set_id).values_list("revision", flat=True).first()
    return row or 0
