import json
import tracemalloc

import pytest

from fluxtracker.upstream import fluxos
from fluxtracker.upstream.clients import app_registry, chain_sources
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable
from fluxtracker.upstream.records import AppComponent, AppMessage, Unit
from tests.upstream.payloads import payload

API = "https://api.example"
MESSAGES = f"{API}/apps/permanentmessages"
SPECIFICATIONS = f"{API}/apps/globalappsspecifications"
HASH = "82bf5f3135bcbcdcf26c2daeb62be74e777695ce886b4c42e257daa063a2c209"
WHITEPAPER = "165623120698430fa6cc81ab3878c7b82f77e461e1ccb202ca6760d6f831ab9f"


@pytest.fixture
def registry(http):
    return AppRegistry(http, API)


def success(data):
    return {"status": "success", "data": data}


def message(specification, message_hash=HASH, key="appSpecifications"):
    return {"type": "fluxappregister", key: specification, "hash": message_hash, "height": 5}


def test_a_message_tells_the_apps_name(web, registry):
    web.get(MESSAGES, json=payload("apps/permanentmessages_hash"))
    assert registry.message(HASH) == AppMessage(HASH, "dragonwilds1790792896573", is_git=False)
    assert web.calls[0].request.params == {"hash": HASH}


def test_a_message_nobody_knows_is_none(web, registry):
    web.get(MESSAGES, json=success([]))
    assert registry.message(HASH) is None


@pytest.mark.parametrize(
    "specification",
    [
        {"name": "App", "compose": [{"repotag": "x/y"}, {"repotag": "RunOnFlux/Orbit:latest"}]},
        {"name": "App", "repotag": "runonflux/orbit"},
        {"name": "App", "compose": [{"repotag": "registry.example:5000/runonflux/ORBIT:v2"}]},
    ],
)
def test_an_app_on_the_orbit_image_is_deployed_from_git(web, registry, specification):
    web.get(MESSAGES, json=success([message(specification)]))
    assert registry.message(HASH).is_git


@pytest.mark.parametrize(
    "compose", [[], None, [None], [{}], [{"repotag": None}], [{"repotag": "runonflux/orbital"[:13]}]]
)
def test_other_apps_are_not(web, registry, compose):
    web.get(MESSAGES, json=success([message({"name": "App", "compose": compose})]))
    assert not registry.message(HASH).is_git


def test_the_legacy_key_is_understood(web, registry):
    web.get(MESSAGES, json=success([message({"name": "Old", "repotag": "a/b"}, key="zelAppSpecifications")]))
    assert registry.message(HASH).app_name == "Old"


def test_a_strangers_name_is_made_harmless(web, registry):
    web.get(MESSAGES, json=success([message({"name": " a\x00b\n\u202ec" + "x" * 500})]))
    name = registry.message(HASH).app_name
    assert name.startswith("abcxxx")
    assert len(name) == 128


@pytest.mark.parametrize("specification", [None, {}, {"name": ""}, {"name": 5}, {"name": "\x00"}, [], "text"])
def test_a_message_that_names_no_app_is_as_good_as_none(web, registry, specification):
    web.get(MESSAGES, json=success([message(specification)]))
    assert registry.message(HASH) is None


@pytest.mark.parametrize(
    "answer",
    [
        payload("apps/error_no_code"),
        success({}),
        success(None),
        success([message({"name": "Other"}, "ab" * 32)]),
        success([None]),
        {"status": "success"},
        [],
    ],
)
def test_a_wrong_answer_is_refused(web, registry, answer):
    web.get(MESSAGES, json=answer)
    with pytest.raises(BadAnswer):
        registry.message(HASH)


def test_the_dump_gives_the_wanted_messages_only(web, registry):
    web.get(MESSAGES, json=payload("apps/permanentmessages"))
    assert registry.dump({WHITEPAPER, "ab" * 32}) == {
        WHITEPAPER: AppMessage(WHITEPAPER, "BitcoinWhitepaper", is_git=False)
    }


def test_the_specifications_give_messages_too(web, registry):
    specifications = payload("apps/globalappsspecifications")
    firod, last = specifications["data"][0], specifications["data"][-1]
    web.get(SPECIFICATIONS, json=specifications)
    found = registry.specifications([firod["hash"], last["hash"]])
    assert {one.app_name for one in found.values()} == {"Firod", "Fluxtracker"}


def test_the_status_may_come_after_the_data(web, registry):
    body = payload("apps/permanentmessages")
    web.get(MESSAGES, json={"data": body["data"], "status": "success"})
    assert registry.dump([WHITEPAPER])


def whole_dump():
    return json.dumps(payload("apps/permanentmessages"))


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (whole_dump()[:-1], "malformed"),
        (whole_dump()[:2000], "malformed"),
        (whole_dump().replace("success", "error"), "status error"),
        (json.dumps({"data": payload("apps/permanentmessages")["data"]}), "neither"),
        (json.dumps(payload("apps/permanentmessages") | {"status": 1}), "neither"),
        (json.dumps(payload("apps/error_no_code")), "No Application Owner specified"),
        ('{"status":"success","data":[]}', "empty list"),
        ('{"status":"success","data":{}}', "empty list"),
        ('{"status":"success"}', "empty list"),
        ("[]", "not an object"),
        ("null", "not an object"),
        ("<html>busy</html>", "web page"),
        ("", "malformed"),
        ("{} trailing", "malformed"),
    ],
)
def test_a_wrong_dump_is_refused(web, registry, body, detail):
    web.get(MESSAGES, body=body)
    with pytest.raises(BadAnswer, match=detail):
        registry.dump([WHITEPAPER])


def test_a_dump_that_does_not_come_is_an_outage(web, registry):
    web.get(MESSAGES, status=503)
    with pytest.raises(Unavailable):
        registry.dump([WHITEPAPER])


def test_odd_records_in_a_dump_are_passed_over(web, registry):
    good = payload("apps/permanentmessages")["data"]
    web.get(MESSAGES, json=success([None, 5, [], {}, {"hash": 7}, {"hash": None}, *good]))
    assert set(registry.dump([WHITEPAPER])) == {WHITEPAPER}


def test_a_large_dump_is_read_in_little_memory(web, registry):
    record = payload("apps/permanentmessages")["data"][0]
    body = json.dumps(success([record | {"hash": f"{n:064x}"} for n in range(10_000)])).encode()
    web.get(MESSAGES, body=body)
    tracemalloc.start()
    found = registry.dump([f"{n:064x}" for n in (0, 9_999)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 2
    assert len(body) > 7_000_000
    assert peak < 3_500_000


def test_the_sources_of_the_chain_come_in_the_order_of_the_settings(http, settings):
    settings.BLOCKBOOK_URLS = ["https://one.example/api/v2", "https://two.example/api/v2"]
    settings.FLUX_API_URL = "https://flux.example"
    assert [source.host for source in chain_sources(http)] == ["one.example", "two.example", "flux.example"]
    assert app_registry(http).host == "flux.example"


def test_specifications_of_every_version_are_read(web, registry):
    web.get(SPECIFICATIONS, json=payload("apps_globalappsspecifications"))
    found = registry.specifications_now()
    apps = {app.name: app for app in found.apps}
    assert (len(apps), found.left_out) == (11, 0)
    firod, barb, hidden = apps["Firod"], apps["131barb1"], apps["Fluxtracker"]
    assert (firod.flat, firod.components[0].image, firod.term, firod.height) == (
        True,
        "firoorg/firod:latest",
        (88_000, Unit.BLOCKS),
        2988294,
    )
    assert barb.components[1] == AppComponent("ps1", "packetstream/psclient:latest")
    assert (barb.flat, barb.encrypted, barb.term, barb.instances) == (False, False, (85301, Unit.BLOCKS), 100)
    assert (hidden.encrypted, hidden.components) == (True, ())


def test_nothing_private_is_in_a_record(web, registry):
    row = payload("apps_globalappsspecifications")["data"][0]
    secret = {"enviromentParameters": ["PASSWORD=hunter2"], "environmentParameters": ["PASSWORD=hunter2"]}
    compose = [{"name": "web", "repotag": "a/b", **secret, "secrets": "hunter2", "repoauth": "hunter2"}]
    web.get(SPECIFICATIONS, json=success([row | secret, row | secret | {"compose": compose}]))
    assert "hunter2" not in repr(registry.specifications_now())


def test_rows_without_a_name_are_left_out_and_counted(web, registry):
    web.get(SPECIFICATIONS, json=success([None, 5, [], {}, {"name": 5}, {"name": ""}, {"name": "App"}]))
    found = registry.specifications_now()
    assert [app.name for app in found.apps] == ["App"]
    assert found.left_out == 6


@pytest.mark.parametrize("wrong", [None, "5", -1, True, 1.5, [], 10**12])
def test_what_is_no_number_is_not_known(web, registry, wrong):
    row = {"name": "App", "version": wrong, "height": wrong, "expire": wrong, "instances": wrong}
    web.get(SPECIFICATIONS, json=success([row]))
    app = registry.specifications_now().apps[0]
    assert (app.version, app.height, app.term, app.instances) == (0, None, None, None)


@pytest.mark.parametrize("version", ["9", 9.0, True, None, 0, -9, [9], "missing"])
def test_a_version_that_is_no_number_says_nothing_of_the_term(web, registry, version):
    row = {"name": "App", "height": 3_060_000, "expire": 604_800, "ttl": 604_800}
    web.get(SPECIFICATIONS, json=success([row if version == "missing" else row | {"version": version}]))
    app = registry.specifications_now().apps[0]
    assert (app.version, app.term) == (0, None)


def test_keys_that_a_later_version_brings_are_logged_once_and_never_what_they_say(web, registry, caplog, monkeypatch):
    monkeypatch.setattr(fluxos, "_logged", set())  # as a process that has just begun
    app = {"name": "App", "version": 9, "height": 3_060_000, "ttl": 604_800}
    strange = {"machineType": "hunter2", "memo": {"hunter3": "hunter4"}, "hunter5 <b>": 1, "x" * 41: 1}
    web.get(SPECIFICATIONS, json=success([app | strange, app | {"version": 8, "note": "hunter6"}]))
    with caplog.at_level("INFO"):
        registry.specifications_now()
        registry.specifications_now()
    said = [record.msg for record in caplog.records if "specification_keys_unknown" in str(record.msg)]
    assert [event["keys"] for event in said] == [["machineType", "memo"]]
    assert "hunter" not in caplog.text
    assert "hunter" not in repr(registry.specifications_now())


@pytest.mark.parametrize("tag", [None, "", " ", 5, [], "a b", "<b>", "x" * 300])
def test_what_is_no_image_is_not_public(web, registry, tag):
    web.get(SPECIFICATIONS, json=success([{"name": "App", "compose": [{"name": "web", "repotag": tag}, None]}]))
    assert registry.specifications_now().apps[0].components == (AppComponent("web", None),)


@pytest.mark.parametrize("rows", [[], {}, "text", [None], [{}]])
def test_specifications_of_no_app_are_refused(web, registry, rows):
    web.get(SPECIFICATIONS, json=success(rows))
    with pytest.raises(BadAnswer):
        registry.specifications_now()


def test_an_error_holds_printable_words_only(web, registry):
    web.get(MESSAGES, json={"status": "error", "data": {"message": "boom\x00in\ttwo\nlines\u202e"}})
    with pytest.raises(BadAnswer) as caught:
        registry.message(HASH)
    assert str(caught.value) == "api.example /apps/permanentmessages: status error: boom in two lines "
    assert caught.value.detail == "status error: boom in two lines "


def test_a_message_of_the_dump_with_an_odd_hash_is_passed_over(web, registry):
    odd = [message({"name": "App"}, hash_) for hash_ in (["a"], {"a": 1}, 5, None)]
    web.get(MESSAGES, json=success([*odd, message({"name": "App"})]))
    assert registry.dump({HASH}).keys() == {HASH}
