import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured

from fluxtracker import env

FLUX_ADDRESS = "t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX"


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SOME", raising=False)
    return lambda value: monkeypatch.setenv("SOME", value) or "SOME"


def test_a_value_of_spaces_is_no_value(name):
    assert env.text(name("  "), "default") == "default"


@pytest.mark.parametrize(("value", "meant"), [("1", True), ("TRUE", True), ("off", False), ("", True)])
def test_a_flag_reads_the_usual_words(name, value, meant):
    assert env.flag(name(value), default=True) is meant


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (lambda n: env.flag(n, False), "maybe", "0 or 1"),
        (lambda n: env.whole(n, 1, 1, 1000), "1001", "a whole number from 1 to 1000"),
        (lambda n: env.whole(n, 1, 1, 1000), "-1", "a whole number from 1 to 1000"),
        (lambda n: env.whole(n, 1, 1, 1000), "٣", "a whole number from 1 to 1000"),
        (lambda n: env.number(n, 1, 0.1, 600), "nan", "a number from 0.1 to 600"),
        (lambda n: env.http_url(n, ""), "ftp://example.org", "http:// or https://"),
        (lambda n: env.http_url(n, ""), "http://example.org:99999", "http:// or https://"),
        (lambda n: env.http_url(n, ""), "http://[::1", "http:// or https://"),
        (lambda n: env.http_url(n, ""), "http://a b", "no spaces"),
        (lambda n: env.http_url(n, ""), "http://a.example/x y", "no spaces"),
        (lambda n: env.http_urls(n, ""), "http://a.example,nonsense", "http:// or https://"),
        (lambda n: env.http_urls(n, "http://a.example"), ",", "at least one address"),
        (lambda n: env.http_urls(n, "http://a.example"), " , ,", "at least one address"),
        (lambda n: env.hosts(n, "localhost"), "https://flux.example.org", "flux.example.org"),
        (lambda n: env.hosts(n, "localhost"), "flux.example.org:443", "flux.example.org"),
        (lambda n: env.hosts(n, "localhost"), ",", "flux.example.org"),
        (env.origins, "example.org", "https://example.org"),
        (env.origins, "https://example.org/path", "https://example.org"),
        (lambda n: env.rate_per_minute(n, "600/min"), "10/s", "600/min"),
        (lambda n: env.redis_url(n, ""), "amqp://localhost", "redis://"),
        (lambda n: env.redis_url(n, ""), "redis://[::1", "redis://"),
        (lambda n: env.listen_host(n, "127.0.0.1"), "not a host", "127.0.0.1"),
        (env.tracked_addresses, "t1short", "address@first_height"),
        (env.tracked_addresses, f"{FLUX_ADDRESS}@0", "heights from 1"),
        (env.tracked_addresses, f"{FLUX_ADDRESS},{FLUX_ADDRESS}@5", "each address once"),
        (env.tracked_addresses, ",", "address@first_height"),
    ],
)
def test_a_wrong_value_names_the_setting_and_what_was_expected(name, read, value, expected):
    with pytest.raises(ImproperlyConfigured) as caught:
        read(name(value))
    assert str(caught.value).startswith("SOME: expected ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["mysql://root:hunter22@h/x", "postgres://root:hunter22@h:notaport/x", "postgres://root:hunter22@h:5432/"],
)
def test_a_wrong_database_url_is_refused_without_repeating_its_password(name, url):
    with pytest.raises(ImproperlyConfigured) as caught:
        env.database(name(url), Path("/nowhere"))
    assert "postgres://" in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_a_wrong_setting_ends_a_program_that_does_not_catch_it():
    assert issubclass(env.WrongSetting, SystemExit)
    assert env.wrong("PORT", "a port").code == "PORT: expected a port"


def test_without_a_url_the_database_is_sqlite_in_wal_mode_under_the_data_dir(name, tmp_path):
    config = env.database(name(""), tmp_path)
    assert config["ENGINE"].endswith("sqlite3")
    assert config["NAME"] == str(tmp_path / "fluxtracker.sqlite3")
    assert "journal_mode=WAL" in config["OPTIONS"]["init_command"]


def test_sqlites_journal_becomes_small_again_when_a_reader_made_it_grow(tmp_path, monkeypatch):
    monkeypatch.setattr(env, "JOURNAL_LIMIT", 100_000)
    options = env.sqlite(tmp_path / "db")["OPTIONS"]
    reader, writer = (sqlite3.connect(tmp_path / "db", isolation_level=None) for _ in range(2))
    with closing(reader), closing(writer):
        writer.executescript(options["init_command"] + "CREATE TABLE bits (bit)")
        reader.executescript("BEGIN; SELECT * FROM bits")
        for _ in range(10):
            writer.execute("INSERT INTO bits VALUES (zeroblob(100000))")
        journal = tmp_path / "db-wal"
        assert journal.stat().st_size > 1_000_000
        reader.execute("ROLLBACK")
        for _ in range(3):
            writer.execute("INSERT INTO bits VALUES (1)")
            writer.execute("PRAGMA wal_checkpoint")
        assert journal.stat().st_size <= 100_000


def test_a_postgres_url_becomes_a_checked_persistent_connection(name):
    config = env.database(name("postgres://me:s%40crets@db.example:6543/flux"), Path("/nowhere"))
    assert (config["HOST"], config["PORT"], config["NAME"]) == ("db.example", 6543, "flux")
    assert config["PASSWORD"] == "s@crets"
    assert config["CONN_HEALTH_CHECKS"]


def test_a_postgres_that_falls_silent_is_given_up_unless_the_url_says_how_long(name):
    config = env.database(name("postgres://me@db.example/flux?keepalives_idle=5&sslmode=require"), Path("/nowhere"))
    asked = psycopg.conninfo.conninfo_to_dict("", **config["OPTIONS"])
    assert asked["sslmode"] == "require"
    assert (int(asked["keepalives_idle"]), int(asked["keepalives_count"]), int(asked["connect_timeout"])) == (5, 3, 10)
    assert int(asked["tcp_user_timeout"]) == 60_000


def test_addresses_without_a_height_start_at_one(name):
    known = env.tracked_addresses(name(f"{FLUX_ADDRESS}, t1LUs6quf7TB2zVZmexqPQdnqmrFMGZGjV6@694000"))
    assert [(a.address[:3], a.first_height) for a in known] == [("t3N", 1), ("t1L", 694000)]


def test_hosts_are_names_as_django_takes_them(name):
    written = "localhost, 127.0.0.1,[::1],.example.org,*,a_b-c.example"
    assert env.hosts(name(written), "") == [word.strip() for word in written.split(",")]


def test_origins_lose_their_slash(name):
    assert env.origins(name("https://Example.org/, http://localhost:3000")) == [
        "https://example.org",
        "http://localhost:3000",
    ]


def test_a_dotenv_file_fills_in_but_does_not_override(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("FILLED=from file\nGIVEN=from file\n")
    monkeypatch.setenv("GIVEN", "from environment")
    monkeypatch.setenv("FILLED", "")
    monkeypatch.delenv("FILLED")
    env.read_dotenv(tmp_path / ".env")
    assert (env.text("FILLED"), env.text("GIVEN")) == ("from file", "from environment")


def test_the_secret_key_is_made_once_and_private(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "")
    first = env.secret_key(tmp_path / "data", debug=False)
    assert len(first) > 50
    assert env.secret_key(tmp_path / "data", debug=False) == first
    assert stat.S_IMODE((tmp_path / "data" / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret_key"]


def test_a_secret_key_is_asked_for_where_none_can_be_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY: expected a value"):
        env.secret_key(tmp_path / "file", debug=False)
    assert env.secret_key(tmp_path / "file", debug=True)


def test_passwords_are_found_in_addresses(monkeypatch):
    monkeypatch.setenv("SOME", "redis://:p%40ssword@host/0")
    monkeypatch.setenv("OTHER", "")
    assert set(env.passwords("SOME", "OTHER")) == {"p%40ssword", "p@ssword"}


@pytest.mark.parametrize(
    "value",
    ["http://hooks.example/x", "hooks.example/x", "https://", "https://[::1", "https://hooks.example/a b", "x"],
)
def test_a_webhook_is_an_https_address(name, value):
    with pytest.raises(ImproperlyConfigured, match="expected an address that starts with https://"):
        env.https_url(name(value))


def test_a_webhook_may_be_missing(name):
    assert env.https_url(name("")) == ""
    assert env.https_url(name("https://hooks.example/services/T0")) == "https://hooks.example/services/T0"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", ("mail.example", 25, "", "", "")),
        ("smtp+tls://me%40example.org:s%3Acret@mail.example", ("mail.example", 587, "me@example.org", "s:cret", "tls")),
        ("smtps://me:x@mail.example:4650", ("mail.example", 4650, "me", "x", "ssl")),
    ],
)
def test_a_mail_server_is_read_from_its_address(name, url, server):
    found = env.mail_server(name(url), needed=True)
    assert (found.host, found.port, found.user, found.password, found.secure) == server


@pytest.mark.parametrize("url", ["mail.example", "imap://me:hunter22@mail.example", "smtp://", "smtp://h:port"])
def test_a_wrong_mail_server_is_refused_without_repeating_its_password(name, url):
    with pytest.raises(ImproperlyConfigured) as caught:
        env.mail_server(name(url), needed=False)
    assert "smtp+tls://" in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_mail_that_is_wanted_needs_a_server(name):
    assert env.mail_server(name(""), needed=False).host == "localhost"
    with pytest.raises(ImproperlyConfigured, match="because ALERT_EMAILS"):
        env.mail_server(name(""), needed=True)


def test_addresses_of_people_are_checked(name):
    assert env.emails(name("one@example.org, two@example.org")) == ["one@example.org", "two@example.org"]
    with pytest.raises(ImproperlyConfigured, match=r"such as me@example\.org"):
        env.emails(name("one@example.org,two"))
    with pytest.raises(ImproperlyConfigured, match="one e-mail address"):
        env.email(name("one@example.org,two@example.org"), "")


def test_the_path_of_a_webhook_is_a_secret(name):
    assert env.paths(name("https://hooks.example/services/T0/abc?key=d")) == ["services/T0/abc", "key=d"]


def test_an_old_sqlite_ends_every_program_with_one_line(monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(SystemExit, match=r"SQLite: expected version 3\.35 or newer"):
        env.require_sqlite()
