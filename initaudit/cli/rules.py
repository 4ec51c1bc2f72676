"""`initaudit rules`: all rules, a line each."""

from __future__ import annotations

import json
import shutil
import sys

import click


@click.command("rules")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", help="text (default) or json.")
def command(output_format: str) -> int:
    """List all rules: code, name, the severities that a finding may have, what it finds."""
    from initaudit.rule import all_rules

    rules = all_rules()
    if output_format == "json":
        rows = [
            {
                "code": rule.code,
                "name": rule.name,
                "severity": rule.severity.value,
                "severities": [severity.value for severity in rule.severities()],
                "remedy": rule.remedy.value,
                "url": rule.page(),
                "thresholds": {t.name: {"value": t.value, "meaning": t.meaning} for t in rule.thresholds},
                **rule.documentation(),
            }
            for rule in rules
        ]
        click.echo(json.dumps(rows, indent=2))
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for rule in rules:
        severities = ", ".join(rule.severities())
        head = f"{rule.code}  {rule.name:23} {severities:20}"
        summary = rule.documentation()["summary"]
        click.echo(
            f"{head} {summary}" if width is None or len(head) + len(summary) < width else f"{head}\n        {summary}"
        )
    return 0
