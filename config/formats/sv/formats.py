"""Dates as people say them in Swedish: `3 nov 2026`, months in lower case; money and numbers stay Django's own."""

DATE_FORMAT = "j b Y"
DATETIME_FORMAT = "j b Y H:i"
MONTH_DAY_FORMAT = "j b"
