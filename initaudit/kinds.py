"""Families of layer kinds: what several judgements need to know of a kind has its one home here."""

from __future__ import annotations

from typing import Final

RECURRENT: Final = frozenset({"lstm", "gru", "rnn"})
"""Cells: their gates bound what leaves them, whatever the scale of the weights."""

CONVOLUTIONS: Final = frozenset({"conv", "grouped_conv", "depthwise_conv", "conv_transpose"})
"""Kernels that slide over an input; frameworks count their taps into the fans."""

ELEMENTWISE: Final = frozenset({"norm", "scale"})
"""Weights that multiply one value each: they have no fan-in and start at a constant, not as a draw."""
