"""A Dask scheduler and workers in processes of their own, that speak TLS, as the documentation says to start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

QUIET = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false", "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s"}
"""As the documentation advises."""


@dataclass
class External:
    """Gone at the end of the block."""

    folder: Path
    workers: int = 2
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """The scheduler, and the workers."""

    def __enter__(self) -> Self:
        from distributed.security import Security

        made = Security.temporary()
        for name in ("tls_ca_file", "tls_client_cert", "tls_client_key"):
            (self.folder / f"{name}.pem").write_text(getattr(made, name))
        self._start("scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", "0")
        for _ in range(self.workers):
            self._start("worker", "--nthreads", "1", "--no-nanny")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    @property
    def address(self) -> str:
        """Of the scheduler, as soon as it listens."""
        file = self.folder / "scheduler.json"
        ends = time.monotonic() + 30
        while not file.exists() or not file.read_bytes():
            assert time.monotonic() < ends
            time.sleep(0.02)
        address: str = json.loads(file.read_text())["address"]
        return address

    @property
    def options(self) -> dict[str, str]:
        """Of the engine."""
        names = {"tls_ca": "tls_ca_file", "tls_cert": "tls_client_cert", "tls_key": "tls_client_key"}
        return {"scheduler": self.address, **{name: str(self.folder / f"{file}.pem") for name, file in names.items()}}

    @property
    def words(self) -> list[str]:
        """The same on the command line."""
        return [word for name, value in self.options.items() for word in (f"--{name.replace('_', '-')}", value)]

    def _start(self, part: str, *arguments: str) -> None:
        files: Sequence[str] = ("ca-file tls_ca_file", "cert tls_client_cert", "key tls_client_key")
        tls = [word for file in files for word in (f"--tls-{file.split()[0]}", f"{file.split()[1]}.pem")]
        shared = ["--no-dashboard", "--scheduler-file", "scheduler.json", *tls]
        command = [sys.executable, "-m", "dask", part, *arguments, *shared]
        self.processes.append(
            subprocess.Popen(command, cwd=self.folder, env={**os.environ, **QUIET}, stderr=subprocess.DEVNULL)
        )
