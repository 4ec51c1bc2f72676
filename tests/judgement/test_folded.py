"""What is said of a network whose BatchNorms the exporter folded away."""

from __future__ import annotations

import numpy as np
import pytest

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.judgement.context import Context
from initaudit.judgement.folded import why_unjudged
from tests.networks import mlp, normal

FOLDED = {"pkg.onnxscript.rewriter.rule_name": "FuseBatchNormIntoGemm"}


def folded_mlp(bias: float):
    """Twelve layers that shrink the signal, each but the head with a BatchNorm that was folded; `bias` stands in each."""
    network = mlp((64,) * 13, draw=normal(0.02), bias=lambda shape, _: np.full(shape, bias))
    for node in network.graph.node[:-1]:
        if node.op_type == "Gemm":
            for key, value in FOLDED.items():
                node.metadata_props.add(key=key, value=value)
    return network


@pytest.mark.parametrize(("context", "judged"), [("fresh", False), ("unknown", False), ("trained", True)])
def test_a_fold_hides_what_training_will_run(context: str, judged: bool) -> None:
    """Unless it was trained: then the fold holds the statistics that the network runs with."""
    report = audit(folded_mlp(0.7), Config(context="fresh", probe="none"))

    assert report.audit is not None
    assert (why_unjudged(report.audit.layers, Context(name=context, evidence=()), report.audit.probe) is None) is judged


def test_what_is_not_known_is_no_number() -> None:
    """With norms that cannot be put back there is no score, and the verdict says why."""
    verdict = audit(folded_mlp(0.7), Config(context="fresh")).verdict

    assert verdict.trainability is None
    assert verdict.first_lost is None
    assert "folded 11 BatchNorms" in verdict.reason
