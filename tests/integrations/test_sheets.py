"""Exports opened in a spreadsheet: no formula runs, every value is there."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.sheets import BOM, DANGEROUS, cell, write_rows


@pytest.mark.parametrize("text", ["=1+1", "+46 8 123", "-2", "@SUM(A1)", "\t=1", "\r=1", "  =cmd|' /C calc'!A0", "＝1"])
def test_text_that_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert cell(text).startswith("'") and cell(text).replace("'", "") == text.replace("'", "")


@given(st.text())
def test_no_text_starts_as_a_formula_and_none_is_lost(text: str) -> None:
    shown = cell(text)
    assert not shown.lstrip(" ").startswith(DANGEROUS)
    assert shown.replace("'", "") == text.replace("'", "")


def test_numbers_stay_numbers_and_separators_are_quoted() -> None:
    lines = list(write_rows(["Namn", "Belopp"], [["A;B", Decimal("-12.50")], [None, 3]]))
    assert lines[0].startswith(BOM)
    assert list(csv.reader(lines[1:], delimiter=";")) == [["A;B", "-12.50"], ["", "3"]]
