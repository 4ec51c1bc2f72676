"""Several models on one page: the worst first, each under what its path does not share with the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

STATUSES = ("error", "fail", "warn", "pass")
"""Worst first, as the models are listed."""


def by_urgency(reports: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The worst verdict first, then the least trainable, then by path."""

    def rank(report: dict[str, Any]) -> tuple[int, float, str]:
        verdict = report["verdict"]
        trainability = verdict["trainability"] if report["may_be_fresh"] else None
        return STATUSES.index(verdict["status"]), 1.0 if trainability is None else trainability, report["path"]

    return sorted(reports, key=rank)


def common_folder(paths: Sequence[str]) -> str:
    """The folder that all paths are in, with its final slash; empty where they share none."""
    folders = [path.replace("\\", "/").split("/")[:-1] for path in paths]
    levels = takewhile(lambda steps: len(set(steps)) == 1, zip(*folders, strict=False))
    return "".join(f"{steps[0]}/" for steps in levels)
