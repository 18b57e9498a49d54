"""The state and country picklists of a new org. Salesforce ships states for about ten countries; Sweden has none."""

from __future__ import annotations

from .schema import Choice

COUNTRIES = {
    "AT": "Austria",
    "AU": "Australia",
    "BE": "Belgium",
    "BR": "Brazil",
    "CA": "Canada",
    "CH": "Switzerland",
    "CN": "China",
    "CZ": "Czech Republic",
    "DE": "Germany",
    "DK": "Denmark",
    "EE": "Estonia",
    "ES": "Spain",
    "FI": "Finland",
    "FR": "France",
    "GB": "United Kingdom",
    "GR": "Greece",
    "HU": "Hungary",
    "IE": "Ireland",
    "IN": "India",
    "IS": "Iceland",
    "IT": "Italy",
    "JP": "Japan",
    "LT": "Lithuania",
    "LU": "Luxembourg",
    "LV": "Latvia",
    "MX": "Mexico",
    "NL": "Netherlands",
    "NO": "Norway",
    "NZ": "New Zealand",
    "PL": "Poland",
    "PT": "Portugal",
    "RO": "Romania",
    "SE": "Sweden",
    "SG": "Singapore",
    "SI": "Slovenia",
    "SK": "Slovakia",
    "TR": "Turkey",
    "UA": "Ukraine",
    "US": "United States",
    "ZA": "South Africa",
}
STATES = {
    "AU": {"NSW": "New South Wales", "QLD": "Queensland", "VIC": "Victoria", "WA": "Western Australia"},
    "BR": {"RJ": "Rio de Janeiro", "SP": "São Paulo"},
    "CA": {"AB": "Alberta", "BC": "British Columbia", "ON": "Ontario", "QC": "Quebec"},
    "IE": {"D": "Dublin", "G": "Galway"},
    "IN": {"DL": "Delhi", "MH": "Maharashtra"},
    "IT": {"MI": "Milano", "RM": "Roma", "TO": "Torino"},
    "MX": {"JAL": "Jalisco", "NLE": "Nuevo León"},
    "US": {"CA": "California", "MA": "Massachusetts", "NY": "New York", "TX": "Texas", "WA": "Washington"},
}

BY_NAME = {name.casefold(): code for code, name in COUNTRIES.items()}
COUNTRY_CHOICES = tuple(Choice(code, name) for code, name in COUNTRIES.items())
STATE_CHOICES = tuple(Choice(code, name) for states in STATES.values() for code, name in states.items())
