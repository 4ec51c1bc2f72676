"""Finding: one thing a rule has to say about a model, as data."""

from __future__ import annotations

import enum
import hashlib
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


class Confidence(enum.StrEnum):
    """How sure the rule is that what it says is so."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


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
    """What to do."""
    suppressed: str | None = None
    """Why the finding does not count (ignored by configuration, known from a baseline), or None."""
    subject: str = ""
    """What the fingerprint is made from beside the code: the layer's title, which survives a re-export."""

    @property
    def fingerprint(self) -> str:
        """Equal for the same finding in the next export of the same model; 16 hexadecimal digits."""
        subject = self.subject or self.layer or self.initializer or ""
        return hashlib.sha256(f"{self.code}\0{subject}".encode()).hexdigest()[:16]


def matches(finding: Finding, selector: str) -> bool:
    """Whether a code, a name, or the beginning of a code (`INI4`) selects this finding; `ALL` selects every one."""
    return selector.upper() == "ALL" or finding.code.startswith(selector.upper()) or finding.name == selector.lower()
