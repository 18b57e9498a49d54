"""Deals that somebody wants invoiced: plain ones, and one of every kind that an invoice can stumble over.

Added only on request (`--deals`), after everything else, so that worlds without them stay as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .kinds import COMPANIES, CONTACTS, DEALS, LINE_ITEMS
from .portal import Portal
from .store import Record

if TYPE_CHECKING:
    from .seed import Seeder

BILLING = "billing_contact"
Line = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """One kind of deal: what its lines and header have that others have not."""

    name: str
    lines: tuple[Line, ...]
    deal: tuple[tuple[str, str], ...] = ()
    company: bool = True
    contacts: int = 1
    billing: bool = False


def _line(sku: str = "1001", **more: str) -> Line:
    """A line of an article; `sku` "" makes a free-text line."""
    return {"name": f"Vara {sku}" if sku else "Arbete enligt offert", "hs_sku": sku, "quantity": "2",
            "price": "125", **more}  # fmt: skip


EURO = (("deal_currency_code", "EUR"),)
ORDERS = (
    Order("Vanlig order", (_line("1001"), _line("1002", quantity="3.5", price="99.90"))),
    Order("Order i euro", (_line("1001", price="11.25", hs_line_item_currency_code="EUR"),), deal=EURO),
    Order("Procentrabatt", (_line("1002", hs_discount_percentage="10"), _line("1003"))),
    Order("Rabatt i kronor", (_line("1003", quantity="4", discount="25.50"),)),
    Order("Rabatt med fyra decimaler", (_line("1001", price="1000", hs_discount_percentage="12.0001"),)),
    Order("Rad utan artikel", (_line(""), _line("1001"))),
    Order("Retur", (_line("1001", quantity="-1"), _line("1002"))),
    Order(
        "Tecken 🎉 \t[x]",
        (_line("1001", name='Vara "deluxe" 🙂 {a}'),),
        deal=(("description", "Tack för 'ordern' 🙏\nVi hörs\u0007"),),
    ),
    Order("Abonnemang", (_line("1002", recurringbillingfrequency="monthly"), _line("1001"))),
    Order("Blandade valutor", (_line("1001"), _line("1002", hs_line_item_currency_code="EUR"))),
    Order("Utan rader", ()),
    Order("Okänd artikel", (_line("9999999"), _line("1001"))),
    Order("Fel skiftläge", (_line("FÄRG-01"),)),
    Order("Snedstreck", (_line("SKRUV/M6"),)),
    Order("Fakturakontakt", (_line("1001"),), contacts=3, billing=True),
    Order("Utan företag", (_line("1001"),), company=False, contacts=0),
    Order("Utgången artikel", (_line("1012"),)),
    Order("Långt radnamn", (_line("1001", name="N" * 300),)),
    Order("Tre decimaler", (_line("1001", quantity="3", price="10.125"),)),
    Order("Två kontakter", (_line("1001"),), contacts=2),
    Order("Ordning", tuple(_line("1001", name=f"Rad {n}", hs_position_on_quote=str(n)) for n in (2, 0, 1))),
    Order("Otillåtna tecken", (_line("A B!"),)),
)


def fill(seeder: Seeder, portal: Portal, count: int, companies: list[Record], contacts: list[Record]) -> list[Record]:
    """`count` open deals, one of each kind and then plain ones; needs companies and contacts to belong to."""
    single = len(portal.currencies) == 1
    label = _billing_label(portal)
    made = []
    for number in range(count):
        order = ORDERS[number] if number < len(ORDERS) else ORDERS[0]
        company = companies[number % len(companies)]
        deal = seeder.open_deal(number, f"{order.name} {number + 1}", order, single=single)
        if order.company:
            portal.links.label(DEALS.type_id, deal.id, COMPANIES.type_id, company.id, [5])
        people = [contacts[(number + other) % len(contacts)] for other in range(order.contacts)]
        for place, contact in enumerate(people):
            labels = [label] if order.billing and place == len(people) - 1 else []
            portal.links.label(DEALS.type_id, deal.id, CONTACTS.type_id, contact.id, labels)
        for line in order.lines:
            values = {k: v for k, v in line.items() if v and not (single and k == "hs_line_item_currency_code")}
            if not single:
                values.setdefault("hs_line_item_currency_code", dict(order.deal).get("deal_currency_code", "SEK"))
            item = seeder.line(deal, values)
            portal.links.connect(LINE_ITEMS.type_id, item.id, DEALS.type_id, deal.id)
        made.append(deal)
    return made


def _billing_label(portal: Portal) -> int:
    forth, *_back = portal.links.define_label(DEALS.type_id, CONTACTS.type_id, BILLING, "Billing contact", None)
    return forth.type_id
