"""The networks of `probe.py`, built with onnx alone: fixed seeds, sensibly initialised, none trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

VOCABULARY = 30_522
BERT_STD = 0.02


class Builder:
    """Collects nodes and weights."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, TensorProto] = {}

    def constant(self, name: str, values: object) -> str:
        """An initializer; one that is there already stays."""
        self.weights.setdefault(name, numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, name: str, shape: tuple[int, ...], std: float) -> str:
        """A normal weight; zeros for std 0."""
        return self.constant(name, self.rng.standard_normal(shape, dtype=np.float32) * np.float32(std))

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """A node with one output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"/{output}", **attributes))
        return output

    def conv(
        self, source: str, name: str, channels: tuple[int, int], size: int, *, stride: int = 1, groups: int = 1, scale: float = 1.0,
        bias: bool = True,
    ) -> str:  # fmt: skip
        """A convolution with He's initialisation."""
        inside, outside = channels[0] // groups, channels[1]
        std = scale * math.sqrt(2 / (inside * size * size))
        weights = [self.weight(f"{name}.weight", (outside, inside, size, size), std)]
        if bias:
            weights.append(self.weight(f"{name}.bias", (outside,), 0.0))
        sizes = {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [size // 2] * 4}
        return self.add("Conv", [source, *weights], name, group=groups, **sizes)

    def linear(self, source: str, name: str, inside: int, outside: int, std: float) -> str:
        """A product and its bias."""
        product = self.add("MatMul", [source, self.weight(f"{name}.weight", (inside, outside), std)], f"{name}.product")
        return self.add("Add", [product, self.weight(f"{name}.bias", (outside,), 0.0)], name)

    def head(self, source: str, inside: int, outside: int) -> str:
        """Average pooling and a classifier, `y`."""
        flat = self.add("Flatten", [self.add("GlobalAveragePool", [source], "average")], "flat")
        weights = [self.weight("fc.weight", (outside, inside), 1 / math.sqrt(inside)), self.weight("fc.bias", (outside,), 0.0)]  # fmt: skip
        return self.add("Gemm", [flat, *weights], "y", transB=1)

    def layer_norm(self, source: str, name: str, width: int) -> str:
        """With scale 1 and shift 0."""
        weights = [self.constant("one", np.ones(width, np.float32)), self.constant("zero", np.zeros(width, np.float32))]
        return self.add("LayerNormalization", [source, *weights], name, axis=-1)

    def gelu(self, source: str, name: str) -> str:
        """As exporters write it for older opsets."""
        for constant, value in (("sqrt_half", math.sqrt(0.5)), ("unit", 1.0), ("half", 0.5)):
            self.constant(constant, np.float32(value))
        erf = self.add("Erf", [self.add("Mul", [source, "sqrt_half"], f"{name}.s")], f"{name}.erf")
        half = self.add("Mul", [source, "half"], f"{name}.half")
        return self.add("Mul", [half, self.add("Add", [erf, "unit"], f"{name}.erf1")], name)

    def attention(self, source: str, name: str, width: int, heads: int, std: float, out_std: float) -> str:
        """Multi-head self-attention with its output projection."""
        self.constant("split", np.array([0, 0, heads, width // heads]))
        self.constant("merge", np.array([0, 0, width]))
        self.constant("scale", np.float32(math.sqrt(heads / width)))
        parts = []
        for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
            value = self.linear(source, f"{name}.{part}", width, width, std)
            split = self.add("Reshape", [value, "split"], f"{name}.{part}.split")
            parts.append(self.add("Transpose", [split], f"{name}.{part}.heads", perm=order))
        scores = self.add("Mul", [self.add("MatMul", parts[:2], f"{name}.scores"), "scale"], f"{name}.scaled")
        share = self.add("Softmax", [scores], f"{name}.softmax", axis=-1)
        back = self.add("Transpose", [self.add("MatMul", [share, parts[2]], f"{name}.mixed")], f"{name}.back", perm=[0, 2, 1, 3])  # fmt: skip
        return self.linear(self.add("Reshape", [back, "merge"], f"{name}.merged"), f"{name}.out", width, width, out_std)

    def model(self, shape: tuple[int, ...], element: int) -> onnx.ModelProto:
        """From input `x`, of free batch, to output `y`."""
        graph = helper.make_graph(
            self.nodes, "network",
            [helper.make_tensor_value_info("x", element, ["N", *shape])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            list(self.weights.values()),
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What to build, and what it takes."""

    fill: Callable[[Builder], object]
    shape: tuple[int, ...]
    """Of one input."""
    takes_ids: bool = False

    def model(self, seed: int = 0) -> onnx.ModelProto:
        """Build it."""
        builder = Builder(seed)
        self.fill(builder)
        return builder.model(self.shape, TensorProto.INT64 if self.takes_ids else TensorProto.FLOAT)


def resnet(b: Builder) -> None:
    """ResNet-18 with BatchNorm folded into its convolutions, residual branches scaled down as Fixup does."""
    value = b.add("Relu", [b.conv("x", "stem", (3, 64), 7, stride=2)], "stem.relu")
    value = b.add("MaxPool", [value], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    inside = 64
    for stage, outside in enumerate((64, 128, 256, 512)):
        for block in range(2):
            name, stride = f"layer{stage}.{block}", 2 if stage and not block else 1
            inner = b.add("Relu", [b.conv(value, f"{name}.conv1", (inside, outside), 3, stride=stride)], f"{name}.relu1")  # fmt: skip
            branch = b.conv(inner, f"{name}.conv2", (outside, outside), 3, scale=0.35)
            skip = value if stride == 1 else b.conv(value, f"{name}.shortcut", (inside, outside), 1, stride=2, scale=0.7)  # fmt: skip
            value = b.add("Relu", [b.add("Add", [branch, skip], f"{name}.add")], f"{name}.relu2")
            inside = outside
    b.head(value, 512, 1000)


def mobilenet(b: Builder) -> None:
    """MobileNetV2 (3.5 million parameters): depthwise convolutions, ReLU6, BatchNorm as a fresh module has it."""
    b.constant("low", np.float32(0))
    b.constant("high", np.float32(6))

    def conv(source: str, name: str, channels: tuple[int, int], size: int, *, stride: int = 1, groups: int = 1, act: bool = True) -> str:  # fmt: skip
        value = b.conv(source, f"{name}.conv", channels, size, stride=stride, groups=groups, bias=False)
        statistics = [
            b.constant(f"{name}.bn.{part}", np.full(channels[1], start, np.float32))
            for part, start in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1))
        ]
        value = b.add("BatchNormalization", [value, *statistics], f"{name}.bn")
        return b.add("Clip", [value, "low", "high"], f"{name}.relu6") if act else value

    value, inside = conv("x", "stem", (3, 32), 3, stride=2), 32
    for stage, (factor, outside, count, first) in enumerate(
        ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    ):
        for block in range(count):
            name, stride, wide = f"stage{stage}.{block}", 1 if block else first, factor * inside
            inner = conv(value, f"{name}.expand", (inside, wide), 1) if factor > 1 else value
            inner = conv(inner, f"{name}.depthwise", (wide, wide), 3, stride=stride, groups=wide)
            inner = conv(inner, f"{name}.project", (wide, outside), 1, act=False)
            value = b.add("Add", [value, inner], f"{name}.add") if stride == 1 and inside == outside else inner
            inside = outside
    b.head(conv(value, "last", (320, 1280), 1), 1280, 1000)


def unet(b: Builder) -> None:
    """U-Net of five levels, 32 to 512 channels (7.8 million parameters)."""

    def double(source: str, name: str, inside: int, outside: int) -> str:
        for part, channels in (("a", (inside, outside)), ("b", (outside, outside))):
            source = b.add("Relu", [b.conv(source, f"{name}.{part}", channels, 3)], f"{name}.{part}.relu")
        return source

    widths = (32, 64, 128, 256, 512)
    value, inside, kept = "x", 3, []
    for level, width in enumerate(widths):
        if level:
            value = b.add("MaxPool", [value], f"down{level}.pool", kernel_shape=[2, 2], strides=[2, 2])
        value, inside = double(value, f"down{level}", inside, width), width
        kept.append(value)
    for level, width in reversed(list(enumerate(widths[:-1]))):
        weights = [
            b.weight(f"up{level}.weight", (2 * width, width, 2, 2), math.sqrt(1 / (2 * width))),
            b.weight(f"up{level}.bias", (width,), 0.0),
        ]
        value = b.add("ConvTranspose", [value, *weights], f"up{level}", kernel_shape=[2, 2], strides=[2, 2])
        value = b.add("Concat", [kept[level], value], f"up{level}.skip", axis=1)
        value = double(value, f"up{level}.conv", 2 * width, width)
    b.add("Identity", [b.conv(value, "head", (32, 2), 1)], "y")


def transformer(b: Builder, *, layers: int = 12, width: int = 512, heads: int = 8, gated: bool = False) -> None:
    """Pre-norm encoder on embedded tokens, its feed-forward with GELU or `gated`: SwiGLU."""
    value, std = "x", 1 / math.sqrt(width)
    hidden = 1408 if gated else 4 * width  # two thirds of it, so that three matrices hold as much as two
    for i in range(layers):
        h = b.attention(
            b.layer_norm(value, f"{i}.norm1", width), f"{i}", width, heads, std, std / math.sqrt(2 * layers)
        )
        value = b.add("Add", [value, h], f"{i}.add1")
        h = b.layer_norm(value, f"{i}.norm2", width)
        up = b.linear(h, f"{i}.up", width, hidden, std)
        if gated:
            gate = b.linear(h, f"{i}.gate", width, hidden, std)
            silu = b.add("Mul", [gate, b.add("Sigmoid", [gate], f"{i}.sigmoid")], f"{i}.silu")
            up = b.add("Mul", [silu, up], f"{i}.gated")
        else:
            up = b.gelu(up, f"{i}.gelu")
        h = b.linear(up, f"{i}.down", hidden, width, 1 / math.sqrt(2 * layers * hidden))
        value = b.add("Add", [value, h], f"{i}.add2")
    b.layer_norm(value, "y", width)


def bert(b: Builder, *, layers: int = 12, width: int = 768, tokens: int = 128) -> None:
    """BERT-base without its heads (109 million parameters): embeddings, post-norm layers, every weight from N(0, 0.02)."""
    words = b.add("Gather", [b.weight("words", (VOCABULARY, width), BERT_STD), "x"], "embedded")
    value = b.layer_norm(b.add("Add", [words, b.weight("positions", (tokens, width), BERT_STD)], "placed"), "norm", width)  # fmt: skip
    for i in range(layers):
        h = b.attention(value, f"{i}", width, 12, BERT_STD, BERT_STD)
        value = b.layer_norm(b.add("Add", [value, h], f"{i}.add1"), f"{i}.norm1", width)
        h = b.gelu(b.linear(value, f"{i}.up", width, 4 * width, BERT_STD), f"{i}.gelu")
        h = b.linear(h, f"{i}.down", 4 * width, width, BERT_STD)
        value = b.layer_norm(b.add("Add", [value, h], f"{i}.add2"), f"{i}.norm2", width)
    b.add("Identity", [value], "y")


def lstm(b: Builder, *, steps: int = 64, features: int = 64, hidden: int = 256) -> None:
    """Two layers over 64 steps, initialised as torch does, and a classifier of the last step."""
    value, inside, bound = b.add("Transpose", ["x"], "steps", perm=[1, 0, 2]), features, 1 / math.sqrt(hidden)
    axis = b.constant("axis", np.array([1]))
    for i in range(2):
        weights = [
            b.constant(f"{i}.{part}", b.rng.uniform(-bound, bound, shape).astype(np.float32))
            for part, shape in (("W", (1, 4 * hidden, inside)), ("R", (1, 4 * hidden, hidden)), ("B", (1, 8 * hidden)))
        ]
        value = b.add("Squeeze", [b.add("LSTM", [value, *weights], f"{i}.lstm", hidden_size=hidden), axis], f"{i}.out")
        inside = hidden
    last = b.add("Gather", [value, b.constant("last", np.int64(steps - 1))], "last_step", axis=0)
    b.add("Identity", [b.linear(last, "head", hidden, 10, bound)], "y")


NETWORKS = {
    "resnet": Network(fill=resnet, shape=(3, 224, 224)),
    "transformer": Network(fill=transformer, shape=(256, 512)),
    "glu": Network(fill=lambda b: transformer(b, gated=True), shape=(256, 512)),
    "lstm": Network(fill=lstm, shape=(64, 64)),
    "mobilenet": Network(fill=mobilenet, shape=(3, 224, 224)),
    "unet": Network(fill=unet, shape=(3, 256, 256)),
    "bert": Network(fill=bert, shape=(128,), takes_ids=True),
}
"""By the name that `probe.py --models` takes."""
