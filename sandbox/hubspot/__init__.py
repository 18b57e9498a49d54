"""The HubSpot emulator: behaves as the service does, limits and refusals included.

May know the sandbox's core and nothing of the product. Its invariant: what a client sees is what HubSpot's
interface reference says it would see, even where that is inconvenient."""

from .emulator import HubSpot

__all__ = ["HubSpot"]
