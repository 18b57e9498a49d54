"""Settings of Ledgerbridge, read from the environment (and an optional `.env`) through django-environ.

Every value that differs between a laptop, CI and production is read here and nowhere else. `PROFILE=production`
refuses to start without its secrets and turns on everything `check --deploy` asks for; `PROFILE=development` (the
embedded default) runs on SQLite and writes its own secrets once into `var/`, so that `make demo` needs no set-up.
Any secret may be given as a file: `SECRET_KEY_FILE=/run/secrets/key`.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.FileAwareEnv()
if (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")

PROFILE = env.str("PROFILE", default="development")
if PROFILE not in {"development", "production"}:
    raise ImproperlyConfigured(f"PROFILE must be development or production, not {PROFILE!r}")
PRODUCTION = PROFILE == "production"
if not PRODUCTION and (VAR_DIR / "demo.env").exists() and "pytest" not in sys.modules:
    env.read_env(VAR_DIR / "demo.env")  # written by `make demo`: the sandbox's addresses and credentials


def _secret(name: str, make: Callable[[], str]) -> str:
    """The secret `name` from the environment; in development made once and kept in `var/` (mode 0600)."""
    if PRODUCTION or env.str(name, default=""):
        return str(env.str(name))
    path = VAR_DIR / f"{name.lower()}.txt"
    if not path.exists():
        VAR_DIR.mkdir(exist_ok=True)
        draft = VAR_DIR / f"{name.lower()}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(make())
        with contextlib.suppress(FileExistsError):  # another process was first: its secret counts
            os.link(draft, path)
        draft.unlink()
    return path.read_text()


DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = _secret("SECRET_KEY", lambda: secrets.token_urlsafe(50))
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]", "testserver"]
)

# The address under which browsers and vendors reach us. OAuth redirect URIs and webhook signatures are built from
# it, never from the Host header, which an attacker can set.
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "config.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_q",
    "simple_history",
    "csp",
    "config.apps.ConfigConfig",
    "integrations",
    "mappings",
    "sync",
    *([] if PRODUCTION else ["sandbox"]),
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database -------------------------------------------------------------------------------------------------
# A pool (`OPTIONS["pool"]`) is refused by a check: django-q2 forks, and forked sockets answer each other's queries.
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")
}
_database = DATABASES["default"]
# CONN_MAX_AGE=0 costs a factor of eight in the queue, which calls close_old_connections() at every operation.
_database |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
SQLITE = _database["ENGINE"] == "django.db.backends.sqlite3"
if SQLITE:
    _database.setdefault("OPTIONS", {}).update(
        # IMMEDIATE takes the write lock at BEGIN, so that a transaction never fails half-way with "locked".
        transaction_mode="IMMEDIATE",
        timeout=30,
        init_command="PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000;",
    )
    # A file database also in tests: flows are tested with real worker processes, which must see it.
    _database["TEST"] = {"NAME": env.str("TEST_DATABASE", default=str(VAR_DIR / "test.sqlite3"))}
    VAR_DIR.mkdir(exist_ok=True)
else:
    _database.setdefault("OPTIONS", {}).setdefault("options", "-c lock_timeout=15000")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- Queue ----------------------------------------------------------------------------------------------------
# django-q2 is the doorbell, never the ledger. sync/checks.py refuses unsafe combinations of these numbers.
Q_CLUSTER: dict[str, Any] = {
    "name": "ledgerbridge",  # the signing salt of every queue: never change it
    "orm": "default",
    "broker_class": "sync.broker.GuardedORM",
    "workers": env.int("Q_WORKERS", default=2),
    "queue_limit": env.int("Q_WORKERS", default=2),
    "bulk": 1,
    "poll": 0.2,
    "guard_cycle": 0.5,
    "timeout": env.int("Q_TIMEOUT", default=180),
    "retry": env.int("Q_RETRY", default=900),
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "catch_up": False,
    "recycle": 200,
    "log_level": "WARNING",
    "time_zone": "Europe/Stockholm",
    "ALT_CLUSTERS": {
        "bulk": {
            "workers": env.int("Q_BULK_WORKERS", default=2),
            "queue_limit": env.int("Q_BULK_WORKERS", default=2),
            "timeout": 180,
            "retry": 900,
        }
    },
}

# --- Secrets and vendors --------------------------------------------------------------------------------------
# Newest first; `key id:base64 of 32 bytes`. Never derived from SECRET_KEY: the two must be able to rotate apart.
FIELD_ENCRYPTION_KEYS: list[str] = [
    key
    for key in _secret(
        "FIELD_ENCRYPTION_KEYS",
        lambda: "k1:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    ).split(",")
    if key
]

# One entry per vendor. `*_url` are what the sandbox replaces; everything else about a vendor is in its client.
VENDORS: dict[str, dict[str, Any]] = {
    "fortnox": {
        "api_url": env.str("FORTNOX_API_URL", default="https://api.fortnox.se"),
        "oauth_url": env.str("FORTNOX_OAUTH_URL", default="https://apps.fortnox.se"),
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
# Hosts that tokens may be sent to, besides the vendors' own (SEC-15). Set by the demo to the sandbox's address.
EXTRA_ALLOWED_HOSTS: list[str] = env.list("EXTRA_ALLOWED_HOSTS", default=[])

# Settle time of an unknown outcome: our timeout + the server's lateness + the search index's lag (trust A1).
HTTP_TIMEOUT_SECONDS = env.int("HTTP_TIMEOUT_SECONDS", default=30)
REMOTE_LATENESS_SECONDS = env.int("REMOTE_LATENESS_SECONDS", default=60)
SEARCH_LAG_SECONDS = env.int("SEARCH_LAG_SECONDS", default=30)
SETTLE_SECONDS = env.int("SETTLE_SECONDS", default=HTTP_TIMEOUT_SECONDS + REMOTE_LATENESS_SECONDS + SEARCH_LAG_SECONDS)

# --- People and pages -----------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("sv", _("Swedish"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "Europe/Stockholm"
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Outside production files are served as they lie in the source tree; production runs `collectstatic`.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not PRODUCTION
if not PRODUCTION:
    STATIC_ROOT.mkdir(exist_ok=True)
if PRODUCTION:
    STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # OAuth callbacks are top-level navigations from the vendor: Strict would drop it
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'", *sorted({v["oauth_url"] for v in VENDORS.values()})],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
if PRODUCTION:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
    SECURE_REDIRECT_EXEMPT = [r"^livez$"]  # supervisors ask in clear text, on the machine itself
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31536000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

# --- Logs -----------------------------------------------------------------------------------------------------
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"redact": {"()": "integrations.redaction.RedactionFilter"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["redact"], "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # The development server logs whole addresses, OAuth codes and states included, through a handler of its own.
        "django.server": {"handlers": ["console"], "propagate": False},
        # It writes access and refresh tokens at DEBUG.
        "requests_oauthlib": {"level": "INFO"},
        "oauthlib": {"level": "INFO"},
        "urllib3": {"level": "WARNING"},
        "django-q": {"level": "WARNING"},
    },
}
