"""`initaudit check`: audit models and write reports; the exit code is the gate."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initaudit.cli import internal_error
from initaudit.cli.options import audit_options, make_config
from initaudit.formats.printing import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from initaudit.config import Config
    from initaudit.report.report import Report


@click.command("check")
@click.argument("models", nargs=-1, required=True)
@click.option(
    "--output-format",
    "formats",
    multiple=True,
    metavar="FORMAT",
    help="text (default), json, html, sarif, github, gitlab, junit, markdown or csv. Repeatable, each with its own -o.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="File for the report; the n-th -o belongs to the n-th format, which follows from the suffix where none is given.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    help="Lowest severity for exit code 1 (default error).",
)
@click.option(
    "--fail-on-incomplete",
    is_flag=True,
    default=None,
    help="Exit 1 also where a weight was not audited or the signal not measured.",
)
@click.option(
    "--min-trainability",
    type=click.FloatRange(0, 1),
    metavar="X",
    help="Exit 1 also where trainability is below X, or was not measured.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out models whose path, or the end of it, is like this. Repeatable.",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 even with findings (2 is kept for failures).")
@click.option("--statistics", is_flag=True, help="Count findings per rule, and list chi of each layer.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, help="Models audited at the same time.")
@click.option(
    "-q", "--quiet", is_flag=True, help="No progress, no summary and no notes on stderr; errors are still told."
)
@click.option("-v", "--verbose", is_flag=True, help="Show information-level findings and every layer.")
@click.option("--color/--no-color", default=None, help="Colour (default: when writing to a terminal).")
@audit_options
def command(models: tuple[str, ...], **options: Any) -> int:
    """Audit MODELS: files, directories, globs, or - for stdin.

    Reports go to the files given with -o, or to stdout where none is given, each as soon as it is finished; progress and the
    summary go to stderr. Interrupted, it writes what is finished and exits with 130.
    """
    from initaudit.cli.gate import demands, exit_code, gate
    from initaudit.cli.interruption import interruptible
    from initaudit.cli.output import Writer, pair_outputs, summary
    from initaudit.format import FormatOptions
    from initaudit.judgement.baseline import load_baseline
    from initaudit.judgement.filtering import notes
    from initaudit.registry import faults

    formats, outputs = options.pop("formats"), options.pop("outputs")
    exit_zero, statistics, jobs = options.pop("exit_zero"), options.pop("statistics"), options.pop("jobs")
    quiet, verbose, color = options.pop("quiet"), options.pop("verbose"), options.pop("color")
    config = make_config(
        options, **{name: options.pop(name) for name in ("fail_on", "fail_on_incomplete", "min_trainability")}
    )
    pairs = pair_outputs(formats, outputs)
    paths = expand(models, options.pop("exclude"))
    baseline = load_baseline(config.baseline)
    if config.probe != "none":
        from initaudit.probe.isolation import prestart

        prestart()  # its imports run on another core while the weights are weighed here
    writer = Writer(
        pairs,
        FormatOptions(verbose=verbose, statistics=statistics),
        color=color,
        quiet=quiet,
        gate=lambda report: gate(report, config, exit_zero=exit_zero),
    )
    with interruptible() as interruption:
        reports = writer.write(interruption.until(_audit_all(paths, config, jobs, quiet=quiet)))
    for report in reports:
        if report.error is not None:
            click.echo(f"initaudit: error: {visible(report.error)}", err=True)
        for line in report.failed_rules:
            if line not in faults():
                click.echo(f"initaudit: error: {visible(report.path)}: {visible(line)}", err=True)
    for line in faults():
        click.echo(f"initaudit: error: {visible(line)}", err=True)
    if interruption.signal is not None:
        click.echo(f"interrupted: {len(reports)} of {len(paths)} models audited", err=True)
        return 128 + interruption.signal
    if not quiet:
        click.echo(summary(reports), err=True)
        audited = [(report.path, report.findings) for report in reports if report.error is None]
        for note in notes(config, baseline, audited):
            click.echo(f"initaudit: note: {visible(note)}", err=True)
    for report in reports:
        for missed in demands(report, config):
            click.echo(f"initaudit: {visible(report.path)}: {missed}", err=True)
    return exit_code(reports, config, exit_zero=exit_zero)


def expand(models: Sequence[str], exclude: Sequence[str] = ()) -> list[str]:
    """Files from files, directories (every .onnx file below, in whatever case), globs and `-`; each file once.

    Raises UsageError where nothing is found, or nothing is left by `exclude` (globs over the path or any trailing part of it).
    """
    from glob import glob, has_magic

    from initaudit.errors import UsageError

    found: dict[str, None] = {}
    for item in models:
        path = Path(item)
        if item == "-" or path.is_file():
            found[item] = None
        elif path.is_dir():
            inside = sorted(str(file) for file in _below(path))
            if not inside:
                raise UsageError(f"{item}: no .onnx file in this directory")
            found |= dict.fromkeys(inside)
        elif has_magic(item):
            matched = sorted(p for p in glob(item, recursive=True) if Path(p).is_file())
            if not matched:
                raise UsageError(f"{item}: matches no file")
            found |= dict.fromkeys(matched)
        else:
            found[item] = None  # the audit says why it cannot be read
    kept = [item for item in found if not any(Path(item).match(pattern) for pattern in exclude)]
    if not kept:
        raise UsageError(f"nothing is left to audit: all {len(found)} models are excluded")
    once: dict[object, str] = {}
    for item in kept:
        once.setdefault(_identity(item), item)
    return list(once.values())


def _below(folder: Path) -> Iterator[Path]:
    """Files of models below a folder; links to folders are not followed, so that none leads in a circle."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() == ".onnx" and path.is_file():
                yield path


def _identity(path: str) -> object:
    """Equal for two ways to one file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return path
    return path if path == "-" else (status.st_dev, status.st_ino)


def _audit_all(paths: Sequence[str], config: Config, jobs: int, *, quiet: bool) -> Iterator[Report]:
    """Reports in the order of the paths, each as soon as those before it are there too."""
    from initaudit.cli.progress import progress

    with progress(len(paths), quiet=quiet) as line:
        watchers = [line.of(i, path) if line else None for i, path in enumerate(paths, 1)]
        if min(jobs, len(paths)) == 1:  # not in a thread: only a process with a single one may share the weighing
            for path, watch in zip(paths, watchers, strict=True):
                yield audit_one(path, config, watch)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(jobs) as pool:
            try:
                yield from pool.map(lambda path, watch: audit_one(path, config, watch), paths, watchers)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def audit_one(
    path: str, config: Config, progress: Callable[[str], None] | None = None, *, content: bytes | None = None
) -> Report:
    """The report of one path; a model that cannot be audited gives a report with the reason, and costs no other model its own.

    `content` is what stdin held where it was read already.
    """
    from initaudit.auditor import audit, failed
    from initaudit.errors import InitauditError

    try:
        source: str | bytes = path
        if path == "-":
            source = sys.stdin.buffer.read() if content is None else content
        return audit(source, config, progress)
    except InitauditError as error:
        return failed(path, str(error))
    except MemoryError:
        return failed(path, f"{path}: out of memory")
    except Exception as error:  # noqa: BLE001  a bug, and still one line
        return failed(path, f"{path}: {internal_error(error)}")
