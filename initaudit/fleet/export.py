"""Export: a run as tables for a database: models, their layers and findings, each a Parquet file, written in batches as results are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from initaudit.errors import UsageError
from initaudit.files import atomic_file
from initaudit.fleet.needs import needed

if TYPE_CHECKING:
    from initaudit.fleet.noting import Noted
    from initaudit.fleet.reading import Reading

Line: TypeAlias = Mapping[str, Any]

BATCH = 5000
"""Rows of a table that are held in memory, and of a group of its file: some MB. A judgement; DuckDB reads groups of any size."""

MODELS = {
    "run": "string", "started": "string", "path": "string", "ended": "string", "verdict": "string", "reason": "string", "context": "string",
    "trainability": "double", "slowness": "double", "errors": "int64", "warnings": "int64", "infos": "int64", "suppressed": "int64",
    "parameters": "int64", "audited": "int64", "layers": "int64", "bytes": "int64", "seconds": "double", "attempts": "int64",
    "exit_code": "int64", "producer": "string", "sha256": "string", "key": "string",
}  # fmt: skip
"""Columns of models.parquet and their types."""
LAYERS = {
    "run": "string", "path": "string", "position": "int64", "layer": "string", "title": "string", "op_type": "string", "kind": "string",
    "dtype": "string", "shape": "list<int64>", "parameters": "int64", "fan_in": "int64", "fan_out": "int64", "activation": "string",
    "normalized_by": "string", "mean": "double", "std": "double", "min": "double", "max": "double", "zeros": "double",
    "scheme": "string", "target_std": "double", "ratio": "double", "law": "string", "untrained": "bool",
    "variance": "double", "mean_square": "double", "similarity": "double", "saturated": "double", "dead": "double", "gradient_rms": "double",
}  # fmt: skip
"""Columns of layers.parquet."""
FINDINGS = {
    "run": "string", "path": "string", "code": "string", "name": "string", "severity": "string", "confidence": "string",
    "layer": "string", "initializer": "string", "message": "string", "suggestion": "string", "remedy": "string",
    "measured": "double", "expected": "double", "fingerprint": "string", "suppressed": "string",
}  # fmt: skip
"""Columns of findings.parquet."""
TABLES = {"models": MODELS, "layers": LAYERS, "findings": FINDINGS}


def export(reading: Reading, folder: Path) -> dict[str, int]:
    """Write `models.parquet`, `layers.parquet` and `findings.parquet`, and give their numbers of rows.

    Memory is that of one result and of a batch of each table, whatever the size of the run. All three files appear, or none.

    Raises:
        UsageError: pyarrow is not installed, a result is not in the store any more, or a file cannot be written.
    """
    needed("pyarrow.parquet", "an export")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror or error}") from error
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(_table(folder / f"{name}.parquet", columns)) for name, columns in TABLES.items()
        }
        for model in reading.noted():
            entry = reading.entry(model.row) if model.row.has_report else None
            of = {"run": reading.record.id, "path": model.path}
            tables["models"].add({**of, "started": reading.record.started, **_model(model, entry)})
            for position, layer in enumerate(entry["layers"] if entry is not None else ()):
                tables["layers"].add({**of, "position": position, **_layer(layer)})
            for finding in entry["findings"] if entry is not None else ():
                tables["findings"].add({**of, **_finding(finding)})
        return {name: table.close() for name, table in tables.items()}


@dataclass(slots=True)
class _Table:
    """Rows on their way into a file."""

    write: Callable[[list[Line]], None]
    waiting: list[Line] = field(default_factory=list)
    count: int = 0

    def add(self, line: Line) -> None:
        self.waiting.append(line)
        if len(self.waiting) >= BATCH:
            self._flush()

    def close(self) -> int:
        """Write the last ones; how many there are in all."""
        self._flush()
        return self.count

    def _flush(self) -> None:
        if self.waiting:
            self.write(self.waiting)
            self.count += len(self.waiting)
            self.waiting.clear()


def _as_text(line: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names of files need not be text; what is none is written out, as reports show it."""
    for name, value in line.items():
        yield name, value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


@contextmanager
def _table(path: Path, columns: Mapping[str, str]) -> Iterator[_Table]:
    import pyarrow as pa
    from pyarrow import parquet

    types = {"list<int64>": pa.list_(pa.int64())}
    schema = pa.schema([(name, types.get(kind) or pa.type_for_alias(kind)) for name, kind in columns.items()])
    with atomic_file(path) as stream, parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        yield _Table(
            lambda lines: writer.write_batch(
                pa.RecordBatch.from_pylist([dict(_as_text(line)) for line in lines], schema=schema)
            )
        )


def _model(model: Noted, entry: Line | None) -> dict[str, Any]:
    row, counts = model.row, model.counts
    said = entry["model"] if entry is not None else {}
    return {
        "ended": row.status,
        "verdict": model.status,
        "reason": model.reason if entry is None else entry["verdict"]["reason"],
        "context": row.context,
        "trainability": row.trainability,
        "slowness": None if entry is None else entry["verdict"]["slowness"],
        "errors": counts["error"],
        "warnings": counts["warning"],
        "infos": counts["info"],
        "suppressed": len(model.findings) - len(model.active),
        "parameters": row.parameters,
        "audited": row.audited,
        "layers": row.layers,
        "bytes": row.bytes,
        "seconds": row.seconds,
        "attempts": row.attempts,
        "exit_code": model.exit_code,
        "producer": said.get("producer"),
        "sha256": said.get("sha256"),
        "key": row.key,
    }


def _layer(layer: Line) -> dict[str, Any]:
    stats, target, origin, signal = (layer[part] or {} for part in ("stats", "target", "provenance", "signal"))
    return {
        "layer": layer["name"],
        "title": layer["title"],
        "dtype": layer["weight"]["dtype"],
        "shape": layer["weight"]["shape"],
        **{
            key: layer[key]
            for key in ("op_type", "kind", "parameters", "fan_in", "fan_out", "activation", "normalized_by")
        },
        **{key: stats.get(key) for key in ("mean", "std", "min", "max", "zeros")},
        "scheme": target.get("scheme"),
        "target_std": target.get("std"),
        "ratio": target.get("ratio"),
        "law": origin.get("law"),
        "untrained": origin.get("untrained"),
        **{
            key: signal.get(key)
            for key in ("variance", "mean_square", "similarity", "saturated", "dead", "gradient_rms")
        },
    }


def _finding(finding: Line) -> dict[str, Any]:
    evidence = finding["evidence"]
    told = (
        "code",
        "name",
        "severity",
        "confidence",
        "layer",
        "initializer",
        "message",
        "suggestion",
        "remedy",
        "fingerprint",
        "suppressed",
    )
    return {
        **{key: finding[key] for key in told},
        "measured": evidence.get("measured"),
        "expected": evidence.get("expected"),
    }
