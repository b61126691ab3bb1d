"""What is kept of an app message, of every version and from bad ones (docs/upstream.md#app-messages)."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http.errors import BadAnswer
from fluxtracker.upstream.messages import find_message, least_sat, read_message, read_messages
from fluxtracker.upstream.records import Term, Unit
from tests.deployments.messages import MONTH, OWNER, START, record
from tests.factories import digest
from tests.upstream.payloads import payload

API = "https://api.example"
MESSAGES = f"{API}/apps/permanentmessages"
HASH = "82bf5f3135bcbcdcf26c2daeb62be74e777695ce886b4c42e257daa063a2c209"


@pytest.fixture
def registry(http):
    return AppRegistry(http, API)


def success(*data):
    return {"status": "success", "data": list(data)}


def read(**values):
    return read_message(record(**values), Counter())


def test_a_real_encrypted_update_is_read(web, registry):
    web.get(MESSAGES, json=payload("apps/permanentmessages_hash"))
    message = find_message(registry, HASH, Counter())
    assert (message.hash, message.name, message.version) == (HASH, "dragonwilds1790792896573", 8)
    assert (message.is_registration, message.encrypted, message.images) == (False, True, ())
    assert (message.height, message.value_sat, message.instances) == (2_996_916, 2_000_000, 2)
    assert message.term == Term(20_061, Unit.BLOCKS)
    assert message.sent_at == datetime(2026, 9, 30, 19, 36, 57, 517000, UTC)
    assert (message.cpu_tenths, message.ram_mb, message.hdd_gb, message.applied) == (None, None, None, True)


def test_every_real_message_can_be_used(web, registry):
    web.get(MESSAGES, json=payload("apps/permanentmessages"))
    left_out = Counter()
    found = list(read_messages(registry, left_out))
    assert len(found) == len(payload("apps/permanentmessages")["data"])
    assert not left_out
    assert all(message.owner and message.term and message.txid for message in found)


def test_all_components_count_together():
    parts = [
        {"repotag": "acme/web:1", "cpu": 0.5, "ram": 500, "hdd": 5},
        {"repotag": "acme/db", "cpu": 1.2, "ram": 1, "hdd": 2},
    ]
    message = read(compose=parts)
    assert (message.cpu_tenths, message.ram_mb, message.hdd_gb) == (17, 501, 7)
    assert message.images == ("acme/web:1", "acme/db")


def test_a_flat_specification_is_its_own_component():
    message = read(compose=None, version=3, repotag="acme/web", cpu=0.5, ram=100, hdd=1)
    assert (message.cpu_tenths, message.images) == (5, ("acme/web",))


def test_the_keys_of_zelcash_are_understood():
    old = record(_type="zelappregister")
    old["zelAppSpecifications"] = old.pop("appSpecifications")
    message = read_message(old, Counter())
    assert (message.name, message.is_registration) == ("Shop", True)


@pytest.mark.parametrize(
    ("version", "height", "values", "term"),
    [
        (1, 700_000, {"expire": None}, Term(22_000, Unit.BLOCKS)),
        (5, 2_100_000, {"expire": 0}, Term(88_000, Unit.BLOCKS)),
        (6, 1_400_000, {"expire": 5_000}, Term(5_000, Unit.BLOCKS)),
        (8, START, {"expire": 1}, Term(1, Unit.BLOCKS)),
        (9, START, {"expire": 604_800}, Term(604_800, Unit.SECONDS)),
        (9, START, {"expire": None, "ttl": 604_800}, Term(604_800, Unit.SECONDS)),
        (9, START, {"expire": 100}, None),
        (9, START, {"expire": None}, None),
        (8, START, {"expire": "88000"}, None),
        (8, START, {"expire": -1}, None),
        (8, START, {"expire": 3 * 365 * 2880}, Term(3 * 365 * 2880, Unit.BLOCKS)),
        (8, START, {"expire": 3 * 365 * 2880 + 1}, None),  # absurd
        (8, 1_500_000, {"expire": 2**31 - 1}, None),
        ("8", START, {}, None),
    ],
)
def test_a_term_is_that_of_its_version_and_time(version, height, values, term):
    assert read(version=version, height=height, **values).term == term


@pytest.mark.parametrize(
    ("instances", "expected"), [(None, 3), (5, 5), (0, None), (-1, None), ("3", None), (3.0, None)]
)
def test_instances_are_three_where_a_message_does_not_say(instances, expected):
    assert read(instances=instances).instances == expected


@pytest.mark.parametrize(
    ("owner", "expected"),
    [(OWNER, OWNER), ("0x" + "aB" * 20, "0x" + "aB" * 20), ("nobody", None), ("", None), (None, None), (5, None),
     ("not an address of anybody", None), ("1" * 65, None)],
)  # fmt: skip
def test_an_owner_that_is_no_address_is_none(owner, expected):
    assert read(owner=owner).owner == expected


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"_type": "fluxappremove"}, "unknownType"),
        ({"_type": None}, "unknownType"),
        ({"_type": []}, "unknownType"),
        ({"_hash": "xyz"}, "noHash"),
        ({"_hash": None}, "noHash"),
        ({"name": ""}, "noName"),
        ({"name": {}}, "noName"),
        ({"_height": None}, "noHeight"),
        ({"_height": "5"}, "noHeight"),
        ({"_height": -1}, "noHeight"),
        ({"_height": 2**31}, "noHeight"),
    ],
)
def test_a_record_that_cannot_be_used_is_counted_by_its_reason(values, reason):
    left_out = Counter()
    assert read_message(record(**values), left_out) is None
    assert left_out == {reason: 1}


@pytest.mark.parametrize("row", [None, 5, "text", [], {}, {"appSpecifications": []}, {"zelAppSpecifications": "x"}])
def test_a_row_that_is_no_record_is_counted(row):
    left_out = Counter()
    assert read_message(row, left_out) is None
    assert left_out.total() == 1


@pytest.mark.parametrize(
    "values", [{"_txid": 5}, {"_valueSat": "x"}, {"_timestamp": -1}, {"compose": 5}, {"version": -3}]
)
def test_what_else_is_wrong_is_not_known_and_the_rest_stays(values):
    message = read(**values)
    assert message.name == "Shop"
    assert "" in (message.txid, message.images) or None in (
        message.value_sat,
        message.sent_at,
        message.term,
        message.cpu_tenths,
    )


@pytest.mark.parametrize(
    ("height", "least"), [(982_999, 10**8), (983_000, 10**7), (1_003_999, 10**7), (1_004_000, 10**6)]
)
def test_a_message_that_pays_less_than_the_least_is_not_applied(height, least):
    assert least_sat(height) == least
    assert read(_height=height, _valueSat=least).applied
    assert not read(_height=height, _valueSat=least - 1).applied
    assert read(_height=height, _valueSat=None).applied


def test_bad_records_of_a_dump_leave_the_others_untouched(web, registry):
    rows = [record(), None, record(_type="x"), record(digest("b"), START + 1, expire=MONTH), record(_height="y")]
    web.get(MESSAGES, json=success(*rows))
    left_out = Counter()
    assert [message.height for message in read_messages(registry, left_out)] == [START, START + 1]
    assert left_out == {"noObject": 1, "unknownType": 1, "noHeight": 1}


def test_of_two_records_with_one_hash_the_first_in_the_chain_is_the_message(web, registry):
    web.get(MESSAGES, json=success(record(HASH, START + 5), record(HASH, START)))
    assert find_message(registry, HASH, Counter()).height == START


def test_a_dump_that_breaks_off_is_an_error_after_what_came(web, registry):
    web.get(MESSAGES, body=b'{"status":"success","data":[')
    with pytest.raises(BadAnswer):
        list(read_messages(registry, Counter()))


@pytest.mark.parametrize("data", [8, "8", {"version": 8}])
def test_the_newest_version_is_told(web, registry, data):
    web.get(f"{API}/apps/latestspecificationversion", json={"status": "success", "data": data})
    assert registry.latest_version() == 8


@pytest.mark.parametrize("data", [0, "eight", {}, [], -1, 10**9])
def test_a_version_that_is_none_is_an_error(web, registry, data):
    web.get(f"{API}/apps/latestspecificationversion", json={"status": "success", "data": data})
    with pytest.raises(BadAnswer):
        registry.latest_version()
