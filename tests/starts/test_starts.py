"""A network under several initialisations: what is measured of each, and who wins."""

from __future__ import annotations

import gc
import json
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import initaudit
from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.errors import ProbeError, UsageError
from initaudit.fixing.options import FixOptions
from initaudit.format import FormatOptions, find_format
from initaudit.model.graph import Graph
from initaudit.starts import measure
from initaudit.starts.compare import Comparison, compare
from initaudit.starts.schemes import DEFAULT, read_starts
from initaudit.starts.start import Start
from tests.networks import mlp, normal

SCHEMA = json.loads(files("initaudit").joinpath("schema.json").read_text())
SCHEMES = ("as-is", "auto", "xavier_normal", "normal:0.01", "zeros", "pca")
NETWORK = mlp([64, 48, 48, 48, 10], "Tanh", normal(0.02))


@pytest.fixture(scope="module")
def compared() -> Comparison:
    """A tanh network whose weights are too small, under what the tutorials show."""
    return compare(NETWORK, SCHEMES, Config())


def start(compared: Comparison, scheme: str):
    """One of them."""
    return next(start for start in compared.document["starts"] if start["scheme"] == scheme)


def variances(compared: Comparison, scheme: str) -> list[float]:
    """Of the signal at each layer."""
    return [layer["signal"]["variance"] for layer in start(compared, scheme)["layers"]]


def graphs() -> list[Graph]:
    """All that there are."""
    return [
        thing for thing in gc.get_objects() if type(thing) is Graph
    ]  # `isinstance` wakes lazy things of other packages


def test_the_textbook_is_confirmed(compared: Comparison):
    """Xavier's weights keep the signal of a tanh network, small normal ones lose it layer by layer, zeros have none (Glorot & Bengio 2010)."""
    small, xavier = variances(compared, "normal:0.01"), variances(compared, "xavier_normal")

    assert all(b < a / 50 for a, b in pairwise(small))
    assert xavier[-1] > 0.1 * xavier[0]
    assert variances(compared, "zeros") == [0.0] * 4
    assert start(compared, "zeros")["verdict"]["status"] == "fail"


def test_the_best_stands_first_and_the_sentence_names_it_and_the_file(compared: Comparison):
    """A network that learns fast before one that learns slowly before one that does not learn."""
    order = [s["scheme"] for s in compared.document["starts"]]

    assert order.index("xavier_normal") < order.index("as-is") <= order.index("normal:0.01") < order.index("zeros")
    assert compared.winner == order[0]
    assert compared.winners[0] == order[0]
    assert all(scheme in compared.sentence for scheme in compared.winners)
    assert "as it is: trainability" in compared.sentence


def test_starts_are_ranked_by_steps_then_by_how_surely_they_learn():
    """Those that learn first, the fastest of them first; of equally fast ones the surer, unless two draws differ by as much; then who has fewer findings."""

    def made(name: str, score: float | None, slowness: float | None, findings: int = 0) -> Start:
        return Start(scheme=name, verdict={"trainability": score, "slowness": slowness}, findings={"INI101": findings})

    ranked = (
        made("faster than recommended", 0.95, 0.8, 3),
        made("fast", 0.99, 1.02, 0),
        made("as fast, with findings", 1.0, 0.98, 2),
        made("as fast, less sure", 0.7, 1.0),
        made("slow", 1.0, 4.0),
        made("nearly", 0.4, None),
        made("never", 0.0, None),
        made("unknown", None, None),
    )
    found = list(ranked[::-1])
    found.sort(key=lambda start: start.rank)

    assert found == list(ranked)


def test_as_it_is_says_what_the_audit_says(compared: Comparison):
    """And `auto` what the audit says of the file that `fix` writes."""
    itself = initaudit.audit(NETWORK)
    fixed = initaudit.fix(NETWORK, dry_run=True)

    assert start(compared, "as-is")["verdict"]["trainability"] == itself.verdict.trainability
    assert start(compared, "auto")["verdict"]["trainability"] == fixed.now.verdict.trainability


def test_the_weights_are_those_that_fix_draws(compared: Comparison, tmp_path: Path):
    """Same scheme, same seed, same values: every layer has the std of the written file."""
    initaudit.fix(NETWORK, tmp_path / "out.onnx", scheme="normal:0.01", every=True, force=True, keep_going=True)
    written = onnx.load(tmp_path / "out.onnx")
    stds = [float(numpy_helper.to_array(t).std()) for t in written.graph.initializer if t.dims[1:]]

    assert [layer["std"] for layer in start(compared, "normal:0.01")["layers"]] == pytest.approx(stds, rel=1e-6)


def test_the_model_stays_as_it_is(compared: Comparison):
    """Only copies are drawn anew."""
    again = mlp([64, 48, 48, 48, 10], "Tanh", normal(0.02))

    assert NETWORK.SerializeToString() == again.SerializeToString()


def test_the_document_follows_the_schema_and_every_output_holds_every_start(compared: Comparison):
    """Terminal, page and CSV say the same of each; the page shows it without a script too."""
    jsonschema.validate(json.loads(json.dumps(compared.document, allow_nan=False)), SCHEMA)
    table, page, rows = (
        find_format("text").starts(compared.document, FormatOptions(width=100)),
        compared.to_html(),
        compared.to_csv(),
    )
    cut = page[: page.index('<script type="application/json"')]

    for scheme in SCHEMES:
        assert scheme in table
        assert scheme in cut
        assert f",{scheme}," in rows
    assert len(rows.splitlines()) == 1 + 4 * len(SCHEMES)
    assert " ".join(compared.sentence.split()[:5]) in " ".join(table.split())


def test_a_trained_network_is_compared_with_fresh_ones():
    """Its own draw is no scheme's; the drawn ones are judged as fresh networks."""
    rng = np.random.default_rng(0)
    trained = mlp([64, 32, 10], "Relu", lambda shape, _: rng.standard_t(3, shape) * 0.2)
    found = compare(trained, ("as-is", "he_normal"), Config(context="trained"))

    assert start(found, "as-is")["verdict"]["context"] == "trained"
    assert start(found, "he_normal")["verdict"]["context"] == "fresh"
    assert "what training found" in found.sentence


def test_what_cannot_be_measured_is_no_network_that_does_not_learn():
    """Nothing is said of its starts: an operator that no kernel knows is told in one line."""
    strange = mlp([8, 8, 4])
    strange.graph.node[1].op_type, strange.graph.node[1].domain = "Strange", "other"
    strange.opset_import.add(domain="other", version=1)

    with pytest.raises(ProbeError, match="cannot be measured"):
        compare(strange, ("as-is", "zeros"), Config())
    assert "it is known whether the network learns" in compare(NETWORK, ("as-is",), Config(probe="none")).sentence


@pytest.mark.parametrize("drawn", [FixOptions(exclude=("hed",)), FixOptions()])
def test_a_layer_that_is_not_there_is_a_usage_error(drawn: FixOptions):
    """Instead of a comparison of what was not asked for."""
    with pytest.raises(UsageError, match="no layer 'hed'"):
        compare(NETWORK, ("as-is", "he_normal hed=zeros"), Config(probe="none"), drawn)


def test_no_more_than_one_drawn_network_is_held_at_a_time(monkeypatch: pytest.MonkeyPatch):
    """Twelve schemes take the memory of one: what was drawn before is gone when the next is drawn."""
    others = graphs()
    held: list[int] = []

    def drawn(*arguments: Any) -> Any:
        held.append(len(graphs()))
        return drawing(*arguments)

    drawing = measure._drawn
    monkeypatch.setattr(measure, "_drawn", drawn)
    monkeypatch.setattr(measure, "LARGE", 0)
    weights_only = Config(probe="none")
    list(
        measure.measure_starts(
            audit(NETWORK, weights_only), ("zeros", "pca", "normal:1"), weights_only, FixOptions(), print
        )
    )

    assert held == [len(others) + 1] * 3


@pytest.mark.usefixtures("in_process")
def test_all_starts_are_measured_against_one_recommended_start(monkeypatch: pytest.MonkeyPatch):
    """So that none costs more than its own probe, and each slowness is a multiple of the same steps; the file's own is what its audit says."""
    probes: list[int] = []

    def probed(*arguments: Any) -> Any:
        probes.append(1)
        return probing(*arguments)

    probing = initaudit.probe.probe._probe_plan
    monkeypatch.setattr(initaudit.probe.probe, "_probe_plan", probed)
    schemes = ("as-is", "normal:0.1", "normal:0.2", "normal:0.3")
    slow = mlp([64, 32, 32, 10], draw=normal(0.05))
    found = compare(slow, schemes, Config())
    verdict = audit(slow, Config()).verdict

    assert len(probes) == len(schemes) + 1 + 2  # the last two are of the audit
    assert start(found, "as-is")["verdict"]["slowness"] == pytest.approx(verdict.slowness.factor)


def test_layers_can_be_left_out(compared: Comparison):
    """They hold what the file holds under every scheme."""
    found = compare(NETWORK, ("as-is", "zeros"), Config(probe="none"), FixOptions(exclude=("fc0",)))
    before, after = (start(found, scheme)["layers"] for scheme in ("as-is", "zeros"))

    assert after[0]["std"] == before[0]["std"]
    assert after[1]["std"] == 0


def test_a_scheme_that_draws_nothing_is_no_start_of_its_own():
    """Where all layers are left out it says so in every output, and what `fix` would write is the file itself."""
    found = compare(NETWORK, ("as-is", "auto", "zeros"), Config(probe="forward"), FixOptions(exclude=("*",)))

    assert start(found, "zeros")["why"] == "it draws no layer of the file"
    assert start(found, "zeros")["verdict"] is None
    for shown in (str(found), found.to_html()):
        told = " ".join(shown.split())
        assert "zeros: not measured: it draws no layer of the file" in told
        assert "auto: changes nothing: the same as the file" in told
    assert "it draws no layer" in found.to_csv()


def test_schemes_with_commas_of_their_own_are_read():
    """Between commas stands a scheme, and within some as well."""
    assert read_starts(["as-is,head=he_normal"]) == ("as-is", "head=he_normal")
    read = read_starts(
        ["as-is,variance_scaling:2,fan_in,normal,he_normal:fan_in,0.2", "normal:0.01,zeros", "he_normal head=zeros"]
    )

    assert read == (
        "as-is",
        "variance_scaling:2,fan_in,normal",
        "he_normal:fan_in,0.2",
        "normal:0.01",
        "zeros",
        "he_normal head=zeros",
    )
    assert read_starts(DEFAULT) == DEFAULT


def test_one_scheme_is_one_start_however_it_is_written():
    """By its other name, in capitals, with zeros behind a number; the first way to write it stays."""
    assert read_starts(["he_normal,HE_NORMAL,kaiming_normal,he_normal:fan_in"]) == ("he_normal",)
    assert read_starts(["AS-IS", "as-is", "normal:0.1,normal:0.10"]) == ("as-is", "normal:0.1")


@pytest.mark.parametrize(
    ("schemes", "told"),
    [([1], "1 is no text"), (1, "no list of texts"), (["as-is fc0=zeros"], "stands alone; --exclude")],
)
def test_what_is_no_start_is_told(schemes: Any, told: str):
    """From Python, and where the network as it is stands among schemes."""
    with pytest.raises(UsageError, match=told):
        read_starts(schemes)


def test_an_unknown_scheme_is_a_usage_error():
    """Which names the nearest."""
    with pytest.raises(UsageError, match="xavier_normal"):
        read_starts(["xavier_norml"])
