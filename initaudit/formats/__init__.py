"""One file per output format; found by `initaudit.registry`."""
