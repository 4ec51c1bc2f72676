"""The network runs on the execution provider that the user names, and the report says on which."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

import initaudit
from initaudit.cli import run
from initaudit.config import DEFAULT_PROVIDER
from initaudit.errors import ProbeError, UsageError
from initaudit.format import FormatOptions, find_format
from initaudit.probe import session
from initaudit.settings.settings import load_config
from tests.networks import mlp, save

OTHERS = [name for name in onnxruntime.get_available_providers() if name != DEFAULT_PROVIDER]


@pytest.fixture
def other():
    """A provider that is installed beside the default."""
    if not OTHERS:
        pytest.skip("onnxruntime has no other provider here")
    return OTHERS[0]


@pytest.fixture
def network():
    """A small one."""
    return mlp([8, 8, 4])


def test_another_provider_is_told_in_every_report(other, network):
    """Kernels of another provider round differently: figures are not to be compared without knowing."""
    report = initaudit.audit(network, provider=other)

    assert report.audit.probe.status == "complete"
    assert report.entry()["probe"]["provider"] == other
    for name in ("text", "html"):
        assert other in find_format(name).render(report.to_dict(), FormatOptions())


def test_the_default_is_not_worth_a_word_in_text(network):
    """Text says what is out of the ordinary."""
    report = initaudit.audit(network)

    assert report.entry()["probe"]["provider"] == DEFAULT_PROVIDER
    assert DEFAULT_PROVIDER not in find_format("text").render(report.to_dict(), FormatOptions())


def test_a_provider_that_is_not_installed_is_a_usage_error(tmp_path: Path, network, capfd: pytest.CaptureFixture[str]):
    """One line names those that are."""
    code = run(["check", "--isolated", "--provider", "NoSuchExecutionProvider", save(network, tmp_path / "m.onnx")])

    assert code == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert all(name in error for name in ("NoSuchExecutionProvider", DEFAULT_PROVIDER, *OTHERS))


def test_the_configuration_names_it(tmp_path: Path, other):
    """In the file as on the command line."""
    (tmp_path / "initaudit.toml").write_text(f'provider = "{other}"\n')

    assert load_config(tmp_path).provider == other
    (tmp_path / "initaudit.toml").write_text('provider = "NoSuchExecutionProvider"\n')
    with pytest.raises(UsageError, match="is not installed; onnxruntime has"):
        load_config(tmp_path)


def test_a_provider_that_does_not_start_fails_the_probe(monkeypatch, network):
    """onnxruntime itself would go on with the CPU in silence."""
    open_quietly = onnxruntime.InferenceSession

    def on_cpu(raw, options, providers):
        return open_quietly(raw, options, providers=[DEFAULT_PROVIDER])

    monkeypatch.setattr(onnxruntime, "InferenceSession", on_cpu)
    token = session.provider.set("CUDAExecutionProvider")
    try:
        with pytest.raises(ProbeError, match="could not start CUDAExecutionProvider"):
            session.open_session(network, None)
    finally:
        session.provider.reset(token)
