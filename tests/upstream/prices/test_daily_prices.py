"""The prices of days."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from fluxtracker.upstream.http.errors import UpstreamError
from tests.upstream.payloads import payload
from tests.upstream.prices.conftest import (
    CHART,
    DAY,
    HISTODAY,
    KLINES,
    TODAY,
    USUAL,
    Candles,
    candle,
    daily_prices,
    day_prices,
    histoday,
    ms,
    quote,
)


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


@pytest.mark.parametrize("times", [0.5, 1.4, 2.4])
def test_without_anything_to_compare_with_the_first_of_sources_of_one_level_is_taken(web, http, times):
    first = TODAY - 10 * DAY
    web.get(CHART, json=chart(first, [0.07] * 5 + [70.0] + [0.07] * 4))
    web.get(KLINES, json=[candle(first + n * DAY, str(0.07 * times)) for n in range(10)])
    found = daily_prices(http, first, TODAY, known={})
    assert len(found) == 10
    assert {price.source for day, price in found.items() if day != first + 5 * DAY} == {"coingecko"}
    assert found[first + 5 * DAY].source == "binance"


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
