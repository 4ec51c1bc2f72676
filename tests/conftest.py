"""Property tests without a deadline per example: a busy machine is no fault, and what hangs meets the time limit of its test."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
