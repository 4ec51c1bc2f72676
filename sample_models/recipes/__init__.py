"""How the sample models are made: one file per family of networks."""
