"""Style: what stands behind the layers of a network under construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initaudit.making.activation import Activate
    from initaudit.making.net import Net

NONE, BATCH, LAYER = "none", "batch", "layer"
"""Of the norms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Activation, norm and dropout of a network."""

    activate: Activate
    norm: str = NONE
    """`batch` or `layer` in front of each activation."""
    dropout: float = 0.0
    """Share of the values that training leaves out."""

    def normed(self, net: Net, x: str, name: str, width: int, gamma: float = 1.0) -> str:
        """Behind a layer with so many units or channels."""
        if self.norm == BATCH:
            return net.batch_norm(x, name, width, gamma)
        return net.layer_norm(x, name, width) if self.norm == LAYER else x

    def dropped(self, net: Net, x: str, scope: str) -> str:
        """As exporters write it for inference, where it does nothing; what trains the network reads the share from it."""
        return str(net.op("Dropout", x, net.constant(self.dropout), scope=scope)) if self.dropout else x
