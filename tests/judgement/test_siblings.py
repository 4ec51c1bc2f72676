"""Siblings: what stands in the same module."""

from __future__ import annotations

import pytest

from initaudit.judgement.siblings import siblings_of

PATHS = ["stem", "blocks.0.attn.q", "blocks.0.attn.k", "blocks.0.fc", "blocks.1.fc", "head.0", "lone.x"]


@pytest.mark.parametrize(
    ("path", "siblings"),
    [
        ("blocks.0.attn.q", ["blocks.0.attn.k"]),
        ("blocks.0.attn.qkv[q]", ["blocks.0.attn.q", "blocks.0.attn.k"]),
        ("blocks.0.fc", ["blocks.0.attn.q", "blocks.0.attn.k"]),
        ("blocks.1.fc", []),
        ("lone.x", []),
        ("stem", []),
    ],
)
def test_siblings_share_the_nearest_module_that_holds_more(path: str, siblings: list[str]) -> None:
    """The parent, or else the numbered block; the whole network is no module."""
    assert siblings_of(path, [(name, name) for name in PATHS]) == siblings
