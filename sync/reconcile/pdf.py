"""The reconciliation on paper: A4, in the reader's language, with the names of both sides in any script.

Header, totals of both sides, differences, a block for the signature, page numbers. The font is embedded (only the
glyphs used), so å, ö, € and Greek print the same everywhere. A very long list of differences is cut at `LINES`, and
the paper says so: the spreadsheet has them all.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from sync.models import Reconciliation
from sync.reconcile.amounts import NAMES, Amounts, Totals

FONTS = Path(settings.BASE_DIR) / "static" / "vendor" / "fonts"
LINES = 2000
GREY, LINE = (96, 96, 96), (200, 200, 200)

logging.getLogger("fontTools.subset").setLevel(logging.WARNING)


class _Paper(FPDF):
    """A4 with our font, a running head and page numbers."""

    def __init__(self, head: str, made: str) -> None:
        super().__init__(format="A4")
        self.head, self.made = head, made
        self.add_font("text", "", FONTS / "DejaVuSans.ttf")
        self.add_font("text", "B", FONTS / "DejaVuSans-Bold.ttf")
        self.set_auto_page_break(True, margin=18)
        self.set_margins(16, 16)
        self.alias_nb_pages()

    def header(self) -> None:
        """From the second page on: what this is."""
        if self.page_no() > 1:
            self.set_font("text", "", 8)
            self.set_text_color(*GREY)
            self.cell(0, 6, self.head, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            self.set_text_color(0)

    def footer(self) -> None:
        """Who made it, and which page it is."""
        self.set_y(-13)
        self.set_font("text", "", 7.5)
        self.set_text_color(*GREY)
        self.cell(0, 5, self.made)
        self.set_x(16)
        self.cell(0, 5, _("Page %(n)s of %(all)s") % {"n": self.page_no(), "all": "{nb}"}, align="R")
        self.set_text_color(0)

    def line_of(self, text: str, size: float = 9, *, bold: bool = False, grey: bool = False) -> None:
        """A paragraph."""
        self.set_font("text", "B" if bold else "", size)
        self.set_text_color(*(GREY if grey else (0, 0, 0)))
        self.multi_cell(0, size * 0.55, _clean(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(0)

    def rows(self, header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], left: int) -> None:
        """A table; the first `left` columns are text, the others figures."""
        self.set_font("text", "", 7.5)
        self.set_draw_color(*LINE)
        align = ["LEFT"] * left + ["RIGHT"] * (len(widths) - left)
        with self.table(
            col_widths=tuple(widths), text_align=tuple(align), line_height=4.4, borders_layout="HORIZONTAL_LINES",
            headings_style=FontFace(emphasis="BOLD"), padding=(0.6, 1),
        ) as table:  # fmt: skip
            for cells in (header, *rows):
                table.row([_clean(cell) for cell in cells])


def document(row: Reconciliation) -> bytes:
    """The PDF of a finished reconciliation, in the active language."""
    integration = row.integration
    period = f"{row.starts:%Y-%m-%d} – {row.ends:%Y-%m-%d}"
    head = f"{_('Reconciliation')} · {integration.name} · {period}"
    made = _("Made by Ledgerbridge %(when)s, reconciliation %(n)s") % {"when": _moment(timezone.now()), "n": row.pk}
    paper = _Paper(_clean(head), _clean(made))
    paper.set_title(_clean(head))
    paper.add_page()
    paper.line_of(_("Reconciliation"), 18, bold=True)
    paper.ln(1)
    paper.line_of(f"{integration.organization} · {integration.name}", 11)
    ledger, crm = integration.ledger_account, integration.crm_account
    paper.line_of(
        f"{_('Ledger')}: {ledger.get_system_display()} {ledger.name} ({ledger.remote_id})   "
        f"{_('CRM')}: {crm.get_system_display()} {crm.name} ({crm.remote_id})"
    )
    paper.line_of(f"{_('Period, by invoice date')}: {period}")
    if row.finished_at:
        paper.line_of(f"{_('Both sides were read')}: {_moment(row.started_at)} – {_moment(row.finished_at)}")
    if row.tolerance:
        paper.line_of(f"{_('Rounding tolerance')}: {_money(row.tolerance)}")
    paper.ln(3)
    paper.line_of(_verdict(row), 11, bold=True)
    paper.ln(2)
    _totals(paper, row)
    _differences(paper, row)
    _signature(paper, row)
    return bytes(paper.output())


def _verdict(row: Reconciliation) -> str:
    if row.unexplained:
        text = ngettext("%(n)s difference is not explained.", "%(n)s differences are not explained.", row.unexplained)
        return text % {"n": row.unexplained}
    if row.differences:
        return _("Unexplained difference: 0. Every difference is explained.")
    return _("Unexplained difference: 0. Both sides agree.")


def _totals(paper: _Paper, row: Reconciliation) -> None:
    from sync.admin.reconciliation_show import headings, status_word

    sides = [Totals.load(row.totals.get(side, ())) for side in ("ledger", "crm")]
    left = Totals.load(row.totals.get("unexplained", ())).currencies()
    keys = {key for side in sides for key in side.by}
    for currency in sorted({currency for currency, _status in keys}):
        paper.line_of(f"{_('Totals')} {currency}", 11, bold=True)
        rows: list[list[str]] = []
        for status in sorted({s for c, s in keys if c == currency}):
            rows += _three(status_word(status), [side.by.get((currency, status), Amounts()) for side in sides])
        rows += _three(_("All"), [side.currencies().get(currency, Amounts()) for side in sides])
        rows.append([_("Unexplained difference"), "", *_figures(left.get(currency, Amounts()))])
        paper.rows([_("Status"), _("Side"), *headings()], rows, (34, 22, 14, 27, 27, 27, 27), 2)
        paper.ln(4)


def _three(label: str, both: Sequence[Amounts]) -> list[list[str]]:
    ledger, crm = both
    rows = [[label, _("Ledger"), *_figures(ledger)], ["", _("CRM"), *_figures(crm)]]
    return [*rows, ["", _("Difference"), *_figures(ledger - crm)]] if ledger - crm else rows


def _differences(paper: _Paper, row: Reconciliation) -> None:
    paper.line_of(_("Differences"), 11, bold=True)
    lines = list(row.lines.order_by("explained", "pk")[:LINES])
    if not lines:
        paper.line_of(_("None."))
        return
    rows = [
        [
            line.number, line.title[:60],
            f"{line.get_kind_display()}{'' if line.explained else ' (!)'}: {line.explanation_text}"[:240],
            line.currency, _money(line.net), _money(line.vat), _money(line.gross), _money(line.balance),
        ]
        for line in lines
    ]  # fmt: skip
    header = [_("Number"), _("Record"), _("Explanation"), _("Currency"), _("Net"), _("VAT"), _("Total"), _("Balance")]
    paper.rows(header, rows, (18, 28, 46, 13, 19, 18, 19, 19), 4)
    if row.differences > LINES:
        text = _("The first %(n)s of %(all)s differences; the spreadsheet has all of them.")
        paper.line_of(text % {"n": LINES, "all": row.differences}, grey=True)
    if row.unexplained:
        paper.line_of(_("(!) Not explained."), 8, grey=True)


def _signature(paper: _Paper, row: Reconciliation) -> None:
    if paper.will_page_break(48):
        paper.add_page()
    paper.ln(6)
    paper.line_of(_("Signature"), 11, bold=True)
    if row.signed_at:
        paper.line_of(f"{row.signed_name}, {_moment(row.signed_at)}")
        if row.signed_reason:
            paper.line_of(f"{_('Reason')}: {row.signed_reason}")
    else:
        paper.line_of(_("Not signed in Ledgerbridge."), grey=True)
    paper.ln(14)
    y = paper.get_y()
    for x, text in ((16, _("Place and date")), (112, _("Name"))):
        paper.line(x, y, x + 78, y)
        paper.set_xy(x, y + 1)
        paper.set_font("text", "", 8)
        paper.cell(78, 4, text)


def _figures(amounts: Amounts) -> list[str]:
    return [str(amounts.count), *(_money(getattr(amounts, name)) for name in NAMES)]


def _money(value: Decimal) -> str:
    places = max(2, -int(value.normalize().as_tuple().exponent))
    return number_format(value, decimal_pos=places, force_grouping=True)


def _moment(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M %Z}"


def _clean(text: object) -> str:
    """Vendor text without control characters; markup means nothing in a cell."""
    return "".join(c if c.isprintable() else " " for c in str(text))
