"""The pages of the documentation: nothing in them leads nowhere, and what they say of commands and packages is so."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

import initaudit
from docs import build, generated
from initaudit import home
from initaudit.cli import COMMANDS, fleet
from initaudit.rule import all_rules, find_rule

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / path for path in build.sources()]
BLOCK = re.compile(r"^```\w*\n([\s\S]*?)^```", re.MULTILINE)
LINE = re.compile(r"^\s*(?:\$ |- run: |- |run: )?(?:\S*/)?initaudit (\S.*)$", re.MULTILINE)
"""A command line in a block of code: of a session, of a step in CI, or as it is."""
INLINE = re.compile(r"`initaudit ([^`]+)`")
"""A command line in a sentence."""
PLUGIN = ROOT / "tests" / "plugin"


def written_commands() -> list[tuple[str, str]]:
    """Page and what follows `initaudit` in a command line."""
    found = {}
    for page in PAGES:
        text = page.read_text("utf-8")
        for block in BLOCK.findall(text):
            found.update({(page.name, line): None for line in LINE.findall(block.replace("\\\n", " "))})
        found.update({(page.name, line): None for line in INLINE.findall(BLOCK.sub("", text))})
    return list(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page: Path):
    """In the repository; the site's own builder sees to the anchors."""
    targets = [match[1] for match in build.LINK.finditer(page.read_text("utf-8"))]

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_has_a_place_on_the_site():
    """And every place a page."""
    nav = tomllib.loads((ROOT / "docs" / "zensical.toml").read_text("utf-8"))["project"]["nav"]

    assert set(build.navigated(nav)) == {*build.sources().values(), "commands.md", "rules/index.md"}


def test_the_site_is_built_for_the_address_that_findings_name():
    """Or their links would lead elsewhere."""
    project = tomllib.loads((ROOT / "docs" / "zensical.toml").read_text("utf-8"))["project"]

    assert project["site_url"] == home.DOCUMENTATION


def test_a_site_takes_the_place_of_nothing_but_a_site(tmp_path: Path):
    """A folder or file that somebody else wrote is left alone, with one line that says so."""
    work = tmp_path / "work"
    work.mkdir()
    assert build.is_free(work)
    assert build.is_free(tmp_path / "new")
    thesis = work / "thesis.txt"
    thesis.write_text("the only copy")

    for place in (work, thesis):
        with pytest.raises(SystemExit, match=r"^\S+: is no site of before .* nothing is deleted$"):
            build.build(place)

    assert thesis.read_text() == "the only copy"
    (work / build.MARKER).touch()
    assert build.is_free(work)


@pytest.mark.parametrize(("page", "line"), written_commands())
def test_a_command_that_is_written_somewhere_exists(page: str, line: str):
    """With all its options and the choices that it gives them; whether its files exist is another matter."""
    words = shlex.split(line, comments=True)
    name, *arguments = words[: next((i for i, word in enumerate(words) if word in {"|", "&&", "||", ">", ";"}), None)]
    assert name in COMMANDS
    command: click.Command = importlib.import_module(f"initaudit.cli.{name}").command
    if isinstance(command, click.Group) and arguments:
        inner, *arguments = arguments
        part = command.get_command(click.Context(command), inner)
        assert part is not None
        command = part

    options, _, _ = command.make_parser(click.Context(command)).parse_args([a for a in arguments if a != "..."])

    for parameter in command.params:
        if isinstance(parameter.type, click.Choice):
            given = options.get(str(parameter.name))
            for value in given if isinstance(given, list) else [given]:
                assert value is None or value in parameter.type.choices


def test_rules_that_are_named_exist():
    """No page speaks of a rule that there is not."""
    named = {code for page in PAGES for code in re.findall(r"\bINI\d{3}\b", page.read_text("utf-8"))}

    assert {code for code in named if find_rule(code) is None} == set()


def test_the_table_of_rules_lists_each_with_its_severities():
    """As `initaudit rules` does."""
    page = generated.rule_index()

    assert all(f"| {rule.name} | {', '.join(rule.severities())} |" in page for rule in all_rules())


def test_a_rule_has_a_page_with_its_documentation_and_an_example_that_triggers_it(tmp_path: Path):
    """The example lies beside it, and what it says to ignore it does so; tests/rules/test_every_rule.py sees to those of the other rules."""
    rule = find_rule("INI003")
    assert rule is not None

    page = generated.rule_page(rule, tmp_path)
    (block,) = re.findall(r"```toml\n([\s\S]*?)```", page)
    settings = tomllib.loads(block)["tool"]["initaudit"]
    report = initaudit.audit(tmp_path / "INI003.onnx", context="fresh", probe="none", **settings)

    assert [(f.layer, f.suppressed) for f in report.findings if f.code == "INI003"] == [("/fc1/Gemm", "the reason")]
    assert rule.documentation()["Why"][1:] in page
    assert "error INI003 zero-weight /fc1/Gemm" in page
    assert (tmp_path / "INI003.onnx").exists()


def test_every_key_of_the_json_document_is_explained():
    """Those of the document and of a report; `initaudit schema` has the rest."""
    schema = json.loads((ROOT / "initaudit" / "schema.json").read_text("utf-8"))
    explained = set(re.findall(r"`([\w.\[\]]+)`(?=[^|]*\|)", (ROOT / "docs" / "json.md").read_text("utf-8")))

    assert set(schema["$defs"]["document"]["properties"]) - {"reports"} <= explained
    assert {f"reports[].{key}" for key in schema["$defs"]["report"]["properties"]} <= {
        e.removesuffix("[]") for e in explained
    }


def test_help_is_shown_of_every_command():
    """With its options."""
    page = generated.command_page()

    assert all(
        f"Usage: initaudit {name} " in page for name in (*COMMANDS, *(f"fleet {name}" for name in fleet.COMMANDS))
    )
    assert "--min-trainability" in page


@pytest.mark.parametrize(
    "block", re.findall(r"```(?:python|toml)\n([\s\S]*?)```", (ROOT / "docs/extending.md").read_text("utf-8"))
)
def test_the_example_package_is_the_one_that_is_installed_and_run(block: str):
    """tests/test_plugin.py builds and runs it."""
    files = "\n".join((PLUGIN / name).read_text("utf-8") for name in ("acme_audit.py", "pyproject.toml"))

    assert block.strip() in files


def test_links_are_led_to_where_the_pages_are_on_the_site():
    """Pages to pages, files that are none to the repository, and anchors are kept."""
    text = "[a](docs/method.md#fans) [b](tests/plugin/acme_audit.py) [c](https://x.example/docs/method.md) ![d](docs/images/report.png)"

    turned = build.turned(text, "README.md", build.sources())

    assert turned == (
        f"[a](method.md#fans) [b]({home.REPOSITORY}/blob/main/tests/plugin/acme_audit.py) "
        "[c](https://x.example/docs/method.md) ![d](images/report.png)"
    )


def test_links_of_a_page_in_a_folder_start_there():
    """On the site as in the repository: up to the others, and down to its own pictures."""
    text = "[a](../racing.md) [b](../../CHANGELOG.md) ![c](images/tanh.png)"

    turned = build.turned(text, "docs/experiments/index.md", build.sources())

    assert turned == "[a](../racing.md) [b](../changelog.md) ![c](images/tanh.png)"
