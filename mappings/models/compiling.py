"""From rows to a `CompiledMapping`, cached per version.

A published version is immutable, so its compiled form is kept in the process; only lines that its value maps lacked may
come (`pinned`), which one small query per call notices. Drafts are compiled anew every time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, Max

from integrations.connector import Fields
from mappings import mapper
from mappings.expressions import Compiled, ValueTable, compile_expression
from mappings.matching import CompiledMatch
from mappings.models import pinned
from mappings.models.mapping_set import MappingSet
from mappings.models.value_map import ValueMap
from mappings.schemas import EXTRA_PARTS, line_part, names_of

CACHE_LIMIT = 500
_cache: dict[int, tuple[object, mapper.CompiledMapping]] = {}


def compile_mapping(mapping_set: MappingSet) -> mapper.CompiledMapping:
    """The mapping, ready to run. Raises `ExpressionError` for a draft that does not compile."""
    stamp = _stamp(mapping_set)
    cached = _cache.get(mapping_set.pk)
    if cached is not None and cached[0] == stamp and not mapping_set.editable:
        return cached[1]
    compiled = _Compiler(mapping_set).compile()
    if not mapping_set.editable:
        if len(_cache) >= CACHE_LIMIT:
            _cache.clear()
        _cache[mapping_set.pk] = (stamp, compiled)
    return compiled


def check_mapping(mapping_set: MappingSet) -> None:
    """Raises `ValidationError` with every rule that is not fit to be published, each with its reason."""
    messages: list[str] = []
    rules: Iterable[Any] = [
        mapping_set,
        *mapping_set.field_mappings.select_related("value_map"),
        *mapping_set.match_rules.all(),
        *mapping_set.validations.all(),
        *mapping_set.link_rules.all(),
        *mapping_set.lookups.all(),
    ]
    for rule in rules:
        if rule is not mapping_set:
            rule.mapping_set = mapping_set
        try:
            rule.clean()
        except ValidationError as error:
            messages += [f"{rule}: {message}" for message in error.messages]
    if messages:
        raise ValidationError(messages)


def _stamp(mapping_set: MappingSet) -> object:
    maps = ValueMap.objects.usable_by(mapping_set).order_by()
    found = maps.aggregate(Max("updated_at"), Max("entries__updated_at"), Count("pk", distinct=True), Count("entries"))
    return (mapping_set.published_at, *sorted(found.items()))


class _Compiler:
    """Compiles one mapping set. Fields are not checked against the schema here: a version that was valid when it was
    published keeps running when a field disappears, and the mapper then says which."""

    def __init__(self, mapping_set: MappingSet) -> None:
        self.mapping_set = mapping_set
        maps = pinned.maps_of(mapping_set)
        self.tables: dict[str, ValueTable] = {name: pinned.table(content) for name, content in maps.items()}
        self.by_id = {content.get("id"): self.tables[name] for name, content in maps.items()}
        schema = mapping_set.source_schema
        self.lines = line_part(schema, mapping_set.source_object)
        self.names: Mapping[str, frozenset[str] | None] = {
            **dict.fromkeys(names_of(schema, mapping_set.source_object)),
            **EXTRA_PARTS,
        }
        self.compiled: list[Compiled] = []

    def expression(self, source: str, scope: str = "header") -> Compiled:
        """One expression; remembered, because what it reads must be fetched."""
        lines = self.lines if scope == "header" else ""
        compiled = compile_expression(source, self.names, self.tables, lines=lines)
        self.compiled.append(compiled)
        return compiled

    def optional(self, source: str, scope: str = "header") -> Compiled | None:
        """One expression that may be absent."""
        return self.expression(source, scope) if source else None

    def pair(self, name: str, source: str, scope: str = "header") -> tuple[str, Compiled] | None:
        """A key field and its expression."""
        return (name, self.expression(source, scope)) if source else None

    def compile(self) -> mapper.CompiledMapping:
        """See `compile_mapping`."""
        row = self.mapping_set
        return mapper.CompiledMapping(
            version_id=row.pk,
            source=row.source_object,
            target=row.target_object,
            fields=tuple(self._field(rule) for rule in row.field_mappings.select_related("value_map")),
            match_rules=tuple(self._match(rule) for rule in row.match_rules.all()),
            validations=tuple(self._validation(rule) for rule in row.validations.all()),
            unique=self.pair(row.unique_field, row.unique_expression),
            line_unique=self.pair(row.line_unique_field, row.line_unique_expression, "line"),
            links=tuple(self._link(rule) for rule in row.link_rules.all()),
            title=self.optional(row.title_expression),
            tables=self.tables,
            line_part=self.lines,
            lookups=tuple(self._lookup(rule) for rule in row.lookups.all()),
            promise=self.optional(row.promise_expression),
            promise_currency=self.optional(row.promise_currency_expression),
            reads=self._reads(),  # last: it sums up what all of the above compiled
        )

    def _field(self, rule: Any) -> mapper.FieldRule:
        return mapper.FieldRule(
            id=rule.pk,
            label=rule.label,
            target=rule.target_field,
            expression=self.expression(rule.expression, rule.scope),
            scope=rule.scope,
            when=rule.when,
            precedence=rule.precedence,
            blank=rule.blank,
            required=rule.required,
            value_map=self._own_table(rule.value_map) if rule.value_map else None,
            hint=rule.hint,
        )

    def _own_table(self, value_map: ValueMap) -> ValueTable:
        """By its row first: a shared map may have another name than when the version was published."""
        return self.by_id.get(value_map.pk) or self.tables.get(value_map.name) or value_map.table()

    def _match(self, rule: Any) -> CompiledMatch:
        extra = None
        if rule.extra_expression:
            extra = (self.expression(rule.extra_expression), rule.extra_field, rule.extra_normaliser)
        return CompiledMatch(
            rule.pk,
            rule.label,
            self.expression(rule.expression),
            rule.target_field,
            rule.normaliser,
            rule.outcome == "link",
            extra,
        )

    def _validation(self, rule: Any) -> mapper.CompiledValidation:
        return mapper.CompiledValidation(
            rule.pk,
            rule.label,
            self.expression(rule.expression, rule.scope),
            rule.scope,
            rule.outcome,
            rule.message,
            rule.remedy,
            rule.code,
            self.optional(rule.actual, rule.scope),
            rule.repair,
        )

    def _lookup(self, rule: Any) -> mapper.CompiledLookup:
        return mapper.CompiledLookup(
            name=rule.name,
            label=rule.label,
            expression=self.expression(rule.expression, rule.scope),
            object=rule.target_object,
            field=rule.target_field,
            scope=rule.scope,
            code=rule.code or f"{rule.name}_exists",
            message=rule.message,
            remedy=rule.remedy,
            repair=rule.repair,
            writes=rule.writes,
            text=self.optional(rule.text_expression, rule.scope),
            text_field=rule.text_field,
        )

    def _link(self, rule: Any) -> mapper.LinkRule:
        expression = self.expression(rule.expression)
        return mapper.LinkRule(
            rule.pk, rule.name, expression, rule.related_slug, rule.required, target_field=rule.target_field
        )

    def _reads(self) -> Fields:
        reads: dict[str, set[str]] = defaultdict(set)
        for compiled in self.compiled:
            for part, name in compiled.reads:
                if part not in EXTRA_PARTS:
                    reads[part].add(name)
        return {part: frozenset(names) for part, names in reads.items()}
