"""A measured figure has one home: a table that is made of results. Pages link there."""

import re
from pathlib import Path

import pytest

from benchmarks.readme_tables import MARKED
from benchmarks.report import ROOT

PAGES = (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "ARCHITECTURE.md")
CODE = re.compile(r"^\s*```.*?^\s*```", re.DOTALL | re.MULTILINE)
MEASURED = re.compile(r"\d\s?(?:k\s)?(?:us|µs|ns|requests/s|images/s|rows/s|texts/s)(?![\w/])")
"""Units that nobody chooses: limits and defaults are in others."""

CHOSEN = ("Time buckets go from 50 µs",)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_figures_stand_in_tables_that_are_made(page: Path) -> None:
    text = CODE.sub("", MARKED.sub("", page.read_text(encoding="utf-8")))
    for chosen in CHOSEN:
        text = text.replace(chosen, "")
    typed = [line for line in text.splitlines() if MEASURED.search(line)]
    assert not typed, "make a table of it (benchmarks.readme_tables), or link to the one there is"
