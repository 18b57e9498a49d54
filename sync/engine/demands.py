"""What a draft demands of others: related records that must be linked, values that must exist at the target.

Each demand ends as a named check; one that cannot be met is a problem with its repair, one that delivery will meet
(link what was found, create what is missing) is a need stored with the change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from integrations.errors import ErrorClass
from mappings.compiled import CompiledLookup, LinkRule
from mappings.mapper import Problem
from sync.engine import checklist, lookups, needs
from sync.engine.needs import Need
from sync.texts import say
from sync.values import dump_all

if TYPE_CHECKING:
    from sync.engine.draft import Draft, Related


def related(draft: Draft, rule: LinkRule, key: str, target: str, known: Related) -> None:
    """A related record whose number the document carries: linked, found, to be created, or missing (RB25)."""
    code, label = f"{rule.name}_linked", _LABELS.get(rule.name, rule.name)
    if target:
        draft.fixed[rule.target_field] = target
        draft.checks.append(checklist.row(code, label, ok=True, actual=target))
        return
    need = known.needs.get((rule.related, key))
    if need is None:
        need = Need(flow=known.flows.get(rule.related), source_id=key)  # type: ignore[arg-type]
    if need.found is not None:
        draft.fixed[rule.target_field] = need.found.id
        draft.needs.append(needs.row(rule.name, rule.target_field, need))
        actual = str(say("{id} {title}", id=need.found.id, title=need.found.title))
        note = say(_("Found by: {rule}. It is linked when the document is created."), rule=need.rule)
        draft.checks.append(checklist.row(code, label, ok=True, actual=actual, message=note))
    elif need.may_create:
        draft.needs.append(needs.row(rule.name, rule.target_field, need))
        note = _("It is created together with the document.")
        draft.checks.append(checklist.row(code, label, ok=True, actual=need.title, message=note))
    else:
        _missing_record(draft, rule, need, code, label)


_LABELS: dict[str, object] = {"customer": _("Customer in the ledger"), "article": _("Articles in the ledger")}


def _missing_record(draft: Draft, rule: LinkRule, need: Need, code: str, label: object) -> None:
    draft.change.waits_for = f"{rule.related}:{need.source_id}"[:200]
    choices = [{"id": c.id, "title": c.title} for c in need.candidates[:20]]
    if need.candidates:
        message: object = say(_("Several records may be meant ({count})."), count=len(need.candidates))
        remedy: object = _("Choose the right one.")
        repair = f"link_{rule.name}"
    elif need.problems:
        message = say("{title}: {problem}", title=need.title, problem=need.problems[0].message)
        remedy, repair = need.problems[0].remedy, "open_source"
    else:
        message = say(_("{title} does not exist in the ledger yet."), title=need.title or need.source_id)
        if needs.offered(need.flow, need.policy):
            remedy, repair = _("Create it, or link it to an existing record."), f"create_{rule.name}"
        elif need.policy == "block":
            remedy = _("The settings of the flow say to stop here. Create it in the ledger, or choose another setting.")
            repair = "open_settings"
        else:
            remedy = _("Create it in the ledger, or switch on the flow that may create it.")
            repair = "open_settings"
    problem = Problem(
        code=f"{rule.name}_missing",
        rule=rule.name,
        field=rule.target_field,
        value=need.title or need.source_id,
        message=message,  # type: ignore[arg-type]
        remedy=remedy,  # type: ignore[arg-type]
        error_class=ErrorClass.DEPENDENCY,
    )
    draft.problems.append(problem)
    draft.checks.append(
        checklist.row(
            code, label, ok=False, actual=need.title, message=message, remedy=remedy, repair=repair,
            value=need.source_id, choices=choices,
        )
    )  # fmt: skip


def registers(draft: Draft, known: Related) -> None:
    """Values that must exist at the target, such as article numbers, each under the flow's policy (R102, Q-13)."""
    for rule in draft.ctx.mapping.lookups:
        missing = lookups.missing(known.found, draft.mapped, rule.name)
        policy = draft.ctx.setting(f"missing_{rule.name}", "block")
        stand_in = lookups.stand_in_of(draft.ctx, rule)
        given = draft.mapped.lookups.get(rule.name, ())
        actual = ", ".join(dict.fromkeys(value for _line, value in given))
        if unpriced := [item for item in missing if _is_unpriced(draft, item[0])]:
            _block_unpriced(draft, rule, unpriced)
            continue
        made = [item for item in missing if item[1] in draft.ctx.may_be_made.get(draft.record.id, ())]
        if made:
            _create(draft, rule, made)
            missing = [item for item in missing if item not in made]
        if not missing:
            draft.checks += [] if made else [checklist.row(rule.code, _(rule.label), ok=True, actual=actual)]
        elif stand_in and stand_in in known.found[rule.name].there:
            _replace(draft, rule, missing, stand_in)
        elif stand_in:
            _block_stand_in(draft, rule, missing, stand_in)
        elif policy == "create" and rule.text_field:
            _create(draft, rule, missing)
        elif policy == "text" and rule.text_field and all(line for line, _value in missing):
            _as_text(draft, rule, missing)
        else:
            _block(draft, rule, missing, known)


def _line(draft: Draft, number: int) -> dict[str, Any] | None:
    """The mapped line of a source line number; None for a line that was left out."""
    numbers = draft.mapped.line_numbers
    if not number or number not in numbers:
        return None
    return (draft.mapped.lines or [])[numbers.index(number)]


def _replace(draft: Draft, rule: CompiledLookup, missing: list[tuple[int, str]], stand_in: str) -> None:
    """Write the default article; the line says still what was sold, not the stand-in's own text."""
    texts = draft.mapped.lookup_texts.get(rule.name, {})
    for number, value in missing:
        line = _line(draft, number)
        if line is not None:
            line[rule.writes] = stand_in
            if rule.text_field:
                line.setdefault(rule.text_field, texts.get(number) or value)
    values = ", ".join(dict.fromkeys(value for _line_number, value in missing))
    note = say(_("{values}: replaced by {stand_in}."), values=values, stand_in=stand_in)
    draft.checks.append(checklist.row(rule.code, _(rule.label), ok=True, actual=values, message=note))


def _is_unpriced(draft: Draft, number: int) -> bool:
    """Whether only the record that is missing could say what the line costs: without it the target would bill nothing,
    or the price of whatever takes its place."""
    line = _line(draft, number)
    if line is None:
        return False
    estimate = draft.ctx.target.estimate(draft.ctx.flow.target_object, draft.mapped.fields, [line], {})
    return estimate is not None and estimate.rows[0].net is None


def _block_unpriced(draft: Draft, rule: CompiledLookup, missing: list[tuple[int, str]]) -> None:
    for value in dict.fromkeys(item for _number, item in missing):
        message = say(_("{value} does not exist, and its line has no price of its own."), value=value)
        remedy = _("Enter the price on the line, or correct what it names.")
        _refuse(draft, rule, value, message, remedy, "open_source", missing)


def _block_stand_in(draft: Draft, rule: CompiledLookup, missing: list[tuple[int, str]], stand_in: str) -> None:
    """The settings name a default that is not there itself: nothing is written that the target would refuse."""
    values = ", ".join(dict.fromkeys(value for _line_number, value in missing))
    message = say(_("{values} is missing, and so is {stand_in}, the flow's default."), values=values, stand_in=stand_in)
    remedy = say(_("Choose another default in the settings of the flow, or create {stand_in}."), stand_in=stand_in)
    _refuse(draft, rule, stand_in, message, remedy, "open_settings", missing, actual=values)


def _create(draft: Draft, rule: CompiledLookup, missing: list[tuple[int, str]]) -> None:
    values = list(dict.fromkeys(value for _number, value in missing))
    for value in values:
        number = next(line for line, item in missing if item == value)
        fields = {rule.text_field: draft.mapped.lookup_texts.get(rule.name, {}).get(number) or value}
        draft.needs.append(
            {"object": rule.object, "field": rule.field, "value": value, "fields": dump_all(fields), "name": rule.name}
        )
    note = _("It is created together with the document.")
    draft.checks.append(checklist.row(rule.code, _(rule.label), ok=True, actual=", ".join(values), message=note))


def _as_text(draft: Draft, rule: CompiledLookup, missing: list[tuple[int, str]]) -> None:
    texts = draft.mapped.lookup_texts.get(rule.name, {})
    for number, value in missing:
        line = _line(draft, number)
        if line is not None:
            line.pop(rule.writes, None)
            line.setdefault(rule.text_field, texts.get(number) or value)
    values = ", ".join(dict.fromkeys(value for _number, value in missing))
    note = _("It is written as text, without an article.")
    draft.checks.append(checklist.row(rule.code, _(rule.label), ok=True, actual=values, message=note))


def _block(draft: Draft, rule: CompiledLookup, missing: list[tuple[int, str]], known: Related) -> None:
    alike = known.found[rule.name].alike if rule.name in known.found else {}
    for value in dict.fromkeys(item for _number, item in missing):
        message: object = say(_(rule.message or "{value} does not exist."), value=value)
        if value in alike:
            message = say(_("{value} does not exist, but {alike} does."), value=value, alike=alike[value])
        _refuse(draft, rule, value, message, _(rule.remedy) if rule.remedy else "", rule.repair, missing)


def _refuse(
    draft: Draft, rule: CompiledLookup, value: str, message: object, remedy: object, repair: str,
    missing: list[tuple[int, str]], *, actual: str = "",
) -> None:  # fmt: skip
    """A problem about `value` and its failed check, which names the lines that it is on; all that are `missing` when it
    stands for several, as `actual` shows them."""
    problem = Problem(rule.code, rule.label, rule.field, value, message, remedy)  # type: ignore[arg-type]
    draft.problems.append(problem)
    lines = [number for number, item in missing if number and (actual or item == value)]
    draft.checks.append(
        checklist.row(
            rule.code, _(rule.label), ok=False, actual=actual or value, message=message, remedy=remedy, repair=repair,
            value=value, lines=lines,
        )
    )  # fmt: skip
