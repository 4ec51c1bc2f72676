"""What PyTorch's exporters wrote comes back into the module, strictly: every parameter, under its name, in its layout."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import initaudit

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
pytest.importorskip("onnxscript", reason="the extra torch is not installed")
nn = torch.nn
pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporters


class Transformer(nn.Module):
    """Packed attention, norms that start alike, a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        self.position = nn.Parameter(torch.randn(1, 7, 32) * 0.02)
        self.layers = nn.ModuleList([nn.TransformerEncoderLayer(32, 4, 64, batch_first=True) for _ in range(2)])
        self.head = nn.Linear(32, 50, bias=False)

    def forward(self, tokens: Any) -> Any:
        hidden = self.embedding(tokens) + self.position
        for layer in self.layers:
            hidden = layer(hidden)
        return self.head(hidden)


class Recurrent(nn.Module):
    """Two layers both ways, a GRU, and a head for sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(12, 16, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(32, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, values: Any) -> Any:
        return self.head(self.gru(self.lstm(values)[0])[0])


def convolutions() -> Any:
    """Groups, a transposed convolution, norms in groups and before a linear layer."""
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        nn.PReLU(8),
        nn.ConvTranspose2d(8, 6, 3, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.ReLU(),
        nn.BatchNorm1d(6),
        nn.Linear(6, 5),
    )


def perceptron() -> Any:
    """For sequences, so that the exporters transpose its matrices."""
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 32), nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 4))


NETWORKS = {
    "transformer": (Transformer, lambda: torch.randint(0, 50, (2, 7))),
    "recurrent": (Recurrent, lambda: torch.randn(2, 5, 12)),
    "convolutions": (convolutions, lambda: torch.randn(2, 4, 12, 12)),
    "perceptron": (perceptron, lambda: torch.randn(3, 6, 20)),
}


def export(module: Any, inputs: Any, path: Path, *, dynamo: bool) -> None:
    """With the newer exporter, or with the older one."""
    module.eval()
    if dynamo:
        torch.onnx.export(module, (inputs,), path, dynamo=True, external_data=False, verbose=False)
    else:
        written = io.BytesIO()
        torch.onnx.export(module, (inputs,), written, dynamo=False)
        path.write_bytes(written.getvalue())


@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_load_strictly_and_compute_the_same(name: str, tmp_path: Path, *, dynamo: bool) -> None:
    """Of a network that is fixed: another instance with these weights gives the outputs of the fixed file."""
    import onnxruntime

    torch.manual_seed(0)
    make, draw = NETWORKS[name]
    inputs = draw()
    export(make(), inputs, tmp_path / "m.onnx", dynamo=dynamo)

    result = initaudit.fix(
        tmp_path / "m.onnx",
        tmp_path / "o.onnx",
        config=initaudit.Config(probe="none", context="fresh"),
        every=True,
        export_weights=tmp_path / "w.npz",
    )
    weights = {key: torch.from_numpy(values) for key, values in np.load(tmp_path / "w.npz").items()}
    torch.manual_seed(1)
    other = make().eval()
    other.load_state_dict(weights, strict=True)

    assert result.changes
    assert result.exported is not None
    assert result.exported.missing == ()
    session = onnxruntime.InferenceSession(tmp_path / "o.onnx")
    expected = session.run(None, {session.get_inputs()[0].name: inputs.numpy()})[0]
    with torch.no_grad():
        assert np.allclose(other(inputs).numpy(), expected, rtol=1e-3, atol=1e-4)


def test_a_norm_that_was_folded_comes_back_as_one_that_does_nothing(tmp_path: Path) -> None:
    """The newer exporter tells its name; the module computes what the file does."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4)
    )
    with torch.no_grad():
        module[1].weight.uniform_(0.5, 2)
        module[1].bias.normal_()
        module[1].running_mean.normal_()
    inputs = torch.randn(2, 3, 8, 8)
    expected = module.eval()(inputs).detach()
    export(module, inputs, tmp_path / "m.onnx", dynamo=True)

    result = initaudit.fix(
        tmp_path / "m.onnx",
        tmp_path / "o.onnx",
        config=initaudit.Config(probe="none"),
        export_weights=tmp_path / "w.npz",
    )
    weights = {key: torch.from_numpy(values) for key, values in np.load(tmp_path / "w.npz").items()}
    module.load_state_dict(weights, strict=True)

    assert result.exported is not None
    assert any("folded" in note for note in result.exported.notes)
    assert torch.allclose(module(inputs), expected, rtol=1e-3, atol=1e-4)
