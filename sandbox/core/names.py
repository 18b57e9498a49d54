"""Invented Swedish businesses: the same index is the same business in every emulator.

Domains end in ``.example`` (reserved, RFC 2606), telephone numbers come from the series that the Swedish
telecom authority keeps free for fiction, organisation numbers from a series not yet handed out.
"""

from __future__ import annotations

import random
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_FAMILY_WORDS = (
    "Ahlgren Almqvist Alsterbro Backlund Bergsund Björkäng Blomqvist Boberg Brännvall Dahlsjö Ekdala Ekström "
    "Engvall Fagerlund Falkenäs Forsmark Fridhem Furuvik Glimåkra Granlid Grönvall Gullmarn Hagström Hallonby "
    "Hedlunda Hjelmås Holmberg Hovslätt Höganäs Idegran Jernberg Kallinge Kastlösa Klintemåla Kronvall Kvarnby "
    "Kärrdal Lagerqvist Lindhem Ljungsbro Lomma Lövestad Malmgren Mårdaklev Mörby Nordvik Norrgård Nyhamn "
    "Näsviken Odenslund Olsfors Palmcrantz Planhem Ramnäs Ringdal Rosenlund Rydgård Rönnäng Sandviken Sjöberga "
    "Skogstorp Smedby Solhaga Stenvall Storliden Strandmark Sundby Svartvik Söderhult Tallbacka Torsås Tuvelund "
    "Ulvsby Utmark Valdemars Vallby Vikingstad Vretstorp Väsby Wahlgren Westermark Wikström Ymsen Ågren Åkerby "
    "Åsbo Älvdal Ängelholm Ärlinge Öberga Ödeshög Östervik"
)
_TRADE_WORDS = (
    "Bygg El VVS Måleri Plåt Transport Åkeri Redovisning Konsult Data Webb Design Arkitekter Fastigheter Förvaltning "
    "Städ Service Verkstad Mekaniska Industri Maskin Verktyg Trä Möbler Inredning Glas Kakel Tak Mark Trädgård "
    "Blommor Livsmedel Bageri Rökeri Restaurang Kaffe Bryggeri Hotell Event Media Tryckeri Reklam Förlag Musik "
    "Sport Cykel Bil Däck Båt Marin Energi Sol Värme Kyla Ventilation Larm Säkerhet Juridik Utbildning Hälsa "
    "Tandvård Optik Medicinteknik Textil Skor Lantbruk Skog Grus Logistik Emballage Plast Kemi Laboratorium"
)
_STREET_WORDS = (
    "Storgatan Kungsgatan Järnvägsgatan Industrivägen Hantverkargatan Fabriksgatan Björkvägen Skolgatan "
    "Hamngatan Kvarngatan Åkervägen Ågatan Verkstadsgatan Sveavägen Bruksgatan"
)
_FAMILIES = tuple(_FAMILY_WORDS.split())
_TRADES = tuple(_TRADE_WORDS.split())
_STREET_NAMES = tuple(_STREET_WORDS.split())
_CITIES = (
    ("Stockholm", "111 22", "08-465 004 {:02d}"),
    ("Göteborg", "411 05", "031-390 06 {:02d}"),
    ("Malmö", "211 20", "040-628 04 {:02d}"),
    ("Kiruna", "981 31", "0980-319 2{:02d}"),
    ("Växjö", "352 36", "070-174 06 {:02d}"),
    ("Örebro", "702 10", "070-174 06 {:02d}"),
    ("Umeå", "903 26", "070-174 06 {:02d}"),
    ("Linköping", "582 22", "070-174 06 {:02d}"),
    ("Västerås", "722 11", "070-174 06 {:02d}"),
    ("Östersund", "831 30", "070-174 06 {:02d}"),
    ("Ängelholm", "262 32", "070-174 06 {:02d}"),
    ("Åmål", "662 30", "070-174 06 {:02d}"),
)
_FORMS = ("AB", "AB", "AB", "AB", "HB", "Ekonomisk förening")
# In the order of the accounting emulator's first articles, so that an SKU means the same goods on both sides.
PRODUCT_NAMES = (
    "Skruv",
    "Hammare",
    "Måttband",
    "Konsulttimme",
    "Serviceavtal",
    "Kabel",
    "Lampa",
    "Färg",
    "Pensel",
    "Spackel",
    "Isolering",
    "Fönster",
    "Dörr",
    "Beslag",
    "Lås",
    "Kaffe",
)
FIRST_ARTICLE = 1001


@dataclass(frozen=True, slots=True)
class Business:
    """One invented business as the outside world knows it."""

    number: int
    name: str
    organisation_number: str
    address1: str
    address2: str
    city: str
    zip_code: str
    phone: str
    email: str
    domain: str
    www: str


def luhn_digit(digits: str) -> str:
    """The check digit that makes ``digits`` + it pass the mod-10 rule."""
    total = 0
    for position, char in enumerate(reversed(digits)):
        value = int(char) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def organisation_number(serial: int) -> str:
    """A valid, unused Swedish organisation number; distinct for serials below 200,000."""
    nine = str(559_900_000 + serial % 100_000 if serial < 100_000 else 559_800_000 + serial % 100_000)
    return f"{nine[:6]}-{nine[6:]}{luhn_digit(nine)}"


def slug(text: str) -> str:
    """Lower-case ASCII letters and digits, as in a domain name."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "".join(char for char in plain if char.isalnum())


@lru_cache(maxsize=4096)
def business(seed: int, index: int) -> Business:
    """The business behind ``index`` (0-based): equal arguments, equal business, in every emulator."""
    dice = random.Random(seed * 2_000_003 + index)
    names = len(_FAMILIES) * len(_TRADES)
    position = (index * 4_999 + seed * 37) % names  # 4,999 is coprime with the number of names
    family, trade = _FAMILIES[position % len(_FAMILIES)], _TRADES[position // len(_FAMILIES)]
    city, zip_code, phone = _CITIES[int(dice.random() * len(_CITIES))]
    rounds = index // names
    title = f"{family}{'' if family.endswith('s') else 's'} {trade}{f' {rounds + 1}' if rounds else ''}"
    form = _FORMS[int(dice.random() * len(_FORMS))]
    domain = f"{slug(title)}.example"
    return Business(
        number=index + 1,
        name=f"{title} {form}",
        organisation_number=organisation_number(index),
        address1=f"{_STREET_NAMES[int(dice.random() * len(_STREET_NAMES))]} {1 + int(dice.random() * 90)}",
        address2=f"Box {100 + int(dice.random() * 900)}" if dice.random() < 0.15 else "",
        city=city,
        zip_code=zip_code,
        phone=phone.format(int(dice.random() * 100)),
        email=f"info@{domain}",
        domain=domain,
        www=f"www.{domain}",
    )
