from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import requests

from tests.simnet.asking import NOW, get
from tests.simnet.control import Kind
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.waiting import AMPLE

CHART = "/coingecko/coins/zelcash/market_chart"
KLINES = "/binance/klines"
PAIR = {"symbol": "FLUXUSDT", "interval": "1d"}


def test_coingecko_gives_one_point_a_day_and_now(world: World, sim: SimServer) -> None:
    points = get(sim, CHART, vs_currency="usd", days=365)["prices"]
    times = [datetime.fromtimestamp(ms / 1000, UTC) for ms, _ in points]
    assert len(points) == 366
    assert times[-1] == NOW
    assert all(moment.hour == moment.minute == 0 for moment in times[:-1])
    closes = [world.day_price(moment.date() - timedelta(days=1)) for moment in times[:-1]]
    assert [price for _, price in points[:-1]] == closes
    assert points[-1][1] == world.live_price()


def test_coingecko_gives_hours_for_a_month_unless_days_are_asked_for(sim: SimServer) -> None:
    assert len(get(sim, CHART, vs_currency="usd", days=30)["prices"]) == 30 * 24 + 1
    assert len(get(sim, CHART, vs_currency="usd", days=30, interval="daily")["prices"]) == 31


@pytest.mark.parametrize("days", ["366", "max"])
def test_coingecko_refuses_more_than_a_year(sim: SimServer, days: str) -> None:
    answer = requests.get(f"{sim.url}{CHART}", params={"days": days}, timeout=AMPLE)
    assert answer.status_code == 401
    assert answer.json()["error"]["status"]["error_code"] == 10012


def test_coingecko_says_nothing_about_unknown_coins(world: World, sim: SimServer) -> None:
    path = "/coingecko/simple/price"
    assert get(sim, path, ids="nothing", vs_currencies="usd") == {}
    assert get(sim, path, ids="zelcash", vs_currencies="usd") == {"zelcash": {"usd": world.live_price()}}


def test_binance_candles_are_text_and_the_last_is_todays(world: World, sim: SimServer) -> None:
    rows = get(sim, KLINES, limit=3, **PAIR)
    assert [datetime.fromtimestamp(row[0] / 1000, UTC).day for row in rows] == [18, 19, 20]
    assert all(isinstance(value, str) for row in rows for value in row[1:6])
    assert rows[-1][6] > NOW.timestamp() * 1000
    assert float(rows[0][4]) == pytest.approx(world.day_price(date(2026, 11, 18)), abs=5e-5)


def test_binance_starts_where_it_is_told_and_knows_nothing_before_the_listing(sim: SimServer) -> None:
    start = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000)
    rows = get(sim, KLINES, startTime=start, limit=1000, **PAIR)
    assert (rows[0][0], len(rows)) == (start, 689)
    assert len(get(sim, KLINES, startTime=0, limit=5000, **PAIR)) == 1000
    assert get(sim, KLINES, startTime=0, **PAIR)[0][0] > datetime(2021, 1, 1, tzinfo=UTC).timestamp() * 1000


def test_binance_refuses_unknown_symbols(sim: SimServer) -> None:
    answer = requests.get(f"{sim.url}{KLINES}", params={"symbol": "NOPE", "interval": "1d"}, timeout=AMPLE)
    assert (answer.status_code, answer.json()["code"]) == (400, -1121)


def test_cryptocompare_wants_a_key(world: World, sim: SimServer) -> None:
    url, params = f"{sim.url}/cryptocompare/v2/histoday", {"fsym": "FLUX", "tsym": "USD", "limit": 10}
    assert requests.get(url, params=params, timeout=AMPLE).status_code == 401
    answer = requests.get(url, params=params, headers={"Authorization": "Apikey abc"}, timeout=AMPLE).json()
    rows = answer["Data"]["Data"]
    assert len(rows) == 11
    assert rows[0]["time"] < rows[-1]["time"]
    assert rows[0]["close"] == world.day_price(date(2026, 11, 10))


def test_a_fault_makes_one_point_of_each_history_or_the_price_of_now_absurd(world: World, sim: SimServer) -> None:
    sim.faults.add(Kind.ABSURD_PRICE, "")
    live = world.live_price()
    headers = {"Authorization": "Apikey abc"}
    histoday = requests.get(
        f"{sim.url}/cryptocompare/v2/histoday",
        params={"fsym": "FLUX", "tsym": "USD", "limit": 8},
        headers=headers,
        timeout=AMPLE,
    ).json()
    closes = [
        [price for _, price in get(sim, CHART, vs_currency="usd", days=9)["prices"]],
        [float(row[4]) for row in get(sim, KLINES, limit=9, **PAIR)],
        [row["close"] for row in histoday["Data"]["Data"]],
    ]
    assert [sum(close > 1 for close in found) for found in closes] == [1, 1, 1]
    asked = get(sim, "/coingecko/simple/price", ids="zelcash", vs_currencies="usd")
    assert asked == {"zelcash": {"usd": live * 1000}}
    assert get(sim, "/explorer/currency")["data"]["rate"] == live * 1000
    assert get(sim, "/explorer/markets/info")["price"] == live * 1000


def test_faults_make_candles_old_or_untraded(sim: SimServer) -> None:
    sim.faults.add(Kind.OLD_CANDLE, "", times=2)
    assert datetime.fromtimestamp(get(sim, KLINES, limit=1, **PAIR)[0][0] / 1000, UTC).date() == date(2026, 5, 4)
    asked = {"ids": "zelcash", "vs_currencies": "usd", "include_last_updated_at": "true"}
    assert get(sim, "/coingecko/simple/price", **asked)["zelcash"]["last_updated_at"] == NOW.timestamp() - 200 * 86_400
    sim.faults.add(Kind.NO_TRADES, "")
    assert {(row[5], row[8]) for row in get(sim, KLINES, limit=3, **PAIR)} == {("0.00000000", 0)}
    assert {price for _, price in get(sim, CHART, vs_currency="usd", days=9)["prices"]} == {None}


def test_the_explorer_nests_its_rate(world: World, sim: SimServer) -> None:
    found = get(sim, "/explorer/currency")
    assert found == {"status": 200, "data": {"rate": world.live_price(), "short": "FLUX"}}
    assert get(sim, "/explorer/markets/info")["price"] == world.live_price()


def test_prices_are_those_of_the_years(world: World) -> None:
    assert world.day_price(date(2025, 10, 14)) == pytest.approx(0.19, abs=0.015)
    assert world.day_price(date(2026, 10, 1)) == pytest.approx(0.075, abs=0.01)
