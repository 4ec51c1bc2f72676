"""Schemes are written as frameworks call them, with their numbers, and for some layers alone."""

from __future__ import annotations

import math

import pytest

from initaudit.errors import UsageError
from initaudit.initialisation.spelling import FAMILIES, Assigned, assigned, known_schemes, read_schemes, scheme_of

FAN_IN, FAN_OUT = 300, 150
CUT = 0.87962566
"""Standard deviation of N(0, 1) cut at two of it."""


@pytest.mark.parametrize(
    ("text", "std", "bound"),
    [
        ("variance_scaling:2,fan_in,normal", math.sqrt(2 / 300), math.inf),
        ("variance_scaling:2,fan_out,uniform", math.sqrt(2 / 150), math.sqrt(6 / 150)),
        ("variance_scaling:1,fan_avg,truncated_normal", math.sqrt(1 / 225), 2 * math.sqrt(1 / 225) / CUT),
        ("normal:0.02", 0.02, math.inf),
        ("uniform:0.1", 0.1 / math.sqrt(3), 0.1),
        ("truncated_normal:0.02", 0.02 * CUT, 0.04),
        ("constant:-0.1", 0.1, math.inf),
        ("gpt2_residual:12", 0.02 / math.sqrt(24), math.inf),
        ("kaiming_normal", math.sqrt(2 / 300), math.inf),
        ("kaiming_uniform:fan_out", math.sqrt(2 / 150), math.sqrt(6 / 150)),
        ("kaiming_normal:fan_in,0.2", math.sqrt(2 / 1.04 / 300), math.inf),
        ("kaiming_uniform:fan_in,2.23606797749979", math.sqrt(1 / 900), math.sqrt(1 / 300)),
        ("glorot_uniform", math.sqrt(2 / 450), math.sqrt(6 / 450)),
        ("orthogonal:1.5", 1.5 / math.sqrt(300), math.inf),
        ("ones", 1.0, math.inf),
    ],
)
def test_the_numbers_are_those_of_the_formula(text: str, std: float, bound: float) -> None:
    """Closed forms of the papers and frameworks; torch's default is Kaiming's scheme at a slope of sqrt 5."""
    scheme = scheme_of(text)

    assert scheme.std(FAN_IN, FAN_OUT) == pytest.approx(std, rel=1e-7)
    assert scheme.bound(FAN_IN, FAN_OUT) == pytest.approx(bound, rel=1e-7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("he_norml", "did you mean he_normal?"),
        ("nothing_like_it", "there are auto"),
        ("normal", "written normal:STD"),
        ("normal:", "written normal:STD"),
        ("normal:0", "must be above 0"),
        ("normal:1,2", "written normal:STD"),
        ("uniform:wide", "'wide' is no number"),
        ("variance_scaling:2,fan_inn,normal", "did you mean fan_in?"),
        ("variance_scaling:2,fan_in", "written variance_scaling:SCALE,fan_in|fan_out|fan_avg,"),
        ("xavier_normal:2", "unknown scheme"),
        ("=zeros", "names no layer"),
        ("head.*=", "behind the equals sign; there are auto,"),
        ("", "no scheme is named; there are auto,"),
        ("xyz", "unknown scheme 'xyz'; there are auto,"),
    ],
)
def test_what_is_no_scheme_is_told_with_what_is_near(text: str, said: str) -> None:
    """The nearest name, or how the family is written."""
    with pytest.raises(UsageError) as error:
        read_schemes([text])

    assert said in str(error.value)


def test_a_scheme_for_some_layers_goes_before_that_for_all() -> None:
    """Of several globs that fit the last counts; the order of a scheme for all does not matter. Names may hold = and commas."""
    texts = read_schemes(["head.*=zeros", "he_normal", "head.b,*=ones", "a=b=pca"])

    assert assigned(texts, ["/head/Gemm", "head.a"]) == Assigned("zeros", by_name=True)
    assert assigned(texts, ["head.b,c"]) == Assigned("ones", by_name=True)
    assert assigned(texts, ["a=b"]) == Assigned("pca", by_name=True)
    assert assigned(texts, ["body"]) == Assigned("he_normal", by_name=False)
    assert assigned(["head.*=zeros"], ["body"]) == Assigned("auto", by_name=False)


def test_one_text_holds_schemes_with_blanks_between_them() -> None:
    """As an environment variable has to."""
    assert read_schemes(" he_normal head.*=variance_scaling:2,fan_in,normal ") == (
        "he_normal",
        "head.*=variance_scaling:2,fan_in,normal",
    )


def test_schemes_are_written_in_whatever_case_and_names_of_layers_are_not() -> None:
    """He's is one scheme however it is written; ONNX tells `Head` from `head`."""
    assert read_schemes(["He_Normal", "Head.*=Variance_Scaling:2,Fan_In,Normal", "LSUV"]) == (
        "he_normal",
        "Head.*=variance_scaling:2,fan_in,normal",
        "lsuv",
    )
    assert scheme_of("Glorot_Uniform") is scheme_of("xavier_uniform")


def test_an_empty_text_is_no_scheme() -> None:
    """Also as one text, as a configuration file has it."""
    with pytest.raises(UsageError, match="no scheme is named"):
        read_schemes(" ")


def test_every_known_name_can_be_written() -> None:
    """But for the forms of the families, which ask for numbers."""
    written = [name for name in known_schemes() if name.partition(":")[0] not in FAMILIES or ":" not in name]

    assert read_schemes(written) == tuple(written)
