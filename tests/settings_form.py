"""What a page of settings carries besides its fields: what these held when it was opened."""

from __future__ import annotations

from django.test import Client

from integrations.opened import OPENED


def opened(client: Client, url: str) -> dict[str, str]:
    """Opens the page, for a post that is made later."""
    return {OPENED: client.get(url).context["adminform"].form.opened_with}
