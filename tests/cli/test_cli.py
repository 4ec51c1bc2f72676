"""The commands as a user calls them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import helper

import initaudit.cli.check
from initaudit.api import audit
from initaudit.cli import run
from initaudit.cli.models import expand
from initaudit.errors import UsageError
from initaudit.report.outcome import outcome
from tests.networks import mlp, model, normal, save, trained_like
from tests.redrawing.test_split import hidden_twice

if TYPE_CHECKING:
    from initaudit.model.load import Model

QUICK = ("--isolated", "--probe", "none")


def test_exit_code_follows_fail_on(tmp_path: Path):
    """0 below the bar, 1 at or above it; --exit-zero and never keep it 0."""
    path = save(mlp([32, 32, 4], change={"fc0.weight": np.zeros_like}), tmp_path / "m.onnx")
    arguments = ["check", *QUICK, "-q", "--context", "fresh", path]

    assert run(arguments) == 1
    assert run([*arguments, "--exit-zero"]) == 0
    assert run([*arguments, "--fail-on", "never"]) == 0
    assert run([*arguments, "--ignore", "INI003"]) == 0
    assert run([*arguments, "--select", "INI001"]) == 0


def test_an_ignored_finding_is_shown_with_its_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Suppressed is not silent."""
    path = save(mlp([32, 32, 4], change={"fc0.weight": np.zeros_like}), tmp_path / "m.onnx")

    run(
        [
            "check",
            *QUICK,
            "--context",
            "fresh",
            "--output-format",
            "json",
            "--ignore",
            "INI003:fc0*=cut on purpose",
            path,
        ]
    )
    findings = json.loads(capfd.readouterr().out)["reports"][0]["findings"]

    assert [f["suppressed"] for f in findings if f["code"] == "INI003"] == ["cut on purpose"]


ZERO = {"fc0.weight": np.zeros_like}


def test_a_baseline_accepts_todays_findings_and_no_others(tmp_path: Path):
    """A new fault in the next export fails again."""
    zero = {"fc0.weight": np.zeros_like}
    path = save(mlp([32, 32, 32, 4], change=zero), tmp_path / "m.onnx")
    baseline = str(tmp_path / "b.json")
    options = (*QUICK, "--context", "fresh")

    assert run(["baseline", *options, path, "-o", baseline]) == 0
    assert run(["check", *options, "-q", "--baseline", baseline, path]) == 0
    save(mlp([32, 32, 32, 4], change=zero | {"fc1.weight": np.zeros_like}), Path(path))
    assert run(["check", *options, "-q", "--baseline", baseline, path]) == 1


def test_reports_go_to_files_by_suffix_and_not_to_stdout(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Who asks for files gets files; the summary is on stderr."""
    path = save(mlp([32, 32, 4]), tmp_path / "m.onnx")

    run(["check", *QUICK, path, "-o", str(tmp_path / "r.json"), "-o", str(tmp_path / "r.html")])
    output = capfd.readouterr()

    assert json.loads((tmp_path / "r.json").read_text())["schema_version"] == "1"
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert output.out == ""
    assert "1 model: 0 errors" in output.err


def test_quiet_keeps_the_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """-q silences what is on the way, not what was asked for."""
    path = save(mlp([32, 32, 4]), tmp_path / "m.onnx")

    run(["check", *QUICK, "-q", path])
    output = capfd.readouterr()

    assert "PASS" in output.out
    assert output.err == ""


@pytest.mark.parametrize(
    ("target", "complaint"), [("", "is a directory"), ("missing/r.json", "there is no directory")], ids=str
)
def test_a_file_that_cannot_appear_is_refused_before_the_work(
    target: str, complaint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """An hour of auditing must not end in an error that was there from the start."""
    path = save(mlp([32, 32, 4]), tmp_path / "m.onnx")
    monkeypatch.setattr(initaudit.cli.check, "audit_all", pytest.fail)

    code = run(["check", *QUICK, path, "--output-format", "json", "-o", str(tmp_path / target)])

    assert code == 2
    assert complaint in capfd.readouterr().err


@pytest.mark.usefixtures("in_process")
def test_a_bug_in_one_model_costs_that_model_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """The others have their reports; the one is named with the place of the bug; the exit code is 2."""
    import initaudit.auditor

    paths = [save(mlp([32, 32, 4]), tmp_path / name) for name in ("a.onnx", "b.onnx", "c.onnx")]
    really = initaudit.auditor.extract_layers

    def sometimes(model: Model):
        if "b.onnx" in model.label:
            raise ZeroDivisionError("oops")
        return really(model)

    monkeypatch.setattr(initaudit.auditor, "extract_layers", sometimes)
    monkeypatch.delenv("INITAUDIT_DEBUG", raising=False)

    code = run(["check", *QUICK, "--output-format", "json", *paths])
    output = capfd.readouterr()
    statuses = [report["verdict"]["status"] for report in json.loads(output.out)["reports"]]

    assert code == 2
    assert statuses == ["pass", "error", "pass"]
    assert "b.onnx: internal error at test_cli.py" in output.err
    assert "ZeroDivisionError: oops" in output.err


def test_each_report_comes_as_soon_as_it_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first of many models is read while the others are audited."""
    from initaudit.cli.output import Writer
    from initaudit.format import FormatOptions

    class Stream:
        def __init__(self) -> None:
            self.buffer, self.text = self, ""

        def write(self, piece: bytes) -> None:
            self.text += piece.decode()

        def flush(self) -> None:
            pass

        def isatty(self) -> bool:
            return False

    def reports():
        for name in ("a.onnx", "b.onnx"):
            seen.append((name, stream.text.count(".onnx")))
            yield outcome(audit(save(mlp([8, 8, 4]), tmp_path / name), probe="none"))

    for name in ("text", "json"):
        monkeypatch.setattr(sys, "stdout", stream := Stream())
        seen: list[tuple[str, int]] = []
        Writer([(name, None)], FormatOptions(), color=None, quiet=True).write(reports())

        assert seen == [("a.onnx", 0), ("b.onnx", 1)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_is_finished_survives_an_interruption(number: int, code: int, tmp_path: Path):
    """A run that is ended writes a whole document of the models it got to, to files as well."""
    paths = [save(mlp([32, 32, 4], seed=i), tmp_path / f"{i:03}.onnx") for i in range(200)]
    command = [
        sys.executable,
        "-m",
        "initaudit",
        "check",
        "--isolated",
        "--output-format",
        "json",
        "--output-format",
        "text",
        "--output-format",
        "sarif",
    ]
    command += ["-o", "-", "-o", str(tmp_path / "r.txt"), "-o", str(tmp_path / "r.sarif"), *paths]
    with subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        first = b""
        while b"failed_rules" not in first:
            first += process.stdout.read(2000)
        process.send_signal(number)
        rest, error = process.communicate()

    document = json.loads(first + rest)
    reports = document["reports"]
    (invocation,) = json.loads((tmp_path / "r.sarif").read_text())["runs"][0]["invocations"]
    assert process.returncode == code
    assert document["run"]["interrupted"] == {"audited": len(reports), "of": 200, "exit_code": code}
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, code)
    assert 1 <= len(reports) < 200
    assert f"interrupted: {len(reports)} of 200 models audited" in error.decode()
    assert (tmp_path / "r.txt").read_text().count("PASS") == len(reports)
    assert (tmp_path / "r.txt").read_text().endswith(f"interrupted: {len(reports)} of 200 models audited\n")


def test_a_file_is_audited_once_whatever_leads_to_it(tmp_path: Path):
    """Links, circles of links and names given twice; suffixes in capitals are models too; exclusions hold."""
    path = save(mlp([8, 8, 4]), tmp_path / "m.ONNX")
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "same.onnx").symlink_to(path)
    (tmp_path / "old").mkdir()
    other = save(mlp([8, 8, 4]), tmp_path / "old" / "n.onnx")

    assert expand([str(tmp_path), path]) == [path, other]
    assert expand([str(tmp_path)], ["old/*"]) == [path]
    with pytest.raises(UsageError, match="all 3 models are excluded"):
        expand([str(tmp_path)], ["*"])


@pytest.mark.parametrize("command", ["check", "baseline"])
def test_a_file_that_is_named_and_left_out_is_told(command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Or a model would seem to have passed; what a folder or a glob means is left out as asked."""
    good = save(mlp([8, 8, 4]), tmp_path / "good.onnx")
    drafts = [save(mlp([8, 8, 4]), tmp_path / f"draft{i}.onnx") for i in range(2)]
    arguments = [command, *QUICK, "--context", "fresh", "--exclude", "draft*", "-o", str(tmp_path / "r.json")]

    assert run([*arguments, good, *drafts]) == 0
    assert f"initaudit: note: {drafts[0]} and 1 more: named, but left out by `exclude`\n" in capfd.readouterr().err
    assert run([*arguments, str(tmp_path), str(tmp_path / "draft*.onnx")]) == 0
    assert "left out" not in capfd.readouterr().err


def test_text_fits_80_columns_and_hides_control_characters(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Names in model files are untrusted."""
    evil = "layer\x1b[31m\n::error::owned" + "x" * 200
    weight = np.zeros((16, 16), np.float32)
    nodes = [helper.make_node("Gemm", ["x", evil], ["z"], evil, transB=1), helper.make_node("Relu", ["z"], ["r"])]
    nodes.append(helper.make_node("Gemm", ["r", "v"], ["y"], "head", transB=1))
    proto = model(nodes, {"x": ["N", 16]}, ["y"], {evil: weight, "v": np.ones((4, 16), np.float32)})

    run(["check", *QUICK, "--context", "fresh", save(proto, tmp_path / "m.onnx")])
    text = capfd.readouterr().out

    assert "\x1b" not in text
    assert not any(line.startswith("::") for line in text.splitlines())
    to_copy = " " * 12  # code in an advice is never broken
    assert [line for line in text.splitlines()[1:] if len(line) > 80 and not line.startswith(to_copy)] == []


@pytest.mark.parametrize("command", ["check", "inspect", "fix", "diff"])
def test_a_name_gives_no_orders_to_a_ci_system(command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """`::add-mask::` at the beginning of a line (GitHub) and `##vso[` anywhere (Azure) are shown, not obeyed."""
    evil = "::add-mask::x"
    azure = "##vso[task.complete]" + "a " * 30 + "::error::b"
    nodes = [helper.make_node("Gemm", ["x", evil], ["z"], evil, transB=1), helper.make_node("Relu", ["z"], ["r"])]
    nodes.append(helper.make_node("Gemm", ["r", azure], ["y"], azure, transB=1))
    tensors = {evil: np.zeros((16, 16), np.float32), azure: np.zeros((4, 16), np.float32)}
    path = save(model(nodes, {"x": ["N", 16]}, ["y"], tensors), tmp_path / "::debug::m.onnx")
    arguments = {
        "check": [*QUICK, "-v", "--context", "fresh", path],
        "inspect": [path],
        "fix": [*QUICK, "--context", "fresh", "--all", path, "-o", str(tmp_path / "out.onnx")],
        "diff": [*QUICK, "-v", "--context", "fresh", path, path],
    }

    run([command, *arguments[command]])
    output = capfd.readouterr()
    lines = (output.out + output.err).splitlines()

    assert any("add-mask" in line for line in lines)
    assert not [line for line in lines if line.lstrip().startswith("::") or "##vso[" in line or "##[" in line]


def test_inspect_lists_layers_and_totals(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The table has a row per layer; the JSON says the same."""
    path = save(mlp([32, 16, 4]), tmp_path / "m.onnx")

    assert run(["inspect", path]) == 0
    text = capfd.readouterr().out
    assert run(["inspect", "--output-format", "json", path]) == 0
    document = json.loads(capfd.readouterr().out)

    assert "2 layers" in text
    assert [(layer["fan_in"], layer["fan_out"]) for layer in document["layers"]] == [(32, 16), (16, 4)]


def test_inspect_says_which_layers_share_a_weight(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Two uses of one parameter, and two parameters that the exporter stored once because they were equal."""
    tied = save(hidden_twice(copied=False), tmp_path / "tied.onnx")
    copied = save(hidden_twice(copied=True), tmp_path / "copied.onnx")

    assert run(["inspect", tied, "-o", str(tmp_path / "tied.txt")]) == 0
    assert run(["inspect", copied, "-o", str(tmp_path / "copied.txt")]) == 0

    assert "one weight: /a/MatMul, /b/MatMul" in (tmp_path / "tied.txt").read_text()
    assert "equal weights, stored once: /a/MatMul, /b/MatMul" in (tmp_path / "copied.txt").read_text()


def test_against_names_the_layer_that_training_did_not_touch(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """INI602 for the frozen layer only."""
    frozen = mlp([64, 64, 8], draw=trained_like)
    before = save(frozen, tmp_path / "a.onnx")
    after = save(mlp([64, 64, 8], draw=trained_like, change={"fc1.weight": lambda w: w + 0.01}), tmp_path / "b.onnx")

    run(["check", *QUICK, "--context", "trained", "--against", before, "--output-format", "json", after])
    findings = json.loads(capfd.readouterr().out)["reports"][0]["findings"]

    assert [f["initializer"] for f in findings if f["code"] == "INI602"] == ["fc0.weight"]


def test_rule_explains_and_corrects_typos(capfd: pytest.CaptureFixture[str]):
    """By code or name; a typo gets a suggestion and exit code 2."""
    assert run(["rule", "vanishing-signal"]) == 0
    text = capfd.readouterr().out
    assert run(["rule", "vanishing-signl"]) == 2
    error = capfd.readouterr().err

    assert text.startswith("INI401")
    assert "(error or warning or info)" in text
    assert "Harmless when:" in text
    assert text.endswith("/rules/INI401/\n")
    assert "did you mean vanishing-signal" in error


def test_rules_lists_every_rule(capfd: pytest.CaptureFixture[str]):
    """A line each, with every severity that its findings may have; and as JSON, with its documentation."""
    from initaudit.rule import all_rules

    run(["rules"])
    lines = capfd.readouterr().out.splitlines()
    run(["rules", "--output-format", "json"])
    rows = json.loads(capfd.readouterr().out)

    assert [line[:6] for line in lines] == [r.code for r in all_rules()]
    assert all(", ".join(r.severities()) in line for r, line in zip(all_rules(), lines, strict=True))
    assert [(row["code"], row["severities"], row["url"]) for row in rows] == [
        (r.code, [s.value for s in r.severities()], r.page()) for r in all_rules()
    ]
    assert all(row["summary"] and row["Why"] for row in rows)


def test_a_model_is_read_from_stdin(tmp_path: Path):
    """`-` stands for stdin, as in every Unix tool."""
    path = save(mlp([32, 16, 4]), tmp_path / "m.onnx")
    arguments = [sys.executable, "-m", "initaudit", "check", *QUICK, "-"]

    with Path(path).open("rb") as stream:
        result = subprocess.run(arguments, stdin=stream, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr
    assert "2,180" not in result.stderr
    assert "parameters audited" in result.stdout


def test_an_internal_error_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """A traceback shown to a user is a bug of its own."""
    import initaudit.cli.check

    def broken(*_: object) -> list[str]:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(initaudit.cli.check, "expand", broken)
    monkeypatch.delenv("INITAUDIT_DEBUG", raising=False)

    code = run(["check", "x.onnx"])
    error = capfd.readouterr().err

    assert code == 2
    assert "ZeroDivisionError: oops" in error
    assert error.count("\n") == 1


def test_a_reader_that_goes_away_is_no_finding(tmp_path: Path):
    """`initaudit check ... | head -1` ends without a traceback, and not with the code of findings."""
    path = save(mlp([32, 32, 4]), tmp_path / "m.onnx")
    command = [sys.executable, "-m", "initaudit", "check", *QUICK, "-q", path]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    running.stdout.close()
    _, told = running.communicate(timeout=60)

    assert running.returncode == 2
    assert told == ""


def test_colour_can_be_forced_into_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """https://force-color.org: CI systems show colours and are no terminals; NO_COLOR is the stronger, and without either there are none."""
    path = save(mlp([32, 32, 4], draw=normal(5)), tmp_path / "m.onnx")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def printed(**more: str) -> str:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in more.items():
                patch.setenv(name, value)
            run(["check", *QUICK, "-q", path])
        return capfd.readouterr().out

    assert "\x1b[" in printed(FORCE_COLOR="1")
    assert "\x1b[" not in printed(FORCE_COLOR="1", NO_COLOR="1")
    assert "\x1b[" not in printed()


def test_the_command_s_own_process_needs_no_heavy_import():
    """`--version` loads neither numpy nor onnx, and an audit leaves both to its worker."""
    code = (
        "import sys\nfrom initaudit.cli import run\n"
        "assert run(['--version']) == 0\nassert not {'rich', 'jinja2'} & set(sys.modules), sorted(sys.modules)\n"
        "assert run(['check', '--isolated', '--context', 'fresh', 'none.onnx']) == 2\n"
        "assert not {'numpy', 'onnx', 'onnxruntime'} & set(sys.modules), sorted(sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_fault_in_many_layers_is_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The first layer is described, the others are named or counted; --verbose describes them all."""
    path = save(mlp((64, *(64,) * 9, 10), draw=normal(0.0007)), tmp_path / "m.onnx")

    run(["check", *QUICK, "--context", "fresh", path])
    short = capfd.readouterr().out
    run(["check", *QUICK, "--context", "fresh", "-v", path])
    long = capfd.readouterr().out

    assert short.count("INI101 weight-too-small") == 1
    assert "also at /fc1/Gemm, /fc2/Gemm, /fc3/Gemm, /fc4/Gemm" in " ".join(short.split())
    assert long.count("INI101 weight-too-small") >= 9


def test_a_terminal_shows_what_the_probe_is_doing_and_a_pipe_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One line on stderr, erased at the end, without control characters from the path."""
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    path = save(mlp([32, 32, 4]), tmp_path / "m\x1b[31m.onnx")
    shown = {}
    for kind in (Terminal, io.StringIO):
        monkeypatch.setattr(sys, "stderr", stream := kind())
        run(
            [
                "check",
                "--isolated",
                "--probe",
                "forward",
                "--output-format",
                "json",
                "-o",
                str(tmp_path / "r.json"),
                path,
            ]
        )
        shown[kind] = stream.getvalue()

    assert "\r\x1b[K" in shown[Terminal]
    assert "measuring" in shown[Terminal]
    assert "\x1b[31m" not in shown[Terminal]
    assert "\r" not in shown[io.StringIO]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--select", "INI999"], "select: no rule is called 'INI999'"),
        (["--select", "vanishing-sgnal"], "did you mean vanishing-signal?"),
        (["--select", "INI1,INI4*"], "no rule is called 'INI4*'; did you mean INI4"),
        (["--ignore", "INI999:fc*=why"], "ignore: no rule is called 'INI999'"),
        (["--ignore", ":fc1"], "names no rule"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_a_selection_that_means_nothing_is_an_error(
    options: list[str], complaint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """A gate must not go green by a typing error."""
    path = save(mlp([8, 8, 4]), tmp_path / "m.onnx")

    assert run(["check", "--isolated", "--probe", "none", *options, path]) == 2
    assert complaint in capfd.readouterr().err


def test_an_unset_variable_ignores_nothing(tmp_path: Path):
    """`--ignore "$NOBODY_SET_IT"` leaves the gate closed."""
    path = save(mlp([8, 8, 4], change=ZERO), tmp_path / "m.onnx")

    codes = {
        value: run(["check", "--isolated", "--probe", "none", "--context", "fresh", "-q", "--ignore", value, path])
        for value in ("", "INI0,INI1,INI9")
    }

    assert codes == {"": 1, "INI0,INI1,INI9": 0}


def test_a_baseline_in_force_does_not_hide_what_is_accepted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writing a baseline looks at all findings; pruning takes out what was mended."""
    path = save(mlp([8, 8, 4], change=ZERO), tmp_path / "m.onnx")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "initaudit.toml").write_text('baseline = "accepted.json"\nprobe = "none"\ncontext = "fresh"\n')
    write = ["baseline", path, "-o", "accepted.json"]
    (tmp_path / "accepted.json").write_text('{"version": 2, "models": {}}')

    assert run(write) == 0
    first = (tmp_path / "accepted.json").read_text()
    assert run(write) == 0
    assert (tmp_path / "accepted.json").read_text() == first
    assert run(["check", "-q", path]) == 0
    save(mlp([8, 8, 4]), tmp_path / "m.onnx")
    assert run([*write, "--prune", "--probe", "full"]) == 0

    assert "INI003" in first
    assert "INI003" not in (tmp_path / "accepted.json").read_text()


@pytest.mark.parametrize("change", ["--prune", "--update"])
@pytest.mark.parametrize("part", [("--probe", "none"), ("--probe", "forward"), ("--select", "INI0")])
def test_what_was_not_looked_for_stays_accepted(
    part: tuple[str, str], change: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """A run that leaves out rules or measurements cannot say what is gone."""
    path = save(mlp([8, 8, 4]), tmp_path / "m.onnx")
    entry = {"fingerprint": "0", "code": "INI401", "layer": "fc0", "severity": "error"}
    file = tmp_path / "accepted.json"
    file.write_text(text := json.dumps({"version": 2, "models": {"m.onnx": [entry]}}))

    code = run(["baseline", path, "-o", str(file), change, *part])

    assert code == 2
    assert f"{change} takes out what is not found any more" in capfd.readouterr().err
    assert file.read_text() == text


def test_another_network_is_nothing_to_compare_with(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """--against a file of which no layer matches compares nothing: it says so instead of passing."""
    path = save(mlp([8, 8, 4]), tmp_path / "m.onnx")
    other = save(mlp([5, 7, 3]), tmp_path / "other.onnx")

    assert run(["check", "--isolated", "--probe", "none", "--against", other, path]) == 2
    assert "no layer of the model has a counterpart in" in capfd.readouterr().err


def test_fixing_a_layer_that_there_is_not_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """A misspelt layer must not end in an unchanged copy."""
    path = save(mlp([8, 8, 4]), tmp_path / "m.onnx")

    assert run(["fix", "--isolated", "--probe", "none", "--layers", "/fc1/Gem", path, "--dry-run"]) == 2
    assert "did you mean /fc1/Gemm?" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 0, ""),
        (["--fail-on-incomplete"], 1, "the signal was not measured (--fail-on-incomplete)"),
        (["--min-trainability", "0.5"], 1, "trainability was not measured (--min-trainability 0.5)"),
        (["--fail-on-incomplete", "--exit-zero"], 0, ""),
        (["--fail-on-incomplete", "--fail-on", "never"], 1, "the signal was not measured"),
    ],
)
def test_a_gate_may_ask_for_more_than_findings(
    options: list[str], code: int, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """What was not measured cannot be relied on where that was asked for."""
    path = save(mlp([32, 32, 4]), tmp_path / "m.onnx")

    assert run(["check", *QUICK, *options, path]) == code
    assert said in capfd.readouterr().err


def test_a_trainability_that_is_too_low_closes_the_gate(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The same network passes a lower bar."""
    path = save(mlp([64, *[64] * 6, 10], draw=normal(0.03)), tmp_path / "m.onnx")
    options = ["check", "--isolated", "--fail-on", "never", path]

    assert run([*options, "--min-trainability", "0.99"]) == 1
    assert "is below 0.99 (--min-trainability)" in capfd.readouterr().err
    assert run([*options, "--min-trainability", "0"]) == 0


def test_a_model_without_weights_is_nothing_to_audit(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """It does not pass: nobody looked at anything."""
    path = save(model([helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, ["y"], {}), tmp_path / "m.onnx")

    run(["check", "--isolated", "--output-format", "json", path])
    (report,) = json.loads(capfd.readouterr().out)["reports"]

    assert report["verdict"]["status"] == "warn"
    assert "Nothing was audited: no layer with weights was found" in report["verdict"]["reason"]


def test_a_verdict_on_weights_alone_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """Without the probe nobody knows whether the signal survives."""
    run(["check", *QUICK, "--output-format", "json", save(mlp([32, 32, 4]), tmp_path / "m.onnx")])
    (report,) = json.loads(capfd.readouterr().out)["reports"]

    assert report["verdict"]["reason"].endswith("Weights only: the signal was not measured.")
