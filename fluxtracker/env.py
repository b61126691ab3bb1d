"""Read and check settings from the environment, a `.env` file, or defaults; create folders for the owner only.

Errors name the setting and the expected form, never the value, which may be a secret.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email


def make_private(folder: Path) -> None:
    """Create the folder and missing parents for their owner only; leave existing ones unchanged."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)  # raises if it is a file


def make_private_file(path: Path) -> None:
    """Create an empty file for its owner only, unless it exists or cannot be created."""
    if path.parent.is_dir() and not path.exists():
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError:
            return


LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 108 on Linux and 104 on macOS

TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}

HOST_NAME = re.compile(r"\*|\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]", re.ASCII)

# docs/upstream.md#app-payments: the addresses that FluxOS accepts for app payments, with the height each became valid.
APP_ADDRESSES = (
    "t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6@694000,"
    "t3aGJvdtd8NR6GrnqnRuVEzH6MbrXuJFLUX@1300000,"
    "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX@1670000"
)


@dataclass(frozen=True, slots=True)
class TrackedAddress:
    """A payment address, and the height from which its payments are revenue."""

    address: str
    first_height: int


OLDEST_SQLITE = (3, 35)


class WrongSetting(SystemExit, ImproperlyConfigured):
    """Ends any program with one line instead of a traceback; Django treats it as a wrong setting."""


def require_sqlite() -> None:
    """Exit if Python's SQLite is too old, as the shared counters need RETURNING."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise WrongSetting(f"SQLite: expected version {oldest} or newer; this Python has {sqlite3.sqlite_version}")


def read_dotenv(path: Path) -> None:
    """Read settings from a `.env` file; the environment takes precedence."""
    if path.is_file():
        environ.Env.read_env(str(path), overwrite=False)


DEMO_FILE = "demo.env"


def read_demo(data_dir: Path) -> bool:
    """Return whether the data dir belongs to a demo, whose settings then override all others.

    So everything that uses its data talks only to the simulated network, even with a `.env` for the live one.
    """
    path = data_dir / DEMO_FILE
    is_demo = path.is_file()
    if is_demo:
        environ.Env.read_env(str(path), overwrite=True)
    return is_demo


def wrong(name: str, expected: str) -> WrongSetting:
    return WrongSetting(f"{name}: expected {expected}")


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def folder(name: str, default: str, base: Path) -> Path:
    """Return an absolute path; a relative one is below `base`."""
    return (base / text(name, default)).resolve()


def _matched(name: str, default: str, pattern: str, expected: str) -> re.Match[str]:
    match = re.fullmatch(pattern, text(name, default))
    if not match:
        raise wrong(name, expected)
    return match


def listen_host(name: str, default: str) -> str:
    expected = "an address or a host name to listen on, such as 127.0.0.1, 0.0.0.0 or ::1"
    return _matched(name, default, r"[A-Za-z0-9._:-]{1,253}", expected)[0]


def flag(name: str, default: bool) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value not in TRUE | FALSE:
        raise wrong(name, "0 or 1")
    return value in TRUE


def whole(name: str, default: int, minimum: int = 0, maximum: int = 10**9) -> int:
    expected = f"a whole number from {minimum} to {maximum}"
    return int(_between(name, str(default), r"[0-9]{1,10}", minimum, maximum, expected))


def number(name: str, default: float, minimum: float = 0, maximum: float = 1e6) -> float:
    expected = f"a number from {minimum:g} to {maximum:g}"
    return _between(name, str(default), r"[0-9]{1,9}(\.[0-9]{1,6})?", minimum, maximum, expected)


def _between(name: str, default: str, pattern: str, minimum: float, maximum: float, expected: str) -> float:
    value = float(_matched(name, default, pattern, expected)[0])
    if not minimum <= value <= maximum:
        raise wrong(name, expected)
    return value


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def http_url(name: str, default: str) -> str:
    return _checked_url(name, text(name, default)).rstrip("/")


def http_urls(name: str, default: str) -> list[str]:
    urls = [_checked_url(name, url).rstrip("/") for url in words(name, default)]
    if not urls:
        raise wrong(name, "at least one address that starts with http:// or https://")
    return urls


def https_url(name: str) -> str:
    """Return an https URL as written, or ''."""
    return _checked_url(name, text(name), ("https",)) if text(name) else ""


def apprise_urls(name: str) -> list[str]:
    """Return space-separated URLs that Apprise supports. They are secrets."""
    urls = text(name).split()
    if urls:
        from apprise import Apprise

        if not all(Apprise().add(url) for url in urls):
            raise wrong(
                name, "addresses as Apprise writes them, with spaces between, such as ntfys://ntfy.example.org/topic"
            )
    return urls


def _checked_url(name: str, url: str, schemes: tuple[str, ...] = ("http", "https")) -> str:
    parts = _parts(url)
    if parts is None or parts.scheme not in schemes or not parts.hostname or re.search(r"\s", url):
        starts = " or ".join(f"{scheme}://" for scheme in schemes)
        raise wrong(name, f"an address that starts with {starts} and has no spaces")
    return url


def _parts(url: str) -> SplitResult | None:
    """Return the parts of a URL, None if invalid."""
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:  # such as an invalid port, or half an IPv6 address
        return None


def hosts(name: str, default: str) -> list[str]:
    """Return host names for Django's ALLOWED_HOSTS: without scheme, port and path."""
    names = words(name, default)
    if not names or not all(HOST_NAME.fullmatch(host) for host in names):
        raise wrong(name, "comma separated host names without scheme and port, such as flux.example.org")
    return names


def origins(name: str) -> list[str]:
    return _origins(name, "comma separated origins such as https://example.org")


def readers(name: str) -> list[str]:
    """Return origins whose pages may read, or only `*` for any."""
    return ["*"] if text(name) == "*" else _origins(name, "comma separated origins such as https://example.org, or *")


def _origins(name: str, expected: str) -> list[str]:
    origins = [word.rstrip("/").lower() for word in words(name)]
    if not all(re.fullmatch(r"https?://[^/\s?#@]+", origin) for origin in origins):
        raise wrong(name, expected)
    return origins


def rate_per_minute(name: str, default: str) -> int:
    """Return requests per minute, 0 for no limit, from `600/min`."""
    expected = "requests per minute such as 600/min, or 0 for no limit"
    return int(_matched(name, default, r"([0-9]{1,9})(/(min|minute|m))?", expected)[1])


def emails(name: str, default: str = "") -> list[str]:
    return _addresses(name, words(name, default), "comma separated e-mail addresses such as me@example.org")


def email(name: str, default: str) -> str:
    given = [text(name)] if text(name) else []
    return next(iter(_addresses(name, given, "one e-mail address such as fluxtracker@example.org")), default)


def _addresses(name: str, given: list[str], expected: str) -> list[str]:
    try:
        for address in given:
            validate_email(address)
    except ValidationError:
        raise wrong(name, expected) from None
    return given


@dataclass(frozen=True, slots=True)
class MailServer:
    """The outgoing mail server. `secure`: empty, tls (STARTTLS) or ssl."""

    host: str = "localhost"
    port: int = 25
    user: str = ""
    password: str = ""
    secure: str = ""


def mail_server(name: str, needed: bool) -> MailServer:
    """Return the server of a URL, which may be missing only if no mail is sent (`needed`)."""
    schemes = {"smtp": (25, ""), "smtp+tls": (587, "tls"), "smtps": (465, "ssl"), "smtp+ssl": (465, "ssl")}
    parts = _parts(text(name))
    if not text(name) and not needed:
        return MailServer()
    if parts is None or parts.scheme not in schemes or not parts.hostname or parts.path.strip("/"):
        why = "" if text(name) else ", because ALERT_EMAILS says that mail is to be sent"
        raise wrong(name, f"smtp://, smtp+tls:// or smtps://user:password@host:port{why}")
    port, secure = schemes[parts.scheme]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return MailServer(parts.hostname, parts.port or port, user, password, secure)


def paths(*names: str) -> list[str]:
    """Return path and query of the URLs in these settings: a webhook's secret."""
    urls = [parts for name in names if (parts := _parts(text(name)))]
    return [part for parts in urls for part in (parts.path.strip("/"), parts.query)]


def tracked_addresses(name: str = "REVENUE_ADDRESSES", default: str = APP_ADDRESSES) -> list[TrackedAddress]:
    expected = "comma separated addresses, each `address` or `address@first_height`"
    addresses: dict[str, TrackedAddress] = {}
    for word in words(name, default):
        match = re.fullmatch(r"(t[0-9A-Za-z]{25,61})(?:@([0-9]{1,9}))?", word)
        if not match or (match[2] is not None and int(match[2]) < 1):
            raise wrong(name, expected + " (letters and digits, beginning with t; heights from 1)")
        if match[1] in addresses:
            raise wrong(name, expected + ", each address once")
        addresses[match[1]] = TrackedAddress(match[1], int(match[2] or 1))
    if not addresses:
        raise wrong(name, expected)
    return list(addresses.values())


# For libpq: 10 s to connect, then a minute for a response, so that a silent host cannot block us.
SILENT_HOST = {
    "connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}  # fmt: skip


def database(name: str, data_dir: Path) -> dict[str, Any]:
    """Return Django's DATABASES["default"]: PostgreSQL from the URL, else SQLite under the data dir."""
    url = text(name)
    if not url:
        return sqlite(data_dir / "fluxtracker.sqlite3")
    if url.startswith("sqlite:///"):
        return sqlite(Path(url.removeprefix("sqlite:///")))
    if not url.startswith(("postgres://", "postgresql://")):
        raise wrong(name, "postgres://user:password@host:port/name, or sqlite:///path")
    try:
        config: dict[str, Any] = environ.Env.db_url_config(url)
    except (ValueError, ImproperlyConfigured):
        config = {}
    if not config.get("NAME") or _parts(url) is None:
        raise wrong(name, "postgres://user:password@host:port/name")
    options = SILENT_HOST | config.get("OPTIONS", {})
    return config | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}


JOURNAL_LIMIT = 64 * 2**20  # bytes to which a larger -wal file is cut, as after a slow reader


def sqlite(path: Path) -> dict[str, Any]:
    """Return SQLite's settings for many processes (docs/decisions/0002-embedded-services.md)."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
            "PRAGMA foreign_keys=ON; PRAGMA cache_size=-20000; "
            f"PRAGMA journal_size_limit={JOURNAL_LIMIT};",
        },
    }


def socket_path(data_dir: Path) -> Path:
    """Return the broker's socket under the data dir, or in a private folder in /tmp if that path is too long."""
    path = data_dir / "broker" / "broker.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path("/tmp") / f"fluxtracker-{os.getuid()}-{name}" / "broker.sock"  # noqa: S108  made with mode 0700


def redis_url(name: str, default: str) -> str:
    url = text(name, default)
    parts = _parts(url)
    if parts is None or parts.scheme not in ("redis", "rediss", "redis+socket"):
        raise wrong(name, "redis://host:port/number, rediss://... or redis+socket:///path")
    return url


def redis_py_url(url: str) -> str:
    """Return Celery's URL of a Redis server in redis-py's form."""
    return url.replace("redis+socket://", "unix://").replace("virtual_host=", "db=")


def passwords(*names: str) -> list[str]:
    """Return the passwords of the URLs in these settings, as written and decoded."""
    values = [parts.password for name in names if (parts := _parts(text(name)))]
    return [form for password in values if password for form in (password, unquote(password))]


def secret_key(data_dir: Path, debug: bool) -> str:
    """Return SECRET_KEY, or the key generated once into the data dir (mode 0600)."""
    given = text("SECRET_KEY")
    if given:
        return given
    path = data_dir / "secret_key"
    try:
        make_private(data_dir)
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(50))
        return path.read_text().strip()
    except OSError:
        if debug:
            return "insecure-key-of-a-debug-start-without-a-writable-data-dir"
        raise wrong(
            "SECRET_KEY",
            f"a value, because {data_dir} (FLUXTRACKER_DATA_DIR) cannot be written to keep a generated one",
        ) from None


def _write_once(path: Path, content: str) -> None:
    """Create the file atomically; if two processes start together, one wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(content)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
