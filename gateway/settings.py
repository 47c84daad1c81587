"""The only settings file. Everything comes from the environment; docs/configuration.md explains each variable.

A wrong or missing value stops the start with a sentence that names the variable.
"""

from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from gateway.api.tables import ALLOWED_HEADERS, DESCRIPTION, EXPOSED_HEADERS
from gateway.processes import locations, secret_files
from gateway.timetable import SCHEDULE
from tenants.logs import configure_logs

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

DEBUG = False  # Django's own debug pages would show settings; FLEXGATE_DEBUG relaxes only what is named below.
FLEXGATE_DEBUG = env.bool("FLEXGATE_DEBUG", default=False)
FLEXGATE_DATA = Path(env.str("FLEXGATE_DATA", default=str(BASE_DIR / ".data"))).resolve()
FLEXGATE_ENVIRONMENT = env.str("FLEXGATE_ENVIRONMENT", default="test" if FLEXGATE_DEBUG else "live")
if FLEXGATE_ENVIRONMENT not in {"live", "test"}:
    raise ImproperlyConfigured("FLEXGATE_ENVIRONMENT must be 'live' or 'test'.")
# Tests see month ends with this: every process of a gateway runs so many seconds ahead (or behind). Production refuses it.
FLEXGATE_CLOCK_SHIFT = env.int("FLEXGATE_CLOCK_SHIFT", default=0)
if FLEXGATE_CLOCK_SHIFT and not FLEXGATE_DEBUG:
    raise ImproperlyConfigured("FLEXGATE_CLOCK_SHIFT moves the clock and needs FLEXGATE_DEBUG=1.")


def read_secret(name: str) -> str:
    """A secret from the environment, or with FLEXGATE_DEBUG=1 one that is generated once under FLEXGATE_DATA."""
    value = env.str(name, default="")
    if value:
        return str(value)
    if not FLEXGATE_DEBUG:
        raise ImproperlyConfigured(
            f"{name} is not set. Set it, or set FLEXGATE_DEBUG=1 to practise with generated secrets."
        )
    return secret_files.read_or_create(FLEXGATE_DATA, name)


SECRET_KEY = read_secret("FLEXGATE_SECRET_KEY")
# "id:base64key", the newest first: the first one writes, all of them read.
FLEXGATE_TOKEN_PEPPERS = read_secret("FLEXGATE_TOKEN_PEPPERS")
FLEXGATE_CREDENTIAL_KEYS = read_secret("FLEXGATE_CREDENTIAL_KEYS")
FLEXGATE_TAG_KEY = read_secret("FLEXGATE_TAG_KEY")
FLEXGATE_AUDIT_KEYS = read_secret("FLEXGATE_AUDIT_KEYS")

ALLOWED_HOSTS = env.list(
    "FLEXGATE_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if FLEXGATE_DEBUG else []
)

INSTALLED_APPS = [
    "tenants.apps.AdminSiteConfig",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "guardian",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "tenants.apps.TenantsConfig",
    "gateway.apps.GatewayConfig",
    "billing.apps.BillingConfig",
]
AUTHENTICATION_BACKENDS = ["tenants.staff.StaffBackend", "guardian.backends.ObjectPermissionBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "CommonPasswordValidator", "NumericPasswordValidator")
] + [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}}]
ANONYMOUS_USER_NAME = None  # guardian: nobody anonymous holds rights

# Sessions, users and messages are for the admin: those middlewares step aside for every other path.
MIDDLEWARE = [
    "tenants.middleware.RequestContextMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "gateway.middleware.NewDayMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "tenants.admin_middleware.PagesMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# Sessions, sign-in, messages and CSRF stand within PagesMiddleware, where these checks don't look.
SILENCED_SYSTEM_CHECKS = ["admin.E408", "admin.E409", "admin.E410", "security.W003"]
X_FRAME_OPTIONS = "DENY"
ROOT_URLCONF = "gateway.urls"
WSGI_APPLICATION = "gateway.wsgi.application"
APPEND_SLASH = False  # a redirect turns a POST into a GET in every FortiFlex client
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- PostgreSQL: the gateway's role owns nothing; migrations run through "owner" ---
EMBEDDED_POSTGRES = not env.str("DATABASE_URL", default="")
DATABASES: dict[str, dict[str, Any]] = {}
if EMBEDDED_POSTGRES:
    DATABASES["default"] = locations.embedded_database(FLEXGATE_DATA, role="flexgate")
    DATABASES["owner"] = locations.embedded_database(FLEXGATE_DATA, role="flexgate_owner")
else:
    DATABASES["default"] = env.db_url("DATABASE_URL")
    if env.str("DATABASE_OWNER_URL", default=""):  # only what migrates needs it, and says so where it is missing
        DATABASES["owner"] = env.db_url("DATABASE_OWNER_URL")
FLEXGATE_PREPARED_STATEMENTS = env.bool("FLEXGATE_PREPARED_STATEMENTS", default=True)
DATABASES["default"] |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Celery: a timer and a wake-up. What is due is always found again in PostgreSQL ---
EMBEDDED_BROKER = not env.str("CELERY_BROKER_URL", default="")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="") or locations.embedded_broker_url(FLEXGATE_DATA)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "America/Los_Angeles"  # schedules follow billing days
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- Time and language: UTC in the database; the billing day comes from gateway.days alone ---
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
LANGUAGE_CODE = "en"

STATIC_URL = "/static/"
STATIC_ROOT = None  # served straight from the installed packages: nothing to collect, nothing to forget
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

SECURE_SSL_REDIRECT = not FLEXGATE_DEBUG
SECURE_REDIRECT_EXEMPT = [r"(?i)^api/", r"(?i)^es(/|$)", r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 0 if FLEXGATE_DEBUG else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not FLEXGATE_DEBUG
# How many proxies of ours stand in front: their X-Forwarded-For and X-Forwarded-Proto are believed, nobody else's.
FLEXGATE_PROXIES = env.int("FLEXGATE_PROXIES", default=0)
if FLEXGATE_PROXIES < 0:
    raise ImproperlyConfigured("FLEXGATE_PROXIES is the number of proxies in front of the gateway: 0 or more.")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if FLEXGATE_PROXIES else None

# --- Staff: sign-in, sessions, second factor ---
FLEXGATE_SECOND_FACTOR = env.bool("FLEXGATE_SECOND_FACTOR", default=False)  # True: nobody signs in without one
OTP_TOTP_ISSUER = "flexgate"  # what an authenticator app shows beside the name
SESSION_ENGINE = "tenants.sessions"
SESSION_COOKIE_NAME = "flexgate_session" if FLEXGATE_DEBUG else "__Host-flexgate_session"
CSRF_COOKIE_NAME = "flexgate_csrf" if FLEXGATE_DEBUG else "__Host-flexgate_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not FLEXGATE_DEBUG
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_FAILURE_VIEW = "tenants.exceptions.answer_csrf_failure"
LOGIN_URL = "/admin/login/"

# --- Browsers of portal front ends: no origin may call us unless it is named ---
CORS_ALLOWED_ORIGINS = env.list("FLEXGATE_CORS_ORIGINS", default=[])
CORS_URLS_REGEX = r"(?i)^/+(api|es)/"
CORS_ALLOW_CREDENTIALS = False  # portals send tokens, never our cookies
CORS_ALLOW_HEADERS, CORS_EXPOSE_HEADERS = ALLOWED_HEADERS, EXPOSED_HEADERS

# --- The API ---
FLEXGATE_MAX_BODY_BYTES = env.int("FLEXGATE_MAX_BODY_BYTES", default=1_048_576)
DATA_UPLOAD_MAX_MEMORY_SIZE = FLEXGATE_MAX_BODY_BYTES
# Requests a minute. A token's children share its rate; all tokens of a tenant share another (a tenant's own limit goes first).
FLEXGATE_REQUESTS_PER_TOKEN = env.int("FLEXGATE_REQUESTS_PER_TOKEN", default=600)
FLEXGATE_REQUESTS_PER_TENANT = env.int("FLEXGATE_REQUESTS_PER_TENANT", default=1200)
FLEXGATE_REQUESTS_PER_OPERATOR_TOKEN = env.int("FLEXGATE_REQUESTS_PER_OPERATOR_TOKEN", default=6000)
FLEXGATE_FAILURES_PER_ADDRESS = env.int("FLEXGATE_FAILURES_PER_ADDRESS", default=20)
for _name in ("REQUESTS_PER_TOKEN", "REQUESTS_PER_TENANT", "REQUESTS_PER_OPERATOR_TOKEN", "FAILURES_PER_ADDRESS"):
    if globals()[f"FLEXGATE_{_name}"] < 1:
        raise ImproperlyConfigured(f"FLEXGATE_{_name} is a number a minute: 1 or more.")
# Which names a token can be narrowed to: the ground floor knows neither entitlements nor configs, so it asks.
FLEXGATE_REACH_FINDER = "gateway.narrowing.find_names"
FLEXGATE_TOKEN_MAX_DAYS = env.int("FLEXGATE_TOKEN_MAX_DAYS", default=365)
FLEXGATE_DROPIN = env.bool(
    "FLEXGATE_DROPIN", default=True
)  # answers as FortiFlex; on its paths alone to Fortinet's names
FORTINETS = ["support.fortinet.com", "customerapiauth.fortinet.com"]
FLEXGATE_DROPIN_HOSTS = env.list("FLEXGATE_DROPIN_HOSTS", default=FORTINETS)
FLEXGATE_DROPIN_SECONDS = env.float("FLEXGATE_DROPIN_SECONDS", default=14.0)  # below the 20 of FortiFlex's samples
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tenants.authentication.BearerAuthentication",
        "tenants.staff.StaffSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [],  # ApiView checks scope and kind itself, before any look-up
    "DEFAULT_PARSER_CLASSES": ["tenants.bodies.ExactJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["tenants.bodies.ExactJSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "tenants.negotiation.UsualFirst",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tenants.exceptions.handle_exception",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = DESCRIPTION

# --- Logs: JSON on stderr ---
FLEXGATE_LOG_LEVEL = env.str("FLEXGATE_LOG_LEVEL", default="INFO")
if FLEXGATE_LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    raise ImproperlyConfigured("FLEXGATE_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR.")
LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = configure_logs(FLEXGATE_LOG_LEVEL)

# --- The seller that statements print ---
FLEXGATE_SELLER_NAME = env.str("FLEXGATE_SELLER_NAME", default="Your MSP" if FLEXGATE_DEBUG else "")
FLEXGATE_SELLER_ADDRESS = [
    line.strip() for line in env.str("FLEXGATE_SELLER_ADDRESS", default="").split("|") if line.strip()
]
FLEXGATE_SELLER_TAX_ID = env.str("FLEXGATE_SELLER_TAX_ID", default="")
# A month is issued from this day of the next month, 09:00 Pacific.
FLEXGATE_ISSUE_GRACE_DAYS = env.int("FLEXGATE_ISSUE_GRACE_DAYS", default=3)

# --- What runs when (Pacific time, see CELERY_TIMEZONE) ---
CELERY_BEAT_SCHEDULE = SCHEDULE
CELERY_BEAT_SCHEDULE_FILENAME = str(FLEXGATE_DATA / "beat-schedule")

# --- Upstream writes ---
# Threads of a web process that may wait for FortiFlex: a quarter of its 64. 0 = a request's own thread waits, however many they are.
FLEXGATE_WAITING_THREADS = env.int("FLEXGATE_WAITING_THREADS", default=16)
# FortiFlex gives an API user nine errors an hour; a tenant may cause so many of them (its own limit goes first).
FLEXGATE_ERRORS_PER_TENANT = env.int("FLEXGATE_ERRORS_PER_TENANT", default=2)
# Writes of one tenant that may stand in the queue of an API user, and of all together.
FLEXGATE_QUEUE_PER_TENANT = env.int("FLEXGATE_QUEUE_PER_TENANT", default=200)
FLEXGATE_QUEUE = env.int("FLEXGATE_QUEUE", default=2000)
# The total deadline of one call, its login included; whoever sends a write has the lane for so long. Seen round trips are below 2 s.
FLEXGATE_CALL_SECONDS = env.float("FLEXGATE_CALL_SECONDS", default=60.0)
if not 1 <= FLEXGATE_CALL_SECONDS <= 60:  # the worker's leases are made for calls of a minute
    raise ImproperlyConfigured("FLEXGATE_CALL_SECONDS is the deadline of one call: 1 to 60 seconds.")
# FortiFlex may show a new entitlement only after a while: "not there" is believed only this long after it was asked for.
FLEXGATE_SETTLE_SECONDS = env.int("FLEXGATE_SETTLE_SECONDS", default=180)
