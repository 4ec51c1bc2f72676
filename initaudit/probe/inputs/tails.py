"""Inputs with rare large values, as standardised features have that are seldom anything but zero.

A feature that is 1 in a share p of the rows and 0 elsewhere has, once standardised, the value sqrt((1 - p) / p) there and a kurtosis of
1 / (p (1 - p)) - 3. The contaminated normal law of Tukey (1960, A survey of sampling from contaminated distributions) has such a tail on
both sides: z = s g with g ~ N(0, 1) and s larger by WIDER in a share RARE of the values. E[z^2k] = (2k - 1)!! E[s^2k].
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.probe.inputs.values import WHITE

if TYPE_CHECKING:
    from initaudit.probe.inputs.feeds import Feeds

RARE = 0.01
"""Share of the values that come from the wide law. Together with WIDER it gives a kurtosis of 77: that of a standardised feature that is
on in 1.3 % of the rows."""
WIDER = 10.0
"""How much wider that law is: values of 7 standard deviations are usual for it, and one of 20 is met among a few thousand inputs."""


def heavy_tailed(feeds: Feeds, seed: int) -> Feeds | None:
    """The same inputs with heavy tails in those that are N(0, 1), which keep their variance; None where none are."""
    names = [d["name"] for d in feeds.descriptions if d["how"] == WHITE and feeds.arrays[d["name"]].size]
    if not names:
        return None
    rng = np.random.default_rng([seed, 0])

    def widened(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return arrays | {
            name: arrays[name] * scales(arrays[name].shape, rng).astype(arrays[name].dtype) for name in names
        }

    return replace(feeds, arrays=widened(feeds.arrays), more=tuple(widened(arrays) for arrays in feeds.more))


def scales(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """The factors s: WIDER to 1 for RARE of the places, at least one of them, with a mean square of exactly 1."""
    s = np.ones(int(np.prod(shape)))
    s[: max(1, round(RARE * s.size))] = WIDER
    return (rng.permutation(s) / np.sqrt(np.mean(s**2))).reshape(shape)
