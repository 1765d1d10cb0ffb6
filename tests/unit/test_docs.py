"""The pages are right about the code, and about one another: links, citations and commands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from flask.cli import run_command

from app.cli import COMMANDS
from app.cli.mapping import fields
from tests.support.bridge_process import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

CITING = [
    *(path for folder in ("app", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")),
    *(ROOT / name for name in ("gunicorn.conf.py", "setup.cfg", "pyproject.toml", "Makefile")),
]

LINK = re.compile(r"\]\(([^)\s]+)\)")

HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

CITED = re.compile(r"(?<![\w/.])docs/[\w./-]*\w")

CODE = re.compile(r"`([^`]+)`|^ {4,}(.+?)(?:  +#.*)?$", re.MULTILINE)

FLASK = re.compile(r"(?:^|[\s/])flask (?!--)(\w.*)", re.DOTALL)

GROUP = click.Group(commands=[*COMMANDS, run_command])


def anchors(page: Path) -> set[str]:
    """The ids that GitHub gives to the page's headings."""
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def relative_path(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=relative_path)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_code_cites_pages_that_exist() -> None:
    broken = {
        f"{relative_path(path)}: {cited}"
        for path in CITING
        for cited in CITED.findall(path.read_text())
        if not (ROOT / cited).exists()
    }
    assert broken == set()


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    assert {page for page in PAGES[1:] if page != index} <= linked


def commands(page: Path) -> Iterator[str]:
    """What stands after `flask` in the page's code."""
    for span, line in CODE.findall(page.read_text()):
        if found := FLASK.search(span or line):
            yield found[1]


def parse(text: str) -> None:
    """Raises `UsageError` if there is no such command, or if it has no such option."""
    command: click.Command = GROUP
    words = shlex.split(text)
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(click.Context(command), words)
        assert found is not None
        command = found
    command.make_parser(click.Context(command)).parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=relative_path)
def test_every_command_and_option_is_there(page: Path) -> None:
    for text in commands(page):
        parse(text)


def test_the_fields_of_mappings_are_documented_as_the_code_has_them() -> None:
    listed = CliRunner().invoke(fields).output.strip()
    assert listed in (ROOT / "docs" / "mapping-file.md").read_text()
