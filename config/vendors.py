"""The vendors' addresses, what we ask of them at sign-in, and how fast we may call; each from the environment."""

from __future__ import annotations

from typing import Any

from config.environment import env

# One entry per vendor. `*_url` are what the sandbox replaces; everything else about a vendor is in its client.
VENDORS: dict[str, dict[str, Any]] = {
    "fortnox": {
        "api_url": env.str("FORTNOX_API_URL", default="https://api.fortnox.se"),
        "oauth_url": env.str("FORTNOX_OAUTH_URL", default="https://apps.fortnox.se"),
        "socket_url": env.str("FORTNOX_SOCKET_URL", default="wss://ws.fortnox.se/topics-v1"),
        "client_id": env.str("FORTNOX_CLIENT_ID", default=""),
        "client_secret": env.str("FORTNOX_CLIENT_SECRET", default=""),
        "scopes": [
            "companyinformation",
            "customer",
            "article",
            "invoice",
            "payment",
            "price",
            "currency",
            "settings",
            "bookkeeping",
        ],
        "rate": (env.int("FORTNOX_RATE", default=25), env.float("FORTNOX_RATE_SECONDS", default=5.0)),
    },
    "hubspot": {
        "api_url": env.str("HUBSPOT_API_URL", default="https://api.hubapi.com"),
        "oauth_url": env.str("HUBSPOT_OAUTH_URL", default="https://app.hubspot.com"),
        "client_id": env.str("HUBSPOT_CLIENT_ID", default=""),
        "client_secret": env.str("HUBSPOT_CLIENT_SECRET", default=""),
        "scopes": [
            "oauth",
            "crm.objects.companies.read",
            "crm.objects.companies.write",
            "crm.schemas.companies.read",
            "crm.schemas.companies.write",
            "crm.objects.contacts.read",
            "crm.objects.deals.read",
            "crm.objects.deals.write",
            "crm.schemas.deals.read",
            "crm.schemas.deals.write",
            "crm.objects.line_items.read",
            "crm.objects.line_items.write",
            "crm.objects.products.read",
            "crm.objects.products.write",
            "crm.objects.owners.read",
            "e-commerce",
            "settings.currencies.read",
        ],
        "rate": (env.int("HUBSPOT_RATE", default=110), env.float("HUBSPOT_RATE_SECONDS", default=10.0)),
        "search_rate": (
            env.int("HUBSPOT_SEARCH_RATE", default=5),
            env.float("HUBSPOT_SEARCH_RATE_SECONDS", default=1.0),
        ),
    },
}
# A Salesforce org has an app of its own for us: its key and secret are kept with the connected account, not here.
VENDORS["salesforce"] = {
    "api_url": env.str("SALESFORCE_LOGIN_URL", default="https://login.salesforce.com"),
    "oauth_url": env.str("SALESFORCE_LOGIN_URL", default="https://login.salesforce.com"),
    "test_url": env.str("SALESFORCE_TEST_URL", default="https://test.salesforce.com"),
    "version": env.str("SALESFORCE_API_VERSION", default="v67.0"),
    "client_id": "",
    "client_secret": "",
    "scopes": ["api", "refresh_token"],
    # No burst limit is documented; this keeps one org's imports from crowding its own users.
    "rate": (env.int("SALESFORCE_RATE", default=50), env.float("SALESFORCE_RATE_SECONDS", default=5.0)),
}
