"""What counts of what was found, in which order, and the reason of what does not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initaudit.config import Config
from initaudit.errors import UsageError
from initaudit.findings import Finding, Severity
from initaudit.judgement.baseline import Baseline, load_baseline
from initaudit.judgement.filtering import apply_filters, check_reasons, notes
from initaudit.measuring.measure import measure
from initaudit.options import Ignore
from tests.extracting import extract
from tests.networks import mlp

if TYPE_CHECKING:
    from initaudit.measuring.layer_audit import LayerAudit

LAYERS: Sequence[LayerAudit] = measure(extract(mlp([4, 4, 4, 4])).layers)[0]
"""`/fc0/Gemm`, `/fc1/Gemm` and `/fc2/Gemm`, in this order."""


def found(code: str = "INI101", layer: str | None = "/fc0/Gemm", severity: str = "error", **more: str) -> Finding:
    """One finding."""
    return Finding(code=code, name="weight-too-small", severity=Severity(severity), layer=layer, message="m", **more)


def kept(
    *findings: Finding, baseline: Baseline | None = None, model: str = "m.onnx", **options: object
) -> tuple[Finding, ...]:
    """What is left of them with these options."""
    return apply_filters(findings, Config(**options), baseline, {a.layer.name: a.layer.depth for a in LAYERS}, model)


@pytest.mark.parametrize(
    ("selectors", "codes"),
    [
        (("ALL",), ["INI101", "INI401"]),
        (("INI4",), ["INI401"]),
        (("INI101", "INI401"), ["INI101", "INI401"]),
        (("Weight-Too-Small",), ["INI101", "INI401"]),
        (("INI9",), []),
    ],
)
def test_only_what_was_selected_is_kept(selectors: tuple[str, ...], codes: list[str]) -> None:
    """By code, beginning of a code, or name; one selector that fits is enough."""
    assert [f.code for f in kept(found("INI101"), found("INI401"), select=selectors)] == codes


def test_an_ignored_finding_stays_with_its_reason() -> None:
    """The first entry that applies gives it; the other findings count."""
    ignores = (
        Ignore(rule="INI101", layer="/fc1/*", reason="tied on purpose"),
        Ignore(rule="INI101", layer="*fc1*", reason="said later"),
    )

    first, second = kept(found(), found(layer="/fc1/Gemm"), ignore=ignores)

    assert (first.layer, first.suppressed) == ("/fc0/Gemm", None)
    assert (second.layer, second.suppressed) == ("/fc1/Gemm", "tied on purpose")


@pytest.mark.parametrize("reason", ["/fc1/Gemm", "fc1", "fc1=frozen"])
def test_a_layer_in_the_place_of_a_reason_is_an_error(reason: str) -> None:
    """`INI601=fc1` would accept the finding in every layer where one was meant; another word, or a layer beside it, is a reason."""
    layers = {name for audit in LAYERS for name in (audit.layer.name, audit.layer.title)}
    name = reason.partition("=")[0]

    with pytest.raises(UsageError, match=f"is a layer and no reason; write INI601:{name}=reason"):
        check_reasons(Config(ignore=(Ignore(rule="INI601", reason=reason),)), layers)
    check_reasons(Config(ignore=("INI601=frozen", "INI602:fc0=fc1")), layers)


def accepted(model: str, *findings: Finding, path: str = "accepted.json") -> Baseline:
    """A baseline that accepts these findings of a model."""
    return Baseline(Path(path), {}).replaced({model: findings})


def test_a_known_finding_is_suppressed_in_its_model_only() -> None:
    """The baseline says which model a finding is known from."""
    known = accepted("m.onnx", found())

    assert [f.suppressed for f in kept(found(), baseline=known)] == ["known from accepted.json"]
    assert [f.suppressed for f in kept(found(), baseline=known, model="other.onnx")] == [None]
    assert [f.suppressed for f in kept(found("INI102"), baseline=known)] == [None]


def test_two_models_of_one_name_are_two_models(tmp_path: Path) -> None:
    """Most files are called model.onnx: what is accepted of one folder's says nothing of another's."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.onnx").touch()
    known = accepted(f"{tmp_path}/a/model.onnx", found(), path=f"{tmp_path}/accepted.json")

    here, there = (
        kept(found(), baseline=known, model=f"{tmp_path}/{folder}/model.onnx")[0].suppressed for folder in "ab"
    )

    assert here == "known from accepted.json"
    assert there is None
    assert list(known.models) == ["a/model.onnx"]


def test_a_second_layer_without_a_name_is_not_the_first_one() -> None:
    """Layers that nothing tells apart are told apart by their place: one accepted zero layer hides no other."""
    known = accepted("m.onnx", found(subject="Gemm"))

    first, second = kept(
        found(subject="Gemm"), found(layer="/fc1/Gemm", subject="Gemm"), baseline=known, model="m.onnx"
    )

    assert (first.suppressed, second.suppressed) == ("known from accepted.json", None)
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(("severity", "is_known"), [("info", True), ("warning", True), ("error", False)])
def test_a_finding_that_is_worse_than_accepted_is_new(severity: str, is_known: bool) -> None:
    """Who accepted a warning has not accepted that the network cannot learn; nothing of the finding but that differs."""
    known = accepted("m.onnx", found(severity="warning"))
    now = found(severity=severity)

    (finding,) = kept(now, baseline=known)

    assert (finding.known, finding.suppressed) == (is_known, "known from accepted.json" if is_known else None)
    assert replace(finding, known=None, suppressed=None) == now


def test_the_severity_in_force_is_the_one_that_is_compared() -> None:
    """A project that says how severe a rule is has accepted the finding as that severe."""
    known = accepted("m.onnx", *kept(found(severity="error"), severity="INI101=warning"))

    (as_accepted,) = kept(found(severity="error"), baseline=known, severity="INI101=warning")
    (worse,) = kept(found(severity="error"), baseline=known)

    assert (as_accepted.known, worse.known) == (True, False)


def test_an_accepted_finding_without_a_severity_is_accepted_at_every_one(tmp_path: Path) -> None:
    """Files from before severities were kept hold what they held; a severity that there is not makes no baseline."""
    file = tmp_path / "accepted.json"
    document = json.loads(accepted("m.onnx", found(severity="warning")).render())
    (entry,) = document["models"]["m.onnx"]
    assert entry.pop("severity") == "warning"
    file.write_text(json.dumps(document))

    (finding,) = kept(found(severity="error"), baseline=load_baseline(file))

    assert finding.known
    entry["severity"] = "fatal"
    file.write_text(json.dumps(document))
    with pytest.raises(UsageError, match="is not a baseline file"):
        load_baseline(file)


def test_what_is_accepted_and_gone_is_said() -> None:
    """An exception that nobody needs hides the next fault of its kind."""
    known = accepted("m.onnx", found(), found("INI102"))
    config = Config(ignore=("INI101", "INI5:fc*"))

    lines = notes([("m.onnx", [found()], config, known)])

    assert [line.split(":")[0] for line in lines] == [
        "ignore INI5",
        "accepted.json accepts 1 that m.onnx does not have any more (INI102); `initaudit baseline --prune` takes them out",
    ]
    assert notes([("m.onnx", [found()], replace(config, probe="none"), known)]) == ()


def test_an_exception_of_one_model_is_needed_by_that_one_alone() -> None:
    """Of several models, an ignore is needed where one that it holds for has such a finding."""
    both, single = Config(ignore="INI101"), Config(ignore="INI102")

    lines = notes([("a.onnx", [], both, None), ("b.onnx", [found()], both, None), ("c.onnx", [], single, None)])

    assert lines == ("ignore INI102: no finding is of that kind",)


def test_pruning_takes_out_what_is_gone_and_nothing_else() -> None:
    """What is found stays accepted; other models stay as they are; nothing new is accepted."""
    known = accepted("m.onnx", found(), found("INI102")).replaced({"other.onnx": [found()]})

    pruned = known.pruned({"m.onnx": [found("INI102"), found("INI401")]})

    assert [entry["code"] for entry in pruned.of("m.onnx")] == ["INI102"]
    assert pruned.of("other.onnx") == known.of("other.onnx")


def test_a_reason_in_the_configuration_goes_before_the_baseline() -> None:
    """It says more than that the finding is known."""
    known = accepted("m.onnx", found())

    (finding,) = kept(found(), baseline=known, ignore=(Ignore(rule="ALL", reason="frozen"),))

    assert finding.suppressed == "frozen"


@pytest.mark.parametrize("name", ["MatMul[q]", "a*b", "q[0]?"])
def test_a_name_of_the_report_means_the_layer_of_that_name(name: str) -> None:
    """Names hold what globs are made of; as they are printed they are ignored."""
    (finding,) = kept(found(layer=name), ignore=(Ignore(rule="INI101", layer=name, reason="tied"),))

    assert finding.suppressed == "tied"


EXPECTED_ORDER = (
    found("INI901", None, "error"),
    found("INI101", "/fc0/Gemm", "error"),
    found("INI401", "/fc0/Gemm", "error"),
    found("INI101", "/fc1/Gemm", "error", initializer="a"),
    found("INI101", "/fc1/Gemm", "error", initializer="b"),
    found("INI101", "/fc2/Gemm", "error"),
    found("INI101", "/fc0/Gemm", "warning"),
    found("INI901", None, "info", initializer="a"),
    found("INI901", None, "info", initializer="b"),
    found("INI101", "/fc0/Gemm", "info"),
)


@given(st.permutations(EXPECTED_ORDER))
def test_the_order_depends_on_what_was_found_alone(shuffled: list[Finding]) -> None:
    """Most severe first; then what concerns the whole model, then by depth, by code, by tensor."""
    assert tuple(replace(f, occurrence=0) for f in kept(*shuffled)) == EXPECTED_ORDER
