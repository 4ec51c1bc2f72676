"""Statistics of weights and the law their values came from; pure numpy, no ONNX."""

from initaudit.stats.weigh import WeightStats, weigh

__all__ = ["WeightStats", "weigh"]
