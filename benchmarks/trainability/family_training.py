"""Training of one network under several optimisers and rates at once (torch; development only).

The small networks spend their time in the calls of operators, not in arithmetic; so the runs, which see the same batches, are
stacked: every operator works on all runs that still go on. The result is that of training them one after the other.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from label import MOMENTUM, STEPS
from torch import Tensor, nn
from torch.func import functional_call, replace_all_batch_norm_modules_, vmap
from torch.nn.functional import cross_entropy, mse_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEARNT, PLATEAU, PLATEAU_R2 = 0.955, 0.16, 0.02
"""Running accuracy at which a run stops; accuracy and R2 below which, at PLATEAU_STEP, it stops as hopeless."""
PLATEAU_STEP, FIRST_STOP = 100, 30
WINDOW = 320
"""Examples in the running mean: ten batches of 32."""
DECAY, SQUARE_DECAY, EPSILON = 0.9, 0.999, 1e-8
"""Of Adam, the defaults of every framework."""


@dataclass(frozen=True, slots=True)
class Task:
    """Inputs [1797, *shape], targets (classes, or numbers [1797, *shape of an answer]) and the size of a batch."""

    inputs: Tensor
    targets: Tensor
    batch: int

    @property
    def classifies(self) -> bool:
        """Whether the targets are classes."""
        return not self.targets.is_floating_point()

    def losses(self, answers: Tensor, rows: Tensor | slice) -> Tensor:
        """Cross entropy or mean square error of each run, for answers [runs, batch, *shape]."""
        targets = self.targets[rows].expand(len(answers), *self.targets[rows].shape)
        if self.classifies:
            each = cross_entropy(answers.flatten(0, 1), targets.flatten(0, 1), reduction="none")
        else:
            each = mse_loss(answers, targets, reduction="none")
        return each.reshape(len(answers), -1).mean(1)

    def metrics(self, answers: Tensor, rows: Tensor | slice) -> Tensor:
        """Accuracy, or R2 (at least -9), of each run."""
        if self.classifies:
            return (answers.argmax(2) == self.targets[rows]).float().mean(1)
        return (1 - self.losses(answers, rows) / self.targets.var(0).mean()).clamp(min=-9.0)


@dataclass(slots=True)
class Run:
    """One optimiser at one rate."""

    optimiser: str
    rate: float
    curve: list[float]
    metrics: list[float]
    final: float = 0.0
    end: str = ""

    def note(self, step: int, metric: float, task: Task) -> None:
        """Take down the metric of a batch, and whether the run stops with it."""
        window = round(WINDOW / task.batch)
        self.metrics.append(metric)
        last = self.metrics[-window:]
        self.curve.append(sum(last) / len(last))
        hopeless = PLATEAU if task.classifies else PLATEAU_R2
        if task.classifies and step >= FIRST_STOP and self.curve[-1] >= LEARNT:
            self.end = "learnt"
        elif step == PLATEAU_STEP and sum(self.metrics[-FIRST_STOP:]) / FIRST_STOP < hopeless:
            self.end = "plateau"
        elif step == STEPS:
            self.end = "steps"


def _answers(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """From parameters [runs, number] and inputs [batch, *shape] to answers [runs, batch, *shape]."""
    named = dict(network.named_parameters())
    sizes = [parameter.numel() for parameter in named.values()]

    def answer(parameters: Tensor, inputs: Tensor) -> Tensor:
        parts = zip(named.items(), parameters.split(sizes), strict=True)
        values = {name: part.view(parameter.shape) for (name, parameter), part in parts}
        for prefix, module in network.named_modules():
            if isinstance(module, nn.RNNBase):
                # Recurrent layers keep a list of their own, which functional_call does not replace.
                module._flat_weights = [values[f"{prefix}.{name}"] for name in module._flat_weights_names]  # noqa: SLF001
        return functional_call(network, values, (inputs,))  # type: ignore[no-any-return]

    if any(isinstance(module, nn.RNNBase) for module in network.modules()):
        # torch cannot stack its recurrent layers.
        return lambda parameters, inputs: torch.stack([answer(row, inputs) for row in parameters])
    return vmap(answer, in_dims=(0, None))  # type: ignore[no-any-return]


@dataclass(slots=True)
class Stack:
    """The runs that still go on: parameters and moments [runs, number]."""

    runs: list[Run]
    parameters: Tensor
    first: Tensor
    second: Tensor

    def keep(self, kept: list[bool]) -> None:
        """Drop the other runs."""
        if all(kept):
            return
        self.runs = [run for run, stays in zip(self.runs, kept, strict=True) if stays]
        rows = torch.tensor(kept)
        self.parameters, self.first, self.second = self.parameters[rows], self.first[rows], self.second[rows]

    def move(self, gradient: Tensor, step: int) -> None:
        """One step of SGD with momentum, or of Adam."""
        adam = torch.tensor([[run.optimiser == "adam"] for run in self.runs])
        rate = torch.tensor([[run.rate] for run in self.runs])
        self.first = torch.where(adam, DECAY * self.first + (1 - DECAY) * gradient, MOMENTUM * self.first + gradient)
        self.second = SQUARE_DECAY * self.second + (1 - SQUARE_DECAY) * gradient.square()
        spread = (self.second / (1 - SQUARE_DECAY**step)).sqrt() + EPSILON
        self.parameters -= rate * torch.where(adam, self.first / (1 - DECAY**step) / spread, self.first)


def train(network: nn.Module, task: Task, optimisers: Sequence[tuple[str, float]]) -> dict[str, dict[str, Any]]:
    """Train copies of `network`: per run its `final` metric (0 where it diverged), its `end` and its `curve`, one per step."""
    network = replace_all_batch_norm_modules_(copy.deepcopy(network).train())
    batches = torch.Generator().manual_seed(1)
    start = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    parameters = start.repeat(len(optimisers), 1)
    runs = [Run(optimiser, rate, [], []) for optimiser, rate in optimisers]
    stack = Stack(list(runs), parameters, torch.zeros_like(parameters), torch.zeros_like(parameters))
    answers_of = _answers(network)
    for step in range(1, STEPS + 1):
        rows = torch.randint(len(task.inputs), (task.batch,), generator=batches)
        stack.parameters.requires_grad_(True)
        answers = answers_of(stack.parameters, task.inputs[rows])
        losses = task.losses(answers, rows)
        (gradient,) = torch.autograd.grad(losses.sum(), stack.parameters)
        stack.parameters = stack.parameters.detach()
        finite = losses.isfinite().tolist()
        for run, metric, fine in zip(stack.runs, task.metrics(answers.detach(), rows).tolist(), finite, strict=True):
            if fine:
                run.note(step, metric, task)
            else:
                run.end = "diverged"
        stack.keep(finite)
        if not stack.runs:
            break
        stack.move(gradient[torch.tensor(finite)], step)
        with torch.no_grad():
            for run, row in zip(stack.runs, stack.parameters, strict=True):
                if run.end:
                    # BatchNorm goes by its batch here too: after so few steps its running averages would lag behind.
                    answers = answers_of(row[None], task.inputs)
                    run.final = max(0.0, float(task.metrics(answers, slice(None)))) if answers.isfinite().all() else 0.0
        stack.keep([not run.end for run in stack.runs])
        if not stack.runs:
            break
    return {
        f"{run.optimiser}_{run.rate:g}": {"final": round(run.final, 4), "end": run.end, "curve": run.curve}
        for run in runs
    }
