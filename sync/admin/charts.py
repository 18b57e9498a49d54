"""Small charts, drawn on the server: stacked bars per day over a zero line, with the same numbers as a table.

The picture holds shapes only; its words are ordinary text beside it, so they keep their size at any width. The
invariant: every number of the picture stands in the table, and colour is never the only carrier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from sync.admin import show
from sync.daily import Outcome

WIDTH, HEIGHT = 600, 120

Counts = Iterable[tuple[date, str, int]]
"""(day, outcome, number), in any order."""
RECORDS = (Outcome.CREATED, Outcome.UPDATED, Outcome.LINKED, Outcome.CARRIED_OUT)
ERRORS = (Outcome.REVIEW, Outcome.RETRIED, Outcome.RUN_FAILED)


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle, in the units of the picture."""

    x: str
    y: str
    width: str
    height: str
    series: int


@dataclass(frozen=True, slots=True)
class Day:
    """One day: its bars from the zero line up, and its numbers in words."""

    day: date
    numbers: tuple[int, ...]
    bars: tuple[Bar, ...]
    x: str
    width: str
    label: str
    words: str


@dataclass(frozen=True, slots=True)
class Series:
    """One colour: its name and what it adds up to."""

    number: int
    name: str
    total: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws."""

    key: str
    title: str
    summary: str
    empty: str
    series: tuple[Series, ...]
    days: tuple[Day, ...]
    top: str
    first: str
    middle: str
    last: str

    @property
    def any(self) -> bool:
        """Whether there is anything to draw."""
        return any(any(day.numbers) for day in self.days)

    @property
    def rows(self) -> list[Day]:
        """The table: newest first, days without anything left out."""
        return [day for day in reversed(self.days) if any(day.numbers)]


def records(counts: Counts, last: date, days: int) -> Chart:
    """Records written per day, by what was done."""
    return _chart("records", _("Records per day"), _("Nothing was written in these days."), RECORDS, counts, last, days)


def errors(counts: Counts, last: date, days: int) -> Chart:
    """Failures per day, by what became of them."""
    return _chart("errors", _("Errors per day"), _("Nothing failed in these days."), ERRORS, counts, last, days)


def _chart(
    key: str,
    title: str,
    empty: str,
    outcomes: Sequence[Outcome],
    counts: Counts,
    last: date,
    days: int,
) -> Chart:
    sums: dict[tuple[date, str], int] = {}
    for counted, outcome, n in counts:
        sums[counted, outcome] = sums.get((counted, outcome), 0) + n
    all_days = [last - timedelta(days=back) for back in reversed(range(days))]
    numbers = {day: tuple(sums.get((day, outcome), 0) for outcome in outcomes) for day in all_days}
    totals = [sum(numbers[day][index] for day in all_days) for index in range(len(outcomes))]
    top = _round_up(max(sum(of_day) for of_day in numbers.values()))
    series = tuple(
        Series(index, str(outcome.label), show.number(total))
        for index, (outcome, total) in enumerate(zip(outcomes, totals, strict=True))
    )
    summary = ngettext("%(n)s in %(days)s day", "%(n)s in %(days)s days", days) % {
        "n": show.number(sum(totals)), "days": days,
    }  # fmt: skip
    drawn = tuple(_day(index, day, numbers[day], top, days, series) for index, day in enumerate(all_days))
    begin, middle = _short(all_days[0]), _short(all_days[days // 2])
    return Chart(key, title, summary, empty, series, drawn, show.number(top), begin, middle, _("today"))


def _day(index: int, day: date, numbers: tuple[int, ...], top: int, days: int, series: Sequence[Series]) -> Day:
    slot = WIDTH / days
    x, width = _units(index * slot + slot * 0.14), _units(slot * 0.72)
    bars, level = [], 0.0
    for number, n in enumerate(numbers):
        if not n:
            continue
        height = max(n / top * HEIGHT, 1.5)
        level += height
        bars.append(Bar(x, _units(max(HEIGHT - level, 0)), width, _units(height), number))
    said = ", ".join(f"{entry.name} {show.number(n)}" for entry, n in zip(series, numbers, strict=True) if n)
    label = _short(day)
    return Day(day, numbers, tuple(bars), _units(index * slot), _units(slot), label, f"{label}: {said or '0'}")


def _units(value: float) -> str:
    return f"{value:.2f}"


def _short(day: date) -> str:
    return date_format(day, "MONTH_DAY_FORMAT")


def _round_up(n: int) -> int:
    """A round number at or above `n`, for the top of the picture."""
    if n <= 4:
        return 4
    step = int("1" + "0" * (len(str(n)) - 1))
    for factor in (1, 2, 4, 5, 8, 10):
        if n <= step * factor:
            return step * factor
    return n
