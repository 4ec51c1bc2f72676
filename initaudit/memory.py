"""How much memory another process holds."""

from __future__ import annotations

from pathlib import Path


def private_memory(pid: int) -> int:
    """Bytes of anonymous resident memory of a process; 0 where the system does not tell (only Linux does)."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
