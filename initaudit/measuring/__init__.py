"""Weights and signals of each layer measured, and what theory says beside them."""
