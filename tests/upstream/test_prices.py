import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from fluxtracker.upstream import prices as upstream_prices
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.prices import Doubted, Quote
from tests.upstream.payloads import payload

GECKO = "https://gecko.example/api/v3"
BINANCE = "https://binance.example/api/v3"
EXPLORER = "https://explorer.example/api"
COMPARE = "https://compare.example/data"
NOW_AT_GECKO, CHART = f"{GECKO}/simple/price", f"{GECKO}/coins/zelcash/market_chart"
KLINES, HISTODAY = f"{BINANCE}/klines", f"{COMPARE}/v2/histoday"
NOW = datetime(2026, 10, 4, 1, 2, 20, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)
USUAL = Decimal("0.0747")


@pytest.fixture(autouse=True)
def _feeds(settings):
    settings.COINGECKO_URL, settings.BINANCE_URL = GECKO, BINANCE
    settings.FLUX_EXPLORER_URL, settings.CRYPTOCOMPARE_URL = EXPLORER, COMPARE
    settings.CRYPTOCOMPARE_API_KEY = ""


def quote(price, source):
    return Quote(Decimal(price), source)


def ms(day):
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def candle(day, close, volume="5", trades=3):
    return [ms(day), "1", "1", "1", close, volume, ms(day) + 86_399_999, "5", trades, "2", "2", "0"]


def histoday(day, close, volume=1.5):
    return {"time": ms(day) // 1000, "close": close, "volumefrom": volume, "volumeto": volume}


def live_price(http, known=USUAL, now=NOW):
    return upstream_prices.live_price(http, now, known)


def day_prices(http, first, last, today=TODAY, known=None):
    now = datetime.combine(today, NOW.time(), UTC)
    return upstream_prices.daily_prices(http, first, last, now, {first - DAY * 9: USUAL} if known is None else known)


def daily_prices(http, first, last, today=TODAY, known=None):
    return day_prices(http, first, last, today, known).found


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
        rows = [candle(day, f"0.07{day:%d}") for day in self.days if ms(day) >= start]
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


# By day


def chart(first, prices):
    """CoinGecko's points for the closes of the days from `first` on, and one of now."""
    points = [[ms(first + (n + 1) * DAY), price] for n, price in enumerate(prices)]
    return {"prices": [*points, [ms(TODAY) + 3_740_000, prices[-1] or 0.07]]}


BAD = {"start": range(1), "middle": range(4, 5), "end": range(9, 10), "in a row": range(3, 7)}


@pytest.mark.parametrize("where", BAD)
@pytest.mark.parametrize("times", [1000, 0.01, 2.6])
@pytest.mark.parametrize("is_known", [True, False])
def test_bad_points_are_doubted_and_the_others_taken(web, http, where, times, is_known):
    first = TODAY - 10 * DAY
    days = [first + n * DAY for n in range(10)]
    web.get(CHART, json=chart(first, [0.07 * times if n in BAD[where] else 0.07 for n in range(10)]))
    found = day_prices(http, first, TODAY, known={first - DAY: Decimal("0.07")} if is_known else {})
    assert set(found.doubted) == {days[n] for n in BAD[where]}
    assert set(found.found) == set(days) - set(found.doubted)


def test_a_bad_point_takes_the_close_of_the_next_source(web, http):
    first = TODAY - 10 * DAY
    web.get(CHART, json=chart(first, [0.07] * 4 + [74.4] + [0.07] * 5))
    Candles(web, date(2026, 9, 1))
    found = daily_prices(http, first, TODAY)
    assert {day: quote.source for day, quote in found.items() if quote.source != "coingecko"} == {
        first + 4 * DAY: "binance"
    }
    assert http.requests == 2


def test_a_true_move_of_days_is_followed_when_two_sources_tell_it(web, http):
    first = TODAY - 10 * DAY
    closes = [0.07] * 5 + [0.21] * 5
    web.get(CHART, json=chart(first, closes))
    web.get(KLINES, json=[candle(first + n * DAY, f"{close:.4f}") for n, close in enumerate(closes)])
    found = daily_prices(http, first, TODAY)
    assert [float(found[first + n * DAY].price) for n in range(10)] == closes


def test_a_true_move_of_days_waits_while_one_source_tells_it(web, http):
    first = TODAY - 10 * DAY
    web.get(CHART, json=chart(first, [0.07] * 5 + [0.21] * 5))
    found = day_prices(http, first, TODAY)
    assert set(found.doubted) == {first + n * DAY for n in range(5, 10)}


def test_a_single_day_is_compared_with_what_the_source_says_of_those_after_it(web, http):
    first = TODAY - 40 * DAY
    web.get(CHART, json=chart(first, [74.4] + [0.07] * 39))
    assert day_prices(http, first, first, known={TODAY: Decimal("0.07")}).doubted == {first: quote("74.4", "coingecko")}


def test_days_a_year_apart_tell_nothing_about_each_other(web, http):
    first = TODAY - 360 * DAY
    web.get(CHART, json={"prices": [[ms(first + DAY), 0.2], [ms(first + 2 * DAY), 0.21], [ms(TODAY) + 9, 0.07]]})
    found = daily_prices(http, first, first + DAY, known={TODAY: Decimal("0.07")})
    assert set(found) == {first, first + DAY}


def test_all_points_in_another_unit_are_doubted(web, http):
    first = TODAY - 10 * DAY
    web.get(CHART, json=chart(first, [7.0] * 10))
    assert len(day_prices(http, first, TODAY, known={TODAY: USUAL}).doubted) == 10


def test_without_anything_to_compare_with_a_second_source_is_asked(web, http):
    first = TODAY - 10 * DAY
    web.get(CHART, json=chart(first, [7.0] * 10))
    Candles(web, date(2026, 9, 1))
    assert daily_prices(http, first, TODAY, known={}) == {}


@pytest.mark.parametrize("volume", [0, 0.0, None, "x"])
def test_a_day_without_volume_has_no_price_at_cryptocompare(web, http, settings, volume):
    settings.CRYPTOCOMPARE_API_KEY = "key"
    day = TODAY - DAY
    web.get(KLINES, json=[])
    web.get(HISTODAY, json={"Data": {"Data": [histoday(day - DAY, 0.07), histoday(day, 0.07, volume)]}})
    assert set(daily_prices(http, day - DAY, day)) == {day - DAY}


def test_a_day_takes_the_point_of_the_next_midnight_and_now_is_no_close(web, http):
    web.get(CHART, json=payload("prices/coingecko_market_chart"))
    web.get(KLINES, json=[])
    found = daily_prices(http, date(2025, 10, 4), date(2026, 10, 4), known={date(2026, 9, 1): Decimal("0.0747")})
    assert found[date(2026, 10, 2)] == quote("0.0722900997", "coingecko")
    assert found[date(2026, 10, 3)] == quote("0.0749861771", "coingecko")
    assert date(2026, 10, 4) not in found


@pytest.mark.parametrize("step", [300, 3600, 86_400])
@pytest.mark.parametrize("off", [0, 7, 100, -20])
def test_points_of_any_granularity_that_are_a_moment_off_give_the_same_closes(web, http, step, off):
    first = date(2026, 10, 1)
    times = [ms(first) // 1000 + seconds + off for seconds in range(0, 3 * 86_400 + 1, step)]
    known = {0: 0.075, 86_400: 0.071, 2 * 86_400: 0.072, 3 * 86_400: 0.073}
    points = [[when * 1000, known.get(when - off - ms(first) // 1000, 0.09)] for when in times]
    web.get(CHART, json={"prices": [*points, [ms(TODAY) + 3_740_000, 0.0766]]})
    found = daily_prices(http, first, date(2026, 10, 3))
    assert [found[first + n * DAY].price for n in range(3)] == [Decimal("0.071"), Decimal("0.072"), Decimal("0.073")]
    assert http.requests == 1


def test_a_gap_at_midnight_takes_the_last_hour_before_it_and_no_later_point(web, http):
    day = date(2026, 10, 1)
    hours = [ms(day) + hour * 3_600_000 for hour in (22, 23, 25)]
    web.get(CHART, json={"prices": [[hours[0], 0.07], [hours[1], 0.071], [hours[2], 0.08], [ms(TODAY) + 9, 0.09]]})
    web.get(KLINES, json=[])
    assert daily_prices(http, day, day) == {day: quote("0.071", "coingecko")}


def test_without_a_point_near_midnight_a_day_has_no_close(web, http):
    day = date(2026, 10, 1)
    points = [[ms(day) + hour * 3_600_000, 0.07] for hour in (12, 22, 25)]
    web.get(CHART, json={"prices": [*points, [ms(TODAY) + 9, 0.09]]})
    web.get(KLINES, json=[])
    assert daily_prices(http, day, day) == {}


def test_a_list_from_before_midnight_has_no_close_of_the_day(web, http):
    day = TODAY - DAY
    web.get(CHART, json={"prices": [[ms(day) + 23 * 3_600_000, 0.07], [ms(day) + 85_000_000, 0.08]]})
    web.get(KLINES, json=[])
    assert daily_prices(http, day, day) == {}


def test_a_last_point_exactly_at_midnight_is_a_close(web, http):
    web.get(CHART, json={"prices": [[ms(TODAY), 0.07]]})
    assert daily_prices(http, date(2026, 10, 3), date(2026, 10, 3)) == {date(2026, 10, 3): quote("0.07", "coingecko")}


@pytest.mark.parametrize("sources", [(CHART,), (KLINES,), (HISTODAY,)])
def test_every_source_gives_the_same_closes_of_the_same_market(web, http, settings, sources):
    """Midnights of 2026-10-01 to 04: .081, .080, .079, .078. A day closes at the next one."""
    settings.CRYPTOCOMPARE_API_KEY = "key"
    days = [date(2026, 10, 1) + n * DAY for n in range(4)]
    midnights = dict(zip(days, ("0.081", "0.080", "0.079", "0.078"), strict=True))
    closes = {day: midnights[day + DAY] for day in days[:-1]} | {TODAY: "0.0777"}  # today's is open
    answers = {
        CHART: {"prices": [*([ms(day), float(price)] for day, price in midnights.items()), [ms(TODAY) + 9, 0.0777]]},
        KLINES: [candle(day, close) for day, close in closes.items()],
        HISTODAY: {"Data": {"Data": [histoday(day, float(close)) for day, close in closes.items()]}},
    }
    for url in answers:
        web.get(url, **({"json": answers[url]} if url in sources else {"status": 451, "json": {}}))
    found = daily_prices(http, days[0], TODAY)
    assert {day.day: quote.price for day, quote in found.items()} == {
        1: Decimal("0.08"), 2: Decimal("0.079"), 3: Decimal("0.078"),
    }  # fmt: skip


def test_today_has_no_price_of_the_day_yet(web, http):
    assert daily_prices(http, TODAY, TODAY, TODAY) == {}
    assert http.requests == 0


def test_one_answer_is_enough_when_nothing_is_missing(web, http):
    days = [TODAY - timedelta(days=n) for n in range(30, 0, -1)]
    web.get(CHART, json={"prices": [[ms(day + DAY), 0.07] for day in days] + [[ms(TODAY) + 5000, 0.08]]})
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
    assert found[date(2024, 2, 29)] == quote("0.0729", "binance")
    assert len(candles.starts) == 2


def test_a_server_that_ignores_the_start_does_not_hold_us(web, http):
    web.get(CHART, status=500)
    rows = [candle(date(2023, 1, 1) + timedelta(days=n), "0.08") for n in range(1000)]
    web.get(KLINES, json=rows)
    found = daily_prices(http, date(2022, 1, 1), date(2026, 10, 3), TODAY)
    assert len(found) == 1000


def test_candles_of_days_to_come_are_left_out(web, http):
    web.get(CHART, status=500)
    rows = [candle(date(2023, 1, 1), "0.08")] + [candle(date(9999, 12, 31), "0.08")] * 999
    web.get(KLINES, json=rows)
    found = daily_prices(http, date(2023, 1, 1), date(2026, 10, 3), TODAY)
    assert list(found) == [date(2023, 1, 1)]


def test_todays_open_candle_is_no_close(web, http):
    web.get(CHART, status=500)
    Candles(web, date(2026, 9, 1))
    assert max(daily_prices(http, date(2026, 9, 20), TODAY, TODAY)) == date(2026, 10, 3)


def test_cryptocompare_fills_the_rest(web, http, settings):
    settings.CRYPTOCOMPARE_API_KEY = "key"
    web.get(CHART, json={"prices": [[ms(date(2026, 10, 1)), 0.07], [ms(TODAY) + 5, 0.08]]})
    web.get(KLINES, json=[])
    web.get(HISTODAY, json=payload("prices/cryptocompare_histoday"))
    found = daily_prices(http, date(2026, 9, 28), date(2026, 9, 30), TODAY)
    assert found[date(2026, 9, 28)] == quote("0.0747", "cryptocompare")
    assert date(2026, 9, 29) not in found  # its close of 0 means that there is none


def test_before_2021_the_symbol_was_another_coin(web, http, settings):
    settings.CRYPTOCOMPARE_API_KEY = "key"
    web.get(KLINES, json=[])
    rows = [
        {"time": ms(date(2020, 12, 31)) // 1000, "close": 0.1},
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
        [ms(day + DAY)],
        [ms(day + DAY), None],
        [ms(day + DAY), -1],
        [10**40, 1],
        [True, 1],
        [ms(day + DAY), 0.07],
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
