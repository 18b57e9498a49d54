"""Django app of the sync room."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SyncConfig(AppConfig):
    """Registers the room and its start-up checks with Django."""

    name = "sync"
    verbose_name = _("Sync")

    def ready(self) -> None:
        """Checks are found by importing them."""
        from sync import checks  # noqa: F401
