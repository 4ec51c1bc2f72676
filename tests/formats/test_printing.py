"""One way to write numbers and names, in the terminal as on the page."""

from __future__ import annotations

import pytest

from initaudit.formats.printing import number, visible


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.05891, "0.0589"), (12_345.6, "12,346"), (1.234e-17, "1.23e-17"), (0.0, "0"), (7, "7"), (None, "–"), (float("inf"), "∞")],
)  # fmt: skip
def test_numbers_have_three_digits_and_no_more(value, shown):
    """As people write them; what is not known is a dash."""
    assert number(value) == shown


@pytest.mark.parametrize("value", [1.234567e-300, -9.87e-5, 99_999.4, 1e300, -0.001])
def test_a_number_fits_a_narrow_column(value):
    """At most ten characters, sign and exponent included."""
    assert len(number(value)) <= 10


def test_hidden_characters_are_written_out():
    """Escapes, newlines and direction marks in a name neither move the cursor nor turn the text round."""
    assert visible("a\x1b[31m\nb\u202e") == r"a\x1b[31m\nb\u202e"
    assert visible("Größe 1×1") == "Größe 1×1"
