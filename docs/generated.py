"""Pages that the program writes about itself: its rules, each with a network that it was just run on, and its commands."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

import initaudit
from initaudit.cli import COMMANDS, cli
from initaudit.rule import Rule, all_rules
from tests.networks import save
from tests.rules.cases import CASES

SAMPLES = Path(__file__).resolve().parents[1] / "sample_models" / "README.md"
ADMONITIONS = {"error": "failure", "warning": "warning", "info": "note"}
"""How the site shows a finding of each severity."""
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
    case = CASES[rule.code]
    path = save(case.faulty(), folder / f"{rule.code}.onnx")
    before = save(case.before(), folder / f"{rule.code}-before.onnx") if case.before else None
    report = initaudit.audit(path, **case.options, against=before, select=(rule.code,))
    if not report.findings:
        raise LookupError(f"{rule.code} says nothing of its own example")
    found = report.findings[0]
    options = "".join(f" --{name} {value}" for name, value in case.options.items())
    against = f" --against {Path(before).name}" if before else ""
    also = f", and [{Path(before).name}]({Path(before).name}) is it before" if before else ""
    documentation = rule.documentation()
    summary = documentation.pop("summary")
    details = documentation.pop("Details", "")
    references = documentation.pop("References")
    sections = "\n\n".join(f"## {title}\n\n{_sentence(text)}" for title, text in documentation.items())
    shown = ", ".join(f"`{name}`" for name in _samples(rule.code))
    where = f" {found.layer}" if found.layer else ""
    advice = f"\n\n    → {found.suggestion}" if found.suggestion else ""
    return f"""# {rule.code} {rule.name}

{summary} {details}

**Severity:** {" or ".join(rule.severities())}{", by what it does to the network" if rule.by_consequence else ""}.

{sections}

## Example

{case.shows} [{rule.code}.onnx]({rule.code}.onnx) is such a network{also}.

```console
$ initaudit check {rule.code}.onnx{options}{against}
```

!!! {ADMONITIONS[found.severity]} "{found.severity} {rule.code} {rule.name}{where}"

    {found.message}{advice}

{f"[Sample models](../sample-models.md) with this finding: {shown}." if shown else ""}

## To ignore it

Say of which layers (`*` for all) and why; the reason stands in every report.

```toml
[tool.initaudit]
ignore = ["{rule.code}:{found.layer or "*"}=the reason"]
```

## References

{_sentence(references)}
"""


def command_page() -> str:
    """What `--help` prints for each command."""
    pages = [f"## initaudit\n\n{_help(cli, 'initaudit')}"]
    for name in COMMANDS:
        command = importlib.import_module(f"initaudit.cli.{name}").command
        pages.append(f"## initaudit {name}\n\n{_help(command, f'initaudit {name}')}")
    return "# Commands\n\nWhat `--help` says.\n\n" + "\n\n".join(pages) + "\n"


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
