"""What the HTML report offers to fix, and the commands it gives for that."""

from __future__ import annotations

import shlex
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import initaudit
from initaudit.errors import FixRefused
from initaudit.formats.page import words
from initaudit.formats.page.page import page
from initaudit.formats.printing import is_hidden
from tests.formats import documents
from tests.formats.pages import Page

SAMPLES = Path(__file__).parents[2] / "sample_models"


def render(*reports):
    return page(documents.document(*reports), documents.RULES)


# Few characters, so that one name's glob comes to match another name unless it is escaped.
NAMES = st.text("ab*?[]\n", min_size=1, max_size=3) | st.text(min_size=1, max_size=8)


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_fix_command_names_its_layer_alone(names):
    """Read by a shell, the command selects the layer it was made for and no other, and holds no hidden character."""
    command = words.fix_command("models/net.onnx", names[0], names)

    if command is not None:
        assert not [c for c in command if is_hidden(c)]
        *rest, pattern = shlex.split(command)
        assert rest == ["initaudit", "fix", "models/net.onnx", "-o", "fixed.onnx", "--layers"]
        assert [name for name in names if fnmatchcase(name, pattern)] == [names[0]]


@pytest.mark.parametrize("path", ["a b.onnx", "$(reboot).onnx", "a';reboot;'.onnx", "`x`.onnx"])
def test_fix_command_quotes_the_path(path):
    """A path with shell characters stays one argument."""
    assert shlex.split(words.fix_command(path))[2] == path


def test_fix_command_shields_a_leading_dash_and_refuses_hidden_characters():
    """A path must not become an option, and what cannot be seen must not be pasted."""
    assert shlex.split(words.fix_command("-o.onnx"))[2] == "./-o.onnx"
    assert words.fix_command("a\x1b[2J.onnx") is None
    assert words.fix_command("a.onnx", "x" * 1000, ["x" * 1000]) is None


def offers(report):
    """Whether the page offers to fix the network, and each of its layers alone."""
    html = render(report)
    (island,) = Page(html).islands()
    return "draws the weights of the layers below anew" in html, [fix is not None for fix in island["fixes"]]


@pytest.mark.parametrize(
    ("severity", "remedy", "offered"),
    [
        ("error", "draw-layer", (True, [True, False])),
        ("warning", "draw-network", (True, [False, False])),
        ("info", "draw-layer", (False, [False, False])),
        ("error", "restore-layer", (False, [False, False])),
        ("error", "check", (False, [False, False])),
        ("error", "none", (False, [False, False])),
    ],
)
def test_fix_is_offered_where_a_new_draw_is_the_remedy(severity, remedy, offered):
    """For the layer that is to blame, or for the network as a whole; not for what needs no action or other weights."""
    report = documents.dense_report(depth=2)
    layer = report["layers"][0]["name"]
    report["findings"] = [documents.finding("INI101", "weight-too-small", severity, layer, "small", remedy=remedy)]
    report["verdict"]["headline"] = {"cause": "small", "layer": layer, "action": "Draw it anew."}

    assert offers(report) == offered


@pytest.mark.parametrize(
    "name",
    [
        "relu4_zero",
        "resnet_fixup",
        "digits_fresh",
        "digits_trained",
        "digits_trained_head_random",
    ],
)
def test_fix_does_what_the_page_offers(name):
    """Weights change in exactly the networks whose page offers the command."""
    config = initaudit.Config(probe="none")
    offered = (
        "draws the weights of the layers below anew"
        in initaudit.audit(SAMPLES / f"{name}.onnx", config=config).to_html()
    )

    try:
        changes = initaudit.fix(SAMPLES / f"{name}.onnx", config=config).changes
    except FixRefused:
        changes = ()

    assert bool(changes) == offered


def test_a_suppressed_finding_offers_no_fix():
    """What was accepted needs none."""
    report = documents.dense_report(depth=6, factor=0.3)
    for finding in report["findings"]:
        finding["suppressed"] = "accepted in the baseline"

    assert offers(report) == (False, [False] * 6)


def test_trained_model_is_offered_no_fix():
    """Re-initialising a trained model destroys it: the page does not propose that."""
    fresh = documents.dense_report(depth=6, factor=0.3)
    trained = documents.dense_report(depth=6, factor=0.3, context="trained")

    assert "draws the weights of the layers below anew" in render(fresh)
    assert "draws the weights of the layers below anew" not in render(trained)


def test_a_trained_network_is_told_where_its_values_are_before_a_layer_is_drawn():
    """A layer of zeros was lost on the way: fix draws it where it is asked to, which is not what the page advises."""
    config = initaudit.Config(probe="none")
    page = initaudit.audit(SAMPLES / "digits_trained_layer_zero.onnx", config=config).to_html()
    changes = initaudit.fix(SAMPLES / "digits_trained_layer_zero.onnx", config=config).changes

    assert "draws the weights of the layers below anew" not in page
    assert [change.title for change in changes] == ["fc2"]
