"""The backward probe takes a bounded multiple of the work of the forward probe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from initaudit.errors import ProbeError
from initaudit.probe.budget import Budget, budget_for
from initaudit.probe.cost import PRODUCTS_PER_SECOND
from initaudit.probe.plan import LayerPlan


def layers(count):
    """As many layers of a product each."""
    return [
        LayerPlan(
            name=f"layer{i}", output=f"y{i}", preactivation=f"y{i}", postactivation=None, input=None, weight=1, node_output=f"y{i}",
            weight_shape=(8, 8), weight_window=None, in_loop=False, is_factor=False, paths=8, channel_axis=None, unit_slice=None, pre_slice=None, folded_units=None, flat=(),
        )
        for i in range(count)
    ]  # fmt: skip


def budget(work):
    """Of a network with so many products, for a minute."""
    return Budget(work=work, effort=work, cost=work, most=15 * PRODUCTS_PER_SECOND)


class TestLayers:
    """Which layers are perturbed."""

    def test_small_network_has_all_of_them_perturbed(self):
        """However few inputs were fed."""
        assert len(budget(1e6).affordable(layers(100), 1)) == 100

    def test_factors_come_last(self):
        """Where not all can be afforded, the scales of norms are left out before any layer is."""
        some = layers(20)
        mixed = [layer for pair in zip(some, (replace(x, name=f"norm of {x.name}", is_factor=True) for x in some), strict=True) for layer in pair]  # fmt: skip

        chosen = budget(4e9).affordable(mixed, 8)

        assert [layer.name for layer in chosen] == [layer.name for layer in budget(4e9).affordable(some, 8)]

    def test_large_network_has_two_perturbed_for_each_input_run(self):
        """Perturbing a layer costs about one run of the network."""
        assert len(budget(4e9).affordable(layers(21), 8)) == 16

    def test_choice_is_even_and_keeps_the_ends(self):
        """Where a gradient vanishes is seen between the first layer and the last."""
        chosen = budget(4e9).affordable(layers(100), 4)

        assert len(chosen) == 8
        assert (chosen[0].name, chosen[-1].name) == ("layer0", "layer99")

    def test_budget_counts_the_products_of_all_layers(self):
        """An element of an output takes as many products as the layer has paths to it."""
        some = layers(3)

        assert budget_for(some, {layer.output: 10 for layer in some}, 0.0, 60.0).work == 3 * 10 * 8


class TestLimit:
    """What the time limit leaves, counted in products: no clock is asked."""

    def test_nodes_that_are_no_layers_count(self):
        """Attention over long sequences takes longer than its projections: fewer layers are perturbed."""
        long = replace(budget(1e6), cost=1.5e10)

        assert len(long.affordable(layers(100), 100)) == 15

    def test_network_that_takes_too_long_has_none_perturbed(self):
        """From one layer or two nothing could be told."""
        with pytest.raises(ProbeError, match="raise --timeout"):
            replace(budget(1e6), cost=1e11).affordable(layers(100), 100)

    def test_limit_grows_with_the_time_that_is_allowed(self):
        """A quarter of the time limit is planned to be used."""
        minute, hour = (budget_for(layers(1), {"y0": 1}, 1.0, seconds).most for seconds in (60.0, 3600.0))

        assert hour == 60 * minute == 900 * PRODUCTS_PER_SECOND


class TestTurns:
    """Which of the perturbed layers a pass takes."""

    def test_first_pass_takes_all(self):
        """Each layer is drawn once at least."""
        assert len(budget(1e9).turn(0, layers(24), 2e10)) == 24

    def test_last_pass_over_a_large_network_takes_one_in_four(self):
        """It serves to learn the spread between draws."""
        assert len(budget(1e9).turn(1, layers(24), 2e10)) == 6

    def test_last_pass_takes_four_at_least(self):
        """From fewer the spread cannot be learned."""
        assert len(budget(1e9).turn(1, layers(8), 2e10)) == 4

    def test_passes_over_a_smaller_network_take_turns(self):
        """Two passes together take every layer once."""
        taken = [*budget(1e6).turn(1, layers(9), 1e8), *budget(1e6).turn(2, layers(9), 1e8)]

        assert {layer.name for layer in taken} == {layer.name for layer in layers(9)}
