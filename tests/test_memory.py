"""Memory of a process."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from initaudit.memory import give_back


def test_what_was_written_to_a_private_copy_of_a_file_is_kept(tmp_path: Path):
    """Nothing but that memory holds it; pages of a file that is only read come again from the file."""
    file = tmp_path / "weights"
    file.write_bytes(bytes(8 * mmap.PAGESIZE))
    read, private = (np.memmap(file, np.uint8, mode=mode) for mode in ("r", "c"))
    private[:] = 7

    for view in (read, private):
        give_back(view[1:])

    assert not read.any()
    assert (private == 7).all()
