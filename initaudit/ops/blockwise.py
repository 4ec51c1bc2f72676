"""MatMulNBits: weights of 2, 4 or 8 bits packed block by block along the inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from initaudit.op import AuxiliaryConstant, Found, Operator
from initaudit.ops.linear import linear

if TYPE_CHECKING:
    from collections.abc import Iterator

    from initaudit.model.graph import Node
    from initaudit.views import Constants, Operand


class MatMulNBits(Operator):
    """x·W' with W [N, K] stored as [N, blocks, bytes], a scale and a zero point per block (onnxruntime, contrib operators)."""

    types = ("com.microsoft:MatMulNBits",)

    def find(self, node: Node, constants: Constants) -> Iterator[Found]:
        """The linear layer, unpacked."""
        packed, scales = constants.get(node.input(1)), constants.get(node.input(2))
        if packed is None or scales is None:
            return
        inputs, units = int(node.attr("K")), int(node.attr("N"))
        bits, block = int(node.attr("bits", 4)), int(node.attr("block_size"))
        if bits not in (2, 4, 8) or min(block, inputs, units) < 1:
            raise ValueError(f"there are no {units} x {inputs} weights of {bits} bits in blocks of {block}")
        padded = -(-inputs // block) * block
        if packed.size * 8 < units * padded * bits:
            raise ValueError(f"{packed.size} bytes cannot hold {units} x {padded} weights of {bits} bits")
        zero = constants.get(node.input(3))
        weight = unpacked(packed, scales, zero, inputs=inputs, units=units, bits=bits, block=block)
        order = constants.get(node.input(4))
        bias = constants.get(node.input(5))
        found = [(bias, "bias"), (order, "group_index")]
        yield linear(
            weight,
            source=node.input(0),
            output=node.outputs[0],
            transposed=True,
            auxiliary=tuple(AuxiliaryConstant(operand=o, role=role) for o, role in found if o is not None),
        )


def unpacked(
    packed: Operand, scales: Operand, zero: Operand | None, *, inputs: int, units: int, bits: int, block: int
) -> Operand:
    """(code - zero) · scale as float32 [units, inputs]; the first value of a byte is in its low bits."""
    blocks = -(-inputs // block)

    def codes_of(raw: np.ndarray, count: int) -> np.ndarray:
        per_byte = 8 // bits
        raw = raw.reshape(-1, raw.size // units if units else 0).astype(np.uint8)
        spread = np.stack([(raw >> (bits * k)) & ((1 << bits) - 1) for k in range(per_byte)], axis=-1)
        return spread.reshape(units, -1)[:, :count]

    def compute(raw: np.ndarray) -> np.ndarray:
        codes = codes_of(raw, blocks * block).astype(np.float32).reshape(units, blocks, block)
        scale = scales.array().astype(np.float32).reshape(units, blocks, 1)
        shift: np.ndarray | float = float(1 << (bits - 1))
        if zero is not None:
            stored = zero.array()
            held = stored.astype(np.float32) if zero.is_floating else codes_of(stored, blocks).astype(np.float32)
            shift = held.reshape(units, blocks, 1)
        return np.asarray((codes - shift) * scale).reshape(units, blocks * block)[:, :inputs]

    extra = scales.tensors + (zero.tensors if zero is not None else ())
    made = packed.then(
        f"unpack(bits={bits},block={block})",
        (units, inputs),
        compute,
        dtype="float32",
        exact=False,
        scratch=_scratch(packed, scales, zero, units * blocks * block),
        with_=extra,
    )
    return replace(made, count=units * inputs)


def _scratch(packed: Operand, scales: Operand, zero: Operand | None, padded: int) -> int:
    """Bytes on the way: the codes one by one and joined, as float32 and less their zero point; scales and zero points as float32, too."""
    spread = 8 * packed.size  # of bytes that may hold more codes than are asked for
    factors = sum(o.memory.peak + 16 * o.size for o in (scales, zero) if o is not None)
    return 3 * spread + 12 * padded + factors
