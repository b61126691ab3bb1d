"""Answers that are small on the wire and large in memory, and rows whose text is none."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.upstream.chain.blockbook import Blockbook
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import ITEM_BYTES, AppRegistry
from fluxtracker.upstream.http.errors import BadAnswer, UpstreamError
from fluxtracker.upstream.parsing import mend_text
from fluxtracker.upstream.price_feeds import binance_now, coingecko_now
from fluxtracker.upstream.stats import Stats

ANY = re.compile(".*")
MB = 1 << 20
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BASE = "https://one.example"
HASH = "ab" * 32
OBJECTS = b'{"status":"success","data":[' + b",".join([b"{}"] * (2 * MB)) + b"]}"
DEEP = b'{"status":"success","data":' + b"[" * 1_000 + b"]" * 1_000 + b"}"
DIGITS = b'{"status":"success","data":' + b"9" * 100_000 + b"}"
ANSWERS = {"objects": OBJECTS, "deep": DEEP, "digits": DIGITS}
PACKED = {name: gzip.compress(answer, 1) for name, answer in ANSWERS.items()}
LARGE = ("objects",)
ASKED = {
    "a number": lambda http: Daemon(http, BASE).height(),
    "a hash": lambda http: Blockbook(http, BASE).block_hash(5),
    "node counts": lambda http: Daemon(http, BASE).node_counts(),
    "a transaction": lambda http: Blockbook(http, BASE).transaction(HASH),
    "a listing": lambda http: Blockbook(http, BASE).listing("t1x", 1, 9),
    "ids": lambda http: Daemon(http, BASE).txids("t1x", 1, 9),
    "capacity": lambda http: Stats(http, BASE).capacity(),
    "history": lambda http: Stats(http, BASE).node_history(),
    "specifications": lambda http: AppRegistry(http, BASE).specifications_now(),
    "a message": lambda http: AppRegistry(http, BASE).message(HASH),
    "a price": lambda http: coingecko_now(http, NOW),
    "candles": lambda http: binance_now(http, NOW),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("asked", ASKED)
def test_a_well_compressed_answer_is_refused_before_it_fills_the_memory(
    web, http, settings, monkeypatch, asked, answer
):
    settings.COINGECKO_URL = settings.BINANCE_URL = BASE
    if answer in LARGE:
        monkeypatch.setattr("fluxtracker.upstream.http.client.orjson.loads", lambda _: pytest.fail("it was parsed"))
    web.get(url=ANY, body=PACKED[answer], headers={"Content-Encoding": "gzip"})
    with pytest.raises(UpstreamError):
        ASKED[asked](http)


@pytest.mark.parametrize(
    ("limit", "data"),
    [
        (ITEM_BYTES, b"9" * 100_000),
        (ITEM_BYTES, b'[{"a":' + b"9" * 100_000 + b"}]"),
        (MB // 4, b"[[" + b"[]," * (MB // 8)),
        pytest.param(ITEM_BYTES, b"[[" + b"[]," * (3 * MB), marks=pytest.mark.slow),
    ],
    ids=["a number", "a number in an item", "an item", "an item as large as there may be"],
)
def test_a_stream_of_one_endless_item_or_number_is_refused(web, http, monkeypatch, limit, data):
    monkeypatch.setattr("fluxtracker.upstream.fluxos.ITEM_BYTES", limit)
    web.get(url=ANY, body=b'{"status":"success","data":' + data + b"}")
    with pytest.raises(BadAnswer):
        AppRegistry(http, BASE).dump([HASH])


@pytest.mark.parametrize("half", [r"\ud800", r"\udc00", r"\ud800A", r"\\\ud83d", r"\ud83dA"])
def test_half_a_surrogate_costs_its_row_and_not_the_feed(web, http, half):
    names = f'{{"Names":["/good"],"Image":"nginx:1"}},{{"Names":["/b{half}"],"Image":"nginx:1"}}'
    rows = f'{{"apps":{{"runningapps":[{names}]}}}}'
    web.get(url=ANY, body=f'{{"status":"success","data":[{rows}]}}'.encode())
    found = Stats(http, BASE).containers()
    assert ([one.name for one in found.containers], found.left_out) == (["good"], 1)


@pytest.mark.parametrize("broken", [rb"\ud800", rb"\udfff", b"\xff\xfe", b"\xed\xa0\x80", rb"\ud83d\ud83d"])
def test_specifications_messages_and_dumps_lose_one_app_alike(web, http, broken):
    good = json.dumps({"hash": HASH, "appSpecifications": {"name": "good"}, "name": "good"}).encode()
    bad = good.replace(b"good", b"b" + broken).replace(HASH.encode(), b"cd" * 32)
    web.get(url=ANY, body=b'{"status":"success","data":[' + bad + b"," + good + b"]}")
    registry = AppRegistry(http, BASE)
    found = registry.specifications_now()
    assert ([app.name for app in found.apps], found.left_out) == (["good"], 1)
    assert {key: one.app_name for key, one in registry.dump([HASH, "cd" * 32]).items()} == {HASH: "good"}
    assert registry.message(HASH).app_name == "good"
    assert registry.message("cd" * 32) is None


@given(st.text(max_size=40), st.integers(1, 9))
def test_text_that_is_some_is_left_as_it_is(text, cut):
    for data in (json.dumps([text]).encode(), json.dumps([text], ensure_ascii=False).encode("utf-8", "replace")):
        if not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
            assert mend_text(data) == data


@given(
    st.lists(st.sampled_from(["\\ud83d", "\\ude00", "\\\\", "ud800", "x", "\\n", "é"]), max_size=12), st.integers(1, 8)
)
def test_a_stream_is_mended_as_the_whole_is_wherever_it_is_cut(parts, size):
    from fluxtracker.upstream.fluxos import _mended

    data = f'["{"".join(parts)}"]'.encode()

    class Cut:
        left = data

        def read(self):
            piece, self.left = self.left[:size], self.left[size:]
            return piece

    assert b"".join(_mended(Cut())) == mend_text(data)
    json.loads(mend_text(data))
