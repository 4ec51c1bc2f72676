"""The verdict: the worst of what counts, in one word and one sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from initaudit.findings import Finding, Severity
from initaudit.judgement.context import Context
from initaudit.judgement.headline import Headline
from initaudit.judgement.obstacle import Obstacle
from initaudit.judgement.slowness import Slowness
from initaudit.judgement.trainability import Trainability
from initaudit.judgement.verdict import Verdict, verdict_for

SLOW = Slowness(factor=None, why="not measured")


def finding(severity: str, code: str = "INI101", layer: str | None = "fc", suppressed: str | None = None) -> Finding:
    """One finding."""
    return Finding(
        code=code, name="some-name", severity=Severity(severity), layer=layer, message="too small.", suppressed=suppressed
    )  # fmt: skip


def verdict(*findings: Finding, context: str = "fresh", score: float | None = None) -> Verdict:
    """The verdict on these findings."""
    trainability = None if score is None else Trainability(score=score, factors=(), sgd=score, adam=score)
    return verdict_for(findings, Context(name=context, evidence=("seen",)), trainability, SLOW, ("fc", "too small"))


def test_why_there_is_no_score_is_said() -> None:
    """A network that was probed and not judged passes with the reason in its sentence."""
    told = verdict_for([], Context(name="fresh", evidence=()), None, SLOW, None, unjudged="The norms are folded.")

    assert told.status == "pass"
    assert told.trainability is None
    assert told.reason.endswith("The norms are folded.")


@pytest.mark.parametrize(
    ("severities", "status"),
    [
        ([], "pass"),
        (["info", "info"], "pass"),
        (["info", "warning"], "warn"),
        (["warning", "error"], "fail"),
        (["error"], "fail"),
    ],
)
def test_the_worst_finding_makes_the_status(severities: list[str], status: str) -> None:
    """Whatever their order and number; information alone is no fault."""
    assert verdict(*map(finding, severities)).status == status


def test_what_passes_has_lost_nothing() -> None:
    """A signal that is lost beside a verdict of pass would contradict it."""
    assert verdict(finding("info"), score=0.99).first_lost is None


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_suppressed_findings_do_not_count(severity: str) -> None:
    """They were accepted, with a reason."""
    found = verdict(finding(severity, suppressed="known"))

    assert found.status == "pass"
    assert found.reason == "Known: 1 finding is ignored. No other problem found in this freshly initialised network."


def test_what_the_baseline_accepts_is_still_told() -> None:
    """A network that passes beside a trainability of zero says why."""
    known = [replace(finding("error", layer=name, suppressed="known from b.json"), known=True) for name in ("a", "b")]

    found = verdict(*known, finding("info", suppressed="ignored"), score=0.0)

    assert found.status == "pass"
    assert (
        found.reason
        == "Known: 2 findings are in the baseline. No other problem found in this freshly initialised network."
    )
    assert found.headline is None
    assert found.first_lost is None


def test_an_obstacle_speaks_for_all_that_it_causes() -> None:
    """One fault has one cause, one place and one action, whichever rules see its effects."""
    scale = Obstacle(name="scale", message="It is the scale.", advice="Draw it anew.", layer="fc5")
    findings = (finding("error", "INI501", "fc1"), finding("error", "INI401", "fc7"))

    found = verdict_for(findings, Context(name="fresh"), None, SLOW, ("fc7", "too small"), obstacle=scale)

    assert found.headline == Headline(cause="It is the scale.", layer="fc5", action="Draw it anew.")
    assert found.reason == "It is the scale. (INI501 some-name and 1 more)"
    assert found.first_lost == ("fc7", "It is the scale")


def test_an_obstacle_is_silent_where_what_it_causes_is_accepted() -> None:
    """A finding of another kind is then what counts."""
    scale = Obstacle(name="scale", message="It is the scale.", advice="Draw it anew.")
    findings = (finding("error", "INI401", suppressed="known"), finding("warning", "INI005", "fc2"))

    found = verdict_for(findings, Context(name="fresh"), None, SLOW, None, obstacle=scale)

    assert found.headline is not None
    assert (found.headline.cause, found.headline.layer) == ("too small.", "fc2")


def test_the_sentence_is_that_of_the_worst_finding() -> None:
    """With its place, and how many more there are of its kind; warnings are not worth a word beside errors."""
    one = verdict(finding("warning", "INI301"), finding("error", "INI101"))
    three = verdict(finding("error", "INI401", None), finding("error"), finding("error"), finding("warning"))
    warned = verdict(finding("warning", "INI301"), finding("warning"), finding("info"))

    assert one.reason == "INI101 some-name at fc: too small."
    assert three.reason == "INI401 some-name: too small. (and 2 more)"
    assert warned.reason == "INI301 some-name at fc: too small. (and 1 more)"


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ("fresh", "No problem found in this freshly initialised network."),
        ("trained", "No problem found in this trained network."),
        ("mixed", "No problem found in this partly trained network."),
        ("unknown", "No problem found."),
    ],
)
def test_a_sound_network_is_called_what_it_is(context: str, sentence: str) -> None:
    """Where that is known."""
    assert verdict(finding("info"), context=context).reason == sentence


def test_what_was_measured_is_passed_on() -> None:
    """The context with its evidence, the score to four digits, and where the signal is lost."""
    found = verdict(finding("warning"), context="mixed", score=0.123456)

    assert (found.context, found.evidence) == ("mixed", ("seen",))
    assert found.trainability == 0.1235
    assert found.first_lost == ("fc", "too small")
    assert verdict().trainability is None
