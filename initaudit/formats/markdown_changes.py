"""The comparison of two reports as Markdown: what a comment on a pull request says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from initaudit.formats import differences
from initaudit.formats.marking import Page, code, prose, rule_link
from initaudit.formats.telling import Part, plural, subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.format import FormatOptions

MARKS = {"worse": "❌", "mixed": "⚠️", "better": "✅", "same": "✅"}


def changes_page(document: Part, options: FormatOptions) -> str:
    """A heading, a section a model, the worst first."""
    models = differences.by_outcome(document)
    page = Page()
    came = [f for model in models for f in model["findings"] if f["state"] in ("new", "worse")]
    page.add(f"## initaudit: {plural(len(came), 'new finding')}\n")
    for line in [*document["notes"], *document["gate"]["missed"]]:
        page.add(f"\n{prose(line)}\n")
    if len(models) > 1:
        page.add("\n")
        page.add_table(("", "model", "", "new:", "gone:"), map(_model_row, models))
    for model in models:
        _section(page, model, options)
    return page.text()


def _model_row(model: Part) -> tuple[str, ...]:
    states = [finding["state"] for finding in model["findings"]]
    came = states.count("new") + states.count("worse")
    return (
        MARKS[model["outcome"]],
        code(differences.title(model)),
        f"{differences.outcome(model)}, {differences.statuses(model)}",
        str(came),
        str(states.count("gone")),
    )


def _section(page: Page, model: Part, options: FormatOptions) -> None:
    mark = MARKS[model["outcome"]]
    page.add(
        f"\n### {mark} {code(differences.title(model), table=False)}: {differences.outcome(model)}, {differences.statuses(model)}\n"
    )
    for note in model["notes"]:
        page.add(f"\n{prose(note)}\n")
    rows = list(differences.measures(model))
    if rows:
        page.add("\n")
        page.add_table(("", "before:", "after:", ""), rows)
    shown = [f for f in model["findings"] if options.verbose or differences.is_news(f)]
    groups = differences.grouped(shown)
    if groups:
        page.add("\n")
        page.add_table(("", "severity", "rule", "where", "what was found"), map(_finding_row, groups))
    page.add_details("Where else", [_line(f) for group in groups for f in group[1:]])
    page.add_details("As before, or of information", [_line(f) for f in model["findings"] if f not in shown])
    differing = [layer for layer in model["layers"] if layer["state"] not in ("unchanged", "alike")]
    page.add_details(f"Layers: {differences.layer_counts(model)}", [_layer(layer) for layer in differing])


def _finding_row(group: Sequence[Part]) -> tuple[str, ...]:
    finding = group[0]
    more = f" and {len(group) - 1:,} more" if len(group) > 1 else ""
    return (
        f"**{differences.STATES[finding['state']]}**",
        differences.severity(finding),
        rule_link(finding),
        f"{code(subject(finding))}{more}",
        prose(finding["message"]),
    )


def _line(finding: Part) -> str:
    rule = prose(f"{finding['code']} {finding['name']}")
    fate = differences.STATES[finding["state"]]
    return f"{fate}, {differences.severity(finding)} {rule}, {code(subject(finding), table=False)}: {prose(finding['message'])}"


def _layer(layer: dict[str, Any]) -> str:
    amount = f" by {differences.change(layer)}" if layer["change"] else ""
    shown = [f"{key} {differences.arrow(layer['statistics'][key])}" for key in differences.SHOWN]
    return f"{code(layer['title'], table=False)} {layer['state']}{amount}: {', '.join(shown)}"
