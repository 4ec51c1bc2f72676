"""From the graph to layers: which operators own weights, what the weights are, what follows them, what is left over."""
