"""Django app of the mappings room."""

from django.apps import AppConfig


class MappingsConfig(AppConfig):
    """Registers the room with Django."""

    name = "mappings"
