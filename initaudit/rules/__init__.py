"""One file per rule; found by `initaudit.registry`."""
