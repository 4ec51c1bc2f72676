"""New values for the weights of a network: drawn, placed where they are stored, and the same network as it would be with them."""
