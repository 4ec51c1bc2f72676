"""From file to graph: a checked model with tensors, names resolved, functions inlined."""
