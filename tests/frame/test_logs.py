import io
import logging

import pytest
import structlog
from django.conf import settings

from fluxtracker import logging as fluxtracker_logging


@pytest.fixture(autouse=True)
def as_it_was():
    """Loggers that other tests have used keep their configuration."""
    before = structlog.get_config()
    yield
    fluxtracker_logging.configure(debug=settings.DEBUG)
    structlog.configure(**before)


@pytest.fixture
def written():
    """What reaches stderr, written to memory instead."""
    stream = io.StringIO()
    fluxtracker_logging.configure(debug=False, secrets=["hunter22", "a", ""])
    logging.getLogger().handlers[0].stream = stream  # type: ignore[attr-defined]
    return stream.getvalue


def test_an_event_is_one_line_of_values(written):
    structlog.get_logger("some.room").info("revenue_synced", added=12, healthy=True)
    line = written()
    assert line.startswith("timestamp=20")
    assert "level=info event=revenue_synced added=12 healthy=true" in line
    assert line.count("\n") == 1


def test_events_of_other_libraries_look_the_same(written):
    logging.getLogger("celery.worker").error("lost the %s", "broker")
    assert 'level=error event="lost the broker"' in written()


def test_secrets_are_masked_whoever_logs_them(written):
    logging.getLogger("psycopg").warning("cannot reach postgres://me:hunter22@db/flux")
    try:
        raise ValueError("hunter22")
    except ValueError:
        logging.getLogger("some").exception("failed")
    assert "hunter22" not in written()
    assert "postgres://me:***@db/flux" in written()


def test_a_secret_of_one_letter_does_not_make_lines_unreadable(written):
    structlog.get_logger("some").info("a_event", name="anna")
    assert "event=a_event name=anna" in written()


def test_a_line_cannot_be_forged_by_a_newline_in_a_value(written):
    structlog.get_logger("some").info("request", path="/x\nlevel=error event=forged")
    assert written().count("\n") == 1


HOSTILE = {
    "\x1b[31m": "\\x1b[31m", "\r": "\\r", "\x07": "\\x07", "\x00": "\\x00", "\x7f": "\\x7f", "\x9b2J": "\\x9b2J",
    "\x85": "\\x85", "\u2028": "\\u2028", "\u2029": "\\u2029", "\u202e": "\\u202e", "\u2066": "\\u2066",
    "\u200b": "\\u200b", "\ud800": "\\ud800", "\U000e0041": "\\U000e0041",
}  # fmt: skip


@pytest.mark.parametrize(("sent", "shown"), HOSTILE.items(), ids=range(len(HOSTILE)))
def test_nothing_that_a_stranger_sends_moves_a_terminal(written, sent, shown):
    structlog.get_logger("fluxtracker").info("request", path=f"/x{sent}y")
    logging.getLogger("django.request").error("Not Found: %s", f"/x{sent}y")
    logging.getLogger("celery.worker").warning(f"unknown task x{sent}y")
    try:
        raise ValueError(f"the answer was x{sent}y")
    except ValueError:
        logging.getLogger("_granian").exception("failed")
    lines = written().removesuffix("\n").split("\n")
    assert [f"x{shown.lower()}y" in line.lower() for line in lines] == [True] * 4
    assert all(line.isprintable() for line in lines)


def test_letters_of_other_languages_stay_readable(written):
    structlog.get_logger("some").info("a_event", name="Żółw 龍 ünï")
    assert 'name="Żółw 龍 ünï"' in written()


@pytest.mark.parametrize("secret", ['hunter"22', "hunter\\22", 'hun"t er\\22'])
def test_a_secret_that_the_renderer_would_quote_is_masked_too(secret):
    stream = io.StringIO()
    fluxtracker_logging.configure(debug=False, secrets=[secret])
    logging.getLogger().handlers[0].stream = stream  # type: ignore[attr-defined]
    structlog.get_logger("some").info("connected", url=secret, text=f"told {secret} to all")
    assert stream.getvalue().count("***") == 2
    assert "hun" not in stream.getvalue()
