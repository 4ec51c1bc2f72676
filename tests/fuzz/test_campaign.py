"""The fuzzer itself: it sees faults, outlives what dies in its process, makes files small, and goes on where it stopped."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.fuzz.campaign import Log, keep, run, table
from tests.fuzz.case import Case, make_case
from tests.fuzz.minimise import smallest
from tests.fuzz.mutation.mutate import KINDS, parsed
from tests.fuzz.outcome import FaultError, check_rendered
from tests.fuzz.seeds import networks
from tests.fuzz.worker import Ended, Worker

SOUND = Case(raw=networks()["mlp"].SerializeToString())


def test_a_case_over_its_time_is_ended_at_its_place_and_the_next_one_runs():
    """The limit is of the processor; where it struck is told by a line of the project."""
    with Worker(seconds=0.02) as worker:
        ended = worker.run(Case(raw=networks()["attention"].SerializeToString(), fix=True))
        worker.seconds = 20.0

        assert ended.what.startswith("!time, in ")
        assert worker.run(SOUND).what == "pass"


def test_a_process_that_is_killed_is_replaced():
    """As the kernel does it when memory runs out."""
    with Worker() as worker:
        worker.run(SOUND)
        os.kill(worker.pid, signal.SIGKILL)

        assert worker.run(SOUND).what == "!died of SIGKILL"
        assert worker.run(SOUND).what == "pass"
        assert worker.replaced == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("text", "a\x1b[2Jb"),
        ("markdown", "a \u202e b"),
        ("csv", "a\n ::error::b"),
        ("github", "::error::a ##[b]"),
        ("json", '{"a": '),
        ("junit", "<testsuites>"),
    ],
)
def test_a_format_that_is_not_well_formed_is_a_fault(name: str, text: str):
    """Hidden characters, orders to a CI system, broken JSON and XML."""
    with pytest.raises((FaultError, ValueError, SyntaxError)):
        check_rendered(name, text)


def test_a_file_is_made_as_small_as_its_fault_allows():
    """Of a network with ten operators only the one that matters is left, without inputs, names and weights."""
    raw = networks()["attention"].SerializeToString()

    def has_softmax(tried: bytes) -> bool:
        model = parsed(tried)
        return model is not None and any(node.op_type == "Softmax" for node in model.graph.node)

    small = smallest(raw, has_softmax)

    assert [node.op_type for node in parsed(small).graph.node] == ["Softmax"]
    assert len(small) < 20


def test_a_campaign_goes_on_where_it_stopped(tmp_path: Path):
    """Cases that are in the log are not run again; the table counts all of them."""
    path = tmp_path / "log"

    run(range(0, 6, 2), 0, Log(path), tmp_path, jobs=1, until=float("inf"))
    first = path.read_text()
    run(range(0, 10, 2), 0, Log(path), tmp_path, jobs=2, until=float("inf"))

    log = Log(path)
    assert path.read_text().startswith(first)
    assert sorted(entry["number"] for entry in log.entries) == [0, 2, 4, 6, 8]
    assert "5 cases" in table(log)


def test_a_fault_is_kept_with_the_command_that_shows_it_again(tmp_path: Path):
    """Its file is the smallest that ends in the same way; here any ends so."""
    ended = Ended(what="!a fault: at x.py", seconds=0.0, memory=0, origin="o", kinds="k")

    keep(3, 0, ended, tmp_path, Mock(run=Mock(return_value=ended)))

    assert (tmp_path / "a-fault--at-x-py.onnx").read_bytes() == b""
    assert "--seed 0 --case 3" in (tmp_path / "a-fault--at-x-py.txt").read_text()


def test_every_kind_of_mutation_is_made_and_most_models_can_still_be_read():
    """A mutation that fails falls back to bytes; of files that are no message any more nothing is learned."""
    cases = [make_case(number, 3) for number in range(300)]

    kinds = {kind for case in cases for kind in case.kinds.split("+")}
    assert kinds == set(KINDS)
    assert sum(parsed(case.raw) is not None for case in cases) > 0.8 * len(cases)
