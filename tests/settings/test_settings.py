"""Settings: which source wins, what adds up, and what holds for which model."""

from __future__ import annotations

from pathlib import Path

import pytest

from initaudit.errors import UsageError
from initaudit.findings import Severity
from initaudit.options import Ignore
from initaudit.per_rule import Level
from initaudit.settings.given import COMMAND_LINE, Source, read_given
from initaudit.settings.run import Output
from initaudit.settings.settings import Settings, load_settings

FILE = """
seed = 3
exclude = ["*.sim.onnx"]
ignore = "INI103"
output = ["report.html", {format = "json", file = "audit.out"}]

[severity]
INI101 = "info"

[files."encoder*.onnx"]
context = "trained"
seed = 5
ignore = ["INI601:head*=drawn anew on purpose"]
input-shapes = {ids = [1, 128]}

[layers."head.*"]
ignore = "INI504"
reason = "a new head"
severity = {INI401 = "warning"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "initaudit.toml").write_text(FILE)
    return tmp_path


def given_on_command_line(name: str, value: object, flag: str):
    return read_given(name, value, Source(COMMAND_LINE, flag))


def test_a_model_gets_what_its_table_says(project: Path):
    """Tables under `files` are for the models that their glob fits, by the end of the path."""
    settings = load_settings(project)

    encoder, other = settings.config("exports/encoder_1.onnx"), settings.config("exports/decoder.onnx")

    assert (encoder.context, encoder.seed, encoder.input_shapes) == ("trained", 5, {"ids": (1, 128)})
    assert (other.context, other.seed, other.input_shapes) == ("auto", 3, {})


def test_exceptions_add_up_and_the_rest_is_replaced(project: Path, monkeypatch: pytest.MonkeyPatch):
    """File, table of the model, environment and command line: each may accept more, the last seed counts."""
    monkeypatch.setenv("INITAUDIT_IGNORE", "INI104")
    monkeypatch.setenv("INITAUDIT_SEED", "7")
    settings = load_settings(project, command_line=given_on_command_line("ignore", ("INI105",), "--ignore"))

    config = settings.config("encoder.onnx")

    assert [ignore.rule for ignore in config.ignore] == ["INI103", "INI504", "INI601", "INI104", "INI105"]
    assert config.seed == 7


def test_each_piece_names_its_source(project: Path, monkeypatch: pytest.MonkeyPatch):
    """The line of the file, the variable, the option, or that nobody said anything."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("INITAUDIT_IGNORE", "INI104")
    settings = load_settings(command_line=given_on_command_line("ignore", "INI105", "--ignore"))

    def places(name: str, model: str | None = None) -> list[str]:
        return [source.place for source, _ in settings.sources(name, model)]

    assert places("ignore") == ["initaudit.toml:4", "initaudit.toml:16", "INITAUDIT_IGNORE", "--ignore"]
    assert (places("seed"), places("seed", "encoder.onnx")) == (["initaudit.toml:2"], ["initaudit.toml:12"])
    assert places("batch") == ["default"]


def test_what_is_said_of_a_layer_holds_for_it_alone(project: Path):
    """A table under `layers` is short for the same with the layer in each entry."""
    config = load_settings(project).config()

    assert config.ignore[1] == Ignore(rule="INI504", layer="head.*", reason="a new head")
    assert config.severity == (
        Level(rule="INI101", severity=Severity.INFO),
        Level(rule="INI401", layer="head.*", severity=Severity.WARNING),
    )


def test_outputs_have_files_beside_the_configuration(project: Path, monkeypatch: pytest.MonkeyPatch):
    """A format may stand with its file; both come from one source, so that a format never meets a file of another."""
    run = load_settings(project).run
    monkeypatch.setenv("INITAUDIT_OUTPUT_FORMAT", "json")
    overridden = load_settings(project).run

    assert run.output == (
        Output(file=str(project / "report.html")),
        Output(file=str(project / "audit.out"), format="json"),
    )
    assert (overridden.output, overridden.output_format) == ((), ("json",))


def test_paths_of_a_table_are_beside_the_file_too(tmp_path: Path):
    """As those of the file itself."""
    (tmp_path / "pyproject.toml").write_text('[tool.initaudit.files."a.onnx"]\ninput-data = "data/a.npz"')

    settings = load_settings(tmp_path)

    assert settings.config("a.onnx").input_data == str(tmp_path / "data" / "a.npz")
    assert settings.globs("a.onnx") == ("a.onnx",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[files.'*.onnx']\njobs = 2", "initaudit.toml:2: option 'jobs': holds for the whole run"),
        ("seed = 1\n[fils.'*.onnx']\nseed = 2", "initaudit.toml:2: unknown option 'fils'; did you mean files"),
        ("files = 3", "initaudit.toml:1: files holds a table for each glob"),
        ("[files.'*.onnx']\ncontxt = 'fresh'", "initaudit.toml:2: unknown option 'contxt'; did you mean context"),
        (
            "[layers.'fc*']\nignor = 'INI1'",
            "initaudit.toml:1: layer 'fc\\*' has no setting 'ignor'; did you mean ignore",
        ),
        ("[layers.'fc*']\nignore = 'INI1:fc2'", "layer 'fc\\*': INI1:fc2 names layers itself"),
        ("[severity]\nINI103 = 'note'", "severity must be one of error, warning, info, not 'note'"),
        ("[severity]\nINI999 = 'info'", "initaudit.toml:1: severity: no rule is called 'INI999'"),
        ("severity = 'INI103'", "'INI103' is not of the form INI103=info"),
        ("ignore = ['INI103',\n'vanishing-sgnal']", "initaudit.toml:1: ignore: no rule is called 'vanishing-sgnal'"),
        ("threshold = {INI101 = 3}", "'INI101' is not of the form RULE.THRESHOLD"),
        ("output = [{fromat = 'json'}]", "an output has no 'fromat'; did you mean format"),
        ("jobs = 0", "option 'jobs': must be at least 1, not 0"),
        ("scheme = 'kaiming'", "option 'scheme': unknown scheme 'kaiming'; did you mean kaiming_normal?"),
        ("exit-zero = 1", "option 'exit-zero': 1 is neither true nor false"),
    ],
)
def test_what_cannot_be_followed_is_an_error_with_its_line(tmp_path: Path, text: str, complaint: str):
    """A setting that means nothing must not leave the gate as it was unseen."""
    (tmp_path / "initaudit.toml").write_text(text)

    with pytest.raises(UsageError, match=complaint):
        load_settings(tmp_path)


def test_a_variable_may_name_the_configuration_file(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """For CI systems that keep it elsewhere."""
    other = tmp_path / "other.toml"
    other.write_text("seed = 11")
    monkeypatch.setenv("INITAUDIT_CONFIG", str(other))

    assert load_settings(project).config().seed == 11


def test_severities_are_written_alike_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One text for several rules, a table, a list: the same levels."""
    levels = (Level(rule="INI103", layer="fc*", severity=Severity.INFO), Level(rule="INI104", severity=Severity.ERROR))
    monkeypatch.setenv("INITAUDIT_SEVERITY", "INI103:fc*=info, INI104=error")
    (tmp_path / "initaudit.toml").write_text('severity = {"INI103:fc*" = "info", INI104 = "error"}')

    from_both = load_settings(tmp_path).config().severity
    from_list = read_given("severity", ["INI103:fc*=info", "INI104=error"], Source(COMMAND_LINE, "--severity"))

    assert from_both == levels * 2
    assert from_list[0].value == levels


def test_nothing_given_is_the_defaults():
    """No source, no surprise."""
    settings = Settings(())

    assert settings.config().select == ("ALL",)
    assert settings.run.jobs == 1


def test_options_that_mean_every_rule_are_read_without_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules are imported by the process that audits; a word that means some of them asks for them."""
    monkeypatch.setattr("initaudit.rule.all_rules", lambda: pytest.fail("asked for the rules"))

    load_settings(isolated=True, command_line=given_on_command_line("select", "all", "--select"))

    with pytest.raises(pytest.fail.Exception, match="asked for the rules"):
        load_settings(isolated=True, command_line=given_on_command_line("select", "INI4", "--select"))
