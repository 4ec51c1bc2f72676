"""Text: the report for the terminal."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from initaudit.config import DEFAULT_PROVIDER
from initaudit.format import Format, FormatOptions
from initaudit.formats.changes import changes_text
from initaudit.formats.layers import show_chi, show_layers
from initaudit.formats.printing import number, printed, visible
from initaudit.formats.telling import Part, active, fixed_before, interrupted, missed
from initaudit.formats.text_findings import STYLES, print_findings

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
            fixed = "fix" in head
            if fixed:
                yield changes_text(head["fix"], report) + "\n"
            yield between + _printed(options, partial(_report, report, options, offer=not fixed))
            between = "\n"
            counts.update((f["code"], f["name"], f["severity"]) for f in active(report))
        if not between:
            yield "No models.\n"
        if options.statistics:
            yield _printed(options, partial(_statistics, counts))
        ended = interrupted(head)
        if ended is not None:
            yield f"\n{ended}\n"

    def compare(self, document: Part, options: FormatOptions) -> str:
        """What became better, what worse, and how much each layer changed."""
        from initaudit.formats.text_changes import show

        return _printed(options, partial(show, document, options))

    def starts(self, document: Part, options: FormatOptions) -> str:
        """A table, best first, then who wins and why."""
        from initaudit.formats.text_starts import show

        return _printed(options, partial(show, document, options))

    def race(self, document: Part, options: FormatOptions) -> str:
        """A table, the fastest first, then who won and who had been expected to."""
        from initaudit.formats.text_race import show

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


def _report(report: Part, options: FormatOptions, console: Console, *, offer: bool) -> None:
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
    print_findings(console, report, options, offer=offer)
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


def _coverage(console: Console, report: Part, options: FormatOptions) -> None:
    coverage, probe = report["coverage"], report["probe"]
    audited, parameters = coverage["audited"], coverage["parameters"]
    share = audited / parameters if parameters else 1.0
    percent = f" ({share:.1%})" if share < 1 else ""
    console.print(f"{audited:,} of {parameters:,} parameters audited{percent}.")
    for line in fixed_before(report["model"].get("record")):
        console.print(Text(visible(f"{line}."), style="dim"))
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
