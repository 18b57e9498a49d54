"""Django app of the sync room."""

from django.apps import AppConfig


class SyncConfig(AppConfig):
    """Registers the room and its start-up checks with Django."""

    name = "sync"

    def ready(self) -> None:
        """Checks are found by importing them."""
        from sync import checks  # noqa: F401
