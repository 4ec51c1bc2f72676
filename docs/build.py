"""The documentation site: the pages of this folder, those at the root of the project, and those that the program writes about itself.

    python docs/build.py [FOLDER]        # default: site/

All are gathered in a folder of their own, their links turned to where each page now is, and built by zensical, which stops at a link that
leads nowhere. Nothing is fetched from anywhere. A folder is written anew only where it is empty or holds a site of before, which is known by
the marker in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from docs.generated import command_page, rule_index, rule_page  # noqa: E402
from initaudit.home import DOCUMENTATION, REPOSITORY  # noqa: E402
from initaudit.rule import all_rules  # noqa: E402

ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "sample_models/README.md": "sample-models.md",
}
"""Pages that stand outside this folder, where people look for them, and their names on the site."""
MARKER = ".initaudit-site"
"""An empty file in each site, by which the next build knows that it may delete the folder."""
LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)(?=[)#])")
"""The target of a Markdown link or picture that is a path."""

FOREIGN = re.compile(
    r"""<(?:script|img|iframe)[^>]* src=["']?(?:https?:)?//|<link[^>]* rel=["']?(?:stylesheet|preconnect|icon)["' ][^>]*href=["']?(?:https?:)?//"""
)
"""What makes a browser ask another server for something."""


def sources() -> dict[str, str]:
    """Each written page: its path in the project, and its path on the site."""
    docs = ROOT / "docs"
    names = sorted(page.relative_to(docs).as_posix() for page in docs.rglob("*.md"))
    here = {f"docs/{name}": name for name in names}
    return {**here, **{path: name for path, name in ELSEWHERE.items() if (ROOT / path).exists()}}


def turned(text: str, source: str, pages: Mapping[str, str]) -> str:
    """The page at `source` with its relative links led to pages and pictures of the site, or to the file in the repository."""

    def turn(match: re.Match[str]) -> str:
        target = os.path.normpath(PurePosixPath(source).parent / match[1])
        if target in pages:
            return os.path.relpath(pages[target], PurePosixPath(pages[source]).parent)
        if target.startswith("docs/") or not (ROOT / target).exists():
            return match[1].removeprefix("docs/")
        return f"{REPOSITORY}/blob/main/{target}"

    return LINK.sub(turn, text)


def gather(folder: Path) -> None:
    """Everything that the site is built from."""
    pages = sources()
    for source, name in pages.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(turned((ROOT / source).read_text("utf-8"), source, pages), encoding="utf-8")
    for images in (Path("images"), Path("experiments", "images")):
        shutil.copytree(ROOT / "docs" / images, folder / images)
    schema = ROOT / "initaudit" / "schema.json"
    shutil.copy(schema, folder / json.loads(schema.read_text("utf-8"))["$id"].removeprefix(DOCUMENTATION))
    (folder / "commands.md").write_text(command_page(), encoding="utf-8")
    rules = folder / "rules"
    rules.mkdir()
    (rules / "index.md").write_text(rule_index(), encoding="utf-8")
    for rule in all_rules():
        (rules / f"{rule.code}.md").write_text(rule_page(rule, rules), encoding="utf-8")


def configuration() -> str:
    """zensical.toml with the pages of the rules in its navigation."""
    text = (ROOT / "docs" / "zensical.toml").read_text("utf-8")
    pages = ", ".join(f'"rules/{rule.code}.md"' for rule in all_rules())
    return text.replace('"rules/index.md"', f'"rules/index.md", {pages}')


def navigated(entry: Any) -> Iterator[str]:
    """Every page below an entry of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from navigated(inner)


def is_free(site: Path) -> bool:
    """Whether nothing is lost where a site is written to `site`: there is nothing, an empty folder, or a site of before."""
    if not site.is_dir():
        return not site.exists()
    return (site / MARKER).is_file() or not any(site.iterdir())


def build(site: Path) -> None:
    """Write the site to `site`, in place of one of before.

    Raises SystemExit where something else is there, a page or a link is missing, or a page needs another server.
    """
    if not is_free(site):
        raise SystemExit(f"{site}: is no site of before (it has no {MARKER}) and not empty: nothing is deleted")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "docs").mkdir()
        gather(work / "docs")
        (work / "zensical.toml").write_text(configuration(), encoding="utf-8")
        listed = set(navigated(tomllib.loads(configuration())["project"]["nav"]))
        written = {page.relative_to(work / "docs").as_posix() for page in (work / "docs").rglob("*.md")}
        if listed != written:
            raise SystemExit(
                f"pages without a place in docs/zensical.toml, or places without a page: {listed ^ written}"
            )
        zensical = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(work / "zensical.toml")]
        done = subprocess.run(zensical, cwd=work, check=False)
        if done.returncode != 0:
            raise SystemExit(done.returncode)
        asking = [page.name for page in (work / "site").rglob("*.html") if FOREIGN.search(page.read_text("utf-8"))]
        if asking:
            raise SystemExit(f"pages that ask another server: {', '.join(asking)}")
        (work / "site" / MARKER).touch()
        shutil.rmtree(site, ignore_errors=True)
        shutil.move(work / "site", site)


if __name__ == "__main__":
    build(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site").resolve())
