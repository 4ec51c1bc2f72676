"""Starts: one network as it begins to train under several initialisations, each measured in the same way."""
