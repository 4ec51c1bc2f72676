"""What the runs of a race come to, in every form."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest

import initaudit
from initaudit.format import Format, FormatOptions, all_formats, find_format
from initaudit.formats.race import course
from initaudit.racing.curve import Curve, Run
from initaudit.racing.document import agreement, race_document, sentence
from initaudit.racing.summary import Racer, fastest, racers_of, rank_correlation, target_of
from initaudit.starts.document import WAS_TRAINED
from initaudit.starts.start import Start
from tests.networks import mlp
from tests.racing.races import SETTINGS, STEPS, curve, document, racers, runs, task

LOOKS = FormatOptions(width=140)


def test_steps_are_counted_to_most_of_the_way_from_chance_to_the_best():
    """0.95 of accuracy where chance is 0.5 and the best 1; a target that is given stands."""
    assert target_of(runs(), task(), None) == pytest.approx(0.95)
    assert target_of(runs(), task(), 0.7) == 0.7
    assert curve(10.0).steps_to(0.95) == 9


def test_the_first_examples_say_of_nothing_that_it_was_learned():
    """Means of a few of them are noise: steps are counted from where the window is full."""
    lucky = Curve(loss=[1.0] * 4, metric=[0.9, 0.5, 0.5, 0.6], end="steps", full=3)

    assert lucky.steps_to(0.6) == 4
    assert lucky.best == 0.6


def test_of_what_was_not_predicted_nothing_is_told():
    """As without a probe: there is neither a place nor a favourite."""
    blind = [Start(scheme=name) for name in ("quick", "as-is")]

    found = racers_of(blind, runs(), SETTINGS, 0.95)

    assert [racer.place for racer in found] == [None, None]
    assert agreement(found)["favourite_times"] is None
    assert sentence(found, task(), 0.95).endswith("Nothing had been predicted.")


def test_where_nothing_is_learned_there_is_no_target():
    """And nobody wins."""
    stuck = [run for run in runs() if run.scheme == "never"]

    assert target_of(stuck, task(), None) is None


def test_the_fastest_stands_first_each_under_the_setting_that_suits_it():
    """Those that do not get there come last, those that were not trained at the very end."""
    found = racers()

    assert [racer.start.scheme for racer in found] == ["quick", "as-is", "slow", "never", "wild", "missing"]
    assert [racer.steps for racer in found[:3]] == [9.0, 18.0, 36.0]
    assert found[0].best is not None
    assert found[0].best.setting.rate == 0.001
    assert found[3].steps == math.inf
    assert found[4].best is not None
    assert found[4].best.diverged == 2


def test_equal_values_share_their_rank():
    """Spearman's coefficient as it is defined; without an order there is none."""
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 2, math.inf, math.inf], [5, 6, math.inf, math.inf]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 2, 4], [1, 3, 2, 4]) == pytest.approx(0.9486833)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None


def test_what_was_predicted_knows_nothing_of_the_race():
    """Of starts that are taken for equally good the first that was asked for is the favourite, whichever wins."""
    twins = [Start(scheme=name, verdict={"trainability": 1.0, "slowness": 1.0}) for name in ("slow", "quick", "as-is")]

    found = racers_of(twins, runs(), SETTINGS, 0.95)

    assert {racer.start.scheme: racer.place for racer in found} == {"slow": 1, "quick": 2, "as-is": 3}
    assert agreement(found)["favourite"] == "slow"
    assert agreement(found)["favourite_times"] == 4.0


def test_the_document_says_how_well_it_had_been_foretold():
    """Of four starts with a prediction: the one that is taken to be the fastest is it, and the order is right but for two."""
    found = document()["agreement"]

    assert found["starts"] == 5
    assert found["favourite"] == "quick"
    assert found["favourite_times"] == 1.0
    assert 0.5 < found["rank_correlation"] < 1


def test_where_none_was_expected_to_learn_there_is_no_favourite():
    """The first of those that fail is none."""
    dull = [
        replace(racer, start=replace(racer.start, verdict={"trainability": 0.1, "slowness": None}))
        for racer in racers()
        if racer.start.why is None
    ]

    assert agreement(dull)["favourite"] is None
    assert sentence(dull, task(), 0.9).endswith("None had been expected to learn.")


def test_the_sentence_names_the_winner_and_the_network_as_it_is():
    """With steps, and what had been expected."""
    told = document()["sentence"]

    assert told.startswith("quick learned fastest: 9 steps to accuracy 0.95 with adam 0.001")
    assert "as it is: 18 steps, 2.0 times as many" in told
    assert told.endswith("quick had been expected to be the fastest.")


def test_what_the_draws_of_the_winner_span_or_two_draws_may_is_a_tie():
    """Of three draws of the first one takes 18 steps, as many as the second start in the median; one draw of 9 and one of 10 are as fast as each other."""
    own = [
        Run(scheme="quick", optimizer="adam", rate=0.001, seed=n, curve=curve(p)) for n, p in enumerate((10, 10, 20))
    ]
    others = [run for run in runs() if run.scheme in ("as-is", "slow")]
    spread = racers_of([r.start for r in racers()[:3]], [*own, *others], SETTINGS, 0.95)
    near = [replace(run, scheme="slow", curve=curve(11.0)) for run in own[:1]]
    close = racers_of([r.start for r in racers()[:3]], [*own[:1], *near], SETTINGS, 0.95)

    assert [racer.start.scheme for racer in fastest(spread)] == ["quick", "as-is"]
    assert [racer.start.scheme for racer in fastest(close)] == ["quick", "slow"]
    told = sentence(spread, task(), 0.95)
    assert told.startswith("quick and as-is learned equally fast: 9 to 18 steps to accuracy 0.95 with adam 0.001. ")
    assert "as it is" not in told


def test_where_no_run_learned_it_is_said_why():
    """All diverged; some did; nothing could be better than always the same answer."""
    wild = [racer for racer in racers() if racer.start.scheme == "wild"]
    lopsided = replace(task(), targets=np.zeros(20, int))

    assert sentence(wild, task(), None).endswith("all runs diverged.")
    assert sentence(racers(), task(), None).endswith("in all runs that did not diverge.")
    assert "--target" in sentence(racers(), lopsided, None)


def test_the_document_follows_the_schema():
    """Which is published."""
    schema = json.loads(files("initaudit").joinpath("schema.json").read_text())

    jsonschema.validate(json.loads(find_format("json").race(document(), LOOKS)), schema)


def test_every_output_holds_every_start_and_the_sentence():
    """Terminal, page without its script, and table of points say the same."""
    table, page, rows = (find_format(name).race(document(), LOOKS) for name in ("text", "html", "csv"))
    cut = page[: page.index('<script type="application/json"')]

    for start in document()["starts"]:
        assert start["scheme"] in table
        assert start["scheme"] in cut
        assert f",{start['scheme']}," in rows
    for told in (table, cut):
        assert "quick learned fastest" in told
        assert "rank correlation" in told
    assert len(rows.splitlines()) == 1 + 4 * (4 * 100 + 2) + 1
    assert all(len(line.split(",")) == 14 for line in rows.splitlines())


def test_what_was_interrupted_is_told_in_every_output():
    """With how much of it there is."""
    run = {**document()["run"], "interrupted": {"audited": 7, "of": 20, "exit_code": 130}}

    for name in ("text", "html"):
        assert "Interrupted: 7 of 20 runs" in find_format(name).race({**document(), "run": run}, LOOKS)
        assert "Interrupted" not in find_format(name).race(document(), LOOKS)


def test_what_ended_runs_early_is_told_with_the_steps_that_were_done():
    """Beside those that were to be done, in text and page; where nothing did, nothing is told."""
    cut = deepcopy(document())
    ends = [run for start in cut["starts"] for outcome in start["outcomes"] for run in outcome["runs"]]
    cut["race"] |= {"budget": 2.5, "patience": 30}
    for run, end, done in zip(ends, ("time", "time", "chance"), (40, 60, 30), strict=False):
        run |= {"end": end, "done": done}

    for name in ("text", "html"):
        told, whole = (" ".join(find_format(name).race(d, LOOKS).split()) for d in (cut, document()))
        assert "at most 100 steps" in told
        assert "2 of 20 runs were ended after 40 to 60 of 100 steps: the time of 2.5 s was over." in told
        assert "1 of 20 runs was ended after 30 of 100 steps: no better than chance" in told
        assert "runs were ended" not in whole
        assert "at most 100" not in whole


def test_the_output_that_is_trained_is_named_with_its_targets():
    """In text and page; made-up targets have no array."""
    named = {**document(), "race": {**document()["race"], "output": "reg", "targets": "goal"}}

    for name in ("text", "html"):
        assert "output reg with the targets goal;" in " ".join(find_format(name).race(named, LOOKS).split())
    assert "output y; 20 examples" in course(document())


def test_a_start_that_holds_what_training_found_is_no_fresh_one():
    """The sentence of `compare` says so in a race, too, where there are others beside it."""
    itself = initaudit.audit(mlp([2, 4, 2]), probe="none")
    trained = [replace(r, start=replace(r.start, verdict={**r.start.verdict, "context": "trained"})) for r in racers()]

    def told(some: list[Racer]) -> str:
        return str(race_document(some, itself, task(), conditions={}, steps=STEPS, target=0.95)["sentence"])

    assert told(trained).endswith(WAS_TRAINED)
    assert WAS_TRAINED not in told(racers())
    assert WAS_TRAINED not in told([r for r in trained if r.start.scheme == "as-is"])


def test_the_size_of_a_batch_that_nobody_asked_for_is_explained():
    """The model fixes it, or there are no more examples."""
    race = document()["race"]

    assert "100 steps of 8 examples with each of adam 0.001, adam 0.01." in course(document())
    for source, told in (("model", "as the model fixes them"), ("examples", "all that there are to train on")):
        assert told in course({**document(), "race": {**race, "batch_from": source}})
    assert "drawn from 16 with repetition" in course(
        {**document(), "race": {**race, "batch_from": "model", "batch": 32}}
    )


def test_formats_that_show_no_race_say_so():
    """All but text, JSON, HTML and CSV."""
    able = {name for name, form in all_formats().items() if form.can_show_races()}

    assert able == {"text", "json", "html", "csv"}
    assert not Format.can_show_races(find_format("sarif"))
