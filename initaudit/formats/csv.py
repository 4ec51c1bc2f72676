"""CSV: a row a layer with everything that was measured, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from initaudit.format import Format, FormatOptions
from initaudit.formats.printing import visible
from initaudit.formats.telling import Part, active

LAYER = (
    "name", "title", "op_type", "kind", "depth", "parameters", "fan_in", "fan_out", "groups", "activation",
    "normalized_by", "feeds", "untrainable", "bias",
)  # fmt: skip
WEIGHT = ("initializers", "shape", "dtype", "part", "shared_with")
PROVENANCE = ("law", "distribution", "std", "p_value", "untrained", "confidence", "odds")
TARGET = ("scheme", "gain", "std", "ratio")
STATS = (
    "count", "mean", "std", "min", "max", "zeros", "nonfinite", "subnormal", "skewness", "kurtosis", "duplicate_units",
    "duplicate_units_scaled", "unit_norm_dispersion", "spectral_norm", "smallest_singular_value", "stable_rank",
    "condition", "orthogonality_defect", "largest_over_robust_std",
)  # fmt: skip
MOMENTS = ("mean_square", "variance", "dimension")
SIGNAL = (
    *MOMENTS[:2], "variance_resolved", "predicted_variance", "growth", "similarity", "saturated", "dead", "nonfinite", "elements",
    *(f"{place}.{moment}" for place in ("input", "own", "after") for moment in MOMENTS),
    "gradient_rms", "gradient_error", "gradient_resolved", "weight_gradient", "weight_gradient_error", "weight_gradient_ratio", "weight_contrast",
    "memory", "chi", "chi_measured",
)  # fmt: skip
GROUPS = {"weight": WEIGHT, "stats": STATS, "provenance": PROVENANCE, "target": TARGET, "signal": SIGNAL}
"""Parts of a layer in the document, and which of their values are columns, `stats.mean` and so on."""

COLUMNS = (
    "model", "verdict", *LAYER, *(f"{group}.{key}" for group, keys in GROUPS.items() for key in keys), "findings", "error",
)  # fmt: skip
"""The same in every version of the schema; new ones are put before `findings`."""

CHANGE = ("before", "after", "title", "state", "change", "parameters")
"""Of a layer in a comparison."""

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What makes a spreadsheet compute a cell (OWASP, CSV Injection); tabs and line breaks are written out as they are everywhere."""


ORDER = "::"
"""What makes a line an order to GitHub's runners."""


class Csv(Format):
    """Fixed columns, as RFC 4180 has it; a model that has no layers, or could not be audited, is a row of its own."""

    name = "csv"
    suffix = ".csv"

    def render(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """The header, then a row a layer."""
        head = {key: value for key, value in document.items() if key != "reports"}
        return "".join(self.pieces(head, document["reports"], options))

    def pieces(self, head: Part, reports: Iterable[Part], options: FormatOptions) -> Iterator[str]:
        """The header, then the rows of each model."""
        del head, options
        yield lines([COLUMNS])
        for report in reports:
            yield lines(_rows(report))

    def compare(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """A row a layer, before and after."""
        del options
        shown = [
            key for model in document["comparisons"] for layer in model["layers"][:1] for key in layer["statistics"]
        ]
        statistics = list(dict.fromkeys(shown))
        columns = [f"{key}.{side}" for key in statistics for side in ("before", "after")]
        header = ("model.before", "model.after", *CHANGE, *columns)
        return lines([header, *(row for model in document["comparisons"] for row in _change_rows(model, statistics))])

    def starts(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """A row a layer of each start."""
        from initaudit.formats import csv_starts

        del options
        return lines([csv_starts.COLUMNS, *csv_starts.start_rows(document)])

    def race(self, document: Mapping[str, Any], options: FormatOptions) -> str:
        """A row a point of each curve."""
        from initaudit.formats import csv_race

        del options
        return lines([csv_race.COLUMNS, *csv_race.race_rows(document)])


def lines(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as RFC 4180 has them, text made harmless."""
    out = io.StringIO()
    csv.writer(out).writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _rows(report: Part) -> Iterator[list[Any]]:
    codes: dict[str | None, dict[str, None]] = defaultdict(dict)
    for finding in active(report):
        codes[finding["layer"]][finding["code"]] = None
    verdict = report["verdict"]
    first = (report["model"]["path"], verdict["status"])
    error = verdict["reason"] if verdict["status"] == "error" else None
    for layer in report["layers"]:
        yield [*first, *_values(layer), list(codes[layer["name"]]), error]
    if not report["layers"]:
        yield [*first, *(None for _ in COLUMNS[2:-2]), list(codes[None]), error]


def _change_rows(model: Part, statistics: Iterable[str]) -> Iterator[list[Any]]:
    paths = [side["model"]["path"] if side is not None else None for side in (model["before"], model["after"])]
    for layer in model["layers"]:
        values = (layer["statistics"][key][side] for key in statistics for side in ("before", "after"))
        yield [*paths, *(layer[key] for key in CHANGE), *values]


def _values(layer: Part) -> Iterator[Any]:
    yield from (layer.get(key) for key in LAYER)
    for group, keys in GROUPS.items():
        for key in keys:
            value: Any = layer.get(group)
            for step in key.split("."):
                value = (value or {}).get(step)
            yield "x".join(map(str, value)) if key == "shape" else value


def _cell(value: Any) -> Any:
    """A number as it is read back without loss; text with an apostrophe in front where a spreadsheet would compute it, or a runner obey it."""
    if isinstance(value, bool):
        return str(value).lower()
    text = " ".join(value) if isinstance(value, (list, tuple)) else value
    if not isinstance(text, str):
        return text
    text = visible(text)
    return f"'{text}" if text.startswith((*FORMULA, ORDER)) else text
