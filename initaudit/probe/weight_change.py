"""Which way of perturbing its weight fits a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initaudit.errors import ProbeError
from initaudit.model.operators import operator_spec
from initaudit.probe.alone import DifferenceAlone, LayerAlone, LinearAlone, LookupAlone
from initaudit.probe.alone_recurrent import RecurrentAlone
from initaudit.probe.recurrence import Recurrence, attribute_of, can_step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from initaudit.probe.plan import LayerPlan
    from initaudit.probe.segments import Network


def layers_alone(
    network: Network, layers: Sequence[LayerPlan], folder: Path | None, threads: int
) -> dict[str, LayerAlone]:
    """By name, the layers whose weight can be perturbed, each as it is taken alone."""
    recurrences: dict[tuple[str, int], Recurrence] = {}
    found: dict[str, LayerAlone] = {}
    for layer in layers:
        if layer.weight is None or layer.node_output not in network.position:
            continue
        node, _ = network.nodes[network.position[layer.node_output]]
        spec = operator_spec(node.op_type, node.domain)
        try:
            if can_step(network, node) and layer.weight_window is not None:
                direction = layer.weight_window[0][0]
                key = (layer.node_output, direction)
                if key not in recurrences:
                    recurrences[key] = Recurrence(network, node, direction, folder=folder, threads=threads)
                found[layer.name] = RecurrentAlone(network, layer, recurrences[key])
            elif node.op_type == "Gather" and attribute_of(node, "axis", 0) == 0:
                found[layer.name] = LookupAlone(network, layer, folder, threads)
            else:
                plain = (
                    spec.is_linear_in_weight and not node.domain and layer.weight < 2 and layer.weight_window is None
                )
                kind = LinearAlone if plain else DifferenceAlone
                found[layer.name] = kind(network, layer, folder, threads)
        except ProbeError:
            continue
    return found
