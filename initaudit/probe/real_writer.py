"""What it takes to write the nodes of an integer network in the real numbers that its codes stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from initaudit.errors import InvalidModel
from initaudit.probe.element_types import element_types
from initaudit.probe.instrument import PREFIX

if TYPE_CHECKING:
    from onnx import ModelProto

    from initaudit.probe.segments import Network

CUT = "{}__cut"
"""Name of a value behind the end of its quantiser's range; the plain name is that of the value in front."""


class NotRealError(InvalidModel):
    """An operator does with codes what has no meaning for the numbers they stand for."""


class RealWriter:
    """Writes nodes in real numbers, one after the other in topological order."""

    def __init__(self, model: ModelProto, network: Network) -> None:
        self.graph = model.graph
        self.network = network
        self.types = element_types(model)
        self.real: set[str] = set()
        """Values that were integers, and are real numbers now."""
        self.cut: dict[str, str] = {}
        self.factors: dict[str, str] = {}
        """Output of a product with a weight, its second operand -> the first."""
        self.made: list[NodeProto] = []
        self.count = 0

    def add(self, operator: str, inputs: Sequence[str], output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node; the name of its output."""
        self.count += 1
        output = output or f"{PREFIX}real/{self.count}"
        self.made.append(helper.make_node(operator, list(inputs), [output], domain=domain, **attributes))
        return output

    def constant(self, array: np.ndarray | np.generic) -> str:
        """Name of an initializer that holds `array`."""
        self.count += 1
        name = f"{PREFIX}real/{self.count}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def passed(self, name: str) -> str:
        """The value that a consumer of `name` reads now."""
        return self.cut.get(name, name)

    def float_of(self, name: str) -> str:
        """A stored number or code as float32."""
        return self.add("Cast", [name], to=TensorProto.FLOAT)

    def along(self, factor: str, axis: int, rank: int) -> str:
        """A scale or zero point as float32, so that it broadcasts along one axis; one number stays one."""
        shape = [1] * rank
        shape[axis] = -1
        return self.add("Reshape", [self.float_of(factor), self.constant(np.asarray(shape, np.int64))])

    def number(self, codes: str, scale: str, zero: str, *, axis: int | None = None, rank: int = 0) -> str:
        """What codes stand for; scale or zero point may be left out. Along `axis` of `rank` where they differ, broadcast elsewhere."""
        if codes in self.real:
            return self.passed(codes)
        value = self.float_of(codes)
        for operator, factor in (("Sub", zero), ("Mul", scale)):
            if factor:
                value = self.add(
                    operator, [value, self.float_of(factor) if axis is None else self.along(factor, axis, rank)]
                )
        return value

    def quantised(self, value: str, scale: str, zero: str, output: str) -> None:
        """Make `output` the number `value`, and pass it on within the range of the codes."""
        kind = self.types.get(zero, TensorProto.UINT8) if zero else TensorProto.UINT8
        try:
            bounds = np.iinfo(helper.tensor_dtype_to_np_dtype(kind))
        except ValueError as error:
            raise NotRealError("codes that are no integers") from error
        if value != output:
            self.add("Identity", [value], output)
        low, high = (self._end(float(end), scale, zero) for end in (bounds.min, bounds.max))
        self.cut[output] = self.clip(output, low, high, CUT.format(output))
        self.real.add(output)

    def _end(self, code: float, scale: str, zero: str) -> str:
        """What the first or last code of a quantiser stands for."""
        steps = self.constant(np.float32(code))
        if zero:
            steps = self.add("Sub", [steps, self.float_of(zero)])
        return self.add("Mul", [steps, self.float_of(scale)])

    def clip(self, value: str, low: str, high: str, output: str) -> str:
        """`value` between two numbers."""
        return self.add("Min", [self.add("Max", [value, low]), high], output)
