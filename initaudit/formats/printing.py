"""How every output writes numbers and names: one way, for the terminal, the page and messages on stderr."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

NOTHING = "–"
"""What stands where there is no value."""


def is_hidden(character: str) -> bool:
    """True for what changes the text around it without being seen: control, format (bidirectional), surrogate, line and paragraph separators."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")


def visible(text: str) -> str:
    r"""With hidden characters written out (`\n`, `\x1b`, `\u202e`): names in model files are untrusted."""
    for order in ("##[", "##vso["):  # GitHub and Azure obey these wherever they stand
        text = text.replace(order, f"\\x23{order[1:]}")
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if is_hidden(c) else c for c in text)


def json_text(value: Any) -> str:
    """JSON in one line that no CI system obeys."""
    return json.dumps(value, allow_nan=False).replace("##", r"#\u0023")  # Azure obeys ##vso[ wherever it stands


def printed(text: str) -> str:
    """Lines of output, without blanks at their ends; none begins with `::`, blanks in front of it or not, which GitHub obeys."""
    return "\n".join(_harmless(line.rstrip()) for line in text.splitlines()) + "\n"


def _harmless(line: str) -> str:
    indent = len(line) - len(line.lstrip())
    return f"{line[:indent]}\\x3a{line[indent + 1 :]}" if line.startswith("::", indent) else line


def number(value: Any) -> str:  # noqa: PLR0911  one line a kind of number
    """Three significant digits, written the way people write numbers: 0.0589, 12,300, 1.2e-17; whole numbers in full."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if value == 0:
            return "0"
        if 1e-3 <= abs(value) < 1e5:
            digits = max(0, 2 - math.floor(math.log10(abs(value))))
            fixed = f"{value:,.{digits}f}"
            return fixed.rstrip("0").rstrip(".") if "." in fixed else fixed
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return str(value)
