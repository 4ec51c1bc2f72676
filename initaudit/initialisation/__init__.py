"""How weights should start: gains of activations, schemes, and the target of each layer."""
