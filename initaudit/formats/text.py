"""Text: the report for the terminal."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from initaudit.config import DEFAULT_PROVIDER
from initaudit.findings import fix_acts_on
from initaudit.format import Format, FormatOptions
from initaudit.formats.changes import changes_text
from initaudit.formats.layers import show_chi, show_layers
from initaudit.formats.printing import number, printed, visible
from initaudit.formats.telling import Part, active, missed

STYLES = {
    "pass": "bold green",
    "warn": "bold yellow",
    "fail": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "info": "cyan",
}

INPUTS_SHOWN = 4
"""Inputs of the probe that are listed without --verbose. A judgement: what one glance takes in."""
WIDE = 60
"""Columns from which findings are indented. A judgement: below, indented lines hold seven words or fewer."""
OTHERS_NAMED = 4
"""Further layers named under a finding that repeats."""

FIX = "`initaudit fix` draws the weights anew that these findings ask for, and audits the result."
"""What ends the findings where one of them is of that kind."""


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

    def compare(self, document: Part, options: FormatOptions) -> str:
        """What became better, what worse, and how much each layer changed."""
        from initaudit.formats.text_changes import show

        return _printed(options, partial(show, document, options))


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
    lost = verdict["first_lost"]
    if lost is not None:
        console.print(Text(visible(f"The signal is lost at {lost['layer']}: {lost['cause']}.")))
    obstacle = verdict.get("obstacle")
    if obstacle is not None:
        console.print(Text(visible(f"{obstacle['message']} {obstacle['advice']}")))
    _findings(console, report, options)
    for line in report["failed_rules"]:
        console.print(Text(visible(f"Not judged: {line}"), style=STYLES["error"]))
    for line in missed(report):
        console.print(Text(visible(f"The gate is closed: {line}."), style=STYLES["error"]))
    if report["layers"]:
        console.print()
        show_layers(console, report, options)
    console.print()
    _coverage(console, report, options)
    if options.statistics:
        show_chi(console, report)


def _slowness(verdict: Part) -> str:
    factor, why = verdict["slowness"], verdict["slowness_why"]
    return f"not measured: {why}" if factor is None else f"{factor:.2g}: {why}"


def _findings(console: Console, report: Part, options: FormatOptions) -> None:
    counting = active(report)
    shown = [f for f in counting if options.verbose or f["severity"] != "info"]
    for group in _grouped(shown):
        console.print()
        _finding(console, group[0])
        if options.verbose:
            for finding in group[1:]:
                _finding(console, finding)
        elif group[1:]:
            _others(console, group[1:])
    obstacle = report["verdict"].get("obstacle")
    if (obstacle is None or obstacle["fix_helps"]) and any(fix_acts_on(f["remedy"], f["severity"]) for f in counting):
        console.print()
        console.print(Text(FIX, style="dim"))
    hidden = len(counting) - len(shown)
    notes = [f"{hidden} info (--verbose shows {'it' if hidden == 1 else 'them'})"] if hidden else []
    suppressed = len(report["findings"]) - len(counting)
    if suppressed:
        notes.append(f"{suppressed} suppressed")
    if not counting or notes:
        console.print()
        text = "No findings" if not shown else "Also"
        console.print(f"{text}{': ' if notes else '.'}{', '.join(notes)}{'.' if notes else ''}")


def _grouped(findings: Sequence[Part]) -> list[list[Part]]:
    """Findings of one rule and severity together, in the order of their first: a fault in 40 layers is read once."""
    groups: dict[tuple[str, str], list[Part]] = {}
    for finding in findings:
        groups.setdefault((finding["code"], finding["severity"]), []).append(finding)
    return list(groups.values())


def _indented(console: Console, text: str, *, style: str = "") -> None:
    """Below the line that names the finding; in a narrow terminal hardly to the right of it."""
    console.print(Padding(Text(text, style=style), (0, 0, 0, 8 if console.width >= WIDE else 2)))


def _others(console: Console, findings: Sequence[Part]) -> None:
    names = [visible(f["layer"] or f["initializer"] or "the model") for f in findings]
    more = f" and {len(names) - OTHERS_NAMED} more" if len(names) > OTHERS_NAMED else ""
    text = f"also at {', '.join(names[:OTHERS_NAMED])}{more} (--verbose shows them)"
    _indented(console, text, style="dim")


def _finding(console: Console, finding: Part) -> None:
    line = Text.assemble(
        (f"{finding['severity']:7}", STYLES[finding["severity"]]), f" {finding['code']} {finding['name']}"
    )
    if finding["layer"]:
        line.append(f"  {visible(finding['layer'])}", style="bold")
    console.print(line)
    _indented(console, visible(finding["message"]))
    if finding["suggestion"]:
        _indented(console, f"-> {visible(finding['suggestion'])}", style="dim")


def _coverage(console: Console, report: Part, options: FormatOptions) -> None:
    coverage, probe = report["coverage"], report["probe"]
    audited, parameters = coverage["audited"], coverage["parameters"]
    share = audited / parameters if parameters else 1.0
    percent = f" ({share:.1%})" if share < 1 else ""
    console.print(f"{audited:,} of {parameters:,} parameters audited{percent}.")
    left = [s for s in coverage["skipped"] if s["is_parameter"]]
    for skipped in left if options.verbose else left[:3]:
        console.print(
            Padding(
                Text(
                    visible(f"{skipped['initializer']} ({skipped['parameters']:,}): {skipped['reason']}"), style="dim"
                ),
                (0, 0, 0, 2),
            )
        )
    if len(left) > 3 and not options.verbose:
        console.print(Text(f"  ... {len(left) - 3} more (--verbose shows them)", style="dim"))
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
