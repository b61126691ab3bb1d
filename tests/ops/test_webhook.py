"""Where a webhook may go, and how long it may take."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ops.alerts import webhook as webhooks
from ops.alerts.webhook import NotDelivered, is_public
from tests.ops.webhook_server import HOST, PATH, PUBLIC, Server, answer, drip, hang, hang_up, serving

BODY, ID = {"text": "hello"}, "b7e0c1"
NOT_PUBLIC = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip
NOT_PUBLIC_6 = ("::/96", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32", "2001::/32", "100::/64")


def inside(*networks: str) -> st.SearchStrategy[str]:
    """Addresses of these networks."""
    chosen = st.sampled_from([ipaddress.ip_network(network) for network in networks])
    return chosen.flatmap(lambda network: st.ip_addresses(network=network)).map(str)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.names = {HOST: [PUBLIC]}
    running.answers.clear()
    for seen in (running.asked, running.delivery_ids, running.connected, running.slept):
        seen.clear()
    return running


@given(inside(*NOT_PUBLIC))
def test_no_address_of_a_special_network_is_public(address: str) -> None:
    assert not is_public(address)


@given(inside(*NOT_PUBLIC_6))
def test_no_address_of_a_special_network_of_ipv6_is_public(address: str) -> None:
    assert not is_public(address)
    assert not is_public(f"{address}%eth0")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_the_clothes_of_ipv6_counts_as_itself(address: ipaddress.IPv4Address) -> None:
    packed = int(address)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | packed)
    translated = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) | packed)
    six_to_four = ipaddress.IPv6Address((0x2002 << 112) | (packed << 80) | 1)
    assert {is_public(str(worn)) for worn in (mapped, translated, six_to_four)} == {is_public(str(address))}


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::808:808"])
def test_ordinary_addresses_are_public(address: str) -> None:
    assert is_public(address)


@given(st.text(max_size=40))
def test_what_is_no_address_is_not_public(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        assert not is_public(text)


def test_a_body_is_delivered_to_the_address_that_was_checked(server: Server) -> None:
    server.webhook().post(BODY, ID)
    assert server.asked == [(HOST, PATH, BODY)]
    assert server.connected == [PUBLIC]


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.1.2.3"], ["::1"], ["::ffff:169.254.169.254"], [PUBLIC, "192.168.1.1"], []],
)
def test_a_name_that_means_something_private_is_refused_without_connecting(
    server: Server, addresses: list[str]
) -> None:
    server.names[HOST] = addresses
    with pytest.raises(NotDelivered, match=r"hooks.example is not on the public internet \("):
        server.webhook().post(BODY, ID)
    assert server.connected == server.slept == []


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "https://[::1]/x", "https://localhost/x", "https://0/x"])
def test_the_real_name_service_is_believed_no_more(server: Server, url: str) -> None:
    with pytest.raises(NotDelivered, match="is not on the public internet"):
        server.webhook(url, resolve=webhooks.resolve).post(BODY, ID)
    assert server.connected == []


def test_a_name_that_changes_its_meaning_is_connected_to_where_it_was_checked(server: Server) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    server.webhook(resolve=lambda host, port: next(answers)).post(BODY, ID)
    assert server.connected == [PUBLIC]
    assert next(answers) == ["127.0.0.1"]  # was not asked for a second time


def test_an_unknown_name_is_told(server: Server) -> None:
    with pytest.raises(NotDelivered, match=r"the name nowhere\.example is not known"):
        server.webhook("https://nowhere.example/x").post(BODY, ID)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://hooks.example/x", "not https"),
        ("https://127.0.0.1/x", "127.0.0.1 is not on the public internet"),
        ("https://inside.example/x", "inside.example is not on the public internet"),
        ("https://hooks.example:port/x", "no address"),
        ("ftp://hooks.example/x", "not https"),
    ],
)
def test_a_redirect_to_a_forbidden_place_is_refused_in_words(server: Server, location: str, reason: str) -> None:
    server.names |= {"127.0.0.1": ["127.0.0.1"], "inside.example": ["10.0.0.7"]}
    server.answers[PATH] = answer(302, Location=location)
    with pytest.raises(NotDelivered, match=reason) as failed:
        server.webhook().post(BODY, ID)
    assert "s3cret" not in str(failed.value)
    assert len(server.asked) == 1


def test_a_redirect_to_another_public_host_is_followed_with_the_body(server: Server) -> None:
    server.names["other.example"] = ["93.184.215.99"]
    server.answers[PATH] = answer(307, Location="https://other.example/moved?to=here")
    server.webhook().post(BODY, ID)
    assert server.asked[-1] == ("other.example", "/moved?to=here", BODY)
    assert server.connected == [PUBLIC, "93.184.215.99"]


def test_redirects_without_end_are_given_up(server: Server) -> None:
    server.answers[PATH] = answer(308, Location=PATH)
    with pytest.raises(NotDelivered, match="more than 3 redirects"):
        server.webhook().post(BODY, ID)
    assert len(server.asked) == 4


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (429, 3), (404, 1), (410, 1), (400, 1)])
def test_what_may_pass_is_tried_three_times_and_what_will_not_once(server: Server, status: int, tries: int) -> None:
    server.answers[PATH] = answer(status)
    with pytest.raises(NotDelivered, match=f"HTTP {status}"):
        server.webhook().post(BODY, ID)
    assert len(server.asked) == tries
    assert server.slept == [1.0, 2.0][: tries - 1]


def test_it_is_delivered_once_when_the_second_try_succeeds(server: Server) -> None:
    server.answers[PATH] = lambda handler, number: answer(503 if number == 1 else 204)(handler, number)
    server.webhook().post(BODY, ID)
    assert len(server.asked) == 2


@pytest.mark.parametrize("behaviour", [hang, drip])
def test_one_that_hangs_or_drips_is_left_after_its_time_and_has_one_copy(
    server: Server, behaviour: webhooks.Any
) -> None:
    server.answers[PATH] = behaviour
    with pytest.raises(NotDelivered, match=r"^no answer within 1 s; it may have been delivered$") as failed:
        server.webhook(timeout=1).post(BODY, ID)
    assert failed.value.maybe
    assert len(server.asked) == 1


@pytest.mark.parametrize("behaviour", [hang_up, answer(504), answer(524)])
def test_what_took_the_body_and_says_nothing_of_it_is_not_tried_again_here(
    server: Server, behaviour: webhooks.Any
) -> None:
    server.answers[PATH] = behaviour
    with pytest.raises(NotDelivered, match="it may have been delivered") as failed:
        server.webhook().post(BODY, ID)
    assert failed.value.maybe
    assert len(server.asked) == 1


def test_a_redirect_to_a_host_that_takes_no_connection_has_not_delivered_it(server: Server) -> None:
    server.names["other.example"] = ["93.184.215.99"]
    server.answers[PATH] = answer(307, Location="https://other.example/moved")

    def connect(address: tuple[str, int], timeout: float) -> webhooks.socket.socket:
        if address[0] != PUBLIC:
            raise ConnectionRefusedError
        return server.connect(address, timeout)

    with pytest.raises(NotDelivered, match=r"^the connection failed \(ConnectionRefusedError\)$") as failed:
        server.webhook(connect=connect).post(BODY, ID)
    assert not failed.value.maybe
    assert len(server.asked) == 3


def test_every_try_names_the_same_delivery(server: Server) -> None:
    server.answers[PATH] = answer(503)
    with pytest.raises(NotDelivered):
        server.webhook().post(BODY, ID)
    assert server.delivery_ids == [ID] * 3


def test_a_name_service_that_hangs_is_left_after_its_time(server: Server) -> None:
    def slow(host: str, port: int) -> list[str]:
        time.sleep(1)
        return [PUBLIC]

    with pytest.raises(NotDelivered, match="no answer within"):
        server.webhook(timeout=0.05, resolve=slow).post(BODY, ID)


def test_a_certificate_that_nobody_vouches_for_is_refused(server: Server) -> None:
    with pytest.raises(NotDelivered, match="certificate is not valid"):
        server.webhook(tls=webhooks.trusting()).post(BODY, ID)
    assert server.asked == []


def test_a_certificate_of_another_name_is_refused(server: Server) -> None:
    server.names["third.example"] = [PUBLIC]
    with pytest.raises(NotDelivered, match="certificate is not valid"):
        server.webhook("https://third.example/x").post(BODY, ID)


def test_the_next_address_is_tried_where_one_takes_no_connection(server: Server) -> None:
    server.names[HOST] = ["2606:2800:220:1::1", PUBLIC]

    def connect(address: tuple[str, int], timeout: float) -> webhooks.socket.socket:
        if ":" in address[0]:
            raise OSError(101, "Network is unreachable")
        return server.connect(address, timeout)

    server.webhook(connect=connect).post(BODY, ID)
    assert server.connected == [PUBLIC]


def test_a_connection_that_times_out_is_no_answer(server: Server) -> None:
    def connect(address: tuple[str, int], timeout: float) -> webhooks.socket.socket:
        raise TimeoutError

    with pytest.raises(NotDelivered, match="no answer within"):
        server.webhook(connect=connect).post(BODY, ID)


def test_the_logs_name_the_host_and_never_the_path(server: Server) -> None:
    server.answers[PATH] = answer(500)
    with capture_logs() as logs, pytest.raises(NotDelivered):
        server.webhook(f"https://{HOST}{PATH}?key=s3cret").post(BODY, ID)
    assert [entry["host"] for entry in logs] == [HOST, HOST, HOST]
    assert "s3cret" not in repr(logs)
