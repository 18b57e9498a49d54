"""Django app of the sandbox room."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """Registers the room with Django."""

    name = "sandbox"
