"""SOQL text to tree, by recursive descent. The language is that of Salesforce's SOQL guide without TYPEOF, USING SCOPE,
WITH and the FOR clauses; names are not looked up here."""

from __future__ import annotations

from decimal import Decimal

from .tokens import Sort, Token, malformed, placed, tokenize, unexpected
from .tree import (
    Comparison,
    Condition,
    FieldSet,
    Function,
    Logical,
    Membership,
    Name,
    Order,
    Query,
    Selected,
    Term,
    Value,
)

AGGREGATES = {"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"}
DATE_FUNCTIONS = {
    "CALENDAR_YEAR",
    "CALENDAR_QUARTER",
    "CALENDAR_MONTH",
    "DAY_IN_MONTH",
    "DAY_IN_WEEK",
    "DAY_IN_YEAR",
    "DAY_ONLY",
    "HOUR_IN_DAY",
    "WEEK_IN_YEAR",
}
FUNCTIONS = AGGREGATES | DATE_FUNCTIONS | {"TOLABEL"}
FIELD_SETS = {"ALL", "STANDARD", "CUSTOM"}
PERIODS = {
    "YESTERDAY",
    "TODAY",
    "TOMORROW",
    *(f"{which}_{unit}" for which in ("LAST", "THIS", "NEXT") for unit in ("WEEK", "MONTH", "QUARTER", "YEAR")),
    "LAST_90_DAYS",
    "NEXT_90_DAYS",
}
COUNTED_PERIODS = {
    *(f"{which}_N_{unit}S" for which in ("LAST", "NEXT") for unit in ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")),
    *(f"N_{unit}S_AGO" for unit in ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")),
}
COMPARISONS = {"=", "!=", "<>", "<", "<=", ">", ">="}
RESERVED = {"WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "FROM", "ALL", "FOR", "WITH", "USING", "AS"}
MOST_OFFSET = 2_000
LONGEST = 100_000
DEEPEST = 100  # parentheses within parentheses


def parse(source: str) -> Query:
    """The tree of one query; SfError MALFORMED_QUERY (400) for anything else."""
    if len(source) > LONGEST:
        raise malformed("SOQL statements cannot be longer than 100000 characters.")
    if not source.strip():
        raise malformed("A query string has to be specified")
    parser = _Parser(source)
    query = parser.query()
    parser.end()
    return query


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = tokenize(source)
        self._at = 0
        self._depth = 0

    # -- tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _peek(self, ahead: int = 1) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _sign(self, sign: str) -> bool:
        """Take this sign if it is next."""
        if self._next.sort is Sort.SIGN and self._next.text == sign:
            self._take()
            return True
        return False

    def _need_sign(self, sign: str) -> None:
        if not self._sign(sign):
            raise unexpected(self._next)

    def _word(self, *words: str) -> bool:
        """Take these keywords if they are next, all of them."""
        if all(self._peek(ahead).word == word for ahead, word in enumerate(words)):
            self._at += len(words)
            return True
        return False

    def _need_word(self, *words: str) -> None:
        if not self._word(*words):
            raise unexpected(self._next)

    def _name(self) -> Name:
        # There is an object called Order: the word is a keyword only before BY.
        keyword = self._next.word in RESERVED and (self._next.word != "ORDER" or self._peek().word == "BY")
        if self._next.sort is not Sort.NAME or keyword:
            raise unexpected(self._next)
        token = self._take()
        return Name(token.text, token.start)

    def _count(self, what: str) -> int:
        token = self._take()
        if token.sort is not Sort.NUMBER or not token.text.isdigit():
            raise malformed(f"{what} must be a whole number, found '{token.text}'")
        return int(token.text)

    def end(self) -> None:
        """Nothing may follow the query."""
        if self._word("ALL", "ROWS"):
            raise malformed("ALL ROWS not allowed in this context")
        if self._next.sort is not Sort.END:
            raise unexpected(self._next)

    # -- clauses

    def query(self, inner: bool = False) -> Query:
        """One SELECT with all its clauses."""
        start = self._next.start
        self._need_word("SELECT")
        selected = [self._selected(inner)]
        while self._sign(","):
            selected.append(self._selected(inner))
        self._need_word("FROM")
        query = Query(selected, self._name(), start, text=self._source)
        if self._next.sort is Sort.NAME and self._next.word not in RESERVED:
            query.alias = self._take().text
        if self._word("WHERE"):
            query.where = self._conditions()
        if self._word("GROUP", "BY"):
            query.groups = [self._term(), *self._more_terms()]
            if self._word("HAVING"):
                query.having = self._conditions()
        if self._word("ORDER", "BY"):
            query.orders = [self._order()]
            while self._sign(","):
                query.orders.append(self._order())
        if self._word("LIMIT"):
            query.limit = self._count("LIMIT")
        if self._word("OFFSET"):
            query.offset = self._offset()
        return query

    def _offset(self) -> int:
        start = self._next.start
        offset = self._count("OFFSET")
        if offset > MOST_OFFSET:
            text = f"Maximum SOQL offset allowed is {MOST_OFFSET}"
            raise placed("NUMBER_OUTSIDE_VALID_RANGE", text, self._source, start)
        return offset

    def _selected(self, inner: bool) -> Selected:
        if self._next.sort is Sort.SIGN and self._next.text == "(" and not inner:
            self._take()
            query = self.query(inner=True)
            self._need_sign(")")
            return Selected(query)
        if self._next.word == "FIELDS" and self._peek().text == "(":
            return Selected(self._field_set())
        term = self._term()
        after = self._peek()
        follows = after.text == "," or after.word == "FROM"  # else it is a misspelt FROM
        if follows and self._next.sort is Sort.NAME and self._next.word not in RESERVED:
            return Selected(term, self._take().text)
        return Selected(term)

    def _field_set(self) -> FieldSet:
        start = self._take().start
        self._need_sign("(")
        which = self._take()
        if which.word not in FIELD_SETS:
            raise unexpected(which)
        self._need_sign(")")
        return FieldSet(which.word, start)

    def _more_terms(self) -> list[Term]:
        terms: list[Term] = []
        while self._sign(","):
            terms.append(self._term())
        return terms

    def _term(self) -> Term:
        """A field path, or a function of one."""
        name = self._name()
        if not (self._next.sort is Sort.SIGN and self._next.text == "("):
            return name
        function = name.text.upper()
        if function not in FUNCTIONS:
            raise unexpected(self._next)
        self._take()
        if function == "COUNT" and self._sign(")"):
            return Function(function, None, name.start, "COUNT()")
        argument = self._name()
        self._need_sign(")")
        return Function(function, argument, name.start, f"{name.text}({argument.text})")

    def _order(self) -> Order:
        term = self._term()
        descending = self._word("DESC") or (self._word("ASC") and False)
        if self._word("NULLS"):
            nulls_first = self._word("FIRST")
            if not nulls_first:
                self._need_word("LAST")
            return Order(term, descending, nulls_first)
        return Order(term, descending, True)

    # -- conditions

    def _conditions(self) -> Condition:
        """Conditions joined by AND alone or by OR alone (a mixture needs parentheses), or NOT with one condition."""
        if self._word("NOT"):
            return Logical("NOT", (self._condition(),))
        parts = [self._condition()]
        joint = self._next.word
        if joint not in ("AND", "OR"):
            return parts[0]
        while self._word(joint):
            parts.append(self._condition())
        if self._next.word in ("AND", "OR"):
            raise unexpected(self._next)
        return Logical(joint, tuple(parts))

    def _condition(self) -> Condition:
        if self._sign("("):
            self._depth += 1
            if self._depth > DEEPEST:
                raise malformed("The query is too complicated")
            condition = self._conditions()
            self._need_sign(")")
            self._depth -= 1
            return condition
        term = self._term()
        token = self._take()
        if token.sort is Sort.SIGN and token.text in COMPARISONS:
            return Comparison(term, "!=" if token.text == "<>" else token.text, self._value())
        if token.word == "LIKE":
            return Comparison(term, "LIKE", self._value())
        if token.word == "NOT" and self._word("IN"):
            return Membership(term, "NOT IN", self._list(allow_query=True), token.start)
        if token.word in ("IN", "INCLUDES", "EXCLUDES"):
            return Membership(term, token.word, self._list(allow_query=token.word == "IN"), token.start)
        raise unexpected(token)

    def _list(self, allow_query: bool) -> tuple[Value, ...] | Query:
        self._need_sign("(")
        if allow_query and self._next.word == "SELECT":
            query = self.query(inner=True)
            self._need_sign(")")
            return query
        values = [self._value()]
        while self._sign(","):
            values.append(self._value())
        self._need_sign(")")
        return tuple(values)

    def _value(self) -> Value:
        token = self._take()
        if token.sort is Sort.STRING:
            return Value("string", token.text, token.start, token.raw)
        if token.sort is Sort.NUMBER:
            return Value("number", Decimal(token.text), token.start)
        if token.sort is Sort.DATE:
            return Value("date", token.text, token.start)
        if token.sort is Sort.DATETIME:
            return Value("datetime", token.text, token.start)
        word = token.word
        if word == "NULL":
            return Value("null", None, token.start)
        if word in ("TRUE", "FALSE"):
            return Value("boolean", word == "TRUE", token.start)
        if word in PERIODS:
            return Value("period", word, token.start)
        if word in COUNTED_PERIODS:
            self._need_sign(":")
            return Value("period", word, token.start, count=self._count(word))
        raise unexpected(token)
