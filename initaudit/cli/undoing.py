"""`initaudit fix --undo`: take back what is recorded of fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from initaudit.formats.printing import visible
from initaudit.formats.telling import plural

if TYPE_CHECKING:
    from pathlib import Path


def run_undo(model: str, original: str, output: Path | None, *, force: bool, quiet: bool) -> int:
    """Restore, write, and say so; 0 where that was done. Raises FixRefused and what reading a model raises."""
    from initaudit.cli.models import STDIN, label
    from initaudit.cli.stdin import read_stdin
    from initaudit.config import Config
    from initaudit.engines.auditing import Subject
    from initaudit.engines.fixing import undo_in_worker
    from initaudit.errors import UsageError

    if original == STDIN:
        raise UsageError("--undo reads the original from a file")
    if output is not None and output.exists() and output.samefile(original):
        raise UsageError(f"{output}: is the original itself")
    subject = Subject(name=label(model), config=Config(), content=read_stdin(Config()) if model == STDIN else None)
    done = undo_in_worker(subject, original, output, force=force)
    if not quiet:
        what = f"{plural(len(done.restored), 'tensor')} of {original}"
        if done.written:
            click.echo(visible(f"restored {what}: {', '.join(done.restored)}"))
            click.echo(visible(f"wrote {', '.join(map(str, done.written))}, without the record of the fix"))
        else:
            click.echo(visible(f"{what} would be restored; nothing was written"))
    return 0
