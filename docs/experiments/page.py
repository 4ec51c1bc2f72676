"""What the page says of the experiments: a row a claim, a section an experiment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docs.experiments.experiment import Documents, Experiment


FOLDER = Path(__file__).parent
PAGE, IMAGES = FOLDER / "index.md", FOLDER / "images"
BEGIN, END = "<!-- experiments -->\n", "<!-- /experiments -->\n"
"""What stands around that in the page."""
HEAD = "| claim | seen | here | experiment |\n|---|---|---|---|\n"


def rows(experiment: Experiment, documents: Documents) -> list[str]:
    """Of the table, one for each claim."""
    link = f"[{experiment.title}](#{anchor(experiment)})"
    judged = [(claim.told, *claim.judge(documents)) for claim in experiment.claims]
    return [f"| {told} | {seen} | {figures} | {link} |\n" for told, seen, figures in judged]


def anchor(experiment: Experiment) -> str:
    """Of the section, as both GitHub and the site name it."""
    return re.sub(r"[^\w-]", "", experiment.title.lower().replace(" ", "-"))


def section(experiment: Experiment) -> str:
    """Title, commands, picture."""
    commands = "\n".join(experiment.commands)
    picture = experiment.picture
    image = f"\n![{picture.shows}](images/{experiment.name}.png)\n" if picture is not None else ""
    return f"## {experiment.title}\n\n{experiment.what}\n\n```sh\n{commands}\n```\n{image}"


def rows_of(page: str, experiment: Experiment) -> list[str]:
    """Those that the page has."""
    return [line for line in page.splitlines(keepends=True) if line.endswith(f"(#{anchor(experiment)}) |\n")]


def with_experiments(
    page: str, everything: Sequence[Experiment], done: Mapping[str, float], documents: Documents
) -> str:
    """The page with what there is to say of all experiments; the rows of those that were not done stay.

    Args:
        page: as it was.
        everything: all experiments, in order.
        done: seconds that those took which were run now, by name.
        documents: what they wrote.
    """
    told = [row for e in everything for row in (rows(e, documents) if e.name in done else rows_of(page, e))]
    counted = Counter(re.split(r" \| ", row)[1] for row in told)
    sum_of = (
        f"Of {len(told)} claims {counted['yes']} were seen, {counted['in part']} in part, and {counted['no']} not.\n"
    )
    sections = "\n".join(section(experiment) for experiment in everything)
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{sum_of}\n{HEAD}{''.join(told)}\n{sections}\n{END}{after}"
