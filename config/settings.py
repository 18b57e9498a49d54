"""Settings of Ledgerbridge, read from the environment (and an optional `.env`) through django-environ.

Every value that differs between a laptop, CI and production is read here, in `environment` and in `vendors`, and
nowhere else. `PROFILE=production` refuses to start without its secrets and turns on everything `check --deploy` asks
for; `PROFILE=development` (the embedded default) runs on SQLite and writes its own secrets once into `var/`, so that
`make demo` needs no set-up. Any secret may be given as a file: `SECRET_KEY_FILE=/run/secrets/key`.
"""

from __future__ import annotations

import base64
import secrets
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from config.environment import BASE_DIR, PRODUCTION, VAR_DIR, env, secret
from config.environment import PROFILE as PROFILE  # a setting like the others
from config.vendors import VENDORS

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = secret("SECRET_KEY", lambda: secrets.token_urlsafe(50))
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]", "testserver"]
)

# The address under which browsers and vendors reach us. OAuth redirect URIs and webhook signatures are built from
# it, never from the Host header, which an attacker can set.
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
# A mapping is one form: a hundred rows of a dozen fields, and its other rules.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000

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
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "axes",
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
    "django_otp.middleware.OTPMiddleware",
    "config.signin.gate.TwoFactorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: who is locked out is not even asked for the password
    "sync.roles.PasswordBackend",
    "sync.roles.RolesBackend",
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
    for key in secret(
        "FIELD_ENCRYPTION_KEYS",
        lambda: "k1:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    ).split(",")
    if key
]

# Hosts that tokens may be sent to, besides the vendors' own (SEC-15). Set by the demo to the sandbox's address.
EXTRA_ALLOWED_HOSTS: list[str] = env.list("EXTRA_ALLOWED_HOSTS", default=[])
# Origins that may frame card pages, besides the CRM's own (SEC-13). Set by the demo to the sandbox's host page.
EXTRA_FRAME_ANCESTORS: list[str] = env.list("EXTRA_FRAME_ANCESTORS", default=[])

# Settle time of an unknown outcome: our timeout + the server's lateness + the search index's lag (trust A1).
HTTP_TIMEOUT_SECONDS = env.int("HTTP_TIMEOUT_SECONDS", default=30)
REMOTE_LATENESS_SECONDS = env.int("REMOTE_LATENESS_SECONDS", default=60)
SEARCH_LAG_SECONDS = env.int("SEARCH_LAG_SECONDS", default=30)
LOOK_AGAIN_SECONDS = env.int("LOOK_AGAIN_SECONDS", default=60)  # between two searches that must both find nothing
SETTLE_SECONDS = env.int("SETTLE_SECONDS", default=HTTP_TIMEOUT_SECONDS + REMOTE_LATENESS_SECONDS + SEARCH_LAG_SECONDS)

# A field of a record that returns to an earlier value more often than this, against somebody else, pauses itself.
PING_PONG_FLIPS = env.int("PING_PONG_FLIPS", default=5)
PING_PONG_HOURS = env.int("PING_PONG_HOURS", default=24)

# How long what is no evidence is kept, in days, and accounting evidence, in whole years after the end of its year.
RETENTION = {
    "payloads": env.int("KEEP_PAYLOADS_DAYS", default=90),  # what was sent and answered
    "events": env.int("KEEP_EVENTS_DAYS", default=30),  # what the inbox heard, once it is dealt with
    "logs": env.int("KEEP_LOGS_DAYS", default=365),
    "changes": env.int("KEEP_CHANGES_DAYS", default=730),  # what the record pages are made of
    "notices": env.int("KEEP_NOTICES_DAYS", default=180),  # once they healed, and the messages about them
    "reconciliations": env.int("KEEP_RECONCILIATIONS_DAYS", default=400),  # those that nobody signed
    "shadow_reports": env.int("KEEP_SHADOW_REPORTS_DAYS", default=400),
    "evidence_years": env.int("KEEP_EVIDENCE_YEARS", default=7),
}

# --- People and pages -----------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("sv", _("Swedish"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "Europe/Stockholm"
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"

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
# Everybody shows a second factor. Without it, whoever has set one up still shows it.
REQUIRE_TWO_FACTOR = env.bool("REQUIRE_TWO_FACTOR", default=PRODUCTION)
OTP_TOTP_ISSUER = env.str("OTP_ISSUER", default="Ledgerbridge")
# Proxies in front of us: addresses, networks, or the word unix. X-Forwarded-For is read only as far as they go.
TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", default=[])
AXES_HANDLER = "config.signin.throttle.Handler"
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "ip_address", "username"]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_CLIENT_IP_CALLABLE = "config.signin.address.client_address"
AXES_LOCKOUT_CALLABLE = "config.signin.throttle.locked_out"
AXES_VERBOSE = False
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # OAuth callbacks are top-level navigations from the vendor: Strict would drop it
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "config.error_pages.form_expired"
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
        # A form that connects ends at a vendor's sign-in page; every Salesforce org has one of its own.
        "form-action": [
            "'self'",
            *sorted({v["oauth_url"] for v in VENDORS.values()}),
            VENDORS["salesforce"]["test_url"],
            "https://*.my.salesforce.com",
        ],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
if PRODUCTION:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_PROXY", default=False) else None
    # Supervisors ask in clear text, on the machine itself.
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^healthz/"]
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31536000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

# --- Messages -------------------------------------------------------------------------------------------------
# Without EMAIL_URL development prints mail; production hands it to the machine's own mail server.
globals().update(env.email_url("EMAIL_URL", default="smtp://localhost:25" if PRODUCTION else "consolemail://"))
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=10)
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("EMAIL_FROM", default="Ledgerbridge <ledgerbridge@localhost>")
# Who hears of the watchdog's alarms when the database, which knows everybody else, is away.
ALARM_EMAILS: list[str] = env.list("ALARM_EMAILS", default=[])

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
        # So does gunicorn: paths below /webhooks/salesforce/ hold a secret.
        "gunicorn.access": {"handlers": ["console"], "propagate": False},
        # It writes access and refresh tokens at DEBUG.
        "requests_oauthlib": {"level": "INFO"},
        "oauthlib": {"level": "INFO"},
        "urllib3": {"level": "WARNING"},
        "django-q": {"level": "WARNING"},
    },
}
