"""Django app of the sync room."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SyncConfig(AppConfig):
    """Registers the room and its start-up checks with Django."""

    name = "sync"
    verbose_name = _("Sync")

    def ready(self) -> None:
        """Checks are found by importing them; the inbox rings us when events have arrived."""
        from sync import checks, inbox, matching, routes  # noqa: F401
        from sync.lab import samples

        inbox.register()
        routes.register()
        matching.register()
        samples.register()
