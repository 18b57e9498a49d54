"""What a row may run into at its target, said before any record does: types, lengths, lists, required fields.

Pure. The invariant: a warning is only given where both schemas say enough to be sure that some record would fail.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from difflib import get_close_matches

from django.utils.translation import gettext as _

from integrations.connector import FieldSchema
from mappings.coercion import coerce
from mappings.editor_rows import Finding, Row, World
from mappings.expressions import Compiled, MappingError, text_of


def error(row: Row, message: str, remedy: str = "", *, where: str = "expression") -> Finding:
    """A finding that stops this row from being saved."""
    return Finding("error", message, remedy, row.key, row.name, where=where)


def _warning(row: Row, message: str, remedy: str = "") -> Finding:
    return Finding("warning", message, remedy, row.key, row.name)


def target_problem(row: Row, world: World, schema: FieldSchema | None) -> Finding | None:
    if not row.target:
        return error(row, _("The row names no target field."), _("Pick the field that is written."), where="target")
    if world.target is None:
        return None
    if schema is None:
        message = _("“%(object)s” has no field “%(field)s”.") % {"object": world.target.label, "field": row.target[:60]}
        return error(row, message, nearest(row.target, world.targets(row.scope)), where="target")
    if not schema.writable:
        message = _("“%(field)s” cannot be written.") % {"field": schema.label}
        return error(row, message, _("Pick a field that is not read-only."), where="target")
    return None


def nearest(word: str, known: Collection[str]) -> str:
    """ "Did you mean …?" or nothing."""
    folded = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return _("Did you mean “%(name)s”?") % {"name": folded[close[0]]} if close else ""


def plain_field(compiled: Compiled, world: World) -> FieldSchema | None:
    """The source field when the expression is nothing but that field."""
    if len(compiled.reads) != 1:
        return None
    ((part, name),) = compiled.reads
    text = compiled.source.strip()
    same = text in (f"{part}.{name}", f'{part}["{name}"]', f"{part}['{name}']")
    return world.read(part, name) if same else None


def against(row: Row, world: World, compiled: Compiled, target: FieldSchema) -> list[Finding]:
    found = [*_map_targets(row, world, target)]
    source = plain_field(compiled, world)
    if source is None:
        return found
    if target.options and source.options:
        found += _options(row, world, source, target)
    elif not row.value_map and (needed := _WANTED.get((str(source.type), str(target.type)))):
        texts = {
            "source": source.label,
            "target": target.label,
            "given": type_name(source),
            "wanted": type_name(target),
        }
        message = _("“%(source)s” is %(given)s, “%(target)s” wants %(wanted)s.") % texts
        found.append(_warning(row, message, needed()))
    if not row.value_map and target.max_length and source.max_length and source.max_length > target.max_length:
        texts_ = {"source": source.label, "long": source.max_length, "target": target.label, "short": target.max_length}
        message = _("“%(source)s” may have %(long)d characters, “%(target)s” holds %(short)d.") % texts_
        remedy = _("Longer ones go to review. Use truncate(…, %(short)d) to cut them.") % texts_
        found.append(_warning(row, message, remedy))
    return found


def type_name(schema: FieldSchema) -> str:
    """What people call the type of a field."""
    names = {
        "string": _("text"), "number": _("a number"), "boolean": _("yes or no"), "date": _("a date"),
        "datetime": _("a date with time"), "enum": _("one of a list"),
    }  # fmt: skip
    return names[str(schema.type)]


_WANTED: dict[tuple[str, str], Callable[[], str]] = {
    **{(given, "number"): lambda: _("Use decimal(…), or a value map.") for given in ("string", "enum")},
    **{(given, "number"): lambda: _("Map a number field.") for given in ("boolean", "date", "datetime")},
    **{(given, "boolean"): lambda: _("Use bool(…), or a comparison.") for given in ("string", "number", "enum")},
    **{(given, "boolean"): lambda: _("Use a comparison, such as … is not None.") for given in ("date", "datetime")},
    **{(given, "date"): lambda: _("Use date(…).") for given in ("string", "number", "boolean", "enum")},
    **{(given, "datetime"): lambda: _("Use datetime_utc(…).") for given in ("string", "number", "boolean", "enum")},
}


def _options(row: Row, world: World, source: FieldSchema, target: FieldSchema) -> Iterable[Finding]:
    allowed = {option.value for option in target.options}
    table = world.tables.get(row.value_map)
    missing = []
    for option in source.options:
        try:
            value = text_of(table.look_up(option.value)) if table else option.value
        except MappingError:
            missing.append(option.value)
            continue
        if not table and value and value not in allowed:
            missing.append(option.value)
    if missing:
        shown = ", ".join(missing[:8]) + (" …" if len(missing) > 8 else "")
        texts = {"n": len(missing), "all": len(source.options), "source": source.label, "shown": shown}
        message = _("%(n)d of %(all)d values of “%(source)s” have no translation: %(shown)s") % texts
        remedy = _("Add them to the value map.") if table else _("Choose or make a value map for this row.")
        yield _warning(row, message, remedy)


def _map_targets(row: Row, world: World, target: FieldSchema) -> Iterable[Finding]:
    table = world.tables.get(row.value_map)
    if table is None:
        return
    wrong = []
    for value in dict.fromkeys([*table.entries.values(), *([table.default] if table.unmapped == "default" else [])]):
        try:
            coerce(value, target)
        except MappingError:
            wrong.append(value)
    if wrong:
        texts = {"map": table.name, "values": ", ".join(wrong[:8]), "field": target.label}
        message = _("The value map “%(map)s” gives values that “%(field)s” does not take: %(values)s") % texts
        yield _warning(row, message, _("Correct them in the value map."))


def unmapped_required(rows: Sequence[Row], world: World) -> list[Finding]:
    written = {(row.scope, row.target) for row in rows}
    scopes = {"header", *(row.scope for row in rows if row.scope == "line")}
    return [
        Finding(
            "warning",
            _("“%(label)s” (%(field)s) is required by the target and has no row.")
            % {"label": schema.label, "field": name},
            _("Add a row for it."),
            where=f"{scope}:{name}",
        )
        for scope in sorted(scopes)
        for name, schema in world.targets(scope).items()
        if schema.required and schema.writable and (scope, name) not in written and name not in world.keys
    ]
