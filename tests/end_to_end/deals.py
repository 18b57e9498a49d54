"""People at work in the portal: companies, contacts and deals with their line items, as sales staff make them."""

from __future__ import annotations

from typing import Any

from tests.end_to_end.world import World

ORG_NUMBERS = ("5560360793", "5567037485", "5590401237", "5560125790", "5565475489")
_LINE_TO_DEAL, _DEAL_TO_COMPANY, _DEAL_TO_CONTACT = 20, 341, 3


def company(world: World, name: str = "Nordisk Handel AB", number: str = ORG_NUMBERS[0], **more: Any) -> str:
    """A company with an organisation number; returns its id."""
    given = {"name": name, "organization_number_from_fortnox": number, "city": "Uppsala", "zip": "75321"} | more
    return str(_create(world, "companies", given))


def contact(world: World, first: str, last: str) -> str:
    """A contact; returns its id."""
    email = f"{first}.{last}@exempel.se".lower()
    return str(_create(world, "contacts", {"firstname": first, "lastname": last, "email": email}))


def article(world: World, number: str, **more: Any) -> str:
    """An article in Fortnox; returns its number."""
    world.edit("articles", ArticleNumber=number, Description=f"Artikel {number}", VAT=25, **more)
    return number


def deal(
    world: World, company_id: str = "", *lines: dict[str, Any], contact_id: str = "", amount: str | None = None,
    **more: Any,
) -> str:  # fmt: skip
    """A deal of a company with line items; its amount is their sum unless given. Returns its id."""
    links = [(company_id, _DEAL_TO_COMPANY), (contact_id, _DEAL_TO_CONTACT)]
    total = amount if amount is not None else str(sum(_net(line) for line in lines))
    given = {"dealname": "Affär", "pipeline": "default", "dealstage": "presentationscheduled", "amount": total} | more
    body = {
        "properties": given,
        "associations": [_association(to, kind) for to, kind in links if to],
    }
    made = world.ask("hubspot", "POST", "/crm/objects/2026-09/deals", body)["id"]
    for line in lines:
        body = {"properties": line, "associations": [_association(made, _LINE_TO_DEAL)]}
        world.ask("hubspot", "POST", "/crm/objects/2026-09/line_items", body)
    return str(made)


def line(sku: str = "", quantity: str = "1", price: str = "100.00", **more: Any) -> dict[str, Any]:
    """The properties of one line item."""
    given = {"name": more.pop("name", f"Rad {sku}"), "quantity": quantity, "price": price} | more
    return given | ({"hs_sku": sku} if sku else {})


def _net(properties: dict[str, Any]) -> float:
    return float(properties.get("quantity") or 0) * float(properties.get("price") or 0)


def _association(to: str, kind: int) -> dict[str, Any]:
    return {"to": {"id": to}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind}]}


def _create(world: World, kind: str, properties: dict[str, Any]) -> str:
    return str(world.ask("hubspot", "POST", f"/crm/objects/2026-09/{kind}", {"properties": properties})["id"])
