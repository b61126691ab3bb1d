from __future__ import annotations

import gzip
import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.test import Client

from dashboard import views
from dashboard.panels.base import Panel
from tests.dashboard.reading import html, text
from tests.dashboard.rows import FLUX, NOW, feed, many, network, pay, snapshot, synced
from tests.settings_names import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


def month() -> None:
    """A ledger and a network with 31 days behind them, and full lists."""
    synced()
    network()
    for back in range(1, 32):
        snapshot(NOW.date() - timedelta(days=back), node_total=6_724 - back)
        pay(7 * FLUX, at=NOW - timedelta(days=back))
    item = {"type": "app", "rank": 1, "label": "WordPress", "name": "runonflux/wp-nginx", "value": 763}
    feed("network", [item] * 17)


def test_the_parts_stand_in_their_order(client: Client) -> None:
    synced()
    order = ["strip", "range", "tiles", "origins", "paid", "feeds", "chart", "pending", "payments", "sources"]
    assert re.findall(r'<section id="panel-(\w+)"', html(client)) == order


def test_a_part_that_fails_says_so_and_the_others_stand(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    synced()
    network()

    def fail(query: object, now: object) -> dict[str, object]:
        raise RuntimeError("a secret detail")

    broken = Panel("feeds", "Around the network", "panels/carousel/panel.html", fail)
    monkeypatch.setitem(views.PANELS, "feeds", broken)
    body = html(client, "/?period=M")
    assert "Around the network cannot be read at the moment." in body
    assert '<a class="retry" href="?period=M">Try again</a>' in body
    assert "6,724" in body
    assert "secret" not in body


def test_failing_tiles_leave_a_title(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(query: object, now: object) -> dict[str, object]:
        raise RuntimeError

    synced()
    monkeypatch.setitem(views.PANELS, "tiles", Panel("tiles", "Figures", "panels/tiles/panel.html", fail))
    assert "<title>Figures cannot be read · Fluxtracker</title>" in html(client)


def test_the_title_tells_the_weeks_revenue_and_its_change(client: Client) -> None:
    synced()
    pay(31_204 * FLUX)
    pay(28_000 * FLUX, at=NOW - timedelta(days=7, hours=1))
    pay(at=NOW - timedelta(days=20))
    assert "<title>▲ +11.44 % · 31,204.00 FLUX this week · Fluxtracker</title>" in html(client)


def test_a_link_to_the_page_has_a_card(client: Client) -> None:
    synced()
    pay(5 * FLUX)
    body = html(client)
    assert '<meta property="og:title" content="5.00 FLUX this week">' in body
    card = re.search(r'<meta property="og:image" content="http://testserver(/card/revenue-week\.png)">', body)
    assert card
    assert client.get(card[1]).status_code == 200


def test_a_page_loaded_again_knows_the_servers_time(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    etag = client.get("/").headers["ETag"]
    clock.shift(30)
    again = client.get("/", headers={"If-None-Match": etag})
    assert again.status_code == 200
    assert 'data-now="2026-11-18T14:05:30+00:00"' in again.content.decode()


def test_an_age_is_a_time_until_a_script_shows_it_as_an_age(client: Client) -> None:
    synced()
    time = '<time datetime="2026-11-18T14:05:00+00:00" title="2026-11-18 14:05:00 UTC" data-age>14:05 UTC</time>'
    assert time in html(client)


def test_a_page_asked_for_twice_at_once_is_not_sent_twice(client: Client) -> None:
    synced()
    etag = client.get("/").headers["ETag"]
    assert client.get("/", headers={"If-None-Match": etag}).status_code == 304


def test_the_number_of_queries_does_not_grow_with_what_there_is(client: Client, django_assert_max_num_queries) -> None:
    month()
    client.get("/")  # what a process asks only once
    with django_assert_max_num_queries(102) as few:
        client.get("/?period=M")
    many(60)
    for back in range(40, 80):
        snapshot(NOW.date() - timedelta(days=back))
    with django_assert_max_num_queries(102) as more:
        client.get("/?period=M")
    assert len(more) <= len(few)


def test_a_panel_that_a_visitor_has_is_not_made_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    month()
    first = client.get("/panels/tiles/?period=M")
    known = {"If-None-Match": first.headers["ETag"]}
    with monkeypatch.context() as patch:
        patch.setattr(views, "show", lambda *_: 1 / 0)
        assert client.get("/panels/tiles/?period=M", headers=known).status_code == 304
    pay(FLUX)
    assert client.get("/panels/tiles/?period=M", headers=known).status_code == 200


def test_a_panel_that_failed_is_never_confirmed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    month()
    with monkeypatch.context() as patch:
        patch.setattr("dashboard.panels.tiles._tiles", lambda *_: 1 / 0)
        failed = {path: client.get(path).headers["ETag"] for path in ("/", "/panels/tiles/")}
    assert {client.get(path, headers={"If-None-Match": etag}).status_code for path, etag in failed.items()} == {200}


def test_the_page_is_small(client: Client) -> None:
    month()
    many(25)
    assert len(gzip.compress(html(client).encode())) < 40_000


def test_scripts_and_styles_are_small(client: Client) -> None:
    """What the page itself asks for; the chart's library comes when a chart comes into view, and is 23 KB."""
    synced()
    files = set(re.findall(r'(?:src|href)="/static/([^"]+\.(?:js|css))"', html(client)))
    assert len(files) > 10
    size = sum(len(gzip.compress((Path(settings.STATIC_ROOT) / name).read_bytes())) for name in files)
    assert size < 97_000


def test_nothing_on_the_page_is_inline(client: Client) -> None:
    month()
    response = client.get("/")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    body = response.content.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script(?![^>]*\ssrc=)", body)


@pytest.mark.parametrize(
    "query", ["?period=X", "?period=", "?period=W&period=M", "?feed=nothing", "?period=%00", "?page=-1"]
)
def test_wrong_values_fall_back(client: Client, query: str) -> None:
    synced()
    network()
    body = html(client, f"/{query}")
    assert "cannot be read at the moment" not in body
    assert body.count(" checked") >= 2


def test_what_else_the_address_says_is_kept_by_the_period_form(client: Client) -> None:
    synced()
    body = html(client, "/?period=M&search=<b>&metrics=node_total")
    form = re.search(r'<form id="period".*?</form>', body, re.DOTALL)
    assert form
    assert '<input type="hidden" name="search" value="&lt;b&gt;">' in form[0]
    assert '<input type="hidden" name="metrics" value="node_total">' in form[0]
    assert re.search(r'value="M"[^>]* checked', form[0])


def test_it_rejects_post(client: Client) -> None:
    assert client.post("/").status_code == 405
    assert client.post("/panels/strip/").status_code == 405


def test_a_panel_that_does_not_exist_is_404(client: Client) -> None:
    assert client.get("/panels/nothing/").status_code == 404


def test_the_foot_tells_every_source_and_its_age(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    network()
    clock.shift(timedelta(minutes=12))
    words = text(client)
    assert "Payments 12 min ago Node counts 12 min ago Capacity and use 12 min ago" in words


def test_before_the_first_sync_nothing_is_shown_as_zero(client: Client) -> None:
    words = text(client)
    assert "No sync has completed yet." in words
    assert not re.search(r"(?<![\d,.])0(\.00)?(?= (FLUX|payments|%|nodes|apps))", words)
    assert "$0.00" not in words
    assert "Revenue not known yet" in words


def test_no_line_of_a_template_is_longer_than_120() -> None:
    paths = sorted((ROOT / "templates").rglob("*.html"))
    assert len(paths) > 50
    long = [(path.name, line[:60]) for path in paths for line in path.read_text().splitlines() if len(line) > 120]
    assert long == []


def test_no_template_script_or_panel_spells_out_a_path() -> None:
    """URLs come from `{% url %}` and `reverse`."""
    found = [path for folder in ("templates", "static/js", "dashboard") for path in (ROOT / folder).rglob("*.*")]
    sources = [path for path in found if path.suffix in (".html", ".js", ".py") and path.name != "urls.py"]
    assert len(sources) > 80
    spelled = re.compile(r"""[=(\s]["']/[a-z?#]""")
    assert [path.name for path in sources if spelled.search(path.read_text())] == []


@pytest.mark.parametrize("query", ["", "?period=M&limit=50"])
def test_a_panel_of_the_page_is_confirmed_at_its_own_address(client: Client, query: str) -> None:
    month()
    body = html(client, f"/{query}")
    etags = {
        name: unescape(etag) for name, etag in re.findall(r'data-panel="/panels/(\w+)/"[^>]*?data-etag="([^"]*)"', body)
    }
    assert set(etags) == set(views.PANELS)
    for name, etag in etags.items():
        assert client.get(f"/panels/{name}/{query}", headers={"If-None-Match": etag}).status_code == 304, name
