"""Schemes draw what the papers prescribe."""

import math

import numpy as np
import pytest

from initaudit.initialisation.schemes import (
    SCHEMES,
    TRUNCATED_STD,
    fixed,
    he_gain,
    truncated_normal,
    variance_scaling,
)

FAN_IN, FAN_OUT = 300, 150


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("xavier_uniform", 2 / 450),
        ("xavier_normal", 2 / 450),
        ("xavier_truncated_normal", 2 / 450),
        ("he_uniform", 2 / 300),
        ("he_normal", 2 / 300),
        ("he_truncated_normal", 2 / 300),
        ("he_normal_fan_out", 2 / 150),
        ("lecun_normal", 1 / 300),
        ("lecun_uniform", 1 / 300),
        ("torch_default", 1 / 900),
        ("torch_recurrent", 1 / 450),
        ("normal_0.02", 0.0004),
    ],
)
def test_variance_is_the_published_one_and_the_draw_has_it(name: str, variance: float) -> None:
    """std() is the formula of SCIENCE's table, and 45,000 drawn values have it within 2 %."""
    scheme = SCHEMES[name]

    drawn = scheme.draw((FAN_OUT, FAN_IN), np.random.default_rng(1), fan_in=FAN_IN, fan_out=FAN_OUT)

    assert scheme.std(FAN_IN, FAN_OUT) == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert drawn.std() == pytest.approx(math.sqrt(variance), rel=0.02)
    assert np.abs(drawn).max() <= scheme.bound(FAN_IN, FAN_OUT)


def test_torch_default_bound_is_one_over_root_fan_in() -> None:
    """kaiming_uniform_(a=sqrt 5) is U(+-1/sqrt(fan_in)), a sixth of He's variance."""
    bound = SCHEMES["torch_default"].bound(64, 7)

    assert bound == pytest.approx(1 / 8)
    assert SCHEMES["torch_default"].std(64, 7) ** 2 * 6 == pytest.approx(SCHEMES["he_normal"].std(64, 7) ** 2)


def test_gain_multiplies_the_standard_deviation() -> None:
    """A gain of 3 gives three times the standard deviation and nine times the variance."""
    assert SCHEMES["lecun_normal"].std(9, 4, gain=3) == pytest.approx(1.0)


def test_truncated_normal_has_the_exact_standard_deviation() -> None:
    """N(0,1) cut at two sigma keeps 0.8796 of its standard deviation."""
    values = truncated_normal((200_000,), np.random.default_rng(0))

    assert np.abs(values).max() <= 2.0
    assert values.std() == pytest.approx(TRUNCATED_STD, rel=0.005)


@pytest.mark.parametrize("name", ["xavier_uniform", "lecun_truncated_normal", "he_truncated_normal", "torch_default"])
def test_bounded_laws_come_up_to_their_bound(name: str) -> None:
    """The largest of 45,000 values lies just below it."""
    drawn = SCHEMES[name].draw((FAN_OUT, FAN_IN), np.random.default_rng(1), fan_in=FAN_IN, fan_out=FAN_OUT)

    assert np.abs(drawn).max() == pytest.approx(SCHEMES[name].bound(FAN_IN, FAN_OUT), rel=0.002)
    assert SCHEMES["he_normal"].bound(FAN_IN, FAN_OUT) == math.inf


@pytest.mark.parametrize(("units", "fan_out"), [(8, 72), (64, 576)])
def test_an_orthogonal_convolution_has_the_scale_of_its_longer_side(units: int, fan_out: int) -> None:
    """Its matrix is units by fan_in = 36; other laws know fans alone."""
    drawn = SCHEMES["orthogonal"].draw((units, 4, 3, 3), np.random.default_rng(0), fan_in=36, fan_out=fan_out)

    assert SCHEMES["orthogonal"].std(36, fan_out, units=units) == pytest.approx(drawn.std(), rel=0.01)
    assert SCHEMES["xavier_normal"].std(36, fan_out, units=units) == SCHEMES["xavier_normal"].std(36, fan_out)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (16, 4, 3, 3), (8, 8)])
def test_orthogonal_has_equal_singular_values(shape: tuple[int, ...]) -> None:
    """All singular values of the unit-by-input matrix equal the gain."""
    drawn = SCHEMES["orthogonal"].draw(shape, np.random.default_rng(0), fan_in=1, fan_out=1, gain=1.5)

    assert np.linalg.svd(drawn.reshape(shape[0], -1), compute_uv=False) == pytest.approx(1.5)


def test_orthogonal_is_drawn_per_copy_and_over_the_named_axes() -> None:
    """Each expert of [experts, inputs, units] is orthogonal on its own."""
    drawn = SCHEMES["orthogonal"].draw(
        (3, 12, 5), np.random.default_rng(0), fan_in=12, fan_out=5, unit_axes=(2,), input_axes=(1,)
    )

    assert drawn.shape == (3, 12, 5)
    for expert in drawn:
        assert expert.T @ expert == pytest.approx(np.eye(5), abs=1e-12)
    assert not np.allclose(drawn[0], drawn[1])


def test_identity_of_a_convolution_returns_its_input_channel() -> None:
    """Unit i holds a single 1, at input channel i and the centre of the kernel (torch's dirac_)."""
    weight = SCHEMES["identity"].draw((4, 6, 3, 3), np.random.default_rng(0), fan_in=54, fan_out=36)

    assert weight.sum() == 4
    assert [weight[i, i, 1, 1] for i in range(4)] == [1, 1, 1, 1]


def test_constants_and_gains() -> None:
    """Fixed schemes ignore the fans; He's gain for slope 0 is 1 and falls with the slope."""
    assert fixed("constant", 0).name == "zeros"
    assert (fixed("constant", 0.3).draw((2, 2), np.random.default_rng(0), fan_in=1, fan_out=1) == 0.3).all()
    assert fixed("normal", 0.5).std(10, 1000) == 0.5
    assert he_gain(0) == 1.0
    assert he_gain(0.2) == pytest.approx(math.sqrt(1 / 1.04))
    assert variance_scaling(3.0, "fan_avg", "normal").std(2, 4) == pytest.approx(1.0)


def test_same_seed_same_weights() -> None:
    """Drawing is a pure function of the generator's seed."""
    first, second = (SCHEMES["he_normal"].draw((8, 8), np.random.default_rng(7), fan_in=8, fan_out=8) for _ in range(2))

    assert (first == second).all()


def test_fans_must_be_positive() -> None:
    """A layer without inputs has no scale."""
    with pytest.raises(ValueError, match="fans must be positive"):
        SCHEMES["he_normal"].std(0, 5)
