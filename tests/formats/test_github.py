"""Annotations as the runner of GitHub Actions reads them."""

from __future__ import annotations

import re

from tests.formats.documents import HOSTILE, dense_report, error_report, everywhere, finding, rendered, varied_reports

COMMAND = re.compile(r"::(error|warning|notice) file=([^,:]*),title=([^,:]*)::([^\r\n]*)")


def annotations(*reports):
    """(command, file, title, message) of each line; every line is a command."""
    return [COMMAND.fullmatch(line).groups() for line in rendered("github", *reports).splitlines()]


def test_the_worst_comes_first_and_what_is_suppressed_is_not_told():
    """Errors, then warnings, then notices, over all models; failures and a gate that is not met are errors."""
    healthy = dense_report()
    healthy["findings"] = [finding("INI104", "mean-off-zero", "info", "/fc", "m")]

    found = annotations(healthy, *varied_reports())

    assert [command for command, *_ in found] == ["error"] * 4 + ["warning"] * 6
    assert {title for _, _, title, _ in found[:4]} == {
        "INI401 vanishing-signal", "initaudit could not audit this", "initaudit%3A the gate is not met",
    }  # fmt: skip
    assert not [m for _, _, _, m in found if "linear.0" in m and "0.3 times" in m]


def test_there_are_ten_at_most_and_the_last_counts_the_rest():
    """GitHub drops the eleventh without a word."""
    report = dense_report(depth=3)
    severities = ["info"] * 7 + ["warning"] * 20 + ["error"] * 3
    report["findings"] = [finding("INI101", "weight-too-small", s, f"/fc{i}", "m") for i, s in enumerate(severities)]

    found = annotations(report)

    assert [command for command, *_ in found] == ["error"] * 3 + ["warning"] * 7
    assert found[-1][2:] == ("21 more from initaudit", "14 warnings, 7 notices: INI101 weight-too-small (21)")
    assert len(annotations({**report, "findings": report["findings"][:10]})) == 10


def test_no_model_hides_that_another_failed():
    """What could not be audited comes first, then an annotation a failing model, then the rest."""
    loud, quiet, strict = (dense_report(name=name) for name in ("loud", "quiet", "strict"))
    for report, severity, count in ((loud, "error", 30), (quiet, "error", 2), (strict, "warning", 1)):
        report["verdict"] |= {"status": "fail"}
        report["findings"] = [finding("INI003", "zero-weight", severity, f"/fc{i}", "m") for i in range(count)]

    found = annotations(loud, strict, quiet, error_report())

    assert [file for _, file, *_ in found[:4]] == [
        "models/broken.onnx", "models/loud.onnx", "models/quiet.onnx", "models/strict.onnx",
    ]  # fmt: skip
    assert [command for command, *_ in found[3:]] == ["warning"] + ["error"] * 6
    assert found[-1][2:] == ("25 more from initaudit", "25 errors in 2 models: INI003 zero-weight (25)")


def test_no_name_ends_a_command_or_begins_another():
    """Line breaks, colons, commas and percent signs are escaped as the runner undoes it."""
    for report in everywhere([dense_report(factor=0.3), error_report()], f"{HOSTILE}\r\n::set-env name=a::b,100%"):
        for _, file, title, message in annotations(report):
            assert "%25" in file
            assert not {"\n", "\r", "\x1b"} & set(file + title + message)
            assert not re.search(r"%(?!25|3A|2C|0A|0D)", file + title + message)


def test_a_healthy_model_has_no_annotation():
    """And yet something is said."""
    assert rendered("github", dense_report()) == "initaudit: nothing to annotate\n"
