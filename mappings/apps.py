"""Django app of the mappings room."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MappingsConfig(AppConfig):
    """Registers the room with Django."""

    name = "mappings"
    verbose_name = _("Mappings")
