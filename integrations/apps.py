"""Django app of the integrations room."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IntegrationsConfig(AppConfig):
    """Registers the room with Django."""

    name = "integrations"
    verbose_name = _("Integrations")
