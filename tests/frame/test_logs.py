import io
import logging

import pytest
import structlog
from django.conf import settings

from fluxtracker import logs


@pytest.fixture(autouse=True)
def as_it_was():
    """Loggers that others have used keep what was configured then: it is what their tests look into."""
    before = structlog.get_config()
    yield
    logs.configure(debug=settings.DEBUG)
    structlog.configure(**before)


@pytest.fixture
def written():
    """What reaches stderr, written to memory instead."""
    stream = io.StringIO()
    logs.configure(debug=False, secrets=["hunter22", "a", ""])
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


@pytest.mark.parametrize("secret", ['hunter"22', "hunter\\22", 'hun"t er\\22'])
def test_a_secret_that_the_renderer_would_quote_is_masked_too(secret):
    stream = io.StringIO()
    logs.configure(debug=False, secrets=[secret])
    logging.getLogger().handlers[0].stream = stream  # type: ignore[attr-defined]
    structlog.get_logger("some").info("connected", url=secret, text=f"told {secret} to all")
    assert stream.getvalue().count("***") == 2
    assert "hun" not in stream.getvalue()
