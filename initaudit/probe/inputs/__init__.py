"""Synthetic or real inputs for any model: `make_feeds`."""

from initaudit.probe.inputs.feeds import Feeds, InputOptions
from initaudit.probe.inputs.make import make_feeds

__all__ = ["Feeds", "InputOptions", "make_feeds"]
