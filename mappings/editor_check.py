"""What the editor says about a draft while it is written: errors at their character, warnings against the target's
schema, and the value that each row gives for a sample record.

Pure: rows and schemas in, findings out; no database, no calls. The invariant: whatever text comes in, each row gets
an answer, and one bad row costs none of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.utils.translation import gettext as _

from integrations.connector import FieldSchema, Value
from mappings.coercion import coerce
from mappings.editor_rows import Answer, Finding, Row, World
from mappings.editor_warnings import against, error, target_problem, unmapped_required
from mappings.expressions import ExpressionError, MappingError, is_blank, text_of
from mappings.expressions.compiler import Compiled
from mappings.expressions.source import MAX_SOURCE
from mappings.samples import Sample

LINES_SHOWN = 3
MAX_SHOWN = 200


def check(rows: Sequence[Row], world: World, sample: Sample | None = None) -> tuple[list[Answer], list[Finding]]:
    """An answer per row, and what is to be said of the mapping as a whole."""
    answers = [_answer(row, world, sample) for row in rows]
    written = Counter((row.scope, row.target) for row in rows if row.target)
    for row, answer in zip(rows, answers, strict=True):
        if written[row.scope, row.target] > 1:
            message = _("“%(field)s” is written by more than one row.") % {"field": row.target}
            answer.findings.append(error(row, message, _("Remove one of them."), where="target"))
    return answers, unmapped_required(rows, world)


def _answer(row: Row, world: World, sample: Sample | None) -> Answer:
    answer = Answer(row.key)
    schema = world.targets(row.scope).get(row.target)
    problem = target_problem(row, world, schema)
    if problem is not None:
        answer.findings.append(problem)
    try:
        compiled = world.compile(row.expression, row.scope)
    except ExpressionError as wrong:
        position = wrong.position
        answer.findings.append(
            Finding(
                "error", wrong.message, wrong.expected, row.key, row.name,
                None if position is None else min(position, MAX_SOURCE), _length(row.expression, position),
            )
        )  # fmt: skip
        return answer
    if schema is not None:
        answer.findings += against(row, world, compiled, schema)
    if sample is not None and sample.record is not None:
        _live(answer, row, world, compiled, schema, sample)
    return answer


def _length(source: str, position: int | None) -> int:
    """How many characters the word at `position` has, so that it can be marked."""
    rest = source[position or 0 :]
    word = next((n for n, char in enumerate(rest) if not (char.isalnum() or char == "_")), len(rest))
    return max(word, 1)


# --- for a sample record -----------------------------------------------------------------------------------------


def _live(
    answer: Answer, row: Row, world: World, compiled: Compiled, schema: FieldSchema | None, sample: Sample
) -> None:
    record = sample.record
    if record is None:
        return
    try:
        if row.scope != "line":
            answer.value = _value(row, world, compiled.evaluate(sample.parts, world.tables, record.lines), schema)
            return
        places = sample.line_parts(world.line_part)
        texts = [_value(row, world, compiled.evaluate(parts, world.tables), schema) for parts in places[:LINES_SHOWN]]
        answer.value = " · ".join(text or "∅" for text in texts) + (" · …" if len(places) > LINES_SHOWN else "")
    except MappingError as error:
        answer.value = None
        answer.failed, answer.remedy = str(error.message)[:500], str(error.remedy)[:500]


def _value(row: Row, world: World, value: Value, schema: FieldSchema | None) -> str:
    table = world.tables.get(row.value_map)
    if table is not None:
        value = table.look_up(value)
    if schema is not None:
        value = coerce(value, schema)
    if is_blank(value) and row.required:
        raise MappingError(
            _("“%(field)s” is required and has no value") % {"field": row.name}, _("Fill it in at the source.")
        )
    text = text_of(value)
    shown = text[:MAX_SHOWN] + ("…" if len(text) > MAX_SHOWN else "")
    label = next((o.label for o in schema.options if o.value == text), "") if schema else ""
    return f"{label} ({shown})" if label and label != text else shown
