"""Modules are audited and fixed as they are."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import initaudit
import initaudit.torch as of_torch
from initaudit.errors import UnreadableModel, UsageError

STATIC = initaudit.Config(probe="none", context="fresh")


def test_without_torch_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module can be imported all the same."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnxscript", None)

    with pytest.raises(UsageError, match=r"initaudit\[torch\]"):
        of_torch.audit(None, None)  # type: ignore[arg-type]


@pytest.fixture
def torch() -> Any:
    """The package, with the exporter that it needs."""
    pytest.importorskip("onnxscript", reason="the extra torch is not installed")
    return pytest.importorskip("torch", reason="the extra torch is not installed")


pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter


def deep(torch: Any, std: float | None = None) -> Any:
    """A chain of linear layers and dropout, in training."""
    nn = torch.nn
    layers = [layer for _ in range(8) for layer in (nn.Linear(32, 32), nn.ReLU())]
    module = nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(32, 4))
    if std is not None:
        for layer in layers[::2]:
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)
    return module


def test_a_module_that_cannot_learn_is_fixed_in_place(torch: Any) -> None:
    """The parameters are the same objects with other values; the report is that of the module as it is then."""
    torch.manual_seed(0)
    module = deep(torch, 0.01)
    parameters = dict(module.named_parameters())

    before = of_torch.audit(module, torch.randn(4, 32))
    result = of_torch.fix_(module, torch.randn(4, 32))

    assert before.verdict.status == "fail"
    assert result.after is not None
    assert result.after.verdict.status != "fail"
    assert result.after.path == before.path == "Sequential"
    assert result.written == ()
    assert dict(module.named_parameters()) == parameters
    assert module[0].weight.std().item() > 0.1
    assert of_torch.audit(module, torch.randn(4, 32)).verdict.status != "fail"


def test_why_a_module_cannot_be_exported_is_told_in_one_line(torch: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """By its name, with what the exporter failed at instead of its advice; its traceback is kept away."""

    class Branching(torch.nn.Linear):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return super().forward(x) if x.sum() > 0 else x

    module = Branching(4, 4)
    with pytest.raises(
        UnreadableModel, match=r"^Branching: torch.onnx.export cannot export it: [^\n\x1b]*data-dependent"
    ):
        of_torch.audit(module, torch.randn(2, 4), config=STATIC)
    assert "Traceback" not in capfd.readouterr().err
    with pytest.raises(UsageError, match=r"a torch\.nn\.Module is wanted, not a str"):
        of_torch.audit("net", torch.randn(2, 4))  # type: ignore[arg-type]


def test_the_module_is_left_in_its_mode(torch: Any) -> None:
    """Part by part."""
    module = deep(torch)
    module.train()
    module[2].eval()

    of_torch.audit(module, torch.randn(4, 32), config=STATIC)

    assert [part.training for part in module] == [i != 2 for i in range(len(module))]


def test_a_dry_run_changes_nothing(torch: Any) -> None:
    """And says what would be changed."""
    module = deep(torch, 0.01)
    before = {name: values.clone() for name, values in module.state_dict().items()}

    result = of_torch.fix_(module, torch.randn(4, 32), config=STATIC, every=True, dry_run=True)

    assert result.changes
    assert all(torch.equal(before[name], values) for name, values in module.state_dict().items())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_parameters_keep_their_type(torch: Any, dtype: str) -> None:
    """Values are rounded once."""
    module = deep(torch, 0.01).to(getattr(torch, dtype))

    of_torch.fix_(module, torch.randn(4, 32, dtype=getattr(torch, dtype)), config=STATIC, every=True)

    assert module[0].weight.dtype is getattr(torch, dtype)
    assert module[0].weight.std().item() > 0.1


def test_a_weight_that_two_modules_share_stays_shared(torch: Any) -> None:
    """It is one parameter, before and after."""
    nn = torch.nn
    module = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))
    module[2].weight = module[0].weight
    nn.init.normal_(module[0].weight, std=1e-3)

    of_torch.fix_(module, torch.randn(4, 32), config=STATIC, every=True)

    assert module[2].weight is module[0].weight
    assert module[0].weight.std().item() > 0.1


def test_arguments_may_be_given_by_name(torch: Any) -> None:
    """As `forward` calls them."""

    class Named(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = torch.nn.Linear(8, 3)

        def forward(self, one: Any, other: Any) -> Any:
            return self.fc(one) - self.fc(other)

    inputs = {"one": torch.randn(2, 8), "other": torch.randn(2, 8)}

    assert of_torch.audit(Named(), inputs, config=STATIC).audit is not None
    assert of_torch.audit(Named(), tuple(inputs.values()), config=STATIC).audit is not None


def test_a_module_that_cannot_be_exported_is_said_to_be_so(torch: Any) -> None:
    """With its class and the exporter's reason."""

    class Odd(torch.nn.Module):
        def forward(self, values: Any) -> Any:
            raise ValueError("never")

    with pytest.raises(UnreadableModel, match=r"Odd: torch\.onnx\.export"):
        of_torch.audit(Odd(), torch.randn(2, 3))
