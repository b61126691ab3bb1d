"""The web side as a client meets it: what is known comes from the cache, everything else from Django."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import caches
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from fluxtracker.web import asgi_app, cache
from fluxtracker.web.asgi_app import Application
from fluxtracker.web.cache import INTERNAL, LAST_S, Answer, LocalMemory, Plain
from revenue.ledger import writing
from revenue.models import DailyTotal, Payment
from tests.access.test_every_url import ALL, kind
from tests.dashboard.rows import FLUX, pay
from tests.dashboard.test_page import month

NOW = datetime(2026, 11, 18, 14, 5, tzinfo=UTC)
STATS, HOME = "/api/stats", "/"
OLD_S = LAST_S + 0.1

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("kept_connection")]


class Here(Executor):
    """Leaves the work to the test's own thread, whose connection has the test's transaction."""

    def __init__(self) -> None:
        self.work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def do() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        self.work.put(do)
        return future

    def wait_for(self, reply: Future[Reply]) -> Reply:
        reply.add_done_callback(lambda _: self.work.put(None))
        while do := self.work.get():
            do()
        return reply.result()


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Site:
    """The application, and what it asked Django for."""

    application: Application
    asked: list[dict[str, Any]]
    loop: asyncio.AbstractEventLoop
    here: Here

    def get(self, path: str, method: str = "GET", peer: str = "127.0.0.1", **headers: str) -> Reply:
        request = self.request(path, method, peer, **headers)
        return self.here.wait_for(asyncio.run_coroutine_threadsafe(request, self.loop))

    async def request(self, path: str, method: str = "GET", peer: str = "127.0.0.1", **headers: str) -> Reply:
        reply, (path, _, query) = Reply(), path.partition("?")
        scope = {
            "type": "http", "method": method, "path": path, "query_string": query.encode("latin-1"),
            "server": ("127.0.0.1", 8000), "client": (peer, 5000),
            "headers": [
                (name.replace("_", "-").lower().encode(), value.encode())
                for name, value in ({"host": "localhost"} | headers).items()
            ],
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)  # a download asks again and again whether its reader has left
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                reply.body += message["body"]

        await self.application(scope, receive, send)
        return reply

    @property
    def made(self) -> int:
        """How many answers were made or confirmed for everyone."""
        return sum(INTERNAL in environ for environ in self.asked)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    application, asked, here, loop = Application(), list[dict[str, Any]](), Here(), asyncio.new_event_loop()
    application._threads = application._common = application._downloads = here  # type: ignore[assignment]
    real = application._ask
    monkeypatch.setattr(application, "_ask", lambda environ: asked.append(environ) or real(environ))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Site(application, asked, loop, here)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def nothing_shared() -> None:
    caches["default"].clear()


def seconds(clock: time_machine.Traveller, number: float) -> None:
    clock.shift(timedelta(seconds=number))


def test_a_known_answer_is_not_made_again(site, clock):
    first = site.get(STATS)
    again = [site.get(STATS) for _ in range(5)]
    assert {reply.body for reply in again} == {first.body}
    assert (first.status, site.made, len(site.asked)) == (200, 1, 1)


def test_after_a_second_it_is_confirmed_without_being_made(site, clock, monkeypatch):
    month()
    first = site.get(HOME)
    seconds(clock, OLD_S)
    monkeypatch.setattr("dashboard.views._page", lambda *_: 1 / 0)
    assert site.get(HOME).body == first.body
    assert [environ.get("HTTP_IF_NONE_MATCH") for environ in site.asked] == [None, first.headers["etag"]]


@pytest.mark.engine
@pytest.mark.parametrize("path", ["/api/revenue/transactions?limit=5", HOME, "/panels/payments/"])
def test_a_new_payment_shows_within_two_seconds_and_so_does_a_ledger_that_was_cleared(site, clock, path):
    month()
    first = site.get(path).body
    pay(FLUX)
    seconds(clock, OLD_S)
    second = site.get(path).body
    assert second != first
    with writing():
        Payment.objects.all().delete()
        DailyTotal.objects.all().delete()
    seconds(clock, OLD_S)
    assert site.get(path).body not in (first, second)


def test_while_one_confirms_it_the_others_get_the_last_one_and_never_an_older_one(site, clock):
    month()
    first = site.get(STATS).body
    pay(FLUX)
    seconds(clock, (cache.FRESH_S + LAST_S) / 2)
    assert site.get(STATS).body == first  # and asks for the next
    assert site.get(STATS).body != first
    assert site.made == 2


def test_of_many_that_miss_an_answer_one_makes_it(site, clock, monkeypatch):
    application, gate, made = Application(), threading.Event(), list[str]()

    def slow(environ: dict[str, Any]) -> HttpResponse:
        made.append(environ["PATH_INFO"])
        assert gate.wait(60)
        return HttpResponse(b"made")

    monkeypatch.setattr(application, "_ask", slow)
    site.application = application

    async def crowd() -> list[Reply]:
        visitors = [asyncio.create_task(site.request(STATS)) for _ in range(50)]
        other = asyncio.create_task(site.request("/api/health/live"))
        await asyncio.sleep(0)
        gate.set()
        return [await visitor for visitor in [*visitors, other]]

    assert {reply.body for reply in asyncio.run(crowd())} == {b"made"}
    assert sorted(made) == ["/api/health/live", STATS]


def test_what_everyone_asks_for_does_not_wait_behind_a_crowds_searches(site, monkeypatch):
    application, gate = Application(), threading.Event()

    def slow(environ: dict[str, Any]) -> HttpResponse:
        assert not environ["QUERY_STRING"] or gate.wait(60)
        return HttpResponse(b"made")

    monkeypatch.setattr(application, "_ask", slow)
    site.application = application

    async def crowd() -> list[Reply]:
        paths = [f"/panels/payments/?search=app{n}" for n in range(2 * asgi_app.THREADS)]
        searches = [asyncio.create_task(site.request(path)) for path in paths]
        await asyncio.sleep(0)
        strip = await asyncio.wait_for(site.request("/panels/strip/"), 60)
        assert not any(search.done() for search in searches)
        gate.set()
        return [strip, *[await search for search in searches]]

    assert {reply.body for reply in asyncio.run(crowd())} == {b"made"}


DOWNLOADS = ("/export/", "/data/files/x/")


def test_no_private_answer_and_no_download_is_ever_kept():
    assert len(ALL) > 100
    kept = {label for label, _, path in ALL if cache.route(path)}
    public = {label for label, route, path in ALL if kind(label, route) == "public" and not path.startswith(DOWNLOADS)}
    assert kept == public


@pytest.mark.parametrize("headers", [{"cookie": "sessionid=abc"}, {"authorization": "Token abc"}])
@pytest.mark.parametrize("path", [HOME, STATS])
def test_who_signs_in_is_answered_alone(site, clock, path, headers):
    site.get(path)
    site.get(path, **headers)
    assert [INTERNAL in environ for environ in site.asked] == [True, False]


def test_staff_sees_the_admin_and_nobody_else_gets_it(site, clock):
    User.objects.create_superuser("alice", password="of-the-staff-1")
    client = Client()
    client.login(username="alice", password="of-the-staff-1")
    session = client.cookies["sessionid"].value
    assert site.get(reverse("admin:index"), cookie=f"sessionid={session}").status == 200
    assert site.get(reverse("admin:index")).status == 302


STRANGE = {
    "accept-language": "evil-EV",
    "cookie": "csrftoken=abc; theme=dark",
    "x-forwarded-host": "evil.test",
    "x-forwarded-proto": "https",
    "x-original-url": "/evil/",
    "x-http-method-override": "DELETE",
    "user-agent": "<script>",
    "referer": "http://evil.test/",
    "range": "bytes=0-9",
}


@pytest.mark.parametrize("path", [HOME, "/api/"])
@pytest.mark.parametrize("name", STRANGE)
def test_no_header_of_a_client_chooses_what_another_one_gets(site, clock, path, name):
    first = site.get(path, peer="203.0.113.9", **{name: STRANGE[name]})
    second = site.get(path)
    assert (first.status, first.body) == (200, second.body)
    assert STRANGE[name].encode() not in second.body
    assert site.made == 1


def test_a_host_gets_its_own_answer_and_a_wrong_one_none(site, clock, settings):
    settings.ALLOWED_HOSTS = ["localhost", "flux.test"]
    bodies = {host: site.get("/api/", host=host) for host in ("localhost", "flux.test", "evil.test", "Flux.test")}
    assert b"http://flux.test/api/health" in bodies["flux.test"].body
    assert bodies["Flux.test"].body == bodies["flux.test"].body
    assert b"http://localhost/api/health" in bodies["localhost"].body
    assert bodies["evil.test"].status == 400
    assert site.made == 3


def test_an_order_of_keys_is_one_address_and_unknown_keys_are_none(site, clock):
    answers = [
        site.get(f"/api/revenue/transactions?{query}")
        for query in ("limit=5&page=1", "page=1&limit=5", "page=%31&limit=5", "colour=red&page=1&limit=5", "Page=1")
    ]
    assert [answer.status for answer in answers] == [200, 200, 200, 400, 400]
    assert site.made == 1
    pages = {site.get(f"/?{query}").body for query in ("period=M", "utm_source=x&period=M", f"period=M&x={'y' * 900}")}
    assert len(pages) == 1
    assert site.made == 2


@pytest.mark.parametrize("accept", ["text/html", "text/*"])
def test_who_wants_the_browsable_api_is_answered_alone(site, clock, accept):
    site.get(STATS)
    assert site.get(STATS, accept=accept).headers["content-type"].startswith("text/html")
    assert site.get(STATS).headers["content-type"] == "application/json"
    assert site.made == 1


@pytest.mark.parametrize("path", ["/api/schema/", "/data/files/", "/api/stats"])
@pytest.mark.parametrize(
    "accept",
    [
        "*/*", "application/json", "application/json, */*;q=0.1", "application/yaml", "application/vnd.oai.openapi",
        "application/vnd.oai.openapi+json", "text/html", "text/html, */*;q=0.8", "image/*",
    ],
)  # fmt: skip
def test_what_is_known_has_the_media_type_that_django_would_choose(site, clock, client, path, accept):
    site.get(path)
    right = client.get(path, headers={"accept": accept})
    assert site.get(path, accept=accept).headers["content-type"] == right["Content-Type"]
    assert site.get(path).headers["content-type"] == client.get(path)["Content-Type"]


def test_an_answer_outside_the_api_that_negotiates_refuses_unknown_keys_too(site, clock):
    assert site.get("/data/files/").status == 200
    assert site.get("/data/files/?colour=red").status == 400


def test_browsers_share_the_page_that_describes_the_api(site, clock):
    pages = {site.get(f"/api/docs/{query}", accept="text/html, */*;q=0.8").body for query in ("", "", "?utm_source=x")}
    assert (len(pages), len(site.asked)) == (1, 1)


def test_compressed_bytes_are_kept_beside_the_others(site, clock):
    plain, packed = site.get(HOME), site.get(HOME, accept_encoding="gzip, br")
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["content-encoding"] == "gzip"
    assert site.get(HOME, accept_encoding="br;q=1.0, gzip;q=0.8").body == packed.body
    assert site.made == 2


def test_who_has_the_answer_gets_304_with_the_headers_that_protect(site, clock):
    first = site.get(HOME)
    again = site.get(HOME, if_none_match=first.headers["etag"])
    assert (again.status, again.body, site.made) == (304, b"", 1)
    for name in ("content-security-policy", "x-content-type-options", "permissions-policy", "referrer-policy", "vary"):
        assert again.headers[name] == first.headers[name]
    head = site.get(HOME, method="HEAD")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", first.headers["etag"])


def test_each_client_has_its_own_id_rate_and_origin(site, clock, settings):
    settings.API_RATE, settings.CORS_ALLOWED_ORIGINS = 2, ["https://friend.test"]
    first = site.get(STATS, peer="203.0.113.9", x_request_id="first-request", origin="https://friend.test")
    second = site.get(STATS, peer="203.0.113.9", origin="https://evil.test")
    third = site.get(STATS, peer="203.0.113.9")
    other = site.get(STATS, peer="203.0.113.10")
    assert first.headers["x-request-id"] == "first-request" != second.headers["x-request-id"]
    assert first.headers["access-control-allow-origin"] == "https://friend.test"
    assert "access-control-allow-origin" not in second.headers
    assert [reply.status for reply in (first, second, third, other)] == [200, 200, 429, 200]
    assert "r=1" in first.headers["ratelimit"]
    assert "r=1" in other.headers["ratelimit"]
    assert "default-src 'none'" in third.headers["content-security-policy"]


@pytest.mark.parametrize(
    "secret", [{"Set-Cookie": "a=b"}, {"Cache-Control": "private"}, {"Vary": "Accept, Cookie"}], ids=str
)
def test_an_answer_that_turns_out_to_be_private_is_made_for_each(site, clock, monkeypatch, secret):
    calls: list[dict[str, Any]] = []

    def respond(environ: dict[str, Any]) -> HttpResponse:
        calls.append(environ)
        return HttpResponse(f"for {len(calls)}", headers=secret)

    monkeypatch.setattr(site.application, "_ask", respond)
    assert [site.get(STATS).body for _ in range(2)] == [b"for 2", b"for 4"]
    assert [INTERNAL in environ for environ in calls] == [True, False, True, False]


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_error_is_told_and_not_kept(site, clock, monkeypatch, status):
    with monkeypatch.context() as patch:
        patch.setattr(site.application, "_ask", lambda environ: HttpResponse("no", status=status))
        assert site.get(STATS).status == status
    assert site.get(STATS).status == 200


def test_a_body_that_does_not_come_ends_with_408(site, monkeypatch):
    monkeypatch.setattr(asgi_app, "PATIENCE_S", 0.01)
    replies: list[Any] = []
    scope = {
        "type": "http", "method": "POST", "path": "/admin/login/", "query_string": b"", "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 5), "headers": [(b"host", b"localhost"), (b"content-length", b"9")],
    }  # fmt: skip

    async def silent() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        replies.append(message)

    asyncio.run(site.application(scope, silent, send))
    assert replies[0]["status"] == 408
    assert site.asked == []


def test_only_requests_with_a_body_wait_for_a_place(site, monkeypatch):
    monkeypatch.setattr(asgi_app, "MOST_BODIES", 0)
    alone = {"authorization": "Bearer unknown"}
    assert site.get(STATS, **alone).status == 200
    assert site.get("/admin/login/", "POST", content_length="9").status == 503


def test_a_content_type_does_not_change_how_the_query_is_read(site):
    headers = {"authorization": "Bearer unknown", "content_type": 'application/json; charset="utf-16"'}
    reply = site.get("/api/revenue/daily?days=7", **headers)
    assert (reply.status, json.loads(reply.body)["count"]) == (200, 7)


ANSWER = Answer(200, (("ETag", '"a"'), ("Content-Type", "text/html; charset=utf-8")), b"\x00\n\xff" * 9, 1.5)


def test_the_shared_cache_keeps_answers_without_pickle():
    data = Plain().dumps(ANSWER)
    assert Plain().loads(data) == ANSWER
    assert data.startswith(b"[200,")


def test_the_memory_is_bounded_by_bytes_and_drops_what_was_used_longest_ago():
    memory = LocalMemory("bounded", {"OPTIONS": {"MAX_ENTRIES": 1_000, "MAX_BYTES": 20_000}})
    answer = ANSWER._replace(body=b"x" * 1_000)
    memory.set("asked", answer)
    for number in range(50):
        memory.set(str(number), answer)
        assert memory.get("asked") is answer
    assert len(memory._cache) < 7  # type: ignore[attr-defined]
    assert memory.get("0") is None
    assert memory.get("49") is answer
    memory.set("large", ANSWER._replace(body=b"x" * 20_000))
    assert memory.get("large") is None


def with_shared(site: Site, shared: Any) -> None:
    site.application._answers._shared = shared


def test_another_process_takes_what_one_has_made(site, clock):
    shared = LocalMemory("shared", {"OPTIONS": {"MAX_ENTRIES": 1_000, "MAX_BYTES": 10**6}})
    with_shared(site, shared)
    first = site.get(STATS)
    caches["local"].clear()
    assert site.get(STATS).body == first.body
    assert site.made == 1
    seconds(clock, OLD_S)
    caches["local"].clear()
    assert site.get(STATS).body == first.body
    assert site.asked[-1]["HTTP_IF_NONE_MATCH"] == first.headers["etag"]


@pytest.mark.postgresql
@pytest.mark.engine
def test_with_redis_it_is_shared(site, clock):
    first = site.get(STATS)
    caches["local"].clear()
    assert site.get(STATS).body == first.body
    assert site.made == 1


def test_a_shared_cache_that_is_down_or_full_costs_time_and_no_answer(site, clock):
    class Down:
        calls = 0

        def get(self, key: str) -> None:
            self.calls += 1
            raise ConnectionError

        set: Callable[..., None] = lambda self, key, answer, timeout: self.get(key)

    down = Down()
    with_shared(site, down)
    for _ in range(3):
        assert site.get(STATS).status == 200
        seconds(clock, OLD_S)
    assert down.calls == 1  # it rests before it tries again


@pytest.mark.parametrize("path", ["/日", "/\ufffd", "/static/\ufffd", "/admin/€", "/api/é"])
def test_a_path_of_any_letters_is_answered_as_others_are(site, clock, path):
    reply = site.get(path)
    assert reply.status in (302, 404)
    assert "x-request-id" in reply.headers


def test_letters_of_a_query_are_read_as_they_were_meant(site, clock):
    raw = "é".encode().decode("latin-1")
    assert site.get("/panels/payments/?search=%C3%A9q").body == site.get(f"/panels/payments/?search={raw}q").body


def test_long_addresses_fill_no_memory(site, clock):
    before = cache.route.cache_info().currsize
    assert site.get(f"/api/{'a' * 300}").status == 404
    assert cache.route.cache_info().currsize == before
    assert site.get(f"/?search={'a' * 5_000}").status == 414
    assert site.get(f"/?search={'a' * 1_500}").status == 200
    assert site.made == 0


@pytest.mark.parametrize(
    ("accept", "packed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip;q=0.5", True),
        ("*", False),
        ("gzip;q=0", False),
        ("notgzipped", False),
    ],
)
def test_gzip_goes_to_who_takes_it(site, clock, accept, packed):
    assert ("content-encoding" in site.get(HOME, accept_encoding=accept).headers) == packed


def test_the_browsable_api_by_its_address_is_made_and_counted_once(site, clock, settings):
    settings.API_RATE = 9
    reply = site.get("/api/stats?format=api", peer="203.0.113.9")
    assert reply.headers["content-type"].startswith("text/html")
    assert "r=8" in reply.headers["ratelimit"]
    assert len(site.asked) == 1


@pytest.mark.parametrize("sent", [[b'{"days":'], [b""], []])
def test_half_a_body_is_no_request(site, sent):
    messages = [{"type": "http.request", "body": body, "more_body": True} for body in sent]
    messages.append({"type": "http.disconnect"})
    scope = {
        "type": "http", "method": "POST", "path": "/api/admin/backfill", "query_string": b"",
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 5),
        "headers": [(b"host", b"localhost"), (b"content-length", b"31")],
    }  # fmt: skip
    replies: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        replies.append(message)

    asyncio.run(site.application(scope, receive, send))
    assert (replies, site.asked) == ([], [])
