"""Answer requests: cached answers from the event loop, everything else by Django in a thread.

A client holds no thread while its request arrives or a cached answer is sent; only a download holds one, from a
separate pool, while its reader takes something at least every PATIENCE_S.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from operator import attrgetter
from typing import Any, cast

import structlog
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response

from fluxtracker.api import throttling
from fluxtracker.web import middleware
from fluxtracker.web.cache import INTERNAL, LAST_S, Address, Answer, Answers, Route, address_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATIENCE_S = 30.0  # for a body to arrive, and for a reader to take something
THREADS = 4  # few, as they share one interpreter with those that answer everyone
COMMON = 2  # separate threads for popular requests, so that they do not wait behind a crowd's searches
DOWNLOADS = 4  # separate threads: three downloads (dashboard.exports.base), and one to refuse the next
STREAMED = ("/export/", "/data/files/")
MOST_QUERY_BYTES = 4_000
MOST_BODIES = 200  # in transit at once, per process
# Applied to every request, even with a cached answer, outermost first.
EDGE = (
    middleware.RequestId,
    middleware.RequestLog,
    middleware.Latency,
    middleware.Headers,
    middleware.HeadWithoutBody,
    middleware.CrossOriginReads,
)
log = structlog.get_logger(__name__)
READ_AT = attrgetter("read_at")

# Dropped: everything is UTF-8, and Django would use it for the query too.
CHARSET = re.compile(r""";\s*charset=("[^"]*"|[^;]*)""", re.IGNORECASE)
UNCHANGED_WITHOUT = ("Content-Length", "Content-Encoding", "Content-Type")  # a 304 has no content


class ClientLeft(Exception):
    """The client has left before its request was complete."""


class ReaderGone(Exception):
    """The client has left, or has taken nothing for too long."""


class Application:
    """The ASGI application. It serves only HTTP."""

    def __init__(self) -> None:
        self._django = WSGIHandler()
        self._answers = Answers()
        self._threads = ThreadPoolExecutor(THREADS, "web")
        self._common = ThreadPoolExecutor(COMMON, "common")
        self._downloads = ThreadPoolExecutor(DOWNLOADS, "download")
        self._making: dict[Address, asyncio.Future[Answer]] = {}
        self._bodies = 0  # in transit

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if len(scope["query_string"]) > MOST_QUERY_BYTES:
            return await refuse(send, 414)
        environ = environ_of(scope)
        request = WSGIRequest(dict(environ))  # it decodes the path in the environ, as Django does later
        known = address_of(request)
        if known and await self._answer_known(request, *known, send):
            return None
        return await self._answer_alone(environ, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        for threads in (self._threads, self._common, self._downloads):
            threads.shutdown(wait=False, cancel_futures=True)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer_known(self, request: WSGIRequest, address: Address, route: Route, send: Send) -> bool:
        """Answer from the cache, filling it if needed. Return False if Django must answer this client individually."""
        quota = throttling.count(request)
        if quota and quota.is_over:
            return False
        answer = await self._find(address, route)
        if not answer.is_public:
            return False
        request.resolver_match, request.quota = route.match, quota  # type: ignore[attr-defined]
        respond: middleware.Answer = partial(respond_with, answer)
        for layer in reversed(EDGE):
            respond = layer(respond)
        response = respond(request)
        await send(start_of(response))
        await send({"type": "http.response.body", "body": response.content})  # type: ignore[attr-defined]
        return True

    async def _find(self, address: Address, route: Route) -> Answer:
        """Return the answer; on a miss one request makes it, and the others wait or get the last one."""
        answer = self._answers.find(address)
        if answer and answer.is_younger(route.fresh_s):
            return answer
        is_recent = answer is not None and answer.is_younger(LAST_S)
        making = self._making.get(address)
        if making is None:
            loop = asyncio.get_running_loop()
            threads = self._common if is_recent or not address.query else self._threads
            making = self._making[address] = loop.run_in_executor(threads, self._make, address, route, answer)
            making.add_done_callback(lambda _: self._making.pop(address))
        if answer and is_recent:
            return answer
        return await asyncio.shield(making)

    def _make(self, address: Address, route: Route, answer: Answer | None) -> Answer:
        """Ask Django, in a thread, for the answer or whether the last one is still valid."""
        answer = max(filter(None, (self._answers.find_shared(address), answer)), key=READ_AT, default=None)
        if answer and answer.is_younger(route.fresh_s):
            self._answers.keep(address, answer)
            return answer
        read_at = time.time()
        response = self._ask(environ_for(address, answer.etag if answer else ""))
        try:
            body = b"".join(response)
        finally:
            response.close()
        if answer and response.status_code == 304:
            answer = answer._replace(read_at=read_at)
        else:
            answer = Answer(response.status_code, tuple(response.items()), body, read_at)
        if answer.is_kept:
            self._answers.keep(address, answer)
        return answer

    def _ask(self, environ: dict[str, Any]) -> HttpResponse:
        response: Any = self._django(environ, start_response)
        return cast("HttpResponse", response)

    async def _answer_alone(self, environ: dict[str, Any], receive: Receive, send: Send) -> None:
        length = length_of(environ)
        if length:
            if self._bodies >= MOST_BODIES:
                return await refuse(send, 503)
            self._bodies += 1
            try:
                body = await asyncio.wait_for(body_of(length, receive), PATIENCE_S)
            except TimeoutError:
                return await refuse(send, 408)
            except ClientLeft:
                return None
            finally:
                self._bodies -= 1
            environ["wsgi.input"] = BytesIO(body)
        loop = asyncio.get_running_loop()
        if not environ["PATH_INFO"].startswith(STREAMED):
            start, whole = await loop.run_in_executor(self._threads, self._respond, environ)
            await send(start)
            return await send(whole)
        leaving = loop.create_task(left(receive))
        try:
            await loop.run_in_executor(self._downloads, self._stream, environ, Reader(send, loop, leaving))
        finally:
            leaving.cancel()

    def _respond(self, environ: dict[str, Any]) -> tuple[Message, Message]:
        """Let Django answer, in a thread."""
        response = self._ask(environ)
        try:
            return start_of(response), {"type": "http.response.body", "body": b"".join(response)}
        finally:
            response.close()

    def _stream(self, environ: dict[str, Any], reader: Reader) -> None:
        """Let Django answer, and send the response as fast as the client takes it."""
        response = self._ask(environ)
        try:
            reader.give(start_of(response))
            for chunk in response:
                reader.give({"type": "http.response.body", "body": chunk, "more_body": True})
            reader.give({"type": "http.response.body", "body": b""})
        except ReaderGone as error:
            log.info("reader_gone", path=environ["PATH_INFO"], reason=str(error))
        finally:
            response.close()


class Reader:
    """The client of an answer made in a thread. `leaving` is done when it has left."""

    def __init__(self, send: Send, loop: asyncio.AbstractEventLoop, leaving: asyncio.Task[None]) -> None:
        self._send, self._loop, self._leaving = send, loop, leaving

    def give(self, message: Message) -> None:
        """Send it from a thread. Raise ReaderGone if the client has left, or takes nothing for too long."""
        sending = asyncio.run_coroutine_threadsafe(self._give(message), self._loop)
        try:
            sending.result(PATIENCE_S)
        except TimeoutError:
            sending.cancel()
            raise ReaderGone("stalled") from None

    async def _give(self, message: Message) -> None:
        if self._leaving.done():
            raise ReaderGone("left")
        await self._send(message)


def respond_with(answer: Answer, request: HttpRequest) -> HttpResponseBase:
    """Send the answer, or 304 to a client that has it."""
    response = HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
    if answer.status == 200 and answer.etag and "HTTP_IF_NONE_MATCH" in request.META:
        known = get_conditional_response(request, etag=answer.etag, response=response)
        if known and known is not response:
            for name, value in answer.headers:
                if name not in UNCHANGED_WITHOUT:
                    known.headers[name] = value
            return known
    return response


def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
    """Do nothing, as Django's response has the same."""
    return len


def start_of(response: HttpResponseBase) -> Message:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    cookies = [(b"set-cookie", cookie.output(header="").strip().encode()) for cookie in response.cookies.values()]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers + cookies}


def environ_of(scope: Message) -> dict[str, Any]:
    """Return the WSGI environ of a request whose body has not been read.

    Headers with an underscore are dropped, as an environ cannot distinguish them from a hyphen.
    """
    host, port = scope["server"] or ("", 0)
    environ = base_environ(
        scope["method"], middleware.unversioned(scope["path"]), scope["query_string"].decode("latin-1"), host, str(port)
    )
    environ[middleware.BEGAN] = time.perf_counter()
    environ["REMOTE_ADDR"] = scope["client"][0] if scope["client"] else ""
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").upper()
        if "_" in name:
            continue
        key = name.replace("-", "_")
        key = key if key in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{key}"
        text = value.decode("latin-1")
        text = CHARSET.sub("", text) if key == "CONTENT_TYPE" else text
        separator = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{separator}{text}" if key in environ else text
    middleware.drop_untrusted_headers(environ)
    return environ


def environ_for(address: Address, etag: str) -> dict[str, Any]:
    """Return the environ of our own request, the same for every client of this address."""
    environ = base_environ("GET", address.path, address.query, address.host.partition(":")[0], "80")
    environ |= {
        INTERNAL: True,
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": address.host,
        "HTTP_ACCEPT_ENCODING": address.encoding,
    }
    if address.scheme == "https":
        environ["HTTP_X_FORWARDED_PROTO"] = "https"
    return environ | ({"HTTP_IF_NONE_MATCH": etag} if etag else {})


def base_environ(method: str, path: str, query: str, host: str, port: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


async def left(receive: Receive) -> None:
    """Wait until the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def length_of(environ: dict[str, Any]) -> int:
    """Return the length of the body, 0 also if too large or unknown, which Django refuses unread."""
    text = environ.get("CONTENT_LENGTH", "")
    length = int(text) if text.isdecimal() else 0
    return length if length <= middleware.most_body_bytes(environ["PATH_INFO"]) else 0


async def body_of(length: int, receive: Receive) -> bytes:
    parts = list[bytes]()
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            body = b"".join(parts)
            if len(body) < length:
                raise ClientLeft
            return body


async def refuse(send: Send, status: int) -> None:
    """Answer before Django, and close the connection."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b""})
