"""Text from outside, as databases accept it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.formatting import printable, storable

CHARACTERS = st.characters(codec=None)
TEXTS = st.text(CHARACTERS)
REPORTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


@given(TEXTS)
def test_a_text_becomes_printable_and_as_long(text):
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)
    assert printable(printable(text)) == printable(text)


def test_printable_text_stays_as_it_is():
    assert printable("Größe 5 – 日本") == "Größe 5 – 日本"


@given(REPORTS)
def test_whatever_a_report_holds_it_is_json_without_nul_and_half_surrogates(report):
    written = json.dumps(storable(report), allow_nan=False, ensure_ascii=False).encode()
    assert b"\\u0000" not in written
    assert storable(storable(report)) == storable(report)
