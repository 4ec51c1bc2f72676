"""Pages that the program writes about itself: its rules, each with a network that it was just run on, and its commands."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

import initaudit
from initaudit.cli import COMMANDS, cli
from initaudit.rule import Rule, all_rules
from tests.networks import save
from tests.rules.cases import CASES

if TYPE_CHECKING:
    from initaudit.findings import Finding

SAMPLES = Path(__file__).resolve().parents[1] / "sample_models" / "README.md"
ADMONITIONS = {"error": "failure", "warning": "warning", "info": "note"}
"""How the site shows a finding of each severity."""
IGNORE = """Say of which layers (`*` for all) and why; the reason stands in every report.

```toml
[tool.initaudit]
ignore = ["{rule}:{layer}=the reason"]
```"""
WIDTH = 86
"""Columns of the help texts: what the site shows without scrolling."""


def rule_index() -> str:
    """All rules in a table."""
    rows = "".join(
        f"| [{rule.code}]({rule.code}.md) | {rule.name} | {', '.join(rule.severities())} | {rule.documentation()['summary']} |\n"
        for rule in all_rules()
    )
    return f"""# Rules

A rule has a code and a name; both select it, and so does the beginning of a code (`--select INI4`, `--ignore vanishing-signal`). Where a rule
has several severities, what a finding does to the network decides. `initaudit rules` prints this table, `initaudit rule CODE` the page of a rule.

Codes begin with what they are about: 0 values that are no weights, 1 scale and law, 2 rank, 3 biases and norms, 4 signal, 5 gradient and
learning, 6 training, 9 the audit itself.

| code | name | severity | what it finds |
|---|---|---|---|
{rows}"""


def rule_page(rule: Rule, folder: Path) -> str:
    """The docstring of the rule, and what it says of a network that is written beside the page in `folder`.

    Raises LookupError where it says nothing.
    """
    found, example = _example(rule, folder)
    documentation = rule.documentation()
    summary, details = documentation.pop("summary"), documentation.pop("Details", "")
    references = documentation.pop("References")
    sections = {
        **{title: _sentence(text) for title, text in documentation.items()},
        "Example": example,
        "Thresholds": _thresholds(rule),
        "To ignore it": IGNORE.format(rule=rule.code, layer=found.layer or "*"),
        "References": _sentence(references),
    }
    *others, last = rule.severities()
    severities = f"{', '.join(others)} or {last}, by what it does to the network" if others else last
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in sections.items() if body)
    return f"# {rule.code} {rule.name}\n\n{summary} {details}\n\n**Severity:** {severities}.\n\n{text}\n"


def _example(rule: Rule, folder: Path) -> tuple[Finding, str]:
    """What the rule says of its network, and the part of its page that shows it."""
    case = CASES[rule.code]
    path = save(case.faulty(), folder / f"{rule.code}.onnx")
    before = save(case.before(), folder / f"{rule.code}-before.onnx") if case.before else None
    report = initaudit.audit(path, **case.options, against=before, select=(rule.code,))
    if not report.findings:
        raise LookupError(f"{rule.code} says nothing of its own example")
    found = report.findings[0]
    files = f"[{rule.code}.onnx]({rule.code}.onnx) is such a network"
    options = "".join(f" --{name} {value}" for name, value in case.options.items())
    if before:
        files += f", and [{rule.code}-before.onnx]({rule.code}-before.onnx) is it before"
        options += f" --against {rule.code}-before.onnx"
    title = f"{found.severity} {rule.code} {rule.name} {found.layer or ''}".strip()
    text = f"""{case.shows} {files}.

```console
$ initaudit check {rule.code}.onnx{options}
```

!!! {ADMONITIONS[found.severity]} "{title}"

    {found.message}
"""
    if found.suggestion:
        text += f"\n    → {found.suggestion}\n"
    if samples := ", ".join(f"`{name}`" for name in _samples(rule.code)):
        text += f"\n[Sample models](../sample-models.md) with this finding: {samples}."
    return found, text


def _thresholds(rule: Rule) -> str:
    """Those that a project may set; empty where there are none."""
    if not rule.thresholds:
        return ""
    rows = "".join(f"| `{rule.code}.{t.name}` | {t.value:g} | {t.meaning} |\n" for t in rule.thresholds)
    option = f"`--threshold {rule.code}.{rule.thresholds[0].name}=X`"
    table = f"| threshold | value | what it is |\n|---|---|---|\n{rows}"
    return f"A project may set them: {option}, or in its [configuration](../configuration.md#rules).\n\n{table}"


def command_page() -> str:
    """What `--help` prints for each command."""
    pages = [f"## initaudit\n\n{_help(cli, 'initaudit')}"]
    for name in COMMANDS:
        command = importlib.import_module(f"initaudit.cli.{name}").command
        pages.append(f"## initaudit {name}\n\n{_help(command, f'initaudit {name}')}")
        for inner, part in _parts(command).items():
            pages.append(f"### initaudit {name} {inner}\n\n{_help(part, f'initaudit {name} {inner}')}")
    return "# Commands\n\nWhat `--help` says.\n\n" + "\n\n".join(pages) + "\n"


def _parts(command: click.Command) -> dict[str, click.Command]:
    """The commands of a group, by name."""
    if not isinstance(command, click.Group):
        return {}
    context = click.Context(command)
    found = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: part for name, part in found.items() if part is not None}


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, terminal_width=WIDTH, **command.context_settings)
    return f"```text\n{command.get_help(context)}\n```"


def _sentence(text: str) -> str:
    """Beginning with a capital letter, unless it begins with code."""
    return text[:1].upper() + text[1:]


def _samples(code: str) -> list[str]:
    """The sample models in whose row of the table the code stands among the findings."""
    rows = [[cell.strip() for cell in line.split("|")] for line in SAMPLES.read_text("utf-8").splitlines()]
    return [row[1] for row in rows if len(row) > 5 and code in row[5].split()]
