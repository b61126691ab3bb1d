"""Limits of time and size against a real socket: what a mocked network cannot show."""

import gzip
import socket
import threading
import time

import pytest

from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable


class Server:
    """Answers each connection's first request with the given pieces, pausing between them."""

    def __init__(self, *pieces, pause=0.0, reset=False):
        self.pieces, self.pause, self.reset = pieces, pause, reset
        self.connections = self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/thing"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection:
            try:
                connection.recv(65536)
                for piece in self.pieces:
                    connection.sendall(piece)
                    self.sent += 1
                    time.sleep(self.pause)
                if self.reset:
                    linger_zero = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
            except OSError:
                return

    def close(self):
        self._listener.close()


@pytest.fixture
def serve():
    servers = []

    def start(*pieces, **how):
        servers.append(Server(*pieces, **how))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def client(timeout=0.4):
    return Http(timeout=timeout, rate=0, sleep=lambda seconds: None)


def head(length=None, *more):
    lines = ["HTTP/1.1 200 OK", *more, *([f"Content-Length: {length}"] if length is not None else []), "", ""]
    return "\r\n".join(lines).encode()


def test_an_answer_in_pieces_is_put_together(serve):
    server = serve(head(9), b"[1,", b"2,", b"3,4]", pause=0.01)
    assert client().get_json(server.url) == [1, 2, 3, 4]


def test_a_chunked_compressed_answer_is_unpacked(serve):
    packed = gzip.compress(b'{"a":1}')
    chunk = f"{len(packed):x}\r\n".encode() + packed + b"\r\n0\r\n\r\n"
    server = serve(head(None, "Transfer-Encoding: chunked", "Content-Encoding: gzip"), chunk)
    assert client().get_json(server.url) == {"a": 1}


def test_an_answer_shorter_than_announced_is_truncated(serve):
    server = serve(head(100), b"[1,2]")
    with pytest.raises(BadAnswer, match="truncated"):
        client().get_json(server.url)
    assert server.connections == 1


def test_a_chunked_answer_without_its_end_is_truncated(serve):
    server = serve(head(None, "Transfer-Encoding: chunked"), b"5\r\n[1,2]\r\n")
    with pytest.raises(BadAnswer, match="truncated"):
        client().get_json(server.url)


def test_a_compressed_answer_without_its_end_is_a_bad_answer(serve):
    packed = gzip.compress(b"[" + b"1," * 5000 + b"1]")[:-30]
    server = serve(head(len(packed), "Content-Encoding: gzip"), packed)
    with pytest.raises(BadAnswer):
        client().get_json(server.url)


def test_a_connection_that_breaks_off_is_tried_again(serve):
    server = serve(head(100), b"[1,", pause=0.05, reset=True)
    with pytest.raises(Unavailable):
        client().get_json(server.url)
    assert server.connections == 3


def test_a_silent_server_is_left_after_two_timeouts(serve):
    server = serve(b"", pause=60)
    with pytest.raises(Unavailable, match="no answer within"):
        client().get_json(server.url)
    assert server.connections == 2


def test_a_server_that_stalls_in_the_middle_is_left_after_two_timeouts(serve):
    server = serve(head(100), b"[1,", b"", pause=60)
    with pytest.raises(Unavailable, match="timed out while reading"):
        client().get_json(server.url)
    assert server.connections == 2


def test_a_dripping_server_is_left_at_the_deadline(serve):
    server = serve(head(1000), *[b" "] * 1000, pause=0.05)
    with pytest.raises(Unavailable, match="too slowly"):
        client().get_json(server.url)
    assert server.connections == 1
    assert server.sent < 1000


def test_a_dripping_stream_is_left_at_its_deadline(serve):
    server = serve(head(1000), *[b" "] * 1000, pause=0.05)
    with pytest.raises(Unavailable, match="too slowly"), client().open_stream(server.url) as body:
        body.read_all()


def test_a_server_that_drips_its_head_is_left_after_two_timeouts(serve):
    server = serve(b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 1000, pause=0.05)
    with pytest.raises(Unavailable, match="no answer within"):
        client().get_json(server.url)
    assert server.connections == 2


def test_a_stream_ends_with_nothing(serve):
    server = serve(head(3), b"abc")
    with client().open_stream(server.url) as body:
        assert (body.read(), body.read(), body.read()) == (b"abc", b"", b"")


def test_a_stream_is_refused_when_it_grows_too_large(serve):
    server = serve(head(1000), b" " * 1000)
    with pytest.raises(BadAnswer, match="too large"), client().open_stream(server.url, max_bytes=999) as body:
        body.read_all()


def test_nobody_listening_is_an_outage(serve):
    server = serve(b"")
    server.close()
    with pytest.raises(Unavailable, match="connection refused"):
        client().get_json(server.url)
