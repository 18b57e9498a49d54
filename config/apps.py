"""The admin with our site, and the room that holds what knows every other room: demonstration, benchmarks."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """The admin with our site class: title, home page and order of the rooms."""

    default_site = "config.admin_site.LedgerbridgeAdminSite"


class ConfigConfig(AppConfig):
    """Registers the room, for its commands."""

    name = "config"

    def ready(self) -> None:
        """The checks of signing in, and what signing in remembers."""
        from config.signin import checks, gate  # noqa: F401
