"""One self-contained HTML page for one or several reports.

Every string that came from a model file is untrusted. Four walls stand between it and the reader's browser: Jinja's autoescape, control
and bidirectional characters made visible (`words.visible`), the data island escaped for HTML, and a content security policy that runs
only the page's own script (by its hash) and lets nothing load from anywhere.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from initaudit.formats.page import words
from initaudit.formats.page.anchors import layer_anchors
from initaudit.formats.page.changes import fix_view
from initaudit.formats.page.overview import by_urgency, common_folder
from initaudit.formats.page.view import report_view
from initaudit.formats.printing import number
from initaudit.formats.telling import interrupted

SCRIPTS = (
    "vendor/uPlot.iife.min.js",
    "vendor/dagre.min.js",
    "page/theme.js",
    "page/numbers.js",
    "page/overlays.js",
    "page/depth_chart.js",
    "page/spread_chart.js",
    "page/histogram.js",
    "page/copyable.js",
    "page/details.js",
    "page/sort.js",
    "page/overview.js",
    "page/table.js",
    "page/main.js",
    "page/map.js",
)
STYLES = (
    "vendor/uPlot.min.css",
    "page/page.css",
    "page/picture.css",
    "page/map.css",
    "page/changes.css",
    "page/print.css",
)

RUN: Mapping[str, Any] = {"started": None, "command": None, "versions": {}}
"""What the page names of the run; unknown unless the document says it."""


def page(document: Mapping[str, Any], rules: Mapping[str, Mapping[str, str]]) -> str:
    """The page for a JSON document of initaudit: `schema_version`, `tool`, any number of `reports`, and what was done where it has `fix`.

    `rules` explains the codes of the findings: code -> name, `summary` and further sections by title. The only times in the result are the
    document's: the same document gives the same page. Raises ValueError where a template file would end its own HTML element.
    """
    alone = len(document["reports"]) == 1
    folder = common_folder([report["model"]["path"] for report in document["reports"]])
    reports = by_urgency(
        report_view(report, index, rules, folder=folder, alone=alone)
        for index, report in enumerate(document["reports"])
    )
    fix = document.get("fix")
    if fix is not None:
        (now,) = document["reports"]
        (report,) = reports
        report |= {"changes": fix_view(fix, now, layer_anchors(now["layers"])), "fix": None}
    used = {code for report in reports for code in report["codes"]}
    used |= {code for change in (fix or {"changes": ()})["changes"] for code in change["reason"].split(", ")}
    return rendered(
        "report.html.j2",
        scripts=SCRIPTS,
        styles=STYLES,
        tool=document["tool"],
        schema_version=document["schema_version"],
        run={**RUN, **document.get("run", {})},
        interrupted=interrupted(document),
        reports=reports,
        folder=folder,
        rules={code: rule for code, rule in sorted(rules.items()) if code in used},
    )


def rendered(template: str, *, scripts: Sequence[str] = (), styles: Sequence[str], **context: Any) -> str:
    """A page with its scripts and styles in it, and their hashes for its policy.

    Args:
        template: name of the template's file.
        scripts: names of files, in this order.
        styles: likewise.
        context: what the template shows.

    Raises:
        ValueError: one of the files would end its own HTML element.
    """
    templates = environment()
    script, style = _joined(templates, scripts), _joined(templates, styles)
    return templates.get_template(template).render(
        **context,
        script=Markup(script),  # noqa: S704  # files of this package
        style=Markup(style),  # noqa: S704  # files of this package
        script_hash=_policy_hash(script),
        style_hash=_policy_hash(style),
    )


@functools.cache
def environment() -> jinja2.Environment:
    """Where templates lie, how they escape, and the filters that they use."""
    package = Path(__file__).resolve().parents[2]
    environment = jinja2.Environment(
        # A wheel has the templates inside the package, a checkout beside it.
        loader=jinja2.FileSystemLoader([package / "templates", package.parent / "templates"]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=words.visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for function in (
        number,
        words.share,
        words.score,
        words.size,
        words.moment,
        words.shape,
        words.shorten,
        words.listed,
        words.prose,
        words.breakable,
    ):
        environment.filters[function.__name__] = function
    return environment


def _joined(environment: jinja2.Environment, names: Sequence[str]) -> str:
    """The files as one block of text that an HTML parser hands on unchanged, so that its hash holds."""
    assert environment.loader is not None
    block = "\n".join(environment.loader.get_source(environment, name)[0] for name in names)
    # Libraries hold control characters in string literals, where an escape says the same; some viewers refuse a page that holds them.
    block = re.sub(r"[\x01-\x08\x0e-\x1f]", lambda found: f"\\x{ord(found[0]):02x}", block.replace("\r\n", "\n"))
    if any(ending in block.lower() for ending in ("</script", "</style", "<!--")):
        raise ValueError(f"one of {', '.join(names)} would end its own HTML element")
    return block


def _policy_hash(block: str) -> str:
    """What the content security policy knows a script or a style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
