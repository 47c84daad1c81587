"""The only settings file. Everything comes from the environment; docs/configuration.md explains each variable.

A wrong or missing value stops the start with a sentence that names the variable.
"""

from pathlib import Path
from typing import Any

import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

from gateway.processes import locations, secret_files
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

ALLOWED_HOSTS = env.list(
    "FLEXGATE_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if FLEXGATE_DEBUG else []
)

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "guardian",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "tenants.apps.TenantsConfig",
    "gateway.apps.GatewayConfig",
    "billing.apps.BillingConfig",
]
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend", "guardian.backends.ObjectPermissionBackend"]
ANONYMOUS_USER_NAME = None  # guardian: nobody anonymous holds rights

# The shortest list that /api needs; sessions, messages and CSRF belong to a console, not to token clients.
MIDDLEWARE = [
    "tenants.middleware.RequestContextMiddleware",
    "gateway.middleware.NewDayMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
]
X_FRAME_OPTIONS = "DENY"
# No cookie is read anywhere: a request without a bearer token is nobody's, so there is nothing to forge. Returns with the console.
SILENCED_SYSTEM_CHECKS = ["security.W003"]
ROOT_URLCONF = "gateway.urls"
WSGI_APPLICATION = "gateway.wsgi.application"
APPEND_SLASH = False  # a redirect turns a POST into a GET in every FortiFlex client
TEMPLATES: list[dict[str, Any]] = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

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
SECURE_REDIRECT_EXEMPT = [r"(?i)^api/", r"(?i)^es/", r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 0 if FLEXGATE_DEBUG else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not FLEXGATE_DEBUG
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("FLEXGATE_BEHIND_PROXY", default=False) else None
)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not FLEXGATE_DEBUG

# --- The API ---
FLEXGATE_MAX_BODY_BYTES = env.int("FLEXGATE_MAX_BODY_BYTES", default=1_048_576)
DATA_UPLOAD_MAX_MEMORY_SIZE = FLEXGATE_MAX_BODY_BYTES
FLEXGATE_TOKEN_MAX_DAYS = env.int("FLEXGATE_TOKEN_MAX_DAYS", default=365)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [],  # ApiView checks scope and kind itself, before any look-up
    "DEFAULT_PARSER_CLASSES": ["tenants.bodies.ExactJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["tenants.bodies.ExactJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tenants.exceptions.handle_exception",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "flexgate",
    "DESCRIPTION": "The gateway between an MSP's customers and Fortinet FortiFlex. Points and money are strings; days are US Pacific days.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "tenants.openapi.complete_description",
    ],
    "ENUM_NAME_OVERRIDES": {
        "OperationStateEnum": "gateway.models.Operation.State",
        "OperationKindEnum": "gateway.models.Operation.Kind",
        "TenantStatusEnum": "tenants.models.Tenant.Status",
    },
}

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
CELERY_BEAT_SCHEDULE = {
    "keep-time": {"task": "gateway.tasks.keep_time", "schedule": 15.0},
    "sync": {"task": "gateway.tasks.sync_api_users", "schedule": 15 * 60.0},
    "points": {"task": "gateway.tasks.pull_all_points", "schedule": crontab(minute="10", hour="*/6")},
    "month-end": {"task": "billing.tasks.issue_month", "schedule": crontab(minute="5", hour="9")},
    "forget-calls": {"task": "gateway.tasks.forget_calls", "schedule": crontab(minute="40", hour="2")},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(FLEXGATE_DATA / "beat-schedule")

# --- Upstream writes ---
# FortiFlex may show a new entitlement only after a while: "not there" is believed only this long after it was asked for.
FLEXGATE_SETTLE_SECONDS = env.int("FLEXGATE_SETTLE_SECONDS", default=180)
