"""Standard output and standard error that may be closed or full: nothing else lands in them, and what they do not take is told once."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress

import click

from initaudit.formats.printing import visible

UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EBADF, errno.EIO, errno.EFBIG})
"""What a system says of a stream that takes no more; EPIPE is a reader that had enough."""


def say(message: str) -> None:
    """A line on standard error, where that takes it."""
    with suppress(OSError, ValueError):
        click.echo(visible(message), err=True)


def flushed(code: int, failure: int) -> int:
    """`code`, or `failure` where what was written does not arrive; the interpreter then has nothing left to complain about."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            if error.errno != errno.EPIPE and code != failure:
                say(f"initaudit: error: {why(error)}")
            code = failure
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def why(error: OSError) -> str:
    """What is wrong with a stream."""
    return f"cannot write the output: {error.strerror}"
