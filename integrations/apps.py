"""Django app of the integrations room."""

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """Registers the room with Django."""

    name = "integrations"
