"""What the audit makes of a file, and `fix` and the formats after it: a word for how it ended, or a fault."""

from __future__ import annotations

import json
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock
from xml.etree import ElementTree as ET

from initaudit.auditor import audit
from initaudit.config import Config
from initaudit.errors import FixRefused, ModelError, UsageError
from initaudit.fixing.fixer import FixOptions, fix
from initaudit.format import FormatOptions, all_formats
from initaudit.formats.printing import is_hidden
from tests.fuzz.mutation.tensors import BESIDE

if TYPE_CHECKING:
    from initaudit.report.report import Report
    from tests.fuzz.case import Case

DOCUMENTED = (ModelError, UsageError, FixRefused)
"""What `audit` and `fix` may raise."""
OUR_FAULT = "initaudit itself failed"
"""What a report says of an exception in the probe that is no property of the model."""


class FaultError(Exception):
    """Something that should not be, in words that are the same for every file that shows it."""


def outcome(case: Case) -> str:
    """How the file ended: `pass`, `warn` or `fail` with the state of the probe, or a documented error; a fault begins with `!`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fuzz-")))
        path = folder / "m.onnx"
        path.write_bytes(case.raw)
        (folder / BESIDE).write_bytes(bytes(range(256)) * 64)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("error")
        if case.mapped:
            stack.enter_context(_mapped())
        try:
            ended = _audited(path, case)
            if case.fix:
                ended = f"{ended}, {_fixed(path, case)}"
        except DOCUMENTED as error:
            ended = type(error).__name__
            if not str(error):
                return f"!{ended} without words"
        except FaultError as error:
            return f"!{error}"
        except (Exception, MemoryError) as error:  # noqa: BLE001  what is looked for
            return f"!{type(error).__name__} at {_place(error)}"
        left = sorted(p.name for p in folder.iterdir() if p.name not in ("m.onnx", BESIDE, "out.onnx", "out.onnx.data"))
        if left or path.read_bytes() != case.raw:
            return f"!left behind or changed: {left or 'm.onnx'}"
        return ended


def _config(case: Case) -> Config:
    return Config(
        probe="full" if case.probe else "none", timeout=20.0, batch=4, max_memory=1 << 30, seed=case.number % 7
    )


def _audited(path: Path, case: Case) -> str:
    report = audit(path, _config(case))
    check_report(report)
    probe = f", probe {report.audit.probe.status if report.audit else 'none'}" if case.probe else ""
    return f"{report.verdict.status}{probe}"


def check_report(report: Report) -> None:
    """Raises FaultError where the report, in any format, is not what its reader needs."""
    if report.failed_rules:
        raise FaultError(f"{report.failed_rules[0]}"[:200])
    document = report.to_dict()
    text = json.dumps(document, allow_nan=False)
    if OUR_FAULT in text:
        start = text.index(OUR_FAULT)
        raise FaultError(text[start : start + 160].split("; ")[0])
    for entry in document["reports"]:
        coverage = entry["coverage"]
        if not 0 <= coverage["audited"] <= coverage["parameters"]:
            raise FaultError("coverage is no share")
    for name, form in all_formats().items():
        check_rendered(name, form.render(document, FormatOptions(verbose=True, statistics=True)))


def check_rendered(name: str, text: str) -> None:
    """Raises FaultError where a rendered report is not well formed, hides a character or gives an order."""
    if name in ("json", "sarif", "gitlab"):
        json.loads(text)
    if name == "junit":
        ET.fromstring(text)
    hidden = {c for c in set(text) - set("\n\r") if is_hidden(c)}
    if hidden:
        raise FaultError(f"{name} holds the hidden character {min(hidden)!r}")
    if name != "html" and ("##vso[" in text or "##[" in text):  # a page is no log
        raise FaultError(f"{name} gives orders to Azure")
    if name not in ("github", "html") and any(line.lstrip().startswith("::") for line in text.splitlines()):
        raise FaultError(f"{name} gives orders to GitHub")


def _fixed(path: Path, case: Case) -> str:
    """Every layer drawn anew, trained or not. What is written loads and is audited, which `fix` does itself."""
    out = path.with_name("out.onnx")
    mode = "rescale" if case.number % 3 == 0 else "resample"
    try:
        result = fix(path, out, _config(case), FixOptions(every=True, force=True, keep_going=True, mode=mode))
    except FixRefused:
        if out.exists():
            raise FaultError("fix refused, and wrote") from None
        return "fix refused"
    except ModelError as error:  # a tensor that no layer uses, and that cannot be copied
        if out.exists():
            raise FaultError(f"what fix wrote is no model: {type(error).__name__}") from error
        return f"fix: {type(error).__name__}"
    if not result.written:
        raise FaultError("fix neither wrote nor refused")
    if result.changes:
        assert result.after is not None
        check_report(result.after)
        return "fixed"
    if len(result.written) == 1 and out.read_bytes() != case.raw:  # with external data, the reference is to the copy
        raise FaultError("fix changed nothing, and wrote something else")
    return "nothing to fix"


@contextmanager
def _mapped() -> Iterator[None]:
    """Files of any size are read as large ones are."""
    import initaudit.model.outline

    with (
        mock.patch.object(initaudit.model.load, "MAPPED_FROM", 1),
        mock.patch.object(initaudit.model.outline, "SMALLEST", 16),
    ):
        yield


def _place(error: BaseException) -> str:
    """The innermost line of initaudit, or of whatever raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((f for f in reversed(frames) if "/initaudit/" in f.filename), frames[-1])
    return f"{Path(ours.filename).parent.name}/{Path(ours.filename).name}:{ours.lineno}"
