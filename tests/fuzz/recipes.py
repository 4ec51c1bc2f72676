"""How the files of the corpus are made that a person thought of: `python -m tests.fuzz.recipes` writes them anew.

Each is of a kind that a version of initaudit took gigabytes or minutes for, failed at, or read what it should not have. Those that the fuzzer
found lie beside them and have no recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tests.networks import model

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(0.0, 0.3, (8, 8)).astype(np.float32)
FILES: dict[str, bytes] = {}
node = helper.make_node


def add(
    name: str, nodes: list[NodeProto], tensors: Mapping[str, Any], *, opset: int = 21, **options: Any
) -> onnx.ModelProto:
    """A file with the value `w` of these nodes and tensors as the weight of a product."""
    product = [node("MatMul", ["x", "w"], ["y"], "fc")]
    proto = model([*nodes, *product], {"x": ["N", 8]}, ["y"], tensors, opset=opset, **options)
    FILES[name] = proto.SerializeToString()
    return proto


def again(name: str, proto: onnx.ModelProto) -> None:
    """The file after a change of the message."""
    FILES[name] = proto.SerializeToString()


def promises() -> None:
    """A few bytes that ask for gigabytes or hours."""
    wide = np.array([8, 50_000_000], np.int64)
    one = np.float32(1.0)
    add("expand_exp", [node("Expand", ["e", "s"], ["v"]), node("Exp", ["v"], ["w"])], {"e": one, "s": wide})
    add("expand_product", [node("Expand", ["e", "s"], ["v"]), node("Mul", ["v", "v"], ["w"])], {"e": one, "s": wide})
    add("tile_terabytes", [node("Tile", ["e", "s"], ["w"])], {"e": WEIGHT, "s": np.array([1 << 21, 1 << 21])})
    add("fill_terabytes", [node("ConstantOfShape", ["s"], ["w"])], {"s": np.array([1 << 31, 1 << 31])})
    add("pad_terabytes", [node("Pad", ["e", "s"], ["w"])], {"e": WEIGHT, "s": np.array([0, 0, 1 << 40, 1 << 20])})
    add(
        "range_for_ever",
        [node("Range", ["a", "b", "c"], ["w"])],
        {"a": np.int64(0), "b": np.int64(1 << 60), "c": np.int64(1)},
    )
    square = np.ones((1, 1, 64, 64), np.float32)
    pool = {"kernel_shape": [64, 64], "pads": [32, 32, 31, 31]}
    add("pool_of_a_constant", [node("AveragePool", ["e"], ["w"], **pool)], {"e": square})
    add("outer_product", [node("Einsum", ["e", "e"], ["w"], equation="abcd,efgh->abcdefgh")], {"e": square})
    codes = RNG.integers(-9, 9, (8, 8)).astype(np.int8)
    for name, size in (("huge", 1 << 40), ("negative", -1), ("zero", 0)):
        dequantised = node("DequantizeLinear", ["q", "s"], ["w"], axis=0, block_size=size)
        add(f"block_{name}", [dequantised], {"q": codes, "s": np.ones((2, 8), np.float32)})
    chain = [node("Mul", [f"v{i}", f"v{i}"], [f"v{i + 1}"]) for i in range(40)]
    add("doubling_chain", [*chain, node("Identity", ["v40"], ["w"])], {"v0": WEIGHT})
    chain = [node("Neg" if i % 2 else "Transpose", [f"v{i}"], [f"v{i + 1}"]) for i in range(200)]
    add("long_chain", [*chain, node("Identity", ["v200"], ["w"])], {"v0": WEIGHT})
    proto = add("sparse_terabytes", [], {})
    sparse = proto.graph.sparse_initializer.add(dims=[1 << 21, 1 << 21])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "w"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([5]), "i"))
    again("sparse_terabytes", proto)


def functions() -> None:
    """Calls that come to more than the file shows."""
    for name, last in (("doubling_functions", "F30"), ("circular_functions", "F0")):
        proto = add(name, [node("F0", ["v"], ["w"], domain="f")], {"v": WEIGHT}, domains=["f"])
        for level in range(30):
            to = f"F{level + 1}" if level < 29 else last
            inner = [node(to, [a], [b], domain="f") for a, b in (("a", "m"), ("m", "b"))]
            proto.functions.append(
                helper.make_function("f", f"F{level}", ["a"], ["b"], inner, [helper.make_opsetid("f", 1)])
            )
        end = [node("Relu", ["a"], ["b"])]
        proto.functions.append(helper.make_function("f", "F30", ["a"], ["b"], end, [helper.make_opsetid("", 17)]))
        again(name, proto)
    calls = [node("F", [f"v{i}"], [f"v{i + 1}"], "same", domain="f") for i in range(500)]
    proto = add("calls_of_one_name", [*calls, node("Identity", ["v500"], ["w"])], {"v0": WEIGHT}, domains=["f"])
    inner = [node("Relu", ["a"], ["b"], "'" * 20)]
    proto.functions.append(helper.make_function("f", "F", ["a"], ["b"], inner, [helper.make_opsetid("", 17)]))
    again("calls_of_one_name", proto)
    consumers = [node("Relu", ["y"], [f"r{i}"]) for i in range(300)]
    add("many_consumers", consumers, {"w": WEIGHT})
    body = helper.make_graph([], "b", [], [helper.make_tensor_value_info("v", 1, None)])
    for _ in range(25):
        outs = [helper.make_tensor_value_info("o", 1, None)]
        body = helper.make_graph(
            [node("If", ["c"], ["o"], then_branch=body, else_branch=helper.make_graph([], "e", [], outs))],
            "b",
            [],
            outs,
        )
    add(
        "deep_branches",
        [node("If", ["c"], ["w"], then_branch=body, else_branch=body)],
        {"c": np.array(True), "v": WEIGHT},
    )


def contradictions() -> None:
    """What a file says of itself and is not so."""
    codes = RNG.integers(-9, 9, (8, 8)).astype(np.int8)
    ones = np.ones(7, np.float32)
    add("scales_that_do_not_fit", [node("DequantizeLinear", ["q", "s"], ["w"], axis=1)], {"q": codes, "s": ones})
    add("scales_on_no_axis", [node("DequantizeLinear", ["q", "s"], ["w"], axis=9)], {"q": codes, "s": ones})
    add("prelu_without_slope", [node("PRelu", ["x"], ["p"])], {"w": WEIGHT})
    add("sum_of_nothing", [node("Add", ["x"], ["p"])], {"w": WEIGHT})
    add("transpose_twice_one_axis", [node("Transpose", ["v"], ["w"], perm=[0, 0])], {"v": WEIGHT})
    add(
        "slice_step_zero",
        [node("Slice", ["v", "z", "o", "z", "z"], ["w"])],
        {"v": WEIGHT, "z": np.array([0]), "o": np.array([1])},
    )
    add("gather_beyond_the_end", [node("Gather", ["v", "i"], ["w"])], {"v": WEIGHT, "i": np.array([99, -99])})
    add("split_into_negative", [node("Split", ["v", "s"], ["w", "u"])], {"v": WEIGHT, "s": np.array([-1, 9])})
    add("reshape_to_more", [node("Reshape", ["v", "s"], ["w"])], {"v": WEIGHT, "s": np.array([-1, -1, 7])})
    add("concat_on_no_axis", [node("Concat", ["v", "v"], ["w"], axis=-7)], {"v": WEIGHT})
    add("cast_to_no_type", [node("Cast", ["v"], ["w"], to=99)], {"v": WEIGHT})
    kernel = RNG.normal(0, 0.1, (4, 3, 3, 3)).astype(np.float32)
    for name, group in (("zero", 0), ("negative", -2), ("five", 5)):
        convolution = [node("Conv", ["v", "k"], ["c"], group=group)]
        add(f"groups_{name}", convolution, {"v": np.ones((1, 3, 8, 8), np.float32), "k": kernel, "w": WEIGHT})
    lstm = [node("LSTM", ["x", "W", "R"], ["", "h"], hidden_size=-3)]
    add(
        "recurrence_of_negative_size",
        lstm,
        {"W": RNG.normal(0, 1, (1, 12, 8)).astype(np.float32), "R": kernel, "w": WEIGHT},
    )
    bits = {"K": 8, "N": 8, "bits": 0, "block_size": 0}
    nbits = node("MatMulNBits", ["x", "B", "s"], ["z"], domain="com.microsoft", **bits)
    add("weights_of_no_bits", [nbits], {"B": codes.view(np.uint8), "s": ones, "w": WEIGHT}, domains=["com.microsoft"])
    attention = node(
        "Attention", ["x", "A"], ["z"], domain="com.microsoft", num_heads=0, qkv_hidden_sizes=[-1, 1, 1 << 40]
    )
    add("attention_of_no_heads", [attention], {"A": WEIGHT, "w": WEIGHT}, domains=["com.microsoft"])
    body = helper.make_graph(
        [node("Relu", ["s"], ["t"])],
        "b",
        [helper.make_tensor_value_info("s", 1, None)],
        [helper.make_tensor_value_info("t", 1, None)],
    )
    add("scan_with_a_list_for_a_number", [node("Scan", ["x"], ["z"], body=body, num_scan_inputs=[1, 2])], {"w": WEIGHT})
    add("scan_of_more_than_there_is", [node("Scan", ["x"], ["z"], body=body, num_scan_inputs=1 << 40)], {"w": WEIGHT})
    for name, dims in (("negative", [-8, -8]), ("overflowing", [1 << 62, 1 << 62, 0, 8]), ("other", [8, 9])):
        proto = add(f"dimensions_{name}", [], {"w": WEIGHT})
        del proto.graph.initializer[0].dims[:]
        proto.graph.initializer[0].dims.extend(dims)
        again(f"dimensions_{name}", proto)
    proto = add("numbers_in_the_wrong_field", [], {"w": WEIGHT})
    stored = proto.graph.initializer[0]
    stored.ClearField("raw_data")
    stored.double_data.extend(WEIGHT.ravel().tolist())
    again("numbers_in_the_wrong_field", proto)


def numbers() -> None:
    """Values at the ends of their types."""
    outlier = WEIGHT.astype(np.float64)
    add("float64_1e200", [node("Cast", ["v"], ["w"], to=1)], {"v": outlier * 1e200})
    spiked = outlier.copy()
    spiked[3, 3] = 1e100
    proto = add("float64_one_1e100", [], {"w": spiked})
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    again("float64_one_1e100", proto)
    add("float32_1e38", [], {"w": WEIGHT * np.float32(3e38)})
    add("subnormal", [], {"w": WEIGHT * np.float32(1e-42)})
    holes = WEIGHT.copy()
    holes[0], holes[1], holes[2, 0] = np.nan, np.inf, -np.inf
    add("not_finite", [], {"w": holes})
    add("no_elements", [], {"w": np.zeros((8, 0), np.float32)})
    add("text_for_a_weight", [], {"w": np.array([["a"] * 8] * 8, object)})
    for name, dtype in (("complex64", np.complex64), ("complex128", np.complex128)):
        add(name, [node("Cast", ["v"], ["w"], to=1), node("Relu", ["v"], ["u"])], {"v": WEIGHT.astype(dtype)})


def names() -> None:
    """Names that are no text, give orders, hide something or take a pattern back and forth."""
    hostile = (
        "::error::x",
        "##vso[task.complete]x",
        "\u202egnp.exe",
        "=HYPERLINK(1)",
        "a\n::warning::b",
        "<img src=x onerror=1>",
        "\x1b[2J",
        "\x00",
    )
    proto = add(
        "orders_for_names", [node("Relu", ["y"], [f"{name}{i}"], name) for i, name in enumerate(hostile)], {"w": WEIGHT}
    )
    proto.graph.node[-1].name = proto.producer_name = "::error::fc"
    again("orders_for_names", proto)
    for name in ("w", "fc", "x"):
        raw = add("as_text", [], {"w": WEIGHT}).SerializeToString()
        text = name.encode()
        FILES[f"no_utf8_{name}"] = raw.replace(bytes([len(text)]) + text, bytes([len(text)]) + b"\xff" * len(text))
    del FILES["as_text"]
    for count, piece in enumerate(("_a" * 40, "1" * 68, "a.b_" * 20, "'" * 68, "[0:" * 20, "onnx::" * 12)):
        proto = add(f"repeating_name_{count}", [node("Identity", [piece], ["w"], f"{piece}!")], {piece: WEIGHT})
        proto.graph.node[0].metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['" * 30)
        again(f"repeating_name_{count}", proto)


def external() -> None:
    """References to what is none of the model's business, or is not there."""
    places = {
        "absolute": "/etc/hostname",
        "above": "../beside.bin",
        "missing": "missing.bin",
        "long": "a" * 300,
        "folder": ".",
        "device": "/dev/zero",
    }
    for name, location in places.items():
        tensor = TensorProto(name="w", data_type=1, dims=[8, 8], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=location)
        proto = add(f"external_{name}", [], {})
        proto.graph.initializer.append(tensor)
        again(f"external_{name}", proto)
    lies = {"offset": "-8", "length": "99999999999999999999", "location": "beside.bin"}
    tensor = TensorProto(name="w", data_type=1, dims=[8, 8], data_location=TensorProto.EXTERNAL)
    for key, text in lies.items():
        tensor.external_data.add(key=key, value=text)
    proto = add("external_beyond", [], {})
    proto.graph.initializer.append(tensor)
    again("external_beyond", proto)
    filled = TensorProto(data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    filled.external_data.add(key="location", value="pyproject.toml")
    fill = node("ConstantOfShape", ["s"], ["v"], value=filled)
    add("fill_from_the_working_folder", [fill, node("Add", ["v", "v"], ["w"])], {"s": np.array([8, 8])})
    scaled = [
        node("ConstantOfShape", ["s"], ["v"], value=filled),
        node("Mul", ["y", "v"], ["z"]),
        node("Relu", ["z"], ["r"]),
    ]
    add("slope_from_the_working_folder", scaled, {"s": np.array([1]), "w": WEIGHT})
    proto = add("sparse_from_the_working_folder", [], {})
    sparse = proto.graph.sparse_initializer.add(dims=[8, 8])
    sparse.values.CopyFrom(TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL))
    sparse.values.external_data.add(key="location", value="pyproject.toml")
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(4), "i"))
    again("sparse_from_the_working_folder", proto)


def wholes() -> None:
    """What is no model, or not all of one, or two."""
    sound = add("cycle", [node("Relu", ["b"], ["a"]), node("Relu", ["a"], ["b"])], {"w": WEIGHT}).SerializeToString()
    add("value_made_twice", [node("Relu", ["x"], ["a"]), node("Abs", ["x"], ["a"])], {"w": WEIGHT})
    FILES["cut_off"] = sound[: len(sound) * 2 // 3]
    FILES["two_in_one"] = sound + sound
    FILES["empty"] = b""
    FILES["git_lfs"] = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    FILES["gzip"] = b"\x1f\x8b\x08" + bytes(20)
    FILES["other_message"] = b"\x0a\x05hello\x12\x03abc" * 10
    FILES["deep_message"] = b"\x3a\x7f" * 200
    proto = add("no_operator_set", [], {"w": WEIGHT})
    del proto.opset_import[:]
    again("no_operator_set", proto)
    proto = add("operator_set_of_the_future", [], {"w": WEIGHT})
    proto.opset_import[0].version = (1 << 62) + 1
    again("operator_set_of_the_future", proto)


def main() -> None:
    """Write all of them."""
    folder = Path(__file__).parent / "corpus"
    for recipes in (promises, functions, contradictions, numbers, names, external, wholes):
        recipes()
    for name, raw in FILES.items():
        (folder / f"{name}.onnx").write_bytes(raw)
    print(f"{len(FILES)} files, {sum(map(len, FILES.values()))} bytes")


if __name__ == "__main__":
    main()
