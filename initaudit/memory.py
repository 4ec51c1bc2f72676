"""How much memory another process holds."""

from __future__ import annotations


def private_memory(pid: int) -> int:
    """Bytes of anonymous resident memory of a process; 0 where the system does not tell (only Linux does)."""
    try:
        with open(f"/proc/{pid}/status", "rb") as stream:  # noqa: PTH123  this is asked fifty times a second
            _, _, rest = stream.read().partition(b"\nRssAnon:")
    except OSError:
        return 0
    return int(rest.split(maxsplit=1)[0]) * 1024 if rest else 0
