"""Rule: the interface of every check. One rule is one small file in `rules/`; its docstring is its documentation."""

from __future__ import annotations

import abc
import copy
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from initaudit.errors import UsageError, similar
from initaudit.findings import Confidence, Finding, Remedy, Severity, selects
from initaudit.home import rule_page
from initaudit.kind import Kind
from initaudit.model.parameter_names import module_of
from initaudit.options import is_in
from initaudit.registry import discover, tell

if TYPE_CHECKING:
    from initaudit.config import Config
    from initaudit.judgement.model_audit import ModelAudit
    from initaudit.measuring.layer_audit import LayerAudit
    from initaudit.per_rule import Limit

OWN_PREFIX = "INI"
"""How the codes of initaudit's own rules begin."""
DOC_SECTIONS = ("Why", "Harmless when", "Fix", "References")
"""What every rule's docstring has after its first line."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number from which on a rule finds something, and that a project may set (`--threshold INI101.ratio=0.2`)."""

    name: str
    """Words joined by hyphens."""
    value: float
    """Where the project says nothing."""
    meaning: str
    """What is measured, and on which side of the number it is found; no sentence."""


class Rule(abc.ABC):
    """One check. Override `check_layer` (called for each layer) or `check` (called once for the model)."""

    code: ClassVar[str]
    """Three capital letters and three digits, unique and stable; INI is initaudit's own."""
    name: ClassVar[str]
    """Words joined by hyphens, readable after "ignore"."""
    severity: ClassVar[Severity]
    """What a finding has unless the consequence says otherwise."""
    thresholds: ClassVar[tuple[Threshold, ...]] = ()
    """Those that a project may set."""
    by_consequence: ClassVar[tuple[Severity, ...]] = ()
    """What a finding may have instead, where the consequence decides."""
    remedy: ClassVar[Remedy] = Remedy.NONE
    """What takes a finding away in a network that is still to be trained."""
    url: ClassVar[str] = ""
    """The page about the rule; initaudit's own rules have theirs on its site, and need not say it."""

    limits: Mapping[str, float] = MappingProxyType({})
    """What a project sets in the place of `thresholds`, by name."""

    def threshold(self, name: str) -> float:
        """The value in force of one of `thresholds`."""
        return self.limits.get(name, next(t.value for t in self.thresholds if t.name == name))

    def under(self, limits: Mapping[str, float]) -> Rule:
        """The rule with these values, by name, in the place of its thresholds."""
        if not limits:
            return self
        rule = copy.copy(self)
        rule.limits = limits
        return rule

    def findings(self, audit: ModelAudit, limits: Sequence[Limit] = ()) -> list[Finding]:
        """What the rule finds, in each layer under the thresholds that a project sets there."""
        mine = [limit for limit in limits if limit.rule.lower() in (self.code.lower(), self.name)]
        everywhere = {limit.name: limit.value for limit in mine if limit.layer == "*"}
        found = list(self.under(everywhere).check(audit))
        for layer in dict.fromkeys(limit.layer for limit in mine if limit.layer != "*"):
            here = everywhere | {limit.name: limit.value for limit in mine if limit.layer == layer}
            found = [f for f in found if not is_in(f, layer)]
            found += [f for f in self.under(here).check(audit) if is_in(f, layer)]
        return found

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
        has no start of its own: a target, that of tables, or the ones of a norm.
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
            url=cls.page(),
            subject=layer.title if layer else (initializer or ""),
            lasting_name=layer.lasting_name if layer else _lasting(initializer),
        )

    @classmethod
    def _remedy_for(cls, subject: LayerAudit | None) -> Remedy:
        if cls.remedy is not Remedy.DRAW_LAYER:
            return cls.remedy
        drawable = subject is not None and (
            subject.target is not None or subject.layer.kind in (Kind.EMBEDDING, Kind.NORM)
        )
        if subject is None or not (drawable or subject.trained):
            return Remedy.CHECK
        return Remedy.RESTORE_LAYER if subject.trained else Remedy.DRAW_LAYER

    @classmethod
    def severities(cls) -> tuple[Severity, ...]:
        """All that a finding may have, the worst first."""
        return tuple(sorted({cls.severity, *cls.by_consequence}, key=lambda severity: -severity.rank))

    @classmethod
    def page(cls) -> str:
        """Address of the page about the rule; empty where a rule of another package names none."""
        return cls.url or (rule_page(cls.code) if cls.__module__.startswith("initaudit.") else "")

    @classmethod
    def documentation(cls) -> dict[str, str]:
        """The docstring in sections: `summary`, its first paragraph; `Details`, where there are any; each of DOC_SECTIONS."""
        text = inspect.getdoc(cls) or ""
        pattern = rf"^({'|'.join(DOC_SECTIONS)}):"
        pieces = re.split(pattern, text, flags=re.MULTILINE)
        summary, _, details = pieces[0].partition("\n\n")
        sections = {"summary": " ".join(summary.split())}
        if details.strip():
            sections["Details"] = " ".join(details.split())
        for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
            sections[title] = " ".join(body.split())
        return sections


def _lasting(initializer: str | None) -> str:
    """What a tensor that belongs to no layer is called in the next export as well."""
    return "" if initializer is None else module_of(initializer) or "unnamed"


@cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, built in and from entry points, in the order of their codes; without those that `registry.faults` tells of."""
    rules: dict[str, Rule] = {}
    for kind in discover("initaudit.rules", Rule):
        rule = _made(kind)
        if rule is None:
            continue
        if rule.code in rules:
            tell(f"two rules have the code {rule.code}: {type(rules[rule.code]).__name__} and {kind.__name__}")
        else:
            rules[rule.code] = rule
    return tuple(rules[code] for code in sorted(rules))


def _made(kind: type[Rule]) -> Rule | None:
    """An instance; None where the class lacks what every rule has, or cannot be made."""
    home = f"{kind.__module__}.{kind.__name__}"
    missing = [name for name in ("code", "name", "severity") if not hasattr(kind, name)]
    if missing:
        tell(f"rule {home} has no {missing[0]}")
        return None
    try:
        return kind()
    except Exception as error:  # noqa: BLE001  rules of other packages raise whatever they raise
        tell(f"rule {home} cannot be made: {error}")
        return None


def find_rule(word: str) -> Rule | None:
    """The rule with this code or name (upper or lower case), or None."""
    for rule in all_rules():
        if word.lower() in (rule.code.lower(), rule.name):
            return rule
    return None


def nearest(word: str) -> str:
    """`; did you mean INI4?` where the code, the beginning of it or the name of a rule is nearly `word`."""
    words = {w: None for rule in all_rules() for w in (rule.code[:4], rule.code, rule.name)}
    return similar(word, words)


def check_selectors(config: Config) -> None:
    """Raises UsageError where `select` or `ignore` means a rule that there is not: a gate must not open by a typing error."""
    check_words("select", config.select)
    check_words("ignore", [ignore.rule for ignore in config.ignore])
    for ignore in config.ignore:
        if OWN_PREFIX.startswith(ignore.rule.upper()):
            raise UsageError(f"ignore: {ignore.rule!r} means every rule; write ALL where that is meant")
    check_words("severity", [level.rule for level in config.severity])
    for limit in config.threshold:
        rule = find_rule(limit.rule)
        if rule is None:
            raise UsageError(
                f"threshold: no rule is called {limit.rule!r}{nearest(limit.rule) or '; see `initaudit rules`'}"
            )
        known = [threshold.name for threshold in rule.thresholds]
        if limit.name not in known:
            has = f"it has {', '.join(known)}" if known else "it has none that can be set"
            raise UsageError(f"threshold: {rule.code} has no {limit.name!r}{similar(limit.name, known)}; {has}")


def check_words(option: str, words: Iterable[str]) -> None:
    """Raises UsageError naming `option` and the word that means no rule."""
    for word in words:
        if word.upper() == "ALL":  # means whatever rules there are, which take their time to import
            continue
        if not any(selects(word, rule.code, rule.name) for rule in all_rules()):
            raise UsageError(f"{option}: no rule is called {word!r}{nearest(word) or '; see `initaudit rules`'}")
