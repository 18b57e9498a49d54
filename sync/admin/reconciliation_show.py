"""How a reconciliation looks: both sides as a table, a difference as a row with its buttons, and its spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from integrations.sheets import download
from sync.admin import show
from sync.admin.health import Progress
from sync.models import Reconciliation, ReconciliationLine
from sync.reconcile import repair
from sync.reconcile.amounts import NAMES, Amounts, Totals
from sync.values import load

STATES: Mapping[str, tuple[str, Any]] = {
    Reconciliation.State.WAITING: ("held", gettext_lazy("Waiting to start")),
    Reconciliation.State.READING: ("running", gettext_lazy("Reading both sides")),
    Reconciliation.State.DONE: ("ok", gettext_lazy("Done")),
    Reconciliation.State.FAILED: ("failed", gettext_lazy("Failed")),
}
STATUSES: Mapping[str, Any] = {
    "draft": gettext_lazy("Draft"),
    "unbooked": gettext_lazy("Unbooked"),
    "booked": gettext_lazy("Booked"),
    "sent": gettext_lazy("Sent"),
    "partly_paid": gettext_lazy("Partly paid"),
    "paid": gettext_lazy("Paid"),
    "overdue": gettext_lazy("Overdue"),
    "credited": gettext_lazy("Credited"),
    "cancelled": pgettext_lazy("document", "Cancelled"),
}
_ORDER = list(STATUSES)


def headings() -> list[str]:
    """The names of the figures."""
    return [_("Count"), _("Net"), _("VAT"), _("Total"), _("Balance")]


def status_word(status: str) -> str:
    """A state in the reader's language; the vendor's own word when it is none of ours."""
    return str(STATUSES.get(status, status)) or _("none")


def table(row: Reconciliation) -> list[dict[str, Any]]:
    """Per currency: a line per status and one for all, each with ledger, CRM and their difference."""
    if row.state != Reconciliation.State.DONE:
        return []
    sides = {side: Totals.load(row.totals.get(side, ())) for side in ("ledger", "crm")}
    keys = {key for totals in sides.values() for key in totals.by}
    unexplained = Totals.load(row.totals.get("unexplained", ())).currencies()
    found = []
    for currency in sorted({currency for currency, _status in keys}):
        statuses = sorted({s for c, s in keys if c == currency}, key=_place)
        lines = [
            _line(status_word(s), *(sides[side].by.get((currency, s), Amounts()) for side in ("ledger", "crm")))
            for s in statuses
        ]
        both = [sides[side].currencies().get(currency, Amounts()) for side in ("ledger", "crm")]
        found.append(
            {
                "currency": currency or _("No currency"),
                "lines": lines,
                "all": _line(_("All"), *both),
                "unexplained": [_figure(name, unexplained.get(currency, Amounts())) for name in ("count", *NAMES)],
                "unexplained_any": bool(unexplained.get(currency)),
            }
        )
    return found


def _place(status: str) -> tuple[int, str]:
    return (_ORDER.index(status), "") if status in _ORDER else (len(_ORDER), status)


def _line(label: str, ledger: Amounts, crm: Amounts) -> dict[str, Any]:
    delta = ledger - crm
    figures = []
    for name, heading in zip(("count", *NAMES), headings(), strict=True):
        figures.append(
            {
                "heading": heading,
                "ledger": _figure(name, ledger),
                "crm": _figure(name, crm),
                "difference": _figure(name, delta) if getattr(delta, name) else "",
            }
        )
    return {"label": label, "figures": figures, "differs": bool(delta)}


def _figure(name: str, amounts: Amounts) -> str:
    value = getattr(amounts, name)
    return show.number(value) if name == "count" else money(value)


def money(value: Decimal | None, currency: str = "") -> str:
    """An amount to its last digit: two decimals, more only where there are more."""
    if value is None:
        return ""
    rounded = value.quantize(Decimal("0.01"))
    return show.amount(rounded, currency) if rounded == value else f"{value.normalize():f} {currency}".strip()


def progress_of(row: Reconciliation) -> Progress:
    """How far the reading has come."""
    seconds = max((row.heartbeat_at - row.started_at).total_seconds(), 1)
    left = ""
    if row.total and 0 < row.seen < row.total:
        left = show.duration(timedelta(seconds=(row.total - row.seen) * seconds / row.seen))
    return Progress(_("documents read"), row.seen, row.total, round(row.seen * 60 / seconds), left)


def line_row(request: HttpRequest, line: ReconciliationLine, may: Mapping[str, bool]) -> dict[str, Any]:
    """One difference, with links to its records and the buttons of what this person may do about it."""
    sides = {side: line.sides.get(side) or {} for side in ("ledger", "crm")}
    # A mirror adds nothing to the sums, but a person wants to see by how much it is off.
    off_by = [_delta(sides, name) if "beside" in line.sides else getattr(line, name) for name in NAMES]
    here = [line.reconciliation_id, line.pk]
    verbs = []
    if may["retry_change"] and repair.can_retry(line):
        verbs.append((reverse("admin:reconcile_mend", args=[*here, "retry"]), _("Retry")))
    elif (
        may["run_flow"]
        and line.ledger_id
        and line.kind in ("figures", "status", "rate", "changed", "only_ledger", "not_synced")
    ):
        verbs.append((reverse("admin:reconcile_mend", args=[*here, "sync"]), _("Sync now")))
    return {
        "number": line.number,
        "title": line.title,
        "kind": line.get_kind_display(),
        "tone": "ok" if line.explained else "failed",
        "explained": line.explained,
        "explanation": line.explanation_text,
        "ledger": show.outside(line.ledger_url, line.ledger_id),
        "crm": show.outside(line.crm_url, line.crm_id),
        "figures": [
            {
                "heading": heading,
                "ledger": _said(sides["ledger"], name),
                "crm": _said(sides["crm"], name),
                "difference": money(off) if off else "",
            }
            for name, heading, off in zip(NAMES, headings()[1:], off_by, strict=True)
        ],
        "currency": line.currency,
        "count": f"{line.count:+d}" if line.count else "",
        "statuses": [status_word(side["status"]) for side in sides.values() if side],
        "change_url": show.page_url(line.change) if line.change else "",
        "record_url": _record_url(line),
        "verbs": verbs,
        "next": request.get_full_path(),
    }


def _delta(sides: Mapping[str, Mapping[str, Any]], name: str) -> Decimal:
    ledger, crm = (load(side.get(name)) if side.get(name) is not None else None for side in sides.values())
    amounts = [value if isinstance(value, Decimal) else Decimal(0) for value in (ledger, crm)]
    return amounts[0] - amounts[1]


def _said(side: Mapping[str, Any], name: str) -> str:
    value = load(side[name]) if side and side.get(name) is not None else None
    return money(value) if isinstance(value, Decimal) else ("" if not side else "∅")


def _record_url(line: ReconciliationLine) -> str:
    if line.link_id is None:
        return ""
    try:
        return reverse("admin:record", args=[line.link_id])
    except NoReverseMatch:
        return reverse("admin:sync_entitylink_change", args=[line.link_id])


def download_rows(row: Reconciliation) -> HttpResponseBase:
    """Totals first, then every difference, as CSV; streamed, because there may be many."""
    header = [_("Part"), _("Currency"), _("Status"), _("Kind"), _("Explained"), *headings(), _("Number"), _("Record"),
              _("Ledger id"), _("CRM id"), _("Explanation")]  # fmt: skip
    name = f"reconciliation-{row.pk}-{row.starts:%Y%m%d}-{row.ends:%Y%m%d}.csv"
    return download(name, header, _rows(row))


def _rows(row: Reconciliation) -> Iterator[list[Any]]:
    for side, word in (("ledger", _("Ledger")), ("crm", _("CRM"))):
        for (currency, status), amounts in sorted(Totals.load(row.totals.get(side, ())).by.items()):
            yield [word, currency, status_word(status), "", "", *_values(amounts), "", "", "", "", ""]
    for line in row.lines.order_by("explained", "pk").iterator(chunk_size=500):
        yield [
            _("Difference"), line.currency, "", line.get_kind_display(), _("Yes") if line.explained else _("No"),
            *_values(Amounts.of(line, line.count)), line.number, line.title, line.ledger_id, line.crm_id,
            line.explanation_text,
        ]  # fmt: skip
    if row.signed_at:
        signed = f"{row.signed_name} {timezone.localtime(row.signed_at):%Y-%m-%d %H:%M %Z}"
        yield [_("Signed"), "", "", "", "", *[""] * 5, "", signed, "", "", row.signed_reason]


def _values(amounts: Amounts) -> list[Any]:
    plain = amounts.dump()
    return [plain["count"], *(Decimal(plain[name]) for name in NAMES)]
