"""Django settings. Every value an operator may set is read through `env`; README and docs list them."""

import os
from pathlib import Path

from fluxtracker import __version__, env, logging

BASE_DIR = Path(__file__).resolve().parent.parent
env.read_dotenv(BASE_DIR / ".env")
env.require_sqlite()

DATA_DIR = env.folder("FLUXTRACKER_DATA_DIR", "data", BASE_DIR)
DEMO = env.read_demo(DATA_DIR)  # before the demo's own settings
BUILD_DIR = BASE_DIR / "build"  # front-end parts and static files, made by `make setup`

DEBUG = env.flag("DEBUG", False)
HTTPS = env.flag("HTTPS", False)
METRICS_ON_LOOPBACK = env.flag("METRICS_ON_LOOPBACK", False)
HOST = env.listen_host("HOST", "127.0.0.1")
PORT = env.whole("PORT", 8000, minimum=1, maximum=65535)
WEB_PROCESSES = env.whole("WEB_PROCESSES", min(os.cpu_count() or 1, 4), minimum=1, maximum=64)
SECRET_KEY = env.secret_key(DATA_DIR, DEBUG)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
CORS_ALLOWED_ORIGINS = env.readers("CORS_ALLOWED_ORIGINS")

# The upstreams
FLUX_API_URL = env.http_url("FLUX_API_URL", "https://api.runonflux.io")
FLUX_STATS_URL = env.http_url("FLUX_STATS_URL", "https://stats.runonflux.io")
BLOCKBOOK_URLS = env.http_urls(
    "BLOCKBOOK_URLS",
    "https://blockbook.runonflux.io/api/v2,https://blockbookflux.app.runonflux.io/api/v2",
)
COINGECKO_URL = env.http_url("COINGECKO_URL", "https://api.coingecko.com/api/v3")
BINANCE_URL = env.http_url("BINANCE_URL", "https://api.binance.com/api/v3")
CRYPTOCOMPARE_URL = env.http_url("CRYPTOCOMPARE_URL", "https://min-api.cryptocompare.com/data")
CRYPTOCOMPARE_API_KEY = env.text("CRYPTOCOMPARE_API_KEY")
FLUX_EXPLORER_URL = env.http_url("FLUX_EXPLORER_URL", "https://explorer.runonflux.io/api")
UPSTREAM_TIMEOUT = env.number("UPSTREAM_TIMEOUT", 30, minimum=0.1, maximum=600)  # seconds
UPSTREAM_RATE = env.number("UPSTREAM_RATE", 4, maximum=1000)  # requests per second and host, 0: unlimited

# The ledger
REVENUE_ADDRESSES = env.tracked_addresses()
MIN_CONFIRMATIONS = env.whole("MIN_CONFIRMATIONS", 8, minimum=1, maximum=1000)
RETENTION_DAYS = env.whole("RETENTION_DAYS", 365, maximum=100_000)

API_RATE = env.rate_per_minute("API_RATE", "600/min")
REQUEST_LOGGING = env.flag("REQUEST_LOGGING", True)
LOG_GROUPS = {
    "health": env.flag("LOG_HEALTH_CHECKS", False),
    "stats": env.flag("LOG_STATS_ENDPOINTS", False),
    "metrics": env.flag("LOG_METRICS_ENDPOINTS", False),
    "comparison": env.flag("LOG_COMPARISON_ENDPOINTS", False),
    "history": env.flag("LOG_HISTORY_ENDPOINTS", True),
    "admin": env.flag("LOG_ADMIN_ENDPOINTS", True),
}
LOG_ERRORS_ONLY = env.flag("LOG_ERRORS_ONLY", False)

# Alerts (docs/operations.md)
ALERT_WEBHOOK_URL = env.https_url("ALERT_WEBHOOK_URL")
ALERT_EMAILS = env.emails("ALERT_EMAILS")
ALERT_URLS = env.apprise_urls("ALERT_URLS")
ALERT_PRIVATE_TARGETS = env.flag("ALERT_PRIVATE_TARGETS", False)
HEARTBEAT_URL = env.https_url("HEARTBEAT_URL")
MAIL_SERVER = env.mail_server("EMAIL_URL", needed=bool(ALERT_EMAILS))
EMAIL_HOST, EMAIL_PORT = MAIL_SERVER.host, MAIL_SERVER.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL_SERVER.user, MAIL_SERVER.password
EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL_SERVER.secure == "tls", MAIL_SERVER.secure == "ssl"
EMAIL_TIMEOUT = 10  # s
DEFAULT_FROM_EMAIL = env.email("EMAIL_FROM", EMAIL_HOST_USER if "@" in EMAIL_HOST_USER else "fluxtracker@localhost")

# Sign-in (docs/operations.md)
REQUIRE_SECOND_FACTOR = env.flag("REQUIRE_SECOND_FACTOR", False)
OIDC_ISSUER = env.https_url("OIDC_ISSUER")  # exactly as the provider writes it, including the slash
OIDC_CLIENT_ID = env.text("OIDC_CLIENT_ID")
OIDC_CLIENT_SECRET = env.text("OIDC_CLIENT_SECRET")
OIDC_NAME = env.text("OIDC_NAME", "single sign-on")
OIDC_STAFF_GROUP = env.text("OIDC_STAFF_GROUP")
OIDC_GROUPS_CLAIM = env.text("OIDC_GROUPS_CLAIM", "groups")

INSTALLED_APPS = [
    "ops.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_celery_beat",
    "django_htmx",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "csp",
    "rest_framework",
    "drf_spectacular",
    "fluxtracker",
    "ops",
    "revenue",
    "metrics",
    "carousel",
    "deployments",
    "snapshots",
    "reports",
    "dashboard",
]

MIDDLEWARE = [
    "fluxtracker.web.middleware.GiveBack",
    "fluxtracker.web.middleware.ApiVersion",
    "fluxtracker.web.middleware.RequestId",  # outermost: responses of those below get an id and a log line
    "fluxtracker.web.middleware.RequestLog",
    "fluxtracker.web.middleware.ForwardedScheme",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "fluxtracker.web.middleware.Latency",
    "fluxtracker.web.middleware.Headers",
    "fluxtracker.web.middleware.HeadWithoutBody",
    "fluxtracker.web.middleware.CrossOriginReads",
    "csp.middleware.CSPMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "fluxtracker.web.middleware.RateLimit",  # both before anything that reads a body or queries the database
    "fluxtracker.web.middleware.BodyLimit",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "ops.audit_log.AuditTrail",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "fluxtracker.urls"
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

# No form takes a file: uploads are refused, and never written to disk.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
DATA_UPLOAD_MAX_NUMBER_FILES = 0
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20  # bytes
MOST_FORM_BYTES = 2**16

OTP_TOTP_ISSUER = "Fluxtracker"
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # also where `next` leads to another site
LOGOUT_REDIRECT_URL = "admin:login"

DATABASES = {"default": env.database("DATABASE_URL", DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = "fluxtracker.formats"

STATIC_URL = "/static/"
STATIC_ROOT = BUILD_DIR / "static"
FRONTEND_DIR = BUILD_DIR / "frontend"  # filled by fluxtracker.supervisor.frontend; missing before `make setup`
STATICFILES_DIRS = [BASE_DIR / "static", *([FRONTEND_DIR] if FRONTEND_DIR.is_dir() else [])]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ("map", "gz", "br", "png", "jpg", "jpeg", "webp", "ico", "woff", "woff2")
if DEBUG:
    STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"

# Broker: Redis if REDIS_URL is set, else the embedded server under the data dir.
REDIS_URL = env.redis_url("REDIS_URL", f"redis+socket://{env.socket_path(DATA_DIR)}")
EMBEDDED_BROKER = not env.text("REDIS_URL")
MEMORY: dict[str, object] = {
    "BACKEND": "fluxtracker.web.cache.LocalMemory",
    "OPTIONS": {"MAX_ENTRIES": 2_000, "MAX_BYTES": 2**24},
}
CACHES: dict[str, dict[str, object]] = {"default": MEMORY, "local": MEMORY}
if not EMBEDDED_BROKER:
    CACHES["default"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.redis_py_url(REDIS_URL),
        "KEY_PREFIX": "fluxtracker.answers",
        "OPTIONS": {"serializer": "fluxtracker.web.cache.Plain", "socket_timeout": 0.2, "socket_connect_timeout": 0.2},
    }
CELERY_BROKER_URL = env.redis_url("CELERY_BROKER_URL", REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # wait for a broker that is away for an hour
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 900,  # s, longer than any hard time limit below
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True  # results are rows of ops.TaskRun
CELERY_TASK_SOFT_TIME_LIMIT = 780  # s
CELERY_TASK_TIME_LIMIT = 840  # s
CELERY_TASK_DEFAULT_QUEUE = "fluxtracker"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = 2
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 300_000  # KiB
CELERY_BEAT_SCHEDULER = "ops.beat_scheduler:Scheduler"
CELERY_TIMEZONE = "UTC"
DJANGO_CELERY_BEAT_TZ_AWARE = True

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": [
        "fluxtracker.api.negotiation.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "fluxtracker.api.negotiation.JSONByDefault",
    "DEFAULT_PARSER_CLASSES": [
        "fluxtracker.api.negotiation.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "ops.access.authentication.TokenAuthentication",
        "ops.access.authentication.StaffSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["ops.access.authentication.IsStaff"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "fluxtracker.api.exceptions.handle",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Fluxtracker",
    "DESCRIPTION": "What the Flux network earns and what it is. Amounts are FLUX, keys that end in `_sat` satoshi; "
    "days are UTC; `null` means unknown. An error says what is wrong and what is allowed: "
    '`{"error": "..."}`. Answers carry an `ETag`: ask with `If-None-Match`.',
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "HealthStatus": ["ok", "degraded", "error"],
        "PartStatus": ["ok", "error"],
        "PendingState": ["ok", "stale", "never"],
        "StateEnum": "deployments.models.AppLife.State",
        "LiveStatus": ["ok"],
        "WorkerStatus": ["ok", "missing", "unknown"],
        "ServiceStatus": ["ok", "failing", "failed", "never"],
        "SourceStatus": ["ok", "stale", "failed", "never"],
        "CheckKind": "ops.models.ServiceState.Kind",
        "CheckStatus": "ops.models.ServiceState.Status",
        "PaymentKind": "revenue.models.Payment.Kind",
        "AppKind": ["git", "docker", "encrypted"],
        "AppType": "revenue.models.AppType",
        "PaymentSource": "revenue.models.Payment.Source",
        "SnapshotSource": "snapshots.models.Snapshot.Source",
        "Trend": ["up", "down", "neutral"],
        "MetricGroup": ["revenue", "nodes", "cloud", "apps", "gaming", "crypto", "wordpress", "images"],
        "CalendarPeriod": ["day", "week", "month", "quarter", "year"],
        "ReportGroup": ["money", "customers", "volume", "network"],
        "ReportHow": ["sum", "mean", "ratio", "count"],
        "JobState": "ops.models.Job.State",
        "JobFailure": "ops.models.Job.Failure",
        "JobVia": ["api", "admin"],
        "ComparisonPeriod": ["D", "W", "M", "Q", "Y"],
        "PeriodEnum": ["daily", "weekly", "monthly", "quarterly", "yearly"],
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "manifest-src": ["'self'"],
    },
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
else:
    # By choice: plain HTTP is for the local machine; HTTPS=1 enables all four.
    SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]

LOGGING_CONFIG = None
logging.configure(
    debug=DEBUG,
    secrets=[
        SECRET_KEY,
        CRYPTOCOMPARE_API_KEY,
        OIDC_CLIENT_SECRET,
        *env.passwords("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "ALERT_WEBHOOK_URL", "EMAIL_URL"),
        *env.paths("ALERT_WEBHOOK_URL", "HEARTBEAT_URL"),
        *(form for url in ALERT_URLS for form in (url, url.partition("://")[2])),
    ],
)
