import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fluxtracker.supervisor.demo import free_port
from fluxtracker.supervisor.main import Address, announce_when_it_answers
from fluxtracker.supervisor.processes import CannotStart
from tests.waiting import eventually


@pytest.fixture
def page():
    """A server whose page answers with a chosen status."""

    class Handler(BaseHTTPRequestHandler):
        status = 200

        def do_GET(self) -> None:
            self.send_response(Handler.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Address("127.0.0.1", server.server_port), Handler
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("flux.example.org", "http://flux.example.org:8000"),
    ],
)
def test_the_address_is_one_that_a_browser_here_can_open(host, url):
    assert Address(host, 8000).url == url


def test_a_free_port_is_fine_again_and_again():
    address = Address("127.0.0.1", free_port())
    address.check_free()
    address.check_free()


def test_a_taken_port_is_refused_with_what_to_do():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(CannotStart, match=r"Address already in use\): choose another PORT or HOST"):
            Address("127.0.0.1", other.getsockname()[1]).check_free()


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(CannotStart, match=r"192\.0\.2\.1"):
        Address("192.0.2.1", 8000).check_free()


def test_a_page_answers_when_it_is_served(page):
    address, handler = page
    assert address.answers()
    handler.status = 502
    assert not address.answers()
    assert not Address("127.0.0.1", free_port()).answers()


def test_the_address_is_printed_once_the_page_is_there(page):
    address, handler = page
    handler.status, said = 503, []
    announce_when_it_answers(address, said.append, "hint", every=0.01)
    assert not eventually(lambda: said, 0.1)
    handler.status = 200
    assert eventually(lambda: len(said) == 2)
    assert said == [f"ready: {address.url}  (Ctrl-C ends everything)", "hint"]
