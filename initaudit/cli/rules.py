"""`initaudit rules`: all rules, a line each."""

from __future__ import annotations

import json

import click


@click.command("rules")
@click.option("--output-format", type=click.Choice(["text", "json"]), default="text", help="text (default) or json.")
def command(output_format: str) -> int:
    """List all rules: code, name, severity, what it finds."""
    from initaudit.rule import all_rules

    rules = all_rules()
    if output_format == "json":
        rows = [{"code": r.code, "name": r.name, "severity": r.severity.value, **r.documentation()} for r in rules]
        click.echo(json.dumps(rows, indent=2))
        return 0
    for rule in rules:
        click.echo(f"{rule.code}  {rule.name:24} {rule.severity.value:8} {rule.documentation()['summary']}")
    return 0
