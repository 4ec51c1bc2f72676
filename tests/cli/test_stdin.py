"""A model on stdin: read for so long, and so much of it."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from initaudit.cli.stdin import read_within
from initaudit.errors import UnreadableModel


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch):
    """The end of stdin that is written to."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin, os.fdopen(writing, "wb", buffering=0) as stream:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield stream


def test_all_of_it_is_read(pipe):
    """In however many pieces it comes."""
    threading.Thread(target=lambda: (pipe.write(bytes(3_000_000)), pipe.close()), daemon=True).start()

    assert len(read_within("<stdin>", seconds=30, size=1 << 22)) == 3_000_000


def test_what_does_not_end_is_given_up(pipe):
    """A program that has stalled."""
    pipe.write(b"begun")

    with pytest.raises(UnreadableModel, match=r"<stdin>: did not end within 0 s; raise --timeout"):
        read_within("<stdin>", seconds=0.1, size=1 << 20)


def test_what_is_too_long_is_given_up(pipe):
    """A device has no end."""
    threading.Thread(target=pipe.write, args=(bytes(3 << 20),), daemon=True).start()

    with pytest.raises(UnreadableModel, match="has more than 1 MiB; raise --max-memory to 4 times its size"):
        read_within("<stdin>", seconds=30, size=1 << 20)
