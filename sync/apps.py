"""Django app of the sync room."""

from django.apps import AppConfig


class SyncConfig(AppConfig):
    """Registers the room with Django."""

    name = "sync"
