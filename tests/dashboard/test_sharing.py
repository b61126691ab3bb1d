"""Share cards, frames for other sites, and the menu that leads to them."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from dashboard.sharing import views
from dashboard.sharing.views import Card
from dashboard.views import FRAMED
from fluxtracker.periods import Bucket
from tests.dashboard.rows import FLUX, NOW, many, pay, synced

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Card]:
    """The cards that were drawn."""
    cards: list[Card] = []
    png = views.png
    monkeypatch.setattr(views, "png", lambda card: cards.append(card) or png(card))
    return cards


def size_of(response: Any) -> tuple[str, tuple[int, int]]:
    assert (response.status_code, response["Content-Type"]) == (200, "image/png")
    image = Image.open(BytesIO(response.content))
    return str(image.format), image.size


@pytest.mark.parametrize("bucket", Bucket)
def test_a_card_shows_the_revenue_of_each_period_as_it_is_now(client: Client, drawn: list[Card], bucket: Bucket):
    synced()
    pay(2 * FLUX)
    pay(3 * FLUX, at=NOW - timedelta(days=1))
    assert size_of(client.get(f"/card/revenue-{bucket}.png")) == ("PNG", (1200, 630))
    (card,) = drawn
    assert card.figure == ("2.00 FLUX" if bucket is Bucket.DAY else "5.00 FLUX")
    assert card.bars == [*[0] * 28, 3 * FLUX, 2 * FLUX]
    assert client.get("/card/revenue-decade.png").status_code == 404


def test_what_nobody_knows_is_no_zero(client: Client, drawn: list[Card]):
    size_of(client.get("/card/revenue-week.png"))
    assert (drawn[0].figure, drawn[0].line, {*drawn[0].bars}) == ("not known yet", "", {None})


def test_a_thing_has_a_card_and_its_page_names_it(client: Client, drawn: list[Card]):
    synced()
    row = pay(2 * FLUX, app="web/shop")
    size_of(client.get("/card/app/web/shop.png"))
    assert (drawn[0].title, drawn[0].figure) == ("App web/shop", "2.00 FLUX")
    assert (
        'property="og:image" content="http://testserver/card/app/web/shop.png"'
        in client.get("/app/web/shop").content.decode()
    )
    assert size_of(client.get(f"/card/tx/{row.txid}.png"))
    assert {client.get(f"/card/{name}.png").status_code for name in ("app/nobody", "hat/x", "day/2026-13-01")} == {404}


def test_a_card_is_drawn_again_once_something_was_paid(client: Client, drawn: list[Card]):
    synced()
    pay()
    etag = client.get("/card/revenue-week.png")["ETag"]
    again = client.get("/card/revenue-week.png", headers={"If-None-Match": etag})
    assert (again.status_code, len(drawn)) == (304, 1)
    pay()
    assert client.get("/card/revenue-week.png", headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("title", ["", "x" * 400, "名前 \N{ROCKET}"])
def test_any_text_can_be_drawn(title: str):
    assert views.png(Card(title, title, title, title, [None, 0, 1, 10**17], is_demo=True)).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", FRAMED)
def test_any_site_may_show_a_panel_in_a_frame_and_nothing_else(client: Client, name: str):
    many(3)
    answer = client.get(f"/embed/{name}?theme=light&period=M")
    assert answer.status_code == 200
    assert "frame-ancestors *" in answer["Content-Security-Policy"]
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    assert "X-Frame-Options" not in answer
    assert not answer.cookies
    body = answer.content.decode()
    assert 'data-theme="light"' in body
    assert "/admin/" not in body
    for path in ("/", "/admin/login/", f"/panels/{name}/"):
        refused = client.get(path)
        assert refused["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in refused["Content-Security-Policy"]


def test_the_menu_has_links_that_lead_where_they_say(client: Client):
    body = client.get("/?period=M&app=shop").content.decode()
    assert 'value="http://testserver/?period=M&amp;app=shop"' in body
    assert f'value="http://testserver/?period=M&amp;app=shop&amp;at={NOW:%Y-%m}"' in body
    assert (
        'value="http://testserver/?range=2026-11-01..2026-11-18"' in client.get("/?range=this_month").content.decode()
    )
    assert "http://testserver/card/revenue-month.png" in body
    assert body.count("&lt;iframe src=") == len(FRAMED)
