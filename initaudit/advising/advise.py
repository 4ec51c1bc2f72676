"""with_advice(): what to do about each finding, for three readers, as code that they can use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from initaudit.advising import keras, pytorch
from initaudit.advising.command import fix_command, ignore_command
from initaudit.advising.modules import Modules
from initaudit.advising.parameters import bias_of, weight_of
from initaudit.advising.start import Start, start_of
from initaudit.findings import Advice, Reader, Remedy, Severity, fix_acts_on
from initaudit.redrawing.twin import to_redraw

if TYPE_CHECKING:
    from initaudit.advising.parameters import Parameter
    from initaudit.findings import Finding
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

BIAS_OFF = ("INI301",)
"""Rules of which the bias alone is to blame."""
KERAS_PRODUCERS = ("tf2onnx", "keras", "tensorflow")
"""Beginnings of the names of what exports Keras models."""


def with_advice(findings: Iterable[Finding], audit: ModelAudit) -> tuple[Finding, ...]:
    """The findings, each that has a remedy with what to do about it; what a rule has advised itself stays."""
    adviser = Adviser(audit)
    return tuple(f if f.advice else replace(f, advice=adviser.advice(f)) for f in findings)


@dataclass(frozen=True)
class Adviser:
    """What is known of the model, for all of its findings."""

    audit: ModelAudit

    def advice(self, finding: Finding) -> tuple[Advice, ...]:
        """For the reader who has what made the file first, then for whoever has the file alone, then for others."""
        given = {a.reader: a for a in self._advice(finding)}
        order = dict.fromkeys((self.reader, Reader.ONNX, *Reader))
        return tuple(given[reader] for reader in order if reader in given)

    @cached_property
    def reader(self) -> Reader:
        """Who has what made the file, by its producer, or by the names of its tensors."""
        producer = str(self.audit.model.proto.producer_name).lower()
        if producer.startswith("pytorch"):
            return Reader.PYTORCH
        if producer.startswith(KERAS_PRODUCERS):
            return Reader.KERAS
        stored = [t.name for layer in self.audit.layers for t in layer.layer.weight.tensors[:1]]
        named = sum(name.endswith(".weight") for name in stored)
        return Reader.PYTORCH if 2 * named > len(stored) else Reader.ONNX

    def _advice(self, finding: Finding) -> Iterator[Advice]:
        layer = self._layer(finding)
        if not finding.suggestion:
            return  # a sound start: a zero head, the end of a branch
        if finding.remedy in (Remedy.DRAW_LAYER, Remedy.DRAW_NETWORK) and not self._new_weights_help:
            return
        if finding.remedy is Remedy.DRAW_LAYER and layer is not None:
            start = start_of(layer, bias_alone=finding.code in BIAS_OFF)
            if start is not None:
                yield from self._drawing([(layer, start)], fix=self._fix_layer(finding))
        elif finding.remedy is Remedy.DRAW_NETWORK:
            obstacle = self.audit.obstacle
            started = [] if obstacle is not None and obstacle.shaping_alone else self._network
            yield from self._drawing(started, fix=self._fix_network())
        elif finding.remedy in (Remedy.RESTORE_LAYER, Remedy.LOAD_VALUES):
            yield from self._loading(layer, finding.initializer)
        elif finding.remedy is Remedy.TRAIN_LAYER and layer is not None:
            yield from self._training(layer)
        may_be_meant = finding.severity is not Severity.INFO and self.audit.obstacle is None
        if may_be_meant and finding.remedy not in (Remedy.DRAW_LAYER, Remedy.DRAW_NETWORK, Remedy.NONE):
            line = ignore_command(self.audit.model.label, finding.code, finding.layer)
            if line is not None:
                yield Advice(reader=Reader.ONNX, text="Where it is meant, accept it with the reason:", code=line)

    @property
    def _new_weights_help(self) -> bool:
        return self.audit.obstacle is None or self.audit.obstacle.fix_helps

    def _layer(self, finding: Finding) -> LayerAudit | None:
        return self._by_name.get(finding.layer)

    @cached_property
    def _by_name(self) -> dict[str | None, LayerAudit]:
        return {a.layer.name: a for a in self.audit.layers}

    @cached_property
    def _modules(self) -> Modules:
        return Modules.of(a.layer for a in self.audit.layers)

    @cached_property
    def _network(self) -> list[tuple[LayerAudit, Start]]:
        """The layers that `initaudit fix` would draw anew for a fault of the network, as it would draw them."""
        chosen = to_redraw(self.audit.layers, centre=True)
        every = [(c.audit, c.centred_gain) for c in chosen] or [(a, None) for a in self.audit.layers if a.target]
        started = [(a, start_of(a, centred_gain=gain)) for a, gain in every]
        return [(a, start) for a, start in started if start is not None]

    def _fix_layer(self, finding: Finding) -> str | None:
        asked = fix_acts_on(finding.remedy, finding.severity)
        label = self.audit.model.label
        return fix_command(label, layer=finding.layer, select=None if asked else finding.code)

    def _fix_network(self) -> str | None:
        return fix_command(self.audit.model.label, every=not to_redraw(self.audit.layers, centre=True))

    def _drawing(self, each: Sequence[tuple[LayerAudit, Start]], *, fix: str | None) -> Iterator[Advice]:
        """Initialise the layers as they should be."""
        if fix is not None:
            what = "the layer" if len(each) == 1 else "the layers"
            yield Advice(reader=Reader.ONNX, text=f"Draw {what} anew in the file, and see what comes of it:", code=fix)
        calls = self._calls(each)
        if calls:
            known = all(call.parameter.path for call in calls)
            text = "Before training:" if known else "Before training, with `layer` for the module:"
            if known or len(each) == 1:
                yield Advice(reader=Reader.PYTORCH, text=text, code=pytorch.code(calls))
        code = keras.code(each, from_keras=self.reader is Reader.KERAS)
        if code:
            name = f" {keras.layer_name(each[0][0].layer)}" if self.reader is Reader.KERAS else ""
            text = f"Give the layer{name} this argument:" if len(each) == 1 else "Give the layers these arguments:"
            yield Advice(reader=Reader.KERAS, text=text, code=code)

    def _calls(self, each: Sequence[tuple[LayerAudit, Start]]) -> list[pytorch.Call] | None:
        found: list[pytorch.Call] = []
        for audit, start in each:
            calls = pytorch.calls(audit, start, self._modules, from_torch=self.reader is Reader.PYTORCH)
            if calls is None:
                return None
            found += calls
        return found

    def _loading(self, layer: LayerAudit | None, tensor: str | None) -> Iterator[Advice]:
        """Load the values again, and see which are missing."""
        biased = layer is not None and layer.layer.bias is not None and layer.layer.bias.name == tensor
        parameter = self._parameter(layer, bias_of if biased else weight_of)
        name = f"{parameter.path} is" if parameter is not None and parameter.path else "the layer's parameters are"
        yield Advice(
            reader=Reader.PYTORCH,
            text=f"Load the checkpoint again, and see whether {name} among the missing keys:",
            code='state = torch.load("checkpoint.pt", map_location="cpu", weights_only=True)\n'
            "print(model.load_state_dict(state, strict=False))",
        )
        known = layer is not None and self.reader is Reader.KERAS
        look = f'\nprint(model.get_layer("{keras.layer_name(layer.layer)}").get_weights())' if layer and known else ""
        yield Advice(
            reader=Reader.KERAS,
            text="Load the weights again, without `skip_mismatch`" + (", and look at the layer:" if look else ":"),
            code=f'model.load_weights("checkpoint.weights.h5"){look}',
        )

    def _training(self, layer: LayerAudit) -> Iterator[Advice]:
        """See that the layer can be trained."""
        weight = self._parameter(layer, weight_of)
        if weight is not None:
            place = weight.place.removesuffix(weight.rows)
            yield Advice(
                reader=Reader.PYTORCH,
                text="Both must be true:",
                code=f"print({place}.requires_grad)\n"
                f'print(any(p is {place} for group in optimizer.param_groups for p in group["params"]))',
            )
        name = f'model.get_layer("{keras.layer_name(layer.layer)}")' if self.reader is Reader.KERAS else "layer"
        yield Advice(reader=Reader.KERAS, text="It must be true:", code=f"print({name}.trainable)")

    def _parameter(self, layer: LayerAudit | None, of: Callable[..., Parameter | None]) -> Parameter | None:
        return None if layer is None else of(layer.layer, self._modules, from_torch=self.reader is Reader.PYTORCH)
