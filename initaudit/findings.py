"""Finding: one thing a rule has to say about a model, as data."""

from __future__ import annotations

import enum
import hashlib
import numbers
from dataclasses import dataclass, field


class Severity(enum.StrEnum):
    """How bad the consequence is, independent of how sure the rule is."""

    ERROR = "error"
    """The network cannot learn or computes wrong values."""
    WARNING = "warning"
    """Something an expert would want to know before going on."""
    INFO = "info"
    """Worth knowing; no action needed."""

    @property
    def rank(self) -> int:
        """0 for info, 2 for error."""
        return ("info", "warning", "error").index(self.value)


class Remedy(enum.StrEnum):
    """What takes a finding away, if it is to be taken away; its severity says whether it needs to be."""

    DRAW_LAYER = "draw-layer"
    """Draw this layer's weights anew and reset its bias: nothing of worth is lost."""
    DRAW_NETWORK = "draw-network"
    """The fault is that of the network and only shows here: draw every layer anew that is off its target."""
    RESTORE_LAYER = "restore-layer"
    """The layer was trained: load its values again, or check what is done to them. A new draw would have to be trained anew."""
    LOAD_VALUES = "load-values"
    """Values are missing from the file, or are not those that were trained: load them again."""
    TRAIN_LAYER = "train-layer"
    """Training did not reach it: see that it gets a gradient and is in the optimiser."""
    CHECK = "check"
    """Check scales, types, loading and training around the weights: new random values mend nothing."""
    NONE = "none"
    """Nothing is to be done to the model."""


class Confidence(enum.StrEnum):
    """How sure the rule is that what it says is so."""

    HIGH = "high"
    MEDIUM = "medium"


class Reader(enum.StrEnum):
    """What someone who reads a finding has in hand."""

    PYTORCH = "pytorch"
    KERAS = "keras"
    ONNX = "onnx"
    """The file alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to do, for one kind of reader."""

    reader: Reader
    text: str
    """What the code does; one line."""
    code: str
    """Python, arguments of a Keras layer, or a command line; a few lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of one rule."""

    code: str
    """`INI401`; stable once released."""
    name: str
    """`vanishing-signal`."""
    severity: Severity
    confidence: Confidence = Confidence.HIGH
    layer: str | None = None
    """Layer.name, or None where the whole model is meant."""
    initializer: str | None = None
    """Stored tensor, where one is meant."""
    message: str
    """What was measured, what was expected, what it does to the network; one sentence or two, no newline."""
    evidence: dict[str, float | None] = field(default_factory=dict)
    """`measured` and `expected`, and more where it helps."""
    suggestion: str = ""
    """What to do, for a reader of this very network."""
    remedy: Remedy = Remedy.NONE
    """The kind of thing to do."""
    advice: tuple[Advice, ...] = ()
    """How to do it: the reader who has what made the file first."""
    url: str = ""
    """The page about the rule; empty where a rule of another package has none."""
    suppressed: str | None = None
    """Why the finding does not count (ignored by configuration, known from a baseline), or None."""
    known: bool | None = None
    """Whether the baseline accepts it; None where there is no baseline."""
    subject: str = ""
    """The layer's title, or the tensor, by which a person ignores the finding."""
    lasting_name: str = ""
    """What the fingerprint is made from beside the code: the name of the layer that survives a re-export."""
    occurrence: int = 0
    """How many findings of the same code and identity stand before it in the order of the graph."""

    def __post_init__(self) -> None:
        """Raises ValueError or TypeError where a rule (of another package, say) gives what no report can show."""
        object.__setattr__(self, "severity", Severity(self.severity))
        for key, value in self.evidence.items():
            if value is not None and not isinstance(value, numbers.Real):
                raise TypeError(f"evidence {key!r} is no number: {value!r}")

    @property
    def identity(self) -> str:
        """What it is about, by the name that is the most likely to last."""
        return self.lasting_name or self.subject or self.layer or self.initializer or ""

    @property
    def fingerprint(self) -> str:
        """Equal for the same finding in the next export of the same model; 16 hexadecimal digits."""
        again = f"\0{self.occurrence}" if self.occurrence else ""
        return hashlib.sha256(f"{self.code}\0{self.identity}{again}".encode()).hexdigest()[:16]


def selects(word: str, code: str, name: str) -> bool:
    """Whether a code, a name, or the beginning of a code (`INI4`) means the rule; `ALL` means every one."""
    return word.upper() == "ALL" or (word != "" and code.startswith(word.upper())) or name == word.lower()


def matches(finding: Finding, word: str) -> bool:
    """Whether `word` means the rule that found `finding`."""
    return selects(word, finding.code, finding.name)


def fix_acts_on(remedy: str, severity: str, *, selected: bool = False, force: bool = False) -> bool:
    """Whether `initaudit fix` draws weights anew because of an active finding with this Remedy and Severity.

    Args:
        remedy: of the finding.
        severity: of the finding; one that needs no action is acted on only where it was asked for.
        selected: the finding was asked for by its rule (`--select`).
        force: layers that were trained are drawn anew as well (`--force`).
    """
    drawing = remedy in (Remedy.DRAW_LAYER, Remedy.DRAW_NETWORK) or (force and remedy == Remedy.RESTORE_LAYER)
    return drawing and (selected or severity != Severity.INFO)
