"""The page of a race and its table of points: what stands where lines, points or whole runs are missing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from initaudit.formats.csv_race import race_rows
from initaudit.formats.page.foretold import LEFT, RIGHT, _label, _together, picture
from initaudit.formats.page.race import _band
from tests.racing.races import document


def start(slowness: float | None, steps: float, *, learns: bool = True) -> dict[str, Any]:
    """What the picture needs of one."""
    return {"predicted": {"learns": learns, "slowness": slowness}, "steps": steps, "outcomes": [{}]}


def test_points_that_lie_about_one_another_share_a_label():
    """With all their places in the table; a point of its own has its own."""
    drawn = picture([start(1.0, 10.0), start(1.01, 10.0), start(9.0, 90.0)])

    assert drawn is not None
    assert [label["places"] for label in drawn["labels"]] == ["1, 2", "3"]


def test_labels_do_not_cover_each_other():
    """Points too far apart to be one group share a label all the same where the other would lie on it; it stands beside all of them."""
    near = [(100.0, 100.0, 1), (105.0, 98.0, 2), (102.0, 100.0, 4)]

    (together,), apart = _together([*near, (135.0, 101.0, 9)]), _together([*near, (200.0, 101.0, 9)])

    assert _label(together) == {"x": 135.0, "y": 98.0, "places": "1, 2, 4, 9"}
    assert len(apart) == 2


def test_what_is_not_expected_to_learn_stands_at_the_edge_and_what_has_no_slowness_at_1():
    """A start that learns without a known slowness is taken for the recommended one."""
    drawn = picture([start(1.0, 10.0), start(None, 50.0), start(None, 90.0, learns=False)])

    assert drawn is not None
    first, unknown, never = (point["x"] for point in drawn["points"])
    assert LEFT < first == unknown < never == RIGHT


def test_a_band_ends_where_most_draws_have_ended():
    """One draw of three is no median."""
    assert _band([[3.0, 4.0], [1.0], [2.0]], 2) == {"middle": [2.0, None], "low": [1.0, None], "high": [3.0, None]}


def test_a_run_without_points_is_a_row():
    """One that diverges in its first step."""
    whole = deepcopy(document())
    run = whole["starts"][0]["outcomes"][0]["runs"][0]
    points = len(run["loss"])
    before = len(list(race_rows(whole)))
    run["loss"], run["metric"] = [], []

    assert len(list(race_rows(whole))) == before - points + 1
