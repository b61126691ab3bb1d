"""Heights and times of blocks, without their transactions."""

from datetime import UTC, datetime

import pytest

from fluxtracker.upstream.chain.blockbook import Blockbook
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.http.errors import BadAnswer, NotFound
from fluxtracker.upstream.records import Block
from tests.upstream.payloads import payload

API = "https://api.example"
DAEMON = f"{API}/daemon"
SAMPLE = payload("daemon_getblock_2996900_verbosity1")
PATH = f"{DAEMON}/getblock/2996900/1"


@pytest.fixture
def daemon(http):
    return Daemon(http, API)


def test_the_height_stays_behind_what_the_node_counts(web, daemon):
    web.get(f"{DAEMON}/getblockcount", json={"status": "success", "data": 3_000_000})
    assert daemon.height() == 2_999_998


def test_a_block_tells_its_time(web, daemon):
    web.get(PATH, json=SAMPLE)
    made = datetime.fromtimestamp(SAMPLE["data"]["time"], UTC)
    assert daemon.block(2_996_900) == Block(2_996_900, made, SAMPLE["data"]["hash"])


@pytest.mark.parametrize(
    "spoiled",
    [{"time": None}, {"time": "1790796500"}, {"time": -1}, {"time": 0}, {"height": 5}, {"height": None}, {"hash": 7}],
)
def test_a_block_without_its_height_or_time_is_a_bad_answer(web, daemon, spoiled):
    web.get(PATH, json={"status": "success", "data": SAMPLE["data"] | spoiled})
    with pytest.raises(BadAnswer, match="/daemon/getblock"):
        daemon.block(2_996_900)


@pytest.mark.parametrize("data", [[], "hash", 5])
def test_something_else_than_a_block_is_a_bad_answer(web, daemon, data):
    web.get(PATH, json={"status": "success", "data": data})
    with pytest.raises(BadAnswer):
        daemon.block(2_996_900)


def test_a_block_past_the_tip_is_not_found(web, daemon):
    web.get(PATH, json=payload("daemon_error_height_out_of_range"))
    with pytest.raises(NotFound):
        daemon.block(2_996_900)


BLOCKBOOK = "https://blockbook.example/api/v2"
BLOCK = payload("blockbook_block_2996914")


@pytest.fixture
def blockbook(http):
    return Blockbook(http, BLOCKBOOK)


def test_blockbook_tells_the_same_of_a_block(web, blockbook):
    web.get(f"{BLOCKBOOK}/block/2996914", json=BLOCK)
    made = datetime.fromtimestamp(BLOCK["time"], UTC)
    assert blockbook.block(2_996_914) == Block(2_996_914, made, BLOCK["hash"])


@pytest.mark.parametrize(
    "spoiled",
    [{"time": None}, {"time": 0}, {"time": True}, {"time": 2**40}, {"height": 5}, {"height": "2996914"}, {"hash": "?"}],
)
def test_a_block_of_blockbook_without_its_height_or_time_is_a_bad_answer(web, blockbook, spoiled):
    web.get(f"{BLOCKBOOK}/block/2996914", json=BLOCK | spoiled)
    with pytest.raises(BadAnswer, match="/block/2996914"):
        blockbook.block(2_996_914)


def test_a_block_past_the_tip_of_blockbook_is_not_found(web, blockbook):
    web.get(f"{BLOCKBOOK}/block/9999999", json={"error": "Block 9999999 not found (Block not found)"}, status=400)
    with pytest.raises(NotFound):
        blockbook.block(9_999_999)
