"""The admin site itself: names and titles. What each page shows is in the rooms' own admin modules."""

from django.contrib.admin import AdminSite
from django.utils.translation import gettext_lazy as _


class LedgerbridgeAdminSite(AdminSite):
    """Django's admin under our name."""

    site_header = "Ledgerbridge"
    site_title = "Ledgerbridge"
    index_title = _("Overview")
    enable_nav_sidebar = True
