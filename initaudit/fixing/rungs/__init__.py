"""The rungs of a plan, one a file: each changes as little as can help."""
