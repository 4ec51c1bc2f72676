"""The tables of a run, and the queries that the documentation shows on them."""

from __future__ import annotations

import re
import time
from pathlib import Path

import duckdb
import pytest
from pyarrow import parquet

from initaudit.cli import run
from initaudit.fleet import export as exporting
from initaudit.fleet.export import TABLES, export
from initaudit.fleet.reading import Reading
from initaudit.fleet.store import Store
from tests.fleet import zoo
from tests.fleet.stubs import kept, lost, row, with_result, write_run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fleet.md"
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
FIRST, SECOND = "2026-03-08T09:00:00Z", "2026-03-09T09:00:00Z"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two runs: a model with a result, and in the second one also a model that came to nothing."""
    store = Store(tmp_path_factory.mktemp("store"))
    findings = with_result(store)
    write_run(store, FIRST, [row("zoo/a.onnx", *findings)])
    write_run(store, SECOND, [row("zoo/a.onnx", *findings), row("zoo/b.onnx", *findings), lost("zoo/c.onnx")])
    return store


@pytest.fixture(scope="module")
def tables(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the queries are asked in, with an export of each run."""
    folder = tmp_path_factory.mktemp("tables")
    for name in (FIRST, SECOND):
        export(Reading(store, store.run(name)), folder / "exports" / name)
    return folder


def test_every_model_layer_and_finding_has_a_row(store: Store, tables: Path):
    """With the types that are documented; a model without a report has its reason and no layers."""
    read = {name: parquet.read_table(tables / "exports" / SECOND / f"{name}.parquet") for name in TABLES}
    layers, findings = len(kept()["facts"]["layers"]), len(kept()["found"])

    assert {name: table.num_rows for name, table in read.items()} == {
        "models": 3,
        "layers": 2 * layers,
        "findings": 2 * findings,
    }
    assert {name: table.column_names for name, table in read.items()} == {n: list(c) for n, c in TABLES.items()}
    models = {line["path"]: line for line in read["models"].to_pylist()}
    assert models["zoo/c.onnx"]["verdict"] == "error"
    assert models["zoo/c.onnx"]["ended"] == "timeout"
    assert models["zoo/a.onnx"]["errors"] == sum(
        f["severity"] == "error" for f in read["findings"].to_pylist()[:findings]
    )
    assert read["layers"].to_pylist()[0]["shape"] == [16, 16]


def test_a_small_batch_writes_the_same(store: Store, tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The memory that rows may take changes nothing of what is written."""
    monkeypatch.setattr(exporting, "BATCH", 2)
    export(Reading(store, store.run(SECOND)), tmp_path)

    for name in TABLES:
        whole = parquet.ParquetFile(tables / "exports" / SECOND / f"{name}.parquet")
        pieces = parquet.ParquetFile(tmp_path / f"{name}.parquet")
        assert pieces.num_row_groups > whole.num_row_groups
        assert pieces.read().equals(whole.read())


@pytest.mark.parametrize("query", QUERIES, ids=[query.splitlines()[0].strip("- ") for query in QUERIES])
def test_the_documented_queries_find_something(tables: Path, monkeypatch: pytest.MonkeyPatch, query: str):
    """As they stand in the page, on the export of a run with a fault in it."""
    monkeypatch.chdir(tables)

    assert duckdb.sql(query).fetchall()


def test_queries_on_ten_thousand_models_are_answered_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All of them together within 5 s of CPU time."""
    large = Store(tmp_path / "store")
    record = write_run(large, FIRST, zoo.rows(2))
    entry = Reading(store, store.run(FIRST)).entry(row("zoo/a.onnx"))
    small = {**entry, "layers": entry["layers"][:1], "findings": entry["findings"][:2]}
    monkeypatch.setattr(Reading, "entry", lambda *_: small)  # reading results is not what is measured
    assert export(Reading(large, record), tmp_path / "exports" / "1")["models"] == zoo.COUNT
    monkeypatch.chdir(tmp_path)
    start = time.process_time()

    answers = [duckdb.sql(query).fetchall() for query in QUERIES]

    assert time.process_time() - start < 5
    assert sum(count for _, _, count, *_ in answers[1]) == zoo.COUNT


def test_an_export_says_what_it_wrote(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """On stderr; a filter of today leaves findings in the table, with the reason why they do not count."""
    assert run(["fleet", "export", store.address, "--ignore", "ALL=known", "-o", str(tmp_path / "new" / "folder")]) == 0
    err = capsys.readouterr().err
    findings = parquet.read_table(tmp_path / "new" / "folder" / "findings.parquet").to_pylist()

    assert re.fullmatch(rf"wrote \S+: 3 models, 6 layers, \d+ findings of run {SECOND}\n", err)
    assert {finding["suppressed"] for finding in findings} == {"known"}


def test_nothing_is_half_written(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """A result that is gone is one line, exit code 2, and leaves no file."""
    write_run(store, "2026-03-10T09:00:00Z", [row("zoo/a.onnx"), row("zoo/gone.onnx", key="gone")])

    assert run(["fleet", "export", store.address, "-o", str(tmp_path)]) == 2
    assert "zoo/gone.onnx: its result is not in the store any more, or damaged; run again" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
