from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.upstream.chain.transactions import described_data, pushed_data
from tests.upstream.payloads import payload

MESSAGE = b"82bf5f3135bcbcdcf26c2daeb62be74e777695ce886b4c42e257daa063a2c209"


def script(data, form):
    size = len(data)
    push = {
        "direct": bytes([size % 256]),
        "4c": bytes([0x4C, size % 256]),
        "4d": b"\x4d" + size.to_bytes(2, "little"),
        "4e": b"\x4e" + size.to_bytes(4, "little"),
    }
    return (b"\x6a" + push[form] + data).hex()


@given(st.binary(min_size=1, max_size=75))
def test_a_short_push_carries_its_data(data):
    assert pushed_data(script(data, "direct")) == data


@given(st.binary(min_size=0, max_size=255))
def test_a_push_with_one_length_byte_carries_its_data(data):
    assert pushed_data(script(data, "4c")) == data


@given(st.binary(min_size=0, max_size=2000))
def test_a_push_with_two_length_bytes_carries_its_data(data):
    assert pushed_data(script(data, "4d")) == data


@given(st.binary(min_size=0, max_size=2000))
def test_a_push_with_four_length_bytes_carries_its_data(data):
    assert pushed_data(script(data, "4e")) == data


@given(st.binary(min_size=1, max_size=75), st.binary(min_size=1, max_size=9))
def test_a_script_that_goes_on_after_its_push_carries_nothing(data, more):
    assert pushed_data(script(data, "direct") + more.hex()) is None


@given(st.binary(min_size=1, max_size=75), st.integers(min_value=1, max_value=75))
def test_a_push_that_is_cut_short_carries_nothing(data, missing):
    whole = script(data, "direct")
    assert pushed_data(whole[: max(2, len(whole) - 2 * missing)]) is None


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    assert pushed_data(text) is None or text.strip()[:2].lower() == "6a"
    described_data(text)


@given(st.binary(max_size=100))
def test_any_bytes_are_read_without_an_error(code):
    data = pushed_data(code.hex())
    assert data is None or data in code


def test_a_real_message_hash_is_read_from_its_script():
    assert pushed_data(payload("blockbook/tx_free_change")["vout"][2]["hex"]) == MESSAGE


def test_a_fluxdrive_text_is_read_from_its_script():
    sample = payload("daemon/op_return_fluxdrive")
    assert pushed_data(sample["scriptPubKey"]["hex"]) == sample["text"].encode()
    assert described_data(sample["scriptPubKey"]["asm"]) == sample["text"].encode()


def test_text_in_brackets_is_taken_as_it_is():
    assert described_data(f"OP_RETURN ({MESSAGE.decode()})") == MESSAGE


def test_hex_without_brackets_is_decoded():
    assert described_data("OP_RETURN 00ff") == b"\x00\xff"


def test_other_descriptions_carry_nothing():
    assert described_data("t3NryfAQLGeFs9jEoeqsxmBN2QLRaRKFLUX") is None
    assert described_data("OP_RETURN zz") is None
    assert described_data(None) is None
