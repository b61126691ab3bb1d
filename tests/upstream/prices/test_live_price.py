"""The price of now."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import requests

from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.trusted_price import Doubted
from tests.upstream.payloads import payload
from tests.upstream.prices.conftest import (
    COMPARE,
    DAY,
    EXPLORER,
    KLINES,
    NOW,
    NOW_AT_GECKO,
    TODAY,
    candle,
    daily_prices,
    live_price,
    quote,
)


def test_coingecko_is_asked_first(web, http):
    web.get(NOW_AT_GECKO, json=payload("prices/coingecko_simple_price"))
    assert live_price(http) == quote("0.0744310000", "coingecko")
    assert http.requests == 1


def test_the_explorers_rate_is_found_inside_its_data(web, http):
    web.get(NOW_AT_GECKO, status=401, json={})
    web.get(f"{EXPLORER}/currency", json=payload("prices/explorer_currency"))
    assert live_price(http) == quote("0.0747202826", "explorer")


def test_the_explorers_rate_may_stand_at_the_top(web, http):
    web.get(NOW_AT_GECKO, json={})
    web.get(f"{EXPLORER}/currency", json={"rate": 0.05})
    assert live_price(http).price == Decimal("0.05")


def test_the_explorers_market_follows(web, http):
    web.get(NOW_AT_GECKO, json={"zelcash": {}})
    web.get(f"{EXPLORER}/currency", json={"status": 200, "data": {}})
    web.get(f"{EXPLORER}/markets/info", json=payload("prices/explorer_markets_info"))
    assert live_price(http) == quote("0.0750252078", "explorer")


def test_binance_follows_with_its_last_close(web, http):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": 0}})
    web.get(KLINES, json=payload("prices/binance_klines"))
    assert live_price(http, now=datetime(2026, 9, 30, 12, tzinfo=UTC)) == quote("0.0744", "binance")


def test_cryptocompare_is_asked_last_and_with_its_key(web, http, settings):
    settings.CRYPTOCOMPARE_API_KEY = "key"
    web.get(f"{COMPARE}/price", json={"USD": 0.07})
    assert live_price(http) == quote("0.07", "cryptocompare")
    assert web.calls[-1].request.headers["Authorization"] == "Apikey key"


def test_cryptocompare_is_not_asked_without_a_key(web, http):
    with pytest.raises(UpstreamError):
        live_price(http)
    assert not any("compare" in call.request.url for call in web.calls)


@pytest.mark.parametrize("price", [0, -1, None, "x", True, [], 1e9, 1e-15, "1e400"])
def test_a_price_that_cannot_be_is_none(web, http, price):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": price}})
    with pytest.raises(UpstreamError):
        live_price(http)


def test_slow_sources_are_not_asked_twice(web, http):
    for url in (NOW_AT_GECKO, f"{EXPLORER}/currency", f"{EXPLORER}/markets/info", KLINES):
        web.get(url, body=requests.ReadTimeout())
    with pytest.raises(UpstreamError):
        live_price(http)
    assert http.requests == 4


@pytest.mark.parametrize("absurd", [74.4, 0.000747, 0.2, 0.0298, 7.47])
def test_an_absurd_price_gives_way_to_a_source_that_is_near_the_last_known_one(web, http, absurd):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": absurd}})
    web.get(f"{EXPLORER}/currency", json={"rate": 0.0747})
    assert live_price(http) == quote("0.0747", "explorer")


@pytest.mark.parametrize("usual", [0.18675, 0.02988, 0.0747])
def test_a_price_up_to_two_and_a_half_times_off_needs_no_second_source(web, http, usual):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": usual}})
    assert live_price(http).source == "coingecko"
    assert http.requests == 1


def test_an_absurd_price_without_a_second_source_is_refused_and_says_so(web, http):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": 74.4}})
    with pytest.raises(Doubted, match=r"2\.5 times off the last known price 0\.0747.*coingecko 74\.4"):
        live_price(http)


@pytest.mark.parametrize(("second", "is_taken"), [(0.264, True), (0.176, True), (0.265, False), (0.175, False)])
def test_a_true_move_is_followed_when_a_second_source_is_within_a_fifth(web, http, second, is_taken):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": 0.22}})
    web.get(KLINES, json=[candle(TODAY, str(second))])
    if is_taken:
        assert live_price(http, known=Decimal("0.05")) == quote("0.22", "coingecko")
    else:
        with pytest.raises(Doubted):
            live_price(http, known=Decimal("0.05"))


def test_a_true_move_is_followed_where_one_source_lags(web, http):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": 0.22}})
    web.get(f"{EXPLORER}/currency", json={"rate": 0.0747})
    web.get(KLINES, json=[candle(TODAY, "0.2210")])
    assert live_price(http) == quote("0.22", "coingecko")


def test_one_source_does_not_confirm_itself(web, http):
    web.get(f"{EXPLORER}/currency", json={"rate": 7.4})
    web.get(f"{EXPLORER}/markets/info", json={"price": 7.4})
    with pytest.raises(Doubted):
        live_price(http)


def test_the_first_price_ever_is_the_one_that_two_sources_tell(web, http):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": 74.4}})
    web.get(f"{EXPLORER}/currency", json={"rate": 0.0747})
    web.get(KLINES, json=[candle(TODAY, "0.0744")])
    assert live_price(http, known=None) == quote("0.0747", "explorer")


def test_the_first_price_ever_of_sources_that_disagree_is_refused(web, http):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": 74.4}})
    web.get(f"{EXPLORER}/currency", json={"rate": 0.0747})
    with pytest.raises(Doubted, match="disagree"):
        live_price(http, known=None)


@pytest.mark.parametrize(("second", "is_taken"), [(0.11, True), (0.18, True), (0.19, False), (0.029, False)])
def test_the_first_price_ever_is_taken_unless_another_is_far_off(web, http, second, is_taken):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": 0.0747}})
    web.get(KLINES, json=[candle(TODAY, str(second))])
    if is_taken:
        assert live_price(http, known=None) == quote("0.0747", "coingecko")
    else:
        with pytest.raises(Doubted, match="disagree"):
            live_price(http, known=None)


def test_the_first_price_ever_of_a_single_source_is_taken(web, http):
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": 0.0747}})
    assert live_price(http, known=None) == quote("0.0747", "coingecko")


@pytest.mark.parametrize("age", [1, 200])
def test_a_candle_of_another_day_is_no_price_of_now(web, http, age):
    web.get(KLINES, json=[candle(TODAY - age * DAY, "0.1234")])
    with pytest.raises(UpstreamError, match="the last candle is of"):
        live_price(http)


@pytest.mark.parametrize(("volume", "trades"), [("0", 3), ("0.00000000", 3), ("5", 0), ("-1", 3), (None, 3), ("x", 3)])
def test_a_candle_without_trades_is_no_price(web, http, volume, trades):
    web.get(KLINES, json=[candle(TODAY, "0.0747", volume, trades)])
    with pytest.raises(UpstreamError):
        live_price(http)
    day = TODAY - DAY
    web.replace("GET", KLINES, json=[candle(day - DAY, "0.07"), candle(day, "0.0747", volume, trades)])
    assert set(daily_prices(http, day - DAY, day)) == {day - DAY}


@pytest.mark.parametrize(("changed", "is_now"), [(0, True), (3599, True), (3601, False), (86_400, False), ("x", False)])
def test_a_price_that_coingecko_has_not_changed_for_an_hour_is_none_of_now(web, http, changed, is_now):
    stamp = int(NOW.timestamp()) - changed if isinstance(changed, int) else changed
    web.get(NOW_AT_GECKO, json={"zelcash": {"usd": 0.0747, "last_updated_at": stamp}})
    web.get(f"{EXPLORER}/currency", json={"rate": 0.075})
    assert live_price(http).source == ("coingecko" if is_now else "explorer")
    assert web.calls[0].request.params["include_last_updated_at"] == "true"
