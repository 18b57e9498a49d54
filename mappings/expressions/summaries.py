"""The first words of every function's documentation, as texts that can be translated.

The functions' docstrings are the source (a test compares); gettext finds only what is written out as a call.
"""

from __future__ import annotations

from django.utils.translation import gettext, gettext_noop

SUMMARIES = (
    gettext_noop(
        "The value translated by a value map. Unknown values stop, become the map's default, or pass, as it says."
    ),
    gettext_noop("The two-letter code of a country, from its code or its English or Swedish name."),
    gettext_noop("The two-letter code of a language, from its code or its English or Swedish name."),
    gettext_noop("The ISO code of a currency in capital letters."),
    gettext_noop("A Swedish organisation number, checked by its check digit, written NNNNNN-NNNN."),
    gettext_noop("Whether the text is a Swedish organisation number with a valid check digit; nothing is none."),
    gettext_noop("A VAT number of the European Union with its country code, checked by its check digits."),
    gettext_noop("A phone number in international form; numbers without country code get the given one (46, Sweden)."),
    gettext_noop("The internet domain of a web or e-mail address; nothing for freemail providers and for other text."),
    gettext_noop("The domain of an e-mail address; nothing for freemail providers and for text that is no address."),
    gettext_noop("The date in the text, or of the time in UTC."),
    gettext_noop("The moment in UTC; a date becomes its midnight in UTC, so that it never lands on the day before."),
    gettext_noop("The sum over all lines; empty values count as 0."),
    gettext_noop("The first value that is not empty, from the first line on."),
    gettext_noop("How many lines the condition holds for; `count_lines(True)` counts all."),
    gettext_noop("The different values of all lines in one text, in order; empty ones are left out."),
    gettext_noop("The number in the text, with decimal comma or point and with spaces between thousands."),
    gettext_noop("The number rounded half up to so many decimals (0 to 10)."),
    gettext_noop("What share of the whole the part is, in percent."),
    gettext_noop("The number without its sign."),
    gettext_noop("The smallest number; empty ones are left out."),
    gettext_noop("The largest number; empty ones are left out."),
    gettext_noop("Yes or no from true/false, yes/no, ja/nej, 1/0."),
    gettext_noop("The text without spaces at both ends."),
    gettext_noop("The text in capital letters."),
    gettext_noop("The text in small letters."),
    gettext_noop("The value, or the fallback when the value is empty."),
    gettext_noop("The first value that is not empty."),
    gettext_noop("All values as one text; empty ones are left out."),
    gettext_noop("The values that are not empty, with the separator between them."),
    gettext_noop("One piece of the text, cut at the separator: 1 is the first, -1 the last; a missing piece is empty."),
    gettext_noop("The text with every occurrence of `old` replaced by `new`."),
    gettext_noop(
        "The first group of the first match of the pattern (the whole match if it has no group); empty "
        "if none. The pattern is a constant: letters, `.`, `[…]`, `\\d \\w \\s`, `( )`, `(?: )`, `|`, `* + "
        "? {m,n}`, `^ $`."
    ),
    gettext_noop("Whether the whole text fits the pattern, which may come from a setting; nothing fits no pattern."),
    gettext_noop("The text without emoji and control characters; tabs become spaces, line breaks stay."),
    gettext_noop("At most so many characters of the text."),
    gettext_noop("The number of characters; 0 for nothing."),
    gettext_noop("Whether the text begins so, regardless of case."),
    gettext_noop("Whether the part occurs in the text, regardless of case."),
)


def summary(text: str) -> str:
    """What a function does, in the reader's language."""
    return gettext(text)
