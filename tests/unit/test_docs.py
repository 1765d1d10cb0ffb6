"""The pages lead to one another: no link ends nowhere, and code cites pages that exist."""

import re
from pathlib import Path

import pytest

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
