"""How a value from a graph input passes the operators that own weights: the constants there fix its axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.model.operators import AxisMap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from initaudit.probe.inputs.walk import Step, Visit


def conv(at: Visit) -> Iterable[Step]:
    """A kernel fixes the channels and the least extent of each axis that it is moved over."""
    shape = at.shape(at.node.spec.weights[0])
    if at.position != 0 or at.axes is None or len(at.axes) < 3:
        return ()
    at.facts.roles.add("filtered")
    transposed = at.node.spec.axis_map is AxisMap.CONV_TRANSPOSE
    if shape is not None:
        channels = shape[0] if transposed else shape[1] * int(at.node.attr("group", 1))
        at.facts.demand(at.axes[1], channels, "channel")
    at.facts.mark(at.axes[0], "batch")
    count = len(at.axes) - 2
    pads = at.node.attr("pads") or [0] * (2 * count)
    dilations = at.node.attr("dilations") or [1] * count
    for place, axis in enumerate(at.axes[2:]):
        at.facts.mark(axis, "space" if count > 1 else "time")
        if shape is not None and not transposed and len(shape) == count + 2 and len(pads) == 2 * count:
            reach = (shape[2 + place] - 1) * dilations[place] + 1
            at.facts.at_least(axis, max(1, reach - pads[place] - pads[place + count]))
    return ()


def product(at: Visit) -> Iterable[Step]:
    """MatMul and its kin: the contracted axis has the size of the constant's."""
    if not at.axes or at.position > 1:
        return ()
    other = at.shape(1 - at.position)
    if at.position == 0:
        if other:
            at.facts.demand(at.axes[-1], other[-2] if len(other) > 1 else other[0])
        return at.out((*at.axes[:-1], None))
    if other:
        at.facts.demand(at.axes[-2] if len(at.axes) > 1 else at.axes[0], other[-1])
    return at.out((*at.axes[:-2], None, at.axes[-1]) if len(at.axes) > 1 else None)


def gemm(at: Visit) -> Iterable[Step]:
    """The contracted axis has the size of the weight's."""
    shape = at.shape(1)
    if at.position != 0 or at.axes is None or len(at.axes) != 2:
        return ()
    rows, columns = at.axes[::-1] if at.node.attr("transA", 0) else at.axes
    if shape is not None and len(shape) == 2:
        at.facts.demand(columns, shape[1] if at.node.attr("transB", 0) else shape[0])
    return at.out((rows, None))


def recurrent(at: Visit) -> Iterable[Step]:
    """X [time, batch, features], lengths [batch], initial states [directions, batch, hidden]; layout 1 swaps two axes."""
    weights, recurrence = at.shape(1), at.shape(2)
    time, batch = (1, 0) if at.node.attr("layout", 0) else (0, 1)
    if at.position == 4 and at.raw:
        at.facts.roles.add("lengths")
        if at.axes:
            at.facts.mark(at.axes[0], "batch")
    if at.axes is None or len(at.axes) != 3:
        return ()
    if at.position == 0:
        at.facts.mark(at.axes[time], "time")
        at.facts.roles.add("recurrent")
        at.facts.mark(at.axes[batch], "batch")
        if weights is not None:
            at.facts.demand(at.axes[2], weights[2])
    elif at.position in (5, 6):
        if at.raw:
            at.facts.roles.add("state")
        at.facts.mark(at.axes[batch], "batch")
        if recurrence is not None:
            at.facts.demand(at.axes[time], recurrence[0])
            at.facts.demand(at.axes[2], recurrence[2])
    return ()


def channel_norm(at: Visit) -> Iterable[Step]:
    """One parameter per channel fixes the number of channels."""
    shape = at.shape(1)
    if at.position != 0 or at.axes is None or len(at.axes) < 2:
        return ()
    if shape and at.node.spec.norm != "group_norm":
        at.facts.demand(at.axes[1], shape[0], "channel")
    return at.out(at.axes)


def trailing_norm(at: Visit) -> Iterable[Step]:
    """The parameters have the shape of the last axes."""
    skip = at.node.spec.normalizes_a_sum
    shape = at.shape(2 if skip else 1) or ()
    if at.position > (1 if skip else 0) or at.axes is None:
        return ()
    for back in range(1, min(len(at.axes), len(shape)) + 1):
        if shape[-back] != 1:
            at.facts.demand(at.axes[-back], shape[-back])
    return at.out(at.axes)


def _attention(at: Visit) -> Iterable[Step]:
    """com.microsoft.Attention: input [B,S,D], weights, bias, mask, past [2,B,heads,P,D/heads].

    The standard Attention has query, key, value, mask, past key and past value instead.
    """
    if at.node.domain != "com.microsoft":
        return _products_of_heads(at, mask=3, past=(4, 5))
    if at.axes is None:
        return ()
    shape = at.shape(1)
    if at.position == 0 and len(at.axes) == 3:
        at.facts.mark(at.axes[0], "batch")
        at.facts.mark(at.axes[1], "time")
        if shape is not None:
            at.facts.demand(at.axes[2], shape[0])
        return at.out((at.axes[0], at.axes[1], None))
    if at.position == 3:
        at.facts.roles.add("mask")
    elif at.position == 4 and len(at.axes) == 5:
        heads = int(at.node.attr("num_heads", 1))
        at.facts.roles.add("past")
        at.facts.demand(at.axes[0], 2)
        at.facts.mark(at.axes[1], "batch")
        at.facts.demand(at.axes[2], heads)
        at.facts.mark(at.axes[3], "past")
        if shape is not None and shape[1] % (3 * heads) == 0:
            at.facts.demand(at.axes[4], shape[1] // (3 * heads))
    return ()


def _grouped_attention(at: Visit) -> Iterable[Step]:
    """com.microsoft.GroupQueryAttention: query, key, value, past key, past value [B,heads,P,H], last position, total."""
    if at.position in (3, 4) and at.axes is not None and len(at.axes) == 4:
        at.facts.roles.add("past")
        at.facts.mark(at.axes[0], "batch")
        at.facts.demand(at.axes[1], int(at.node.attr("kv_num_heads", 1)))
        at.facts.mark(at.axes[2], "past")
    elif at.position == 5:
        at.facts.roles.add("last_position")
    elif at.position == 6:
        at.facts.roles.add("total_length")
    return at.out((at.axes[0], at.axes[1], None) if at.position == 0 and at.axes and len(at.axes) == 3 else None)


def _multi_head_attention(at: Visit) -> Iterable[Step]:
    """com.microsoft.MultiHeadAttention: query, key, value, bias, key padding mask, attention bias, past key and value."""
    return _products_of_heads(at, mask=4, past=(6, 7))


def _products_of_heads(at: Visit, *, mask: int, past: tuple[int, int]) -> Iterable[Step]:
    """Attention of separate query, key and value; the past is [B,heads,P,H]."""
    if at.position == mask:
        at.facts.roles.add("mask")
    elif at.position in past and at.axes is not None and len(at.axes) == 4:
        at.facts.roles.add("past")
        at.facts.mark(at.axes[0], "batch")
        at.facts.mark(at.axes[2], "past")
    return at.out((at.axes[0], at.axes[1], None) if at.position == 0 and at.axes and len(at.axes) == 3 else None)


def _embed_norm(at: Visit) -> Iterable[Step]:
    """com.microsoft.EmbedLayerNormalization: ids, segments, words, positions, segment table, .., mask, position ids."""
    table = {0: 2, 1: 4, 8: 3}.get(at.position)
    rows = at.shape(table) if table is not None else None
    if rows is not None and at.raw:
        at.facts.index(rows[0])
    if table is not None and at.axes is not None and len(at.axes) == 2:
        at.facts.mark(at.axes[0], "batch")
        at.facts.mark(at.axes[1], "time")
    elif at.position == 7:
        at.facts.roles.add("mask")
    return ()


BY_SIGNATURE: dict[str, Callable[[Visit], Iterable[Step]]] = {
    "Attention": _attention, "MultiHeadAttention": _multi_head_attention, "GroupQueryAttention": _grouped_attention,
    "EmbedLayerNormalization": _embed_norm,
}  # fmt: skip
"""Fused operators, each with inputs of its own."""
