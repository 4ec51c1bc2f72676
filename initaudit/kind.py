"""Kind: what sort of weight a layer has, and what follows from that alone."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """The values are those of `layers[].kind` in the JSON document."""

    CONV = "conv"
    GROUPED_CONV = "grouped_conv"
    DEPTHWISE_CONV = "depthwise_conv"
    """One input channel per group: a kernel of its own for each channel."""
    CONV_TRANSPOSE = "conv_transpose"
    LINEAR = "linear"
    EMBEDDING = "embedding"
    """A table, of which a row is looked up."""
    LSTM = "lstm"
    GRU = "gru"
    RNN = "rnn"
    ATTENTION = "attention"
    """A projection inside a fused attention operator."""
    EINSUM = "einsum"
    NORM = "norm"
    """The scale of a normalisation."""
    SCALE = "scale"
    """A learned factor, per channel or for all: LayerScale, ReZero, the slope of a PReLU."""
    OTHER = "other"
    """A learned table that is only added (positions, decays), or what no other kind fits."""

    @property
    def is_convolution(self) -> bool:
        """Whether a kernel is moved over positions."""
        return self in (Kind.CONV, Kind.GROUPED_CONV, Kind.DEPTHWISE_CONV, Kind.CONV_TRANSPOSE)

    @property
    def is_recurrent(self) -> bool:
        """Whether the operator is a recurrent cell, whose output is bounded by the cell."""
        return self in (Kind.LSTM, Kind.GRU, Kind.RNN)

    @property
    def is_dense(self) -> bool:
        """Whether every input meets every unit, once."""
        return self in (Kind.LINEAR, Kind.EINSUM, Kind.ATTENTION)

    @property
    def is_product(self) -> bool:
        """Whether an output is a plain sum of fan_in products."""
        return self.is_convolution or self.is_dense

    @property
    def is_mixing(self) -> bool:
        """Whether an output depends on several weights, so that fans give their scale."""
        return self.is_product or self.is_recurrent

    @property
    def mixes_channels(self) -> bool:
        """Whether a unit sees several input channels: every mixing kind but the depthwise convolution."""
        return self.is_mixing and self is not Kind.DEPTHWISE_CONV

    @property
    def is_drawn(self) -> bool:
        """Whether frameworks start it at random; factors start at one constant."""
        return self not in (Kind.NORM, Kind.SCALE)

    @property
    def has_target(self) -> bool:
        """Whether one scale of the weights is better than another."""
        return self.is_drawn and self is not Kind.OTHER
