"""Replaces Django's admin site by ours."""

from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """The admin with our site class: title, home page and order of the rooms."""

    default_site = "config.admin_site.LedgerbridgeAdminSite"
