import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from fluxtracker.upstream.errors import UpstreamError
from fluxtracker.upstream.prices import Quote, daily_prices, live_price
from tests.upstream.payloads import payload

GECKO = "https://gecko.example/api/v3"
BINANCE = "https://binance.example/api/v3"
EXPLORER = "https://explorer.example/api"
COMPARE = "https://compare.example/data"
NOW_AT_GECKO, CHART = f"{GECKO}/simple/price", f"{GECKO}/coins/zelcash/market_chart"
KLINES, HISTODAY = f"{BINANCE}/klines", f"{COMPARE}/v2/histoday"
TODAY = date(2026, 10, 4)


@pytest.fixture(autouse=True)
def _feeds(settings):
    settings.COINGECKO_URL, settings.BINANCE_URL = GECKO, BINANCE
    settings.FLUX_EXPLORER_URL, settings.CRYPTOCOMPARE_URL = EXPLORER, COMPARE
    settings.CRYPTOCOMPARE_API_KEY = ""


def quote(price, source):
    return Quote(Decimal(price), source)


def ms(day):
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def candle(day, close):
    return [ms(day), "1", "1", "1", close, "5", ms(day) + 86_399_999]


class Candles:
    """Binance, with a candle a day from a listing day to today."""

    def __init__(self, web, since):
        self.days = [since + timedelta(days=n) for n in range((TODAY - since).days + 1)]
        self.starts = []
        web.add_callback("GET", KLINES, self._answer)

    def _answer(self, request):
        query = parse_qs(urlsplit(request.url).query)
        start, limit = int(query["startTime"][0]), int(query["limit"][0])
        self.starts.append(start)
        rows = [candle(day, f"0.{day:%m%d}") for day in self.days if ms(day) >= start]
        return 200, {}, json.dumps(rows[:limit])


# Now


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
    assert live_price(http) == quote("0.0744", "binance")


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


# By day


def test_a_day_takes_its_first_point_and_now_is_no_day(web, http):
    web.get(CHART, json=payload("prices/coingecko_market_chart"))
    web.get(KLINES, json=[])
    found = daily_prices(http, date(2025, 10, 5), date(2026, 10, 5), today=date(2026, 10, 5))
    assert found[date(2025, 10, 5)] == quote("0.1939988540", "coingecko")
    assert found[date(2026, 10, 4)] == quote("0.0749861771", "coingecko")
    assert date(2026, 10, 5) not in found


def test_hourly_points_give_the_first_of_each_day(web, http):
    day = date(2026, 10, 2)
    points = [[ms(day) + hour * 3_600_000, 0.07 + hour / 1000] for hour in range(60)]
    web.get(CHART, json={"prices": points})
    web.get(KLINES, json=[])
    found = daily_prices(http, day, day + timedelta(days=1), TODAY)
    assert {day.day: quote.price for day, quote in found.items()} == {2: Decimal("0.07"), 3: Decimal("0.094")}


def test_a_last_point_at_midnight_is_a_days_price(web, http):
    web.get(CHART, json={"prices": [[ms(TODAY - timedelta(days=1)), 0.07]]})
    assert daily_prices(http, date(2026, 10, 3), date(2026, 10, 3), TODAY)


def test_today_has_no_price_of_the_day_yet(web, http):
    assert daily_prices(http, TODAY, TODAY, TODAY) == {}
    assert http.requests == 0


def test_one_answer_is_enough_when_nothing_is_missing(web, http):
    days = [TODAY - timedelta(days=n) for n in range(30, 0, -1)]
    web.get(CHART, json={"prices": [[ms(day), 0.07] for day in days] + [[ms(TODAY) + 5000, 0.08]]})
    assert set(daily_prices(http, days[0], days[-1], TODAY)) == set(days)
    assert http.requests == 1


def test_no_more_than_a_year_is_asked_of_coingecko(web, http):
    web.get(CHART, json=payload("prices/coingecko_market_chart"))
    web.get(KLINES, json=[])
    daily_prices(http, date(2022, 1, 1), date(2026, 10, 3), TODAY)
    assert web.calls[0].request.params["days"] == "365"


def test_coingecko_is_not_asked_for_what_it_never_gives(web, http):
    Candles(web, date(2022, 1, 1))
    assert len(daily_prices(http, date(2023, 1, 1), date(2023, 1, 31), TODAY)) == 31
    assert http.requests == 1


def test_what_coingecko_lacks_comes_from_binance_a_thousand_days_a_call(web, http):
    web.get(CHART, json=payload("prices/coingecko_market_chart"))
    candles = Candles(web, date(2021, 12, 10))
    found = daily_prices(http, date(2020, 9, 1), date(2026, 10, 3), TODAY)
    assert min(found) == date(2021, 12, 10)
    assert max(found) == date(2026, 10, 3)
    assert len(found) == (date(2026, 10, 3) - date(2021, 12, 10)).days + 1
    assert found[date(2026, 10, 3)].source == "coingecko"
    assert found[date(2024, 2, 29)] == quote("0.0229", "binance")
    assert len(candles.starts) == 2


def test_a_server_that_ignores_the_start_does_not_hold_us(web, http):
    web.get(CHART, status=500)
    rows = [candle(date(2023, 1, 1) + timedelta(days=n), "0.5") for n in range(1000)]
    web.get(KLINES, json=rows)
    found = daily_prices(http, date(2022, 1, 1), date(2026, 10, 3), TODAY)
    assert len(found) == 1000


def test_candles_of_days_to_come_are_left_out(web, http):
    web.get(CHART, status=500)
    rows = [candle(date(2023, 1, 1), "0.5")] + [candle(date(9999, 12, 31), "0.5")] * 999
    web.get(KLINES, json=rows)
    found = daily_prices(http, date(2023, 1, 1), date(2026, 10, 3), TODAY)
    assert list(found) == [date(2023, 1, 1)]


def test_todays_open_candle_is_no_close(web, http):
    web.get(CHART, status=500)
    Candles(web, date(2026, 9, 1))
    assert max(daily_prices(http, date(2026, 9, 20), TODAY, TODAY)) == date(2026, 10, 3)


def test_cryptocompare_fills_the_rest(web, http, settings):
    settings.CRYPTOCOMPARE_API_KEY = "key"
    web.get(CHART, json={"prices": [[ms(date(2026, 9, 30)), 0.07], [ms(TODAY) + 5, 0.08]]})
    web.get(KLINES, json=[])
    web.get(HISTODAY, json=payload("prices/cryptocompare_histoday"))
    found = daily_prices(http, date(2026, 9, 28), date(2026, 9, 30), TODAY)
    assert found[date(2026, 9, 28)] == quote("0.0747", "cryptocompare")
    assert date(2026, 9, 29) not in found  # its close of 0 means that there is none


def test_before_2021_the_symbol_was_another_coin(web, http, settings):
    settings.CRYPTOCOMPARE_API_KEY = "key"
    web.get(KLINES, json=[])
    rows = [
        {"time": ms(date(2020, 12, 31)) // 1000, "close": 9.0},
        {"time": ms(date(2021, 1, 1)) // 1000, "close": 0.1},
    ]
    web.get(HISTODAY, json={"Response": "Success", "Data": {"Data": rows}})
    assert set(daily_prices(http, date(2020, 12, 1), date(2021, 1, 5), TODAY)) == {date(2021, 1, 1)}


def test_wrong_rows_are_left_out_and_the_others_kept(web, http):
    day = date(2026, 10, 1)
    rows = [
        None,
        5,
        [],
        ["x", 1],
        [ms(day)],
        [ms(day), None],
        [ms(day), -1],
        [10**40, 1],
        [ms(day), 0.07],
        [ms(TODAY) + 1, 1],
    ]
    web.get(CHART, json={"prices": rows})
    assert daily_prices(http, day, day, TODAY) == {day: quote("0.07", "coingecko")}


def test_one_source_that_answers_is_enough(web, http):
    web.get(CHART, json={"prices": []})
    Candles(web, date(2026, 9, 1))
    assert len(daily_prices(http, date(2026, 9, 20), date(2026, 9, 21), TODAY)) == 2


@pytest.mark.parametrize(
    "answer",
    [{"code": -1121, "msg": "Invalid symbol."}, {"Response": "Error", "Message": "?"}, "x", None, 5],
)
def test_when_every_source_fails_the_question_fails(web, http, answer):
    web.get(CHART, json=answer)
    web.get(KLINES, json=answer)
    with pytest.raises(UpstreamError, match=r"gecko.*binance"):
        daily_prices(http, date(2026, 9, 20), date(2026, 9, 21), TODAY)


def test_an_error_of_cryptocompare_inside_a_success_is_seen(web, http, settings):
    settings.CRYPTOCOMPARE_API_KEY = "key"
    for url in (CHART, KLINES):
        web.get(url, status=451, json={})
    web.get(HISTODAY, json={"Response": "Error", "Message": "You need an API key"})
    with pytest.raises(UpstreamError):
        daily_prices(http, date(2026, 9, 20), date(2026, 9, 21), TODAY)
