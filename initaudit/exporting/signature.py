"""What torch's newer exporter says of the module that it exported: the names of all its parameters and buffers, also of those that it folded away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

KEY = "pkg.torch.export.ExportedProgram.graph_signature"
"""Of the entry in the metadata of the graph."""
LONGEST = 1 << 24
"""Characters of a signature that are read. A judgement: a parameter takes some 100."""
_LINE = re.compile(r"\w+: (PARAMETER|BUFFER) target='([^'\n]+)'(?: persistent=(True|False))?")


def signature(model: ModelProto) -> tuple[str, ...] | None:
    """The keys of the module's `state_dict`, in its order of parameters, then buffers; None where the file does not tell them.

    A buffer that is not persistent is none of them.
    """
    text = next((entry.value for entry in model.graph.metadata_props if entry.key == KEY), "")
    if not text or len(text) > LONGEST:
        return None
    found = (_LINE.match(line) for line in text.split("\n"))
    return tuple(m[2] for m in found if m is not None and m[3] != "False") or None
