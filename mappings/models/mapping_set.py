"""The mapping set: one version of the rules from one source object to one target object."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.audit import AuditedQuerySet, ConfigHistory
from integrations.connector import ObjectSchema
from integrations.models import Integration
from mappings import schemas
from mappings.expressions import Compiled, ExpressionError, compile_expression

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class State(models.TextChoices):
    """The life of a version; it only moves forward."""

    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    RETIRED = "retired", _("Retired")


class Side(models.TextChoices):
    """The two sides of an integration."""

    CRM = "crm", _("CRM")
    LEDGER = "ledger", _("Fortnox")


class MappingSetQuerySet(AuditedQuerySet["MappingSet"]):
    """Mapping sets, as seen by a person and by a flow."""

    def for_user(self, user: AbstractBaseUser | AnonymousUser) -> Self:
        """Those of the user's organizations; all for a superuser."""
        if getattr(user, "is_superuser", False):
            return self
        if not user.pk:
            return self.none()
        return self.filter(integration__organization__memberships__user_id=user.pk)

    def published(self, integration: Integration, slug: str) -> MappingSet:
        """The version in force; raises `MappingSet.DoesNotExist` when there is none."""
        return self.select_related("integration__crm_account", "integration__ledger_account").get(
            integration=integration, slug=slug, state=State.PUBLISHED
        )

    def drafts(self) -> Self:
        """Those that may be edited."""
        return self.filter(state=State.DRAFT)

    def family(self, mapping_set: MappingSet) -> Self:
        """Every version of the same mapping."""
        return self.filter(integration_id=mapping_set.integration_id, slug=mapping_set.slug)


class MappingSet(models.Model):
    """Versioned rules from one source object to one target object. See `mappings.models` for the invariant."""

    integration = models.ForeignKey(
        Integration,
        models.CASCADE,
        related_name="mapping_sets",
        verbose_name=_("integration"),
        help_text=_("The pair of accounts whose records are mapped."),
    )
    slug = models.SlugField(
        _("key"), max_length=60, help_text=_("Names the mapping across its versions, such as invoices-to-deals.")
    )
    name = models.CharField(_("name"), max_length=120, help_text=_("What people call this mapping."))
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.DRAFT, editable=False)
    source_side = models.CharField(
        _("source side"), max_length=10, choices=Side.choices, help_text=_("Where records are read.")
    )
    source_object = models.CharField(
        _("source object"), max_length=50, help_text=_("The object that is read, such as invoice.")
    )
    target_side = models.CharField(
        _("target side"), max_length=10, choices=Side.choices, help_text=_("Where records are written.")
    )
    target_object = models.CharField(
        _("target object"), max_length=50, help_text=_("The object that is written, such as deal.")
    )
    unique_field = models.CharField(
        _("unique key field"),
        max_length=100,
        blank=True,
        help_text=_("Target field that holds our own unique key, which makes writes repeatable."),
    )
    unique_expression = models.TextField(
        _("unique key"), blank=True, help_text=_("Expression that gives the key, the same for ever.")
    )
    line_unique_field = models.CharField(
        _("unique key field of lines"),
        max_length=100,
        blank=True,
        help_text=_("Target field on each line that holds the line's unique key."),
    )
    line_unique_expression = models.TextField(
        _("unique key of lines"),
        blank=True,
        help_text=_("Expression that gives the key of a line; source.position is its place."),
    )
    title_expression = models.TextField(
        _("title"), blank=True, help_text=_("Expression for what people call a record in lists and plans.")
    )
    promise_expression = models.TextField(
        _("promised amount"),
        blank=True,
        help_text=_(
            "Expression for the net amount that the source says the document comes to; compared after creation."
        ),
    )
    promise_currency_expression = models.TextField(
        _("promised currency"), blank=True, help_text=_("Expression for the currency of the promised amount.")
    )
    based_on = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="successors",
        verbose_name=_("based on"),
    )
    note = models.CharField(
        _("note"), max_length=300, blank=True, help_text=_("Why this version exists, for those who come later.")
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("created by"),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("published by"),
    )
    published_at = models.DateTimeField(_("published"), null=True, blank=True, editable=False)
    revision = models.PositiveIntegerField(
        _("revision"),
        default=0,
        db_default=0,  # processes of the version before do not know the column
        editable=False,
        help_text=_("Counts saves, so that two people notice each other."),
    )
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("last saved by"),
    )
    edited_at = models.DateTimeField(_("last saved"), null=True, blank=True, editable=False)

    objects = MappingSetQuerySet.as_manager()
    history = ConfigHistory(quiet=["revision", "edited_by", "edited_at"])

    class Meta:
        verbose_name = _("mapping")
        verbose_name_plural = _("mappings")
        ordering = ["integration", "slug", "-version"]
        permissions = [("publish_mappingset", _("Can publish mappings and roll them back"))]
        constraints = [
            models.UniqueConstraint(fields=["integration", "slug", "version"], name="mapping_version_once"),
            models.UniqueConstraint(
                fields=["integration", "slug"], condition=Q(state="published"), name="mapping_one_published"
            ),
            models.UniqueConstraint(
                fields=["integration", "slug"], condition=Q(state="draft"), name="mapping_one_draft"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "published", "retired"]), name="mapping_state_known"
            ),
            models.CheckConstraint(
                condition=Q(source_side__in=["crm", "ledger"], target_side__in=["crm", "ledger"])
                & ~Q(source_side=F("target_side")),
                name="mapping_two_sides",
            ),
            models.CheckConstraint(
                condition=Q(state="draft", published_at=None) | (~Q(state="draft") & Q(published_at__isnull=False)),
                name="mapping_published_at",
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="mapping_version_positive"),
            models.CheckConstraint(
                condition=Q(unique_field="", unique_expression="") | (~Q(unique_field="") & ~Q(unique_expression="")),
                name="mapping_unique_complete",
            ),
            models.CheckConstraint(
                condition=Q(line_unique_field="", line_unique_expression="")
                | (~Q(line_unique_field="") & ~Q(line_unique_expression="")),
                name="mapping_line_unique_complete",
            ),
        ]

    def __str__(self) -> str:
        name = _("%(name)s, version %(n)d") % {"name": self.title, "n": self.version}  # as the lab says it
        return f"{name} ({self.get_state_display()})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Guards the invariant for code that does not validate: once published, only the state may move on."""
        only_state = set(kwargs.get("update_fields") or ()) == {"state"}
        if not (self._state.adding or only_state or self._stored_as_draft()):
            raise ValidationError(PUBLISHED_IS_FINAL, code="published")
        super().save(*args, **kwargs)

    @property
    def title(self) -> str:
        """The name, in the reader's language while it is the one that the preset gave."""
        from mappings.presets import shown  # presets make rows of this model

        return shown(self.name)

    def _stored_as_draft(self) -> bool:
        return MappingSet.objects.drafts().filter(pk=self.pk).exists()

    @property
    def editable(self) -> bool:
        """Whether its rules may change."""
        return self.state == State.DRAFT

    # --- what expressions may name --------------------------------------------------------------------------

    @cached_property
    def source_schema(self) -> ObjectSchema | None:
        """The stored schema of the source object."""
        return schemas.known_schema(self.integration, self.source_side, self.source_object)

    @cached_property
    def target_schema(self) -> ObjectSchema | None:
        """The stored schema of the target object."""
        return schemas.known_schema(self.integration, self.target_side, self.target_object)

    @cached_property
    def table_names(self) -> frozenset[str]:
        """The value maps that its expressions may look into."""
        from mappings.models.value_map import ValueMap

        return frozenset(ValueMap.objects.usable_by(self).values_list("name", flat=True))

    @property
    def line_part(self) -> str:
        """The name of the source's lines in expressions, or ""."""
        return schemas.line_part(self.source_schema, self.source_object)

    def compile(self, source: str, scope: str = "header") -> Compiled:
        """The expression compiled against everything known now; raises `ExpressionError`."""
        names = dict(schemas.names_of(self.source_schema, self.source_object))
        lines = self.line_part
        if scope == "header":
            names["source"] = (names["source"] or frozenset()) - {"position"}
        return compile_expression(source, names, self.table_names, lines=lines if scope == "header" else "")

    # --- validation -----------------------------------------------------------------------------------------

    def clean(self) -> None:
        """Published versions stay as they are; expressions and key fields must be known."""
        super().clean()
        if not self._state.adding and not self._stored_as_draft():
            raise ValidationError(PUBLISHED_IS_FINAL, code="published")
        if self.source_side == self.target_side:
            raise ValidationError({"target_side": _("Source and target must be different sides.")})
        if not self.integration_id:
            return
        errors: dict[str, Any] = {}
        pairs: Mapping[str, tuple[str, str, str]] = {
            "unique": (self.unique_field, self.unique_expression, "header"),
            "line_unique": (self.line_unique_field, self.line_unique_expression, "line"),
        }
        for prefix, (target, source, scope) in pairs.items():
            if bool(target) != bool(source):
                errors[f"{prefix}_field"] = _("Give both the field and the expression, or neither.")
            elif source:
                self._check_expression(errors, f"{prefix}_expression", source, scope)
        for name in ("title_expression", "promise_expression", "promise_currency_expression"):
            if getattr(self, name):
                self._check_expression(errors, name, getattr(self, name), "header")
        if errors:
            raise ValidationError(errors)

    def _check_expression(self, errors: dict[str, Any], name: str, source: str, scope: str) -> None:
        try:
            self.compile(source, scope)
        except ExpressionError as error:
            errors[name] = str(error)


PUBLISHED_IS_FINAL = _("A published version never changes. Make a new draft, change that, and publish it.")
