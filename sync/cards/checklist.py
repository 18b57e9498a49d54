"""The live checklist: every condition with its actual value, what to do, and the button that does it (I-08).

The invariant: a repair can be asked for exactly when its button is shown.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from sync.cards import words
from sync.models import Change
from sync.repair import UNDECIDED
from sync.states import State

LOOK = "look_again"
WHICH, LINK_TO, CREATE_NEW = "which", "link_to", "create_new"
"""The one check that is made here: several records may be the counterpart, and a person says which, or none."""


def build(change: Change, *, repairs: bool, without: Container[str] = ()) -> dict[str, Any] | None:
    """The checklist of a change, what fails first; None when nothing was checked. `repairs`: whether with buttons,
    `without` which of them."""
    rows = _rows(change)
    if not rows:
        return None
    items = [_item(row, rows, repairs=repairs, without=without) for row in rows]
    failed = sum(1 for item in items if not item["ok"])
    if failed:
        text = ngettext("%(n)d of %(all)d conditions is not met", "%(n)d of %(all)d conditions are not met", failed)
        said = text % {"n": failed, "all": len(items)}
    else:
        said = _("All %(all)d conditions are met") % {"all": len(items)}
    return {
        "heading": _("Conditions"),
        "summary": said,
        "at": _("Checked %(when)s") % {"when": words.moment(change.updated_at)},
        "items": sorted(items, key=lambda item: bool(item["ok"])),
        "okLabel": _("Met"),
        "failedLabel": _("Not met"),
    }


def offered(change: Change) -> set[tuple[str, str]]:
    """Every (repair, value) that the checklist offers."""
    return {(each["repair"], each["value"]) for row in _rows(change) if not row.get("ok") for each in _repairs(row)}


def _rows(change: Change) -> list[Mapping[str, Any]]:
    """The stored checks, and the question that is no check: which existing record is meant."""
    rows = list(change.checks)
    if change.state == State.REVIEW and change.candidates and change.error_code in UNDECIDED:
        rows.append({
            "code": WHICH, "ok": False, "label": _("Counterpart"), "message": change.reason,
            "remedy": _("Choose the right one, or create a new one."), "repair": LINK_TO, "choices": change.candidates,
        })  # fmt: skip
    return rows


def _item(
    row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], *, repairs: bool, without: Container[str]
) -> dict[str, Any]:
    ok = bool(row.get("ok"))
    lines = [str(number) for number in row.get("lines") or ()]
    return {
        "code": str(row.get("code", "")),
        "ok": ok,
        "label": words.said(row.get("label")),
        "actual": words.discreet(str(row.get("actual") or ""), rows),
        "message": words.discreet(words.said(row.get("message")), rows),
        "remedy": "" if ok else _remedy(row, without),
        "lines": _("Lines: %(lines)s") % {"lines": ", ".join(lines)} if lines and not ok else "",
        "repairs": [each for each in _repairs(row) if each["repair"] not in without] if repairs and not ok else [],
    }


def _remedy(row: Mapping[str, Any], without: Container[str]) -> str:
    if row.get("code") == WHICH and CREATE_NEW in without:
        return _("Choose the right one. Only a person who may credit documents can have one more created.")
    return words.said(row.get("remedy"))


def _repairs(row: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The buttons of one failed check. A choice between counterparts comes with the way out: none of them."""
    name, value = str(row.get("repair") or ""), str(row.get("value") or "")
    verb = name.partition("_")[0]
    if verb == "link":
        for choice in row.get("choices") or ():
            key, title = str(choice.get("id") or ""), str(choice.get("title") or "")
            label = _("Use %(number)s, %(name)s") if title else _("Use %(number)s")
            yield _button(name, key, label % {"number": key, "name": title})
    if row.get("code") == WHICH:
        yield _button(CREATE_NEW, "", _("None of them: create a new one"))
    elif verb == "create":
        yield _button(name, value, _LABELS.get(name, _("Create “%(value)s”")) % {"value": value})
    elif name == LOOK:
        yield _button(LOOK, value, _("Check again"))


_LABELS = {
    "create_customer": gettext_lazy("Create the customer now"),
    "create_article": gettext_lazy("Create article “%(value)s”"),
}


def _button(repair: str, value: str, label: object) -> dict[str, str]:
    return {"repair": repair, "value": value, "label": str(label)}
