"""A request that arrives in pieces is complete with its last byte, and is read as it was sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.web.workers import HELD, Client, client_of

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


@contextmanager
def connection() -> Iterator[tuple[socket.socket, Client]]:
    ours, theirs = socket.socketpair()
    with ours, client_of(theirs) as client:
        client.setblocking(False)
        yield ours, client


def read(client: Client) -> bytes:
    found = b""
    while client.is_holding:
        found += client.recv(1000)
    return found


@given(st.binary(max_size=300), st.lists(st.integers(1, 400), max_size=12))
def test_it_is_there_with_its_last_byte(body: bytes, cuts: list[int]) -> None:
    request = HEAD % len(body) + body
    places = sorted({cut for cut in cuts if cut < len(request)})
    pieces = [request[start:end] for start, end in zip([0, *places], [*places, len(request)], strict=True)]
    with connection() as (ours, client):
        there = []
        for piece in pieces:
            ours.sendall(piece)
            there.append(client.collect())
        assert there == [False] * (len(pieces) - 1) + [True]
        assert read(client) == request
        assert not client.collect()  # the next one


@pytest.mark.parametrize(
    ("sent", "there"),
    [
        (b"", False), (b"GET / HTTP/1.1\r\n", False), (b"GET / HTTP/1.0\n\n", True), (b"\r\n\r\n", True),
        (HEAD % 65_536, False), (HEAD % 65_537, True), (HEAD % 10**14, True),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\ncontent-LENGTH:5\r\n\r\n", False),
        (b"POST / HTTP/1.1\r\nX: content-length: 5\r\n\r\n", True),
    ],
)  # fmt: skip
def test_what_is_waited_for(sent: bytes, there: bool) -> None:
    with connection() as (ours, client):
        ours.sendall(sent)
        assert client.collect() == there


def test_the_end_of_a_connection_is_for_a_thread_to_see() -> None:
    with connection() as (ours, client):
        ours.shutdown(socket.SHUT_WR)
        assert client.collect()


def test_a_head_without_an_end_ends_the_connection() -> None:
    with connection() as (ours, client):
        ours.setblocking(False)
        left = memoryview(b"X: y\r\n" * (HELD // 6 + 1))
        while not client.collect():
            left = left[ours.send(left) :]
        assert len(read(client)) == HELD
        assert client.recv(1000) == b""


def test_a_body_is_asked_for_once_where_it_waits_to_be() -> None:
    with connection() as (ours, client):
        ours.sendall(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert [client.collect(), client.collect()] == [False, False]
        assert ours.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        ours.sendall(b"{}")
        assert client.collect()
