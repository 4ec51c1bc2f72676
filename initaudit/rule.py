"""Rule: the interface of every check. One rule is one small file in `rules/`; its docstring is its documentation."""

from __future__ import annotations

import abc
import inspect
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from initaudit.errors import UsageError
from initaudit.findings import Confidence, Finding, Remedy, Severity
from initaudit.kind import Kind
from initaudit.registry import discover

if TYPE_CHECKING:
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit

DOC_SECTIONS = ("Why", "Harmless when", "Fix", "References")
"""What every rule's docstring has after its first line."""


class Rule(abc.ABC):
    """One check. Override `check_layer` (called for each layer) or `check` (called once for the model)."""

    code: ClassVar[str]
    """Three capital letters and three digits, unique and stable; INI is initaudit's own."""
    name: ClassVar[str]
    """Words joined by hyphens, readable after "ignore"."""
    severity: ClassVar[Severity]
    """What a finding has unless the consequence says otherwise."""
    remedy: ClassVar[Remedy] = Remedy.NONE
    """What takes a finding away in a network that is still to be trained."""

    def check(self, audit: ModelAudit) -> Iterator[Finding]:
        """Findings about the model; by default those of each layer."""
        for layer in audit.layers:
            yield from self.check_layer(layer, audit)

    def check_layer(self, layer: LayerAudit, audit: ModelAudit) -> Iterator[Finding]:
        """Findings about one layer."""
        del layer, audit
        return iter(())

    @classmethod
    def finding(  # noqa: PLR0913  the fields of a Finding, as keywords
        cls,
        subject: LayerAudit | None,
        message: str,
        *,
        measured: float | None = None,
        expected: float | None = None,
        suggestion: str = "",
        severity: Severity | None = None,
        remedy: Remedy | None = None,
        confidence: Confidence = Confidence.HIGH,
        initializer: str | None = None,
        **more: float | None,
    ) -> Finding:
        """A finding of this rule about `subject`, or about the model where it is None.

        Severity and remedy are those of the rule unless they are given. A layer is not drawn anew where it was trained, nor where it
        has no target to be drawn from.
        """
        layer = subject.layer if subject else None
        if layer is not None and initializer is None and layer.weight.tensors:
            initializer = layer.weight.tensors[0].name
        return Finding(
            code=cls.code,
            name=cls.name,
            severity=severity or cls.severity,
            confidence=confidence,
            layer=layer.name if layer else None,
            initializer=initializer,
            message=" ".join(message.split()),
            evidence={"measured": measured, "expected": expected, **more},
            suggestion=suggestion,
            remedy=remedy or cls._remedy_for(subject),
            subject=layer.title if layer else (initializer or ""),
        )

    @classmethod
    def _remedy_for(cls, subject: LayerAudit | None) -> Remedy:
        if cls.remedy is not Remedy.DRAW_LAYER:
            return cls.remedy
        drawable = subject is not None and (subject.target is not None or subject.layer.kind is Kind.EMBEDDING)
        if subject is None or not (drawable or subject.trained):
            return Remedy.CHECK
        return Remedy.RESTORE_LAYER if subject.trained else Remedy.DRAW_LAYER

    @classmethod
    def documentation(cls) -> dict[str, str]:
        """The docstring in sections: `summary` and each of DOC_SECTIONS."""
        text = inspect.getdoc(cls) or ""
        pattern = rf"^({'|'.join(DOC_SECTIONS)}):"
        pieces = re.split(pattern, text, flags=re.MULTILINE)
        sections = {"summary": " ".join(pieces[0].split())}
        for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
            sections[title] = " ".join(body.split())
        return sections


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, built in and from entry points, in the order of their codes."""
    rules = sorted((_checked(rule) for rule in discover("initaudit.rules", Rule)), key=lambda r: r.code)
    for first, second in pairwise(rules):
        if first.code == second.code:
            raise UsageError(
                f"two rules have the code {first.code}: {type(first).__name__} and {type(second).__name__}"
            )
    return tuple(rules)


def _checked(rule: type[Rule]) -> Rule:
    """An instance. Raises UsageError where the class lacks what every rule has, or cannot be made."""
    missing = [name for name in ("code", "name", "severity") if not hasattr(rule, name)]
    if missing:
        raise UsageError(f"rule {rule.__module__}.{rule.__name__} has no {missing[0]}")
    try:
        return rule()
    except Exception as error:
        raise UsageError(f"rule {rule.__module__}.{rule.__name__} cannot be made: {error}") from error


def find_rule(word: str) -> Rule | None:
    """The rule with this code or name (upper or lower case), or None."""
    for rule in all_rules():
        if word.lower() in (rule.code.lower(), rule.name):
            return rule
    return None
