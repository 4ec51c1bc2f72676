"""Making: small networks for teaching and tests, written layer by layer and drawn by the code that re-initialises models."""
