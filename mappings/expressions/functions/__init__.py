"""The functions of the language, by group. Importing this package fills the register.

The invariant of every function here: pure, total, bounded; see `mappings.expressions.registry`.
"""

from mappings.expressions.functions import codes, dates, lines, numbers, text
from mappings.expressions.registry import FUNCTIONS

__all__ = ["FUNCTIONS", "codes", "dates", "lines", "numbers", "text"]
