"""The expression language of mappings: one Python-looking expression, parsed by `ast`, run by our own evaluator.

Nothing is ever compiled to bytecode, executed, or looked up on a live object; the invariant of this package is that
an accepted expression gives a `Value` or a `MappingError`, in bounded time and memory, whatever the data.
"""

from mappings.expressions.compiler import Compiled, compile_expression
from mappings.expressions.errors import ExpressionError, MappingError
from mappings.expressions.values import ValueTable, is_blank, key_of, table_of, text_of

__all__ = [
    "Compiled",
    "ExpressionError",
    "MappingError",
    "ValueTable",
    "compile_expression",
    "is_blank",
    "key_of",
    "table_of",
    "text_of",
]
