"""Unique names: whatever names come in, those that come out differ, and a name that stands alone is kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from initaudit.model.unique import distinct

NAMES = st.lists(
    st.tuples(st.sampled_from(["", "a", "a#2", "a#2#2", "a#3", "b"]), st.sampled_from(["", "[q]", "#2"])), max_size=12
)


@given(NAMES)
def test_names_are_unique_and_a_name_that_stands_alone_is_kept(wanted):
    """Also where somebody already uses the numbers that would be given, or a base and a suffix make another's name."""
    names = distinct(wanted)

    plain = [base + suffix for base, suffix in wanted]
    assert len(set(names)) == len(wanted)
    for name, given_name in zip(names, plain, strict=True):
        assert name == given_name or plain.count(given_name) > 1


def test_numbers_that_others_bear_are_passed_over():
    """Nodes a, a, a#2 are a, a#3, a#2."""
    assert distinct([("a", ""), ("a", ""), ("a#2", "")]) == ["a", "a#3", "a#2"]


def test_numbers_of_two_names_may_meet():
    """`a#3` for the second time, and `a` with the suffix `#2` for the second time, would both be `a#3#2`."""
    wanted = [("a#2", ""), ("a#2", ""), ("a#3", ""), ("a#3", ""), ("a", "#2")]

    assert len(set(distinct(wanted))) == 5


def test_the_number_stands_before_the_part():
    """Two nodes of one name with three parts each: the number belongs to the node."""
    assert distinct([("qkv", "[q]"), ("qkv", "[k]"), ("qkv", "[q]")]) == ["qkv[q]", "qkv[k]", "qkv#2[q]"]
