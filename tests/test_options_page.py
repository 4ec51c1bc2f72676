"""The page on configuration: its table is the program's, its example is obeyed."""

from __future__ import annotations

import re
from pathlib import Path

from docs import options
from initaudit.settings.settings import load_settings
from initaudit.settings.sources import ONE_RUN

PAGE = options.PAGE.read_text("utf-8")


def test_the_table_holds_every_option_as_it_is():
    """`python docs/options.py` writes it anew."""
    assert options.with_table(PAGE) == PAGE


def test_the_example_means_what_the_page_says(tmp_path: Path):
    """Each of its tables is read."""
    (tmp_path / "pyproject.toml").write_text(re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1])
    settings = load_settings(tmp_path)
    encoder = settings.config("exports/encoder_2.onnx")

    assert (settings.run.jobs, len(settings.run.output)) == (2, 2)
    assert encoder.input_shapes == {"ids": (1, 128), "mask": (1, 128)}
    assert [str(level) for level in encoder.severity] == ["INI405=error", "INI101:head.*=info"]
    assert [str(limit) for limit in encoder.threshold] == ["INI101.ratio=0.2"]
    assert [str(ignore) for ignore in encoder.ignore] == ["INI103", "INI601:backbone.*", "INI602:backbone.*"]


OF_RACES = (
    "data", "digits", "synthetic", "optimizer", "rates", "steps", "seeds", "batch_size", "patience", "target", "seconds", "device", "resume",
)  # fmt: skip
"""What is asked of one race."""


def test_every_option_of_a_command_is_a_setting_or_of_one_run():
    """None is forgotten: what is neither would be missing in files and variables without a word."""
    import importlib

    from initaudit.cli import COMMANDS
    from initaudit.settings.given import AUDIT_OPTIONS, RUN_OPTIONS

    own = {
        "config_file",
        "isolated",
        "output",
        "every",
        "how",
        "formats",
        "files",
        "reports",
        "output_format",
        "fail_on_unchanged",
        "undo",
        "export_weights",
        "schemes",
        *OF_RACES,
    }
    without_settings = {"make"}  # reads no model, and the same command writes the same bytes everywhere
    for name in COMMANDS.keys() - without_settings:
        for parameter in importlib.import_module(f"initaudit.cli.{name}").command.params:
            if parameter.param_type_name == "option":
                assert parameter.name in {*AUDIT_OPTIONS, *RUN_OPTIONS, *ONE_RUN, *own}, (name, parameter.name)
