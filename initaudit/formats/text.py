"""Text: the report for the terminal."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from initaudit.config import DEFAULT_PROVIDER
from initaudit.format import Format, FormatOptions
from initaudit.formats.changes import changes_text
from initaudit.formats.printing import number, printed, visible
from initaudit.formats.table import fed, full_title, layer_table
from initaudit.formats.telling import active
from initaudit.formats.text_findings import STYLES, print_findings

Part: TypeAlias = Mapping[str, Any]
"""A report, a layer or a finding of the document."""

TABLE_ROWS = 24
"""Layers shown without --verbose: one screen; the rest are counted, with the flagged ones kept."""

HEADINGS = ("layer", "fan_in", "std", "target", "ratio", "feeds", "signal", "gradient")
GIVE_UP = ("target", "fan_in", "feeds", "std", "gradient", "signal")
"""Columns that a narrow terminal does without, the first one first: the ratio says the most of a layer."""
NOT_FINITE = "inf/nan"
"""What stands for a measured value that JSON cannot hold."""
INPUTS_SHOWN = 4
"""Inputs of the probe that are listed without --verbose. A judgement: what one glance takes in."""


class TextFormat(Format):
    """Verdict first, then findings, then the layers, then what was not audited."""

    name = "text"
    suffix = ".txt"

    def render(self, document: Part, options: FormatOptions) -> str:
        """Plain or coloured text, `options.width` columns."""
        return "".join(self.pieces(document, document["reports"], options))

    def pieces(self, head: Part, reports: Iterable[Part], options: FormatOptions) -> Iterator[str]:
        """What was fixed, a piece a report, then the counts."""
        counts: Counter[tuple[str, str, str]] = Counter()
        between = ""
        for report in reports:
            if "fix" in head:
                yield changes_text(head["fix"], report) + "\n"
            yield between + _printed(options, partial(_report, report, options))
            between = "\n"
            counts.update((f["code"], f["name"], f["severity"]) for f in active(report))
        if not between:
            yield "No models.\n"
        if options.statistics:
            yield _printed(options, partial(_statistics, counts))


def _printed(options: FormatOptions, show: Callable[[Console], None]) -> str:
    """What `show` prints, without blanks at the ends of the lines."""
    out = io.StringIO()
    show(
        Console(
            file=out,
            width=options.width,
            force_terminal=options.color,
            color_system="standard" if options.color else None,
            highlight=False,
            emoji=False,
            markup=False,
            legacy_windows=False,
        )
    )
    return printed(out.getvalue())


def _report(report: Part, options: FormatOptions, console: Console) -> None:
    console.print(Text(visible(report["model"]["path"]), style="bold"))
    verdict = report["verdict"]
    head = Text.assemble((verdict["status"].upper(), STYLES[verdict["status"]]))
    if verdict["status"] == "error":
        console.print(head.append(f"  {visible(verdict['reason'])}"))
        return
    head.append(f"  {verdict['context']} network")
    if verdict["trainability"] is not None and verdict["context"] in ("fresh", "unknown"):
        parts = verdict["optimisers"]
        each = f" (SGD {parts['sgd']:.2f}, Adam {parts['adam']:.2f})" if parts is not None else ""
        error = verdict.get("trainability_error")
        within = "" if error is None else f" ± {error:.1g}"
        head.append(f", trainability {verdict['trainability']:.2f}{within}{each}")
    console.print(head)
    if verdict["context"] in ("fresh", "unknown"):
        console.print(Text(visible(f"Slowness {_slowness(verdict)}."), style="dim"))
    _headline(console, verdict)
    print_findings(console, report, options)
    for line in report["failed_rules"]:
        console.print(Text(visible(f"Not judged: {line}"), style=STYLES["error"]))
    if report["layers"]:
        console.print()
        _layers(console, report, options)
    console.print()
    _coverage(console, report, options)
    if options.statistics:
        _chi(console, report)


def _headline(console: Console, verdict: Part) -> None:
    """What is not said by the finding that follows: that there is none, or what is behind them all; and where the signal is lost."""
    headline, lost = verdict.get("headline"), verdict["first_lost"]
    if headline is None:
        console.print(Text(visible(verdict["reason"])))
    elif verdict.get("obstacle") is not None:
        console.print(Text(visible(f"{verdict['reason']} {headline['action']}")))
    elif lost is not None:
        console.print(Text(visible(f"The signal is lost at {lost['layer']}: {lost['cause']}.")))


def _slowness(verdict: Part) -> str:
    factor, why = verdict["slowness"], verdict["slowness_why"]
    return f"not measured: {why}" if factor is None else f"{factor:.2g}: {why}"


def _layers(console: Console, report: Part, options: FormatOptions) -> None:
    layers = report["layers"]
    flagged = {f["layer"] for f in active(report) if f["severity"] != "info"}
    weighty = [layer for layer in layers if layer["target"] is not None or layer["name"] in flagged]
    chosen = list(layers if options.verbose else weighty)
    if not options.verbose and len(chosen) > TABLE_ROWS:
        keep = {id(a) for a in [a for a in chosen if a["name"] in flagged][:TABLE_ROWS]}
        keep |= {id(a) for a in chosen[: max(0, TABLE_ROWS - len(keep))]}
        chosen = [a for a in chosen if id(a) in keep]
    styles = ["bold" if layer["name"] in flagged else "" for layer in chosen]
    numbers = set(HEADINGS) - {"layer", "feeds"}
    _table(console, HEADINGS, [_row(a) for a in chosen], options.width, right=numbers, give_up=GIVE_UP, styles=styles)
    if len(chosen) < len(layers):
        console.print(Text(f"... {len(layers) - len(chosen)} more layers (--verbose shows them)", style="dim"))


def _table(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, **how: Any) -> None:
    laid_out = layer_table(headings, rows, width, **how)
    console.print(laid_out.table)
    if laid_out.note:
        console.print(Text(laid_out.note, style="dim"))


def _row(layer: Part) -> tuple[str, ...]:
    std, target, signal = layer["stats"]["std"], layer["target"] or {}, layer["signal"] or {}
    return (
        visible(_title(layer)),
        str(layer["fan_in"]),
        _measured(std, known=True),
        number(target.get("std")),
        _measured(target.get("ratio"), known=bool(target) and std is None),
        fed(layer["activation"], layer["feeds"]),
        _measured(signal.get("variance"), known=bool(signal)),
        number(signal.get("gradient_rms")),
    )


def _title(layer: Part) -> str:
    return full_title(name=layer["name"], title=layer["title"], op_type=layer["op_type"], part=layer["weight"]["part"])


def _measured(value: float | None, *, known: bool) -> str:
    """A number; where there is none although it was measured, it was infinite or NaN."""
    return NOT_FINITE if value is None and known else number(value)


def _coverage(console: Console, report: Part, options: FormatOptions) -> None:
    coverage, probe = report["coverage"], report["probe"]
    audited, parameters = coverage["audited"], coverage["parameters"]
    share = audited / parameters if parameters else 1.0
    percent = f" ({share:.1%})" if share < 1 else ""
    console.print(f"{audited:,} of {parameters:,} parameters audited{percent}.")
    missed = [s for s in coverage["skipped"] if s["is_parameter"]]
    for skipped in missed if options.verbose else missed[:3]:
        console.print(
            Padding(
                Text(
                    visible(f"{skipped['initializer']} ({skipped['parameters']:,}): {skipped['reason']}"), style="dim"
                ),
                (0, 0, 0, 2),
            )
        )
    if len(missed) > 3 and not options.verbose:
        console.print(Text(f"  ... {len(missed) - 3} more (--verbose shows them)", style="dim"))
    if probe["status"] != "skipped":
        note = {"complete": "measured everywhere", "partial": "measured in part", "failed": "not measured"}[
            probe["status"]
        ]
        batch = f", batch {probe['batch']}" if probe["batch"] else ""
        reason = f": {visible(probe['reason'])}" if probe["reason"] else ""
        provider = probe.get("provider", DEFAULT_PROVIDER)
        where = f", on {visible(provider)}" if provider != DEFAULT_PROVIDER else ""
        error = probe.get("error")
        sure = f", gradients within {error:.1%}" if probe.get("exact") and error is not None else ""
        told = f"{probe['mode']}{batch}, seed {probe['seed']}{where}{sure}"
        console.print(Text(f"Signal {note} ({told}){reason}.", style="dim"))
    shown = probe["inputs"] if options.verbose else probe["inputs"][:INPUTS_SHOWN]
    for entry in shown:
        console.print(Padding(Text(visible(f"{entry['name']}: {entry['how']}"), style="dim"), (0, 0, 0, 2)))
    if len(probe["inputs"]) > len(shown):
        more = len(probe["inputs"]) - len(shown)
        console.print(Text(f"  ... {more} more inputs (--verbose shows them)", style="dim"))
    scale = probe.get("depth_scale")
    if scale is not None:
        changes = "falls" if scale > 0 else "grows"
        console.print(
            Text(
                f"Depth scale {number(abs(scale))}: layers over which the signal's variance {changes} by e.",
                style="dim",
            )
        )


def _statistics(counts: Mapping[tuple[str, str, str], int], console: Console) -> None:
    console.print()
    for (code, name, severity), count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        console.print(f"{count:6} {code} {name} [{severity}]")


def _chi(console: Console, report: Part) -> None:
    """chi of the layers where theory or measurement has it."""
    rows = []
    for layer in report["layers"]:
        signal = layer["signal"] or {}
        theory, measured = signal.get("chi"), signal.get("chi_measured")
        if theory is not None or measured is not None:
            rows.append((visible(_title(layer)), number(theory), number(measured)))
    if rows:
        console.print()
        console.print(Text(visible(report["model"]["path"]), style="bold"))
        headings = ("layer", "chi by theory", "measured")
        _table(console, headings, rows, console.width, right=headings[1:])
