"""What the audit makes of a file."""

from __future__ import annotations

import json
import time
import traceback
import warnings
from pathlib import Path

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.errors import ModelError, UsageError
from initaudit.format import FormatOptions, find_format

SLOW = "!slow"
LONGEST = 20.0
"""Seconds that a file of some kilobytes may take without the probe."""


def outcome(raw: bytes, *, probe: bool = False, formats: tuple[str, ...] = ("json", "text", "html")) -> str:
    """`report`, the name of a documented error, or, behind an exclamation mark, what should not be."""
    start = time.monotonic()
    config = Config(probe="full" if probe else "none", timeout=10.0, batch=4)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            report = audit(raw, config)
            document = report.to_dict()
            json.dumps(document, allow_nan=False)
            for name in formats:
                find_format(name).render(document, FormatOptions())
    except (ModelError, UsageError) as error:
        what = type(error).__name__
    except Exception as error:  # noqa: BLE001  any other one is what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = next(
            (f for f in reversed(traceback.extract_tb(error.__traceback__)) if "initaudit/" in f.filename), place
        )
        return f"!{type(error).__name__} at {Path(ours.filename).name}:{ours.lineno}"
    else:
        what = f"!rule failed: {report.failed_rules[0]}" if report.failed_rules else "report"
    return SLOW if time.monotonic() - start > LONGEST + probe * 10.0 else what
