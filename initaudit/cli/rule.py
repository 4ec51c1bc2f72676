"""`initaudit rule CODE`: one rule explained."""

from __future__ import annotations

import click

from initaudit.cli.completion import complete_rules


@click.command("rule")
@click.argument("code", shell_complete=complete_rules)
def command(code: str) -> int:
    """Explain one rule, by code or name: what it finds, why it matters, when it is harmless, what to do."""
    import shutil
    import textwrap

    from initaudit.errors import UsageError
    from initaudit.rule import find_rule, nearest

    rule = find_rule(code)
    if rule is None:
        raise UsageError(f"no rule is called {code!r}{nearest(code) or '; see `initaudit rules`'}")
    width = min(shutil.get_terminal_size().columns, 100)
    documentation = rule.documentation()
    click.echo(f"{rule.code} {rule.name} ({' or '.join(rule.severities())})\n")
    click.echo(textwrap.fill(documentation.pop("summary"), width))
    for title, body in documentation.items():
        click.echo()
        click.echo(textwrap.fill(f"{title}: {body}", width, subsequent_indent="  "))
    for threshold in rule.thresholds:
        click.echo()
        text = f"Threshold {threshold.name}: {threshold.meaning} {threshold.value:g} (--threshold {rule.code}.{threshold.name}=X)."
        click.echo(textwrap.fill(text, width, subsequent_indent="  "))
    if rule.page():
        click.echo(f"\n{rule.page()}")
    return 0
