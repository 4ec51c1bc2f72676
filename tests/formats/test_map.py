"""The map of the network before it is drawn: its boxes, their order, their columns and what is written on them."""

from __future__ import annotations

import json
import time

from initaudit.formats.page.map import network_map
from initaudit.formats.page.map_boxes import map_boxes
from initaudit.formats.page.map_columns import COLUMN_HEIGHT, columns
from initaudit.formats.page.map_jumps import LONGEST, with_jumps
from initaudit.formats.page.view import report_view
from tests.formats import documents


def report(wires, kinds=None):
    """A report whose places read each other as given: name -> names read.

    A name that begins with `+` is a sum, with `cat` a concatenation, `in` an input, `out` an output; any other a layer, of
    the given kind or linear.
    """
    layers, nodes, edges = [], [], []
    position = {name: i for i, name in enumerate(wires)}
    for name, reads in wires.items():
        edges += [[position[source], position[name]] for source in reads]
        for prefix, kind, op_type in (
            ("+", "join", "Add"),
            ("cat", "join", "Concat"),
            ("in", "input", None),
            ("out", "output", None),
        ):
            if name.startswith(prefix):
                nodes.append(documents.place(kind, name, op_type))
                break
        else:
            nodes.append(documents.place("layer", name, "MatMul", name))
            layers.append({"name": name, "title": name, "kind": (kinds or {}).get(name, "linear")})
    return {"layers": layers, "graph": {"nodes": nodes, "edges": edges}}


def read(boxes):
    """What each box reads, by name."""
    return {box.name: [boxes[source].name for source in box.reads] for box in boxes}


def view(report):
    """What the page shows of the only report of a document."""
    return report_view(report, 0, {}, folder="", alone=True)


def test_a_document_without_a_graph_has_no_map():
    """Reports that an earlier version wrote, and those of models that could not be read."""
    old = documents.dense_report(depth=2)
    del old["graph"]

    assert view(old)["map"] is None
    assert view(documents.error_report())["map"] is None


def test_a_norm_stands_in_the_box_of_the_layer_before_it():
    """What read the norm reads the box."""
    found = map_boxes(report({"in": [], "conv": ["in"], "bn": ["conv"], "fc": ["bn"]}, {"bn": "norm"}))

    assert read(found) == {"in": [], "conv": ["in"], "fc": ["conv"]}
    assert found[1].layers == (0, 1)


def test_a_norm_in_front_stands_in_the_box_of_its_module_only():
    """The norm of a pre-activation block belongs to the convolution behind it; the last norm of an encoder not to the head."""
    wires = {"in": [], "+": ["in"], "block.norm": ["+"], "block.conv": ["block.norm"]}
    inside = map_boxes(report(wires, {"block.norm": "norm"}))
    wires = {"in": [], "+": ["in"], "encoder.norm": ["+"], "head": ["encoder.norm"]}
    apart = map_boxes(report(wires, {"encoder.norm": "norm"}))

    assert read(inside) == {"in": [], "+": ["in"], "block.norm": ["+"]}
    assert inside[2].layers == (0, 1)
    assert [box.name for box in apart] == list(wires)


def test_a_norm_that_is_not_alone_behind_its_layer_keeps_a_box():
    """The skip starts before the norm, and shows that it does."""
    wires = {"in": [], "fc": ["in"], "ln": ["fc"], "mlp.up": ["ln"], "+": ["fc", "mlp.up"]}

    assert read(map_boxes(report(wires, {"ln": "norm"}))) == wires


def test_a_concatenation_that_grows_reads_what_it_grew_from():
    """[a, b] then [a, b, c] is [a, b] and c: a dense block is drawn with one wire for each layer, not one for each pair."""
    wires = {"a": [], "b": ["a"], "cat2": ["a", "b"], "c": ["cat2"], "cat3": ["a", "b", "c"], "d": ["cat3"]}
    wires |= {"cat4": ["a", "b", "c", "d"]}

    found = read(map_boxes(report(wires)))

    assert (found["cat3"], found["cat4"]) == (["cat2", "c"], ["cat3", "d"])


def test_outputs_show_where_the_network_ends():
    """One output for a place that nothing else reads, however many the file has of it; none for what is read on."""
    wires = {"in": [], "a": ["in"], "b": ["a"], "out1": ["a"], "out2": ["b"], "out3": ["b"]}

    assert read(map_boxes(report(wires))) == {"in": [], "a": ["in"], "b": ["a"], "out2 +1": ["b"]}


def test_an_input_stands_before_its_first_reader():
    """A decoder's input is drawn at the decoder, whatever the order of the file."""
    wires = {"in1": [], "in2": [], "a": ["in1"], "b": ["a"], "+": ["b", "in2"], "out": ["+"]}

    assert [box.name for box in map_boxes(report(wires))] == ["in1", "a", "b", "in2", "+", "out"]


def test_an_output_that_is_an_input_stands_behind_it():
    """A file may hand an input on as it came, beside what it computes."""
    wires = {"in1": [], "in2": [], "a": ["in1"], "out1": ["in2"], "out2": ["a"]}

    assert read(map_boxes(report(wires))) == wires


def skips(length):
    """A chain of layers whose last meets the first one again."""
    wires = {"in": [], "l0": ["in"]}
    for i in range(1, length):
        wires[f"l{i}"] = [f"l{i - 1}"]
    return wires | {"+": [f"l{length - 1}", "l0"], "head": ["+"]}


def test_a_short_skip_is_a_wire_and_a_long_one_a_sign():
    """The sign stands before the sum and names where the wire comes from."""
    short = with_jumps(map_boxes(report(skips(LONGEST))))
    long = with_jumps(map_boxes(report(skips(LONGEST + 1))))

    assert not any(box.jumps for box in short)
    (sign,) = [box for box in long if box.jumps]
    total = next(box for box in long if box.name == "+")
    assert [long[source].name for source in sign.jumps] == ["l0"]
    assert [long[source] for source in total.reads] == [long[len(long) - 4], sign]


def test_a_graph_in_which_all_read_all_is_drawn_with_few_wires():
    """Sixty layers that read all before them: every wire that is left is short, and nothing is lost, for the signs name the rest."""
    wires = {"in": [], "l0": ["in"], "l1": ["l0"]}
    for i in range(2, 60):
        wires[f"+{i}"] = [f"l{j}" for j in range(i)]
        wires[f"l{i}"] = [f"+{i}"]

    found = with_jumps(map_boxes(report(wires)))

    drawn = sum(len(box.reads) for box in found)
    kept = sum(len(box.reads) for box in found if not box.jumps) - sum(bool(box.jumps) for box in found)
    assert drawn < 4 * len(found)
    assert kept + sum(len(box.jumps) for box in found) == sum(map(len, wires.values()))


def laid(wires, heights=40, paths=None):
    """Columns as (first, last, what the column before goes on with), by name."""
    names = list(wires)
    reads = [[names.index(source) for source in before] for before in wires.values()]
    found = columns(reads, [heights] * len(names), paths or [[name] for name in names], 20)
    return [(names[c.start], names[c.stop - 1], None if c.continues is None else names[c.continues]) for c in found]


def test_a_chain_fills_one_column_after_another():
    """Ten boxes of 60 pixels with their gap stand in a column of 640."""
    chain = {f"l{i}": [f"l{i - 1}"] if i else [] for i in range(25)}

    assert COLUMN_HEIGHT // 60 == 10
    assert laid(chain) == [("l0", "l9", None), ("l10", "l19", "l9"), ("l20", "l24", "l19")]


def test_a_column_is_cut_only_where_the_whole_network_passes_through_one_box():
    """A skip over seven of ten boxes keeps these together."""
    chain = {f"l{i}": [f"l{i - 1}"] if i else [] for i in range(20)}
    chain["l13"] = ["l12", "l6"]

    assert laid(chain) == [("l0", "l6", None), ("l7", "l16", "l6"), ("l17", "l19", "l16")]


def test_the_end_of_the_network_is_no_column_of_its_own():
    """The output stands below the last layer, though that one would fit into the column before."""
    chain = {f"l{i}": [f"l{i - 1}"] if i else [] for i in range(10)} | {"out": ["l9"]}
    paths = [[] if name == "out" else [name] for name in chain]

    assert laid(chain, paths=paths) == [("l0", "l8", None), ("l9", "out", "l8")]


def test_what_cannot_be_cut_stands_in_one_column():
    """Two chains beside each other, of any length."""
    towers = {"in": [], "a0": ["in"], "b0": ["in"]}
    for i in range(1, 30):
        towers |= {f"a{i}": [f"a{i - 1}"], f"b{i}": [f"b{i - 1}"]}
    towers["+"] = ["a29", "b29"]

    assert laid(towers) == [("in", "in", None), ("a0", "+", "in")]


def test_parts_that_nothing_connects_follow_each_other():
    """The second network of a file begins a column without a line to it."""
    parts = {f"a{i}": [f"a{i - 1}"] if i else [] for i in range(10)}
    parts |= {f"b{i}": [f"b{i - 1}"] if i else [] for i in range(10)}

    assert laid(parts) == [("a0", "a9", None), ("b0", "b9", None)]


def test_a_column_ends_with_a_block_where_the_names_tell():
    """Blocks of six layers, of which a column would hold one and two thirds."""
    names = [f"block.{b}.fc{i}" for b in range(3) for i in range(6)]
    chain = {name: names[i - 1 : i] for i, name in enumerate(names)}

    found = laid(chain, paths=[name.split(".") for name in names])

    assert [(first, last) for first, last, _ in found] == [(f"block.{b}.fc0", f"block.{b}.fc5") for b in range(3)]


def shown(report):
    """What the script draws of a report, and what the template prints."""
    found = network_map(report, view(report)["rows"])
    return json.loads(str(found["island"])), found


def test_a_box_has_the_colour_of_its_worst_finding():
    """A layer with a note and an error is an error; one with none has no colour."""
    sick = documents.dense_report(depth=3)
    name = sick["layers"][1]["name"]
    sick["findings"] = [
        documents.finding("INI101", "weight-too-small", severity, name, "m") for severity in ("info", "error")
    ]

    drawn, printed = shown(sick)

    assert [box["severity"] for box in drawn["boxes"] if box["anchor"]] == [None, "error", None]
    assert printed["counts"] == {"error": 1, "warning": 0, "info": 0, None: 2}


def test_names_lose_what_all_of_them_begin_with():
    """First of the network, then of the column, which says it above; a number alone is no name."""
    two = documents.dense_report(depth=16)

    drawn, _ = shown(two)

    assert [column["caption"] for column in drawn["columns"]] == ["", ""]
    labels = [box["label"] for box in drawn["boxes"] if box["anchor"]]
    assert labels == [f"block.{i // 4}.linear.{i}" for i in range(16)]
    assert drawn["boxes"][1]["facts"][0] == "net.block.0.linear.0"


def test_gates_of_a_recurrent_node_are_one_box_with_the_name_of_the_layer():
    """The box leads to the first of them and tells of all."""
    gates = documents.dense_report(depth=2)
    for layer, gate in zip(gates["layers"], ("input", "forget"), strict=True):
        layer["title"] = f"rnn[W gate:{gate}]"
        layer["weight"]["part"] = f"gate:{gate}"
    names = [layer["name"] for layer in gates["layers"]]
    gates["graph"] = {"nodes": [documents.place("layer", "rnn", "LSTM", *names)], "edges": []}

    drawn, printed = shown(gates)

    assert [(box["label"], box["anchor"]) for box in drawn["boxes"]] == [("rnn", "layer-rnn-W-gate-input")]
    assert [fact for fact in drawn["boxes"][0]["facts"] if "gate:" in fact] == [
        "gate:input · linear · 48×48 · relu",
        "gate:forget · linear · 48×48 · relu",
    ]
    assert len(printed["table"]) == 1


def test_the_table_names_what_each_layer_reads():
    """The map's twin for readers without a script: places, what they read, and the body they stand in."""
    net = documents.dense_report(depth=2)
    net["graph"]["nodes"][2]["inside"] = ["Loop steps"]

    _, printed = shown(net)

    lines = [
        (line["title"], [source["title"] for source in line["reads"]], line["inside"]) for line in printed["table"]
    ]
    assert lines == [
        ("input x", [], ""),
        ("net.block.0.linear.0", ["input x"], ""),
        ("net.block.0.linear.1", ["net.block.0.linear.0"], "Loop steps"),
        ("output y", ["net.block.0.linear.1"], ""),
    ]


def test_time_grows_with_the_network_and_not_with_its_square():
    """Ten times the boxes, skips among them, take ten times as long; a quadratic walk would take a hundred times."""

    def seconds(count):
        wires = {"l0": []}
        for i in range(1, count):
            wires[f"l{i}"] = [f"l{i - 1}"]
        given = report(wires)
        given["graph"]["edges"] += [[i, i + 3] for i in range(0, count - 3, 4)]
        start = time.process_time()
        boxes = with_jumps(map_boxes(given))
        columns([box.reads for box in boxes], [40] * len(boxes), [["a", box.name] for box in boxes], 20)
        return time.process_time() - start

    assert seconds(10_000) < 40 * max(seconds(1_000), 1e-3)
