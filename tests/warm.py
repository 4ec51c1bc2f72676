"""Commands in processes of their own that need not import anew what all of them import: each is forked from one that has.

What a command does with its process stays there: the folder and the path it runs with, what it imports, what it prints, how it ends.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOADED = ("numpy", "ml_dtypes", "onnx", "onnx.shape_inference", "jinja2", "rich.console", "rich.table", "click")
"""What others wrote; of initaudit nothing, for it looks for the parts of other packages when it is imported."""


def run(
    module: str, arguments: Sequence[str], *, path: Sequence[Path] = (), folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """`python -m MODULE ARGUMENTS` in `folder`, with `path` in front of the import path."""
    server = _server()
    with TemporaryDirectory() as made:
        files = [Path(made, name) for name in ("out", "err")]
        order = [module, list(arguments), [str(p) for p in path], str(folder), *map(str, files)]
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(order) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        out, err = (file.read_text("utf-8") for file in files)
    return subprocess.CompletedProcess([module, *arguments], status, out, err)


@cache
def _server() -> subprocess.Popen[str]:
    """One for each process that runs tests; it ends with its standard input."""
    command = [sys.executable, "-P", __file__]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())
    atexit.register(server.communicate)
    return server


def environment() -> Mapping[str, str]:
    """The variables of this process, without those that would tell the command of this test run."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "INITAUDIT_"))}


def serve() -> None:
    """Carry out orders, one a line, until there are no more; answer each with its exit code."""
    for name in LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _carry_out(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _carry_out(module: str, arguments: list[str], path: list[str], folder: str, out: str, err: str) -> None:
    for descriptor, file in ((0, os.devnull), (1, out), (2, err)):
        flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(file, flags, 0o600), descriptor)
    code: Any = 1
    try:
        os.chdir(folder)
        sys.path[:0] = path
        os.environ["PYTHONPATH"] = os.pathsep.join(path)  # for the processes that the command starts
        sys.argv[1:] = arguments
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  as the interpreter does at its end
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
