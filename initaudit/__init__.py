"""initaudit: audit the weights of ONNX models.

    import initaudit

    report = initaudit.audit("model.onnx")
    print(report.verdict.status, report.verdict.reason)
    initaudit.fix("model.onnx", "fixed.onnx")

Names are loaded when they are first used: importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from initaudit.version import __version__

if TYPE_CHECKING:
    from initaudit.api import audit as audit
    from initaudit.api import compare as compare
    from initaudit.api import fix as fix
    from initaudit.api import make as make
    from initaudit.api import race as race
    from initaudit.config import Config as Config
    from initaudit.errors import ExternalDataError as ExternalDataError
    from initaudit.errors import FixRefused as FixRefused
    from initaudit.errors import InitauditError as InitauditError
    from initaudit.errors import InvalidModel as InvalidModel
    from initaudit.errors import LostEngine as LostEngine
    from initaudit.errors import LostWorker as LostWorker
    from initaudit.errors import ModelError as ModelError
    from initaudit.errors import NotTrainable as NotTrainable
    from initaudit.errors import ProbeError as ProbeError
    from initaudit.errors import UnreadableModel as UnreadableModel
    from initaudit.errors import UnsupportedWeight as UnsupportedWeight
    from initaudit.errors import UsageError as UsageError
    from initaudit.findings import Finding as Finding
    from initaudit.findings import Severity as Severity
    from initaudit.fixing.fixer import FixResult as FixResult
    from initaudit.model.load import load_model as load_model
    from initaudit.options import Ignore as Ignore
    from initaudit.racing.race import Race as Race
    from initaudit.report.report import Report as Report
    from initaudit.starts.compare import Comparison as Comparison


_HOMES = {
    "audit": "initaudit.api",
    "compare": "initaudit.api",
    "fix": "initaudit.api",
    "make": "initaudit.api",
    "race": "initaudit.api",
    "Config": "initaudit.config",
    "InitauditError": "initaudit.errors",
    "ModelError": "initaudit.errors",
    "UnreadableModel": "initaudit.errors",
    "InvalidModel": "initaudit.errors",
    "ExternalDataError": "initaudit.errors",
    "UnsupportedWeight": "initaudit.errors",
    "LostEngine": "initaudit.errors",
    "LostWorker": "initaudit.errors",
    "NotTrainable": "initaudit.errors",
    "ProbeError": "initaudit.errors",
    "FixRefused": "initaudit.errors",
    "UsageError": "initaudit.errors",
    "Finding": "initaudit.findings",
    "Severity": "initaudit.findings",
    "FixResult": "initaudit.fixing.fixer",
    "load_model": "initaudit.model.load",
    "Ignore": "initaudit.options",
    "Race": "initaudit.racing.race",
    "Report": "initaudit.report.report",
    "Comparison": "initaudit.starts.compare",
}

__all__ = [
    "Comparison",
    "Config",
    "ExternalDataError",
    "Finding",
    "FixRefused",
    "FixResult",
    "Ignore",
    "InitauditError",
    "InvalidModel",
    "LostEngine",
    "LostWorker",
    "ModelError",
    "NotTrainable",
    "ProbeError",
    "Race",
    "Report",
    "Severity",
    "UnreadableModel",
    "UnsupportedWeight",
    "UsageError",
    "__version__",
    "audit",
    "compare",
    "fix",
    "load_model",
    "make",
    "race",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'initaudit' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
